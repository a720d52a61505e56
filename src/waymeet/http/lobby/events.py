"""Rooms as server-sent events (HTML Living Standard, 9.2)."""

import asyncio
from collections.abc import AsyncGenerator
from enum import Enum

from waymeet.http.lobby.pages import RoomPages
from waymeet.lobbies.types import Room

HEARTBEAT_SECONDS = 15.0
"""Keeps proxies from closing a stream on which nothing happens, and tells us when nobody reads it any more."""
RETRY_MILLISECONDS = 1000

_HEARTBEAT = b": still here\n\n"
_OPENING = b"retry: %d\n\n" % RETRY_MILLISECONDS
_CLOSED = b"event: closed\ndata: {}\n\n"


class _End(Enum):
    END = "end"


async def room_events(
    versions: AsyncGenerator[Room | None, None],
    pages: RoomPages,
    viewer: str,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> AsyncGenerator[bytes, None]:
    """Each version as an event `lobby` whose id is the version and whose data the full room; `closed` at the room's end."""
    yield _OPENING
    following = asyncio.ensure_future(anext(versions, _End.END))
    try:
        while True:
            done, _ = await asyncio.wait([following], timeout=heartbeat_seconds)
            if not done:
                yield _HEARTBEAT
                continue
            room = following.result()
            if room is _End.END:
                return
            if room is None:
                yield _CLOSED
                return
            following = asyncio.ensure_future(anext(versions, _End.END))
            # JSON text as it is encoded here has no line breaks.
            yield b"event: lobby\nid: %d\ndata: %b\n\n" % (room.version, pages.page(room, viewer))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def last_event_id(header: bytes | None) -> int | None:
    """The version that a returning client has seen; `None` for what we never sent."""
    if header is None or not header.isdigit() or len(header) > 18:
        return None
    return int(header)
