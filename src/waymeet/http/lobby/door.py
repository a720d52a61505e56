"""Which requests are a lobby service's, and what browsers need to hear from it."""

import re
from collections.abc import Mapping

from waymeet.http.lobby.guarding import GAME_KEY_HEADER
from waymeet.http.requests import Headers
from waymeet.lobbies.answering import MARK

PREFIX = b"/l/"
_SLASHES = re.compile(rb"//+")
_OPEN: tuple[tuple[bytes, bytes], ...] = (
    # Any page may call, none with credentials.
    (b"access-control-allow-origin", b"*"),
    # Rooms have tokens in them, and may look different to everybody.
    (b"cache-control", b"no-store"),
    (b"access-control-expose-headers", b"retry-after, %b, x-request-id" % MARK.encode()),
)
_PREFLIGHT: tuple[tuple[bytes, bytes], ...] = (
    (b"access-control-allow-methods", b"GET, POST, PATCH, DELETE, OPTIONS"),
    (b"access-control-allow-headers", b"content-type, accept, last-event-id, %b, x-request-id" % GAME_KEY_HEADER),
    (b"access-control-max-age", b"86400"),
)


class LobbyDoor:
    """An `application.Door`: paths below `/l/`, and every path on a host below the operator's lobby domain."""

    def __init__(self, domain: str) -> None:
        self.headers: Headers = list(_OPEN)
        self.preflight: Headers = [*_OPEN, *_PREFLIGHT]
        self._suffix = b"." + domain.lower().encode() if domain else None

    def path(self, raw_path: bytes, headers: Mapping[bytes, bytes]) -> bytes | None:
        """The path of a lobby service's route, or `None` when the request is for somebody else.

        Clients put paths together themselves, so doubled slashes count as one.
        """
        if self._suffix is not None and (address := self._address(headers)) is not None:
            return PREFIX + address + _SLASHES.sub(b"/", b"/" + raw_path)
        if b"//" in raw_path:
            raw_path = _SLASHES.sub(b"/", raw_path)
        return raw_path if raw_path.startswith(PREFIX) else None

    def _address(self, headers: Mapping[bytes, bytes]) -> bytes | None:
        host = headers.get(b"host", b"").lower().partition(b":")[0].rstrip(b".")
        assert self._suffix is not None
        if not host.endswith(self._suffix):
            return None
        address = host[: -len(self._suffix)]
        return address if address and b"." not in address else None
