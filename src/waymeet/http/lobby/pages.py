"""Encoded rooms, remembered while they do not change: a waiting player asks five times a second."""

import msgspec

from waymeet.http.lobby.wire import room_body
from waymeet.lobbies.types import Room
from waymeet.model.ids import RoomId

REMEMBERED_BYTES = 16 * 1024 * 1024

_encode = msgspec.json.Encoder().encode


class RoomPages:
    """Renders rooms. `own_tokens_only`: everybody sees the tokens of players from the viewer's IP address alone."""

    def __init__(self, *, own_tokens_only: bool) -> None:
        self._own_tokens_only = own_tokens_only
        self._pages: dict[RoomId, tuple[int, bytes]] = {}
        self._bytes = 0

    def page(self, room: Room, viewer: str) -> bytes:
        """The room as JSON, for whoever asks from `viewer`."""
        if self._own_tokens_only:
            return _encode(room_body(room, viewer))
        kept = self._pages.get(room.room_id)
        if kept is not None and kept[0] == room.version:
            return kept[1]
        page = _encode(room_body(room))
        self._keep(room, page)
        return page

    def _keep(self, room: Room, page: bytes) -> None:
        if (before := self._pages.pop(room.room_id, None)) is not None:
            self._bytes -= len(before[1])
        self._pages[room.room_id] = room.version, page
        self._bytes += len(page)
        while self._bytes > REMEMBERED_BYTES:
            # The oldest first: those that are asked for are soon back.
            _, oldest = self._pages.pop(next(iter(self._pages)))
            self._bytes -= len(oldest)
