"""Which rooms requests have named: what keeps a room that is not started alive (lobby service, 6)."""

from collections.abc import Collection

from waymeet.model.ids import RoomId


class RoomActivity:
    """Remembers rooms that exist between two times of writing that down, so that a poll costs no write.

    Bounded by the number of rooms: those that were not found are never noted. A crash forgets some seconds of it.
    """

    def __init__(self) -> None:
        self._named: set[RoomId] = set()

    def note(self, room_id: RoomId) -> None:
        """A request has named this room, and it is there."""
        self._named.add(room_id)

    def take(self) -> Collection[RoomId]:
        """Those that were named since the last call."""
        named, self._named = self._named, set()
        return named
