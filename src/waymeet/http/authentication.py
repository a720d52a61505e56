"""Who is calling: the `Authorization` header (contract 1.2)."""

import re
from collections.abc import Callable
from typing import Literal, Protocol

from waymeet.accounts.types import Caller
from waymeet.http.buckets import TokenBuckets
from waymeet.model.errors import Forbidden, TooManyRequests, Unauthenticated

LONGEST_SECRET = 256
_HEADER = re.compile(rb"\s*(?:token\s+)?(?P<secret>[!-~]{1,%d})\s*" % LONGEST_SECRET, re.IGNORECASE)

_FAILURE_BURST_SECONDS = 4.0

_HOW = "send the header `Authorization: token <key>`"


class Authenticator(Protocol):
    """Knows the API keys."""

    async def caller(self, secret: str) -> Caller | None:
        """Whose key `secret` is; `None` when it is unknown, revoked or expired. Asked on every call: must be cheap."""


def parse_secret(header: bytes | None) -> str | None:
    """The secret in the header's value, `token <secret>` or bare; `None` when it is absent, empty or malformed."""
    if header is None:
        return None
    match = _HEADER.fullmatch(header)
    if match is None:
        return None
    secret = match["secret"].decode("ascii")
    # The scheme without a secret.
    return secret if secret.lower() != "token" else None


def require_secret(header: bytes | None) -> str:
    """The secret; `Unauthenticated` that says how to send one."""
    secret = parse_secret(header)
    if secret is None:
        if header is None or not header.strip():
            raise Unauthenticated(f"no API key was sent: {_HOW}")
        raise Unauthenticated(f"the Authorization header is malformed: {_HOW}")
    return secret


class Gate:
    """Lets callers with a known key through, and slows down addresses that keep on trying unknown ones.

    The brake never touches a good key: behind one address may be a whole office, or a proxy that was not declared. Nor
    does it count calls without a usable key, which guess nothing and cost no look-up.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        *,
        failures_per_second: float,
        tracked_addresses: int,
        monotonic: Callable[[], float],
    ) -> None:
        self._authenticator = authenticator
        self._failures: TokenBuckets[str] | None = None
        if failures_per_second:
            self._failures = TokenBuckets(
                failures_per_second,
                burst_seconds=_FAILURE_BURST_SECONDS,
                capacity=tracked_addresses,
                monotonic=monotonic,
            )

    async def admit(
        self, header: bytes | None, *, scope: str | None, unknown_key: Literal[401, 403], address: str
    ) -> Caller:
        """The caller.

        `Unauthenticated` without a usable key, `Unauthenticated` or `Forbidden` for an unknown one, `Forbidden` when
        the token lacks `scope`, `TooManyRequests` when the address has failed too often.
        """
        caller = await self._authenticator.caller(require_secret(header))
        if caller is None:
            self._count_failure(address)
            raise (Forbidden if unknown_key == 403 else Unauthenticated)("this API key is unknown or was revoked")
        if scope is not None and not caller.may(scope):
            raise Forbidden(f"this API key lacks the scope {scope!r}: use one that has it")
        return caller

    def _count_failure(self, address: str) -> None:
        if self._failures is not None and (wait := self._failures.take(address)):
            raise TooManyRequests(
                "too many calls with unknown API keys from this address: wait, then check the key", wait
            )
