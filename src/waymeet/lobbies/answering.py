"""Calling a lobby service where players will (an `Answering`)."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from waymeet.lobbies.types import Lobby

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS = 3.0
LONGEST_PROBLEM = 200
MARK = "waymeet-lobby"
"""The header in which a service says which lobby it is: something else may answer at a URL that is set up wrongly."""


class HttpAnswering:
    """Lists the service's rooms over HTTP, once, without following redirects: clients do not either."""

    def __init__(
        self,
        local_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """With a `local_url`, the service is called there in place of its own URL: some machines do not reach their public
        address. `headers` are what games have to send.
        """
        self._local_url = local_url
        self._headers = dict(headers or {})
        self._timeout_seconds = timeout_seconds
        self._client: httpx.AsyncClient | None = None

    async def check(self, lobby: Lobby, url: str) -> str | None:
        # Late, since a server without lobbies does not need to carry an HTTP client in its memory.
        import httpx

        if self._local_url is not None:
            url = f"{self._local_url}/l/{lobby.address}"
        client = self._client
        if client is None:
            client = self._client = httpx.AsyncClient(
                trust_env=False, timeout=self._timeout_seconds, headers=self._headers
            )
        try:
            async with asyncio.timeout(self._timeout_seconds), client.stream("GET", f"{url}/lobbies") as answer:
                if answer.status_code != 200:
                    return f"the answer is {answer.status_code}"
                if answer.headers.get(MARK) != lobby.lobby_id:
                    return "something else answers there"
        except (TimeoutError, httpx.TimeoutException):
            return f"no answer within {self._timeout_seconds:g} s"
        except Exception as error:
            # Libraries find many names for a URL that leads nowhere, groups of errors among them.
            return (str(error) or type(error).__name__)[:LONGEST_PROBLEM]
        return None

    async def close(self) -> None:
        """Close idle connections. Repeatable."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
