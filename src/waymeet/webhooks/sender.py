"""Carries webhooks to their receivers over HTTP."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

from waymeet.webhooks.ports import Reply
from waymeet.webhooks.resolver import Resolver, SystemResolver

if TYPE_CHECKING:
    from waymeet.webhooks.network import Receivers

LONGEST_ERROR = 300


class HttpSender:
    """`ports.Sender` over HTTP and HTTPS.

    Certificates are checked against the host's name. Redirects are not followed: the URL that was agreed on is the one that
    is called. Proxies from the environment are not asked: they would connect to addresses that nobody checked.
    """

    def __init__(
        self,
        *,
        timeout_seconds: float,
        concurrency: int,
        allow_private_targets: bool,
        resolver: Resolver | None = None,
        certificates: ssl.SSLContext | None = None,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._concurrency = concurrency
        self._allow_private_targets = allow_private_targets
        self._resolver = resolver
        self._certificates = certificates
        self._receivers: Receivers | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """POST once, in `timeout_seconds` from the name look-up to the end of the answer. Never raises."""
        # Late, because a server that sends no webhooks does not need to carry an HTTP client in its memory.
        import httpcore

        from waymeet.webhooks.network import ForbiddenTarget

        try:
            # Before the time begins: reading the certificates of authorities is not the receiver's fault.
            receivers = self._connected()
            async with asyncio.timeout(self._timeout_seconds):
                status_code = await receivers.post(url, headers, body)
        except TimeoutError:
            return _failed(f"no answer within {self._timeout_seconds:g} s")
        except ForbiddenTarget as error:
            return _failed(f"refused: {error}")
        except httpcore.ConnectError as error:
            return _failed(f"cannot connect: {error}")
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            return _failed(f"the connection broke: {_named(error)}")
        except Exception as error:
            # Whatever a receiver manages to cause is its own failed attempt, never the end of our loop.
            return _failed(_named(error))
        if 300 <= status_code < 400:
            return Reply(status_code, "redirects are not followed; register the URL that it points to")
        return Reply(status_code)

    async def close(self) -> None:
        """Close idle connections. Repeatable."""
        receivers, self._receivers = self._receivers, None
        if receivers is not None:
            await receivers.close()

    def _connected(self) -> "Receivers":
        if self._receivers is None:
            from waymeet.webhooks.network import Receivers

            self._receivers = Receivers(
                self._resolver or SystemResolver(),
                allow_private=self._allow_private_targets,
                connections=self._concurrency,
                certificates=self._certificates,
            )
        return self._receivers


def _named(error: Exception) -> str:
    return str(error) or type(error).__name__


def _failed(reason: str) -> Reply:
    return Reply(None, reason[:LONGEST_ERROR])
