"""Rooms follow the relay sessions that their players meet on."""

import logging
from typing import cast

from msgspec.structs import replace

from waymeet.lobbies.changing import DELETED, RoomChanges, assigned, put_back
from waymeet.lobbies.ports import LobbyTransaction
from waymeet.lobbies.types import Assignment, Room, UnreadableRoom
from waymeet.model.ids import SessionId
from waymeet.model.instant import Instant
from waymeet.relays.ports import RelayTransaction
from waymeet.relays.types import RelayEndpoint, RelaySession

_log = logging.getLogger(__name__)


class RoomsFollowRelays:
    """A `relays.ports.RelayFollower`. Each call works in the transaction that changes the session, whose row is locked.

    A room that cannot be read does not follow, and keeps no relay session from what becomes of it; once it is mended,
    `changing.in_step` brings the two together.
    """

    def __init__(self) -> None:
        self.changes: RoomChanges | None = None
        """Set once by whoever puts the parts together: changes of rooms change relay sessions, and the other way round."""

    async def relay_ready(self, tx: RelayTransaction, session: RelaySession, now: Instant) -> None:
        """The assignment appears, and with it every player's token: both in one change (lobby service, 5)."""
        rooms, changes, room = await self._room(tx, session.session_id)
        if room is not None:
            await changes.save(rooms, assigned(room, session))

    async def relay_moved(
        self, tx: RelayTransaction, session_id: SessionId, endpoint: RelayEndpoint, now: Instant
    ) -> None:
        """The assignment says so; whoever is connected finds the relay gone, and looks here."""
        rooms, changes, room = await self._room(tx, session_id)
        if room is not None and (before := room.assignment) is not None:
            host = endpoint.address if before.host == before.address else before.host
            assignment = Assignment(before.token, endpoint.address, host, endpoint.ports)
            await changes.save(rooms, replace(room, assignment=assignment))

    async def relay_ended(self, tx: RelayTransaction, session: RelaySession, now: Instant, *, unused: bool) -> None:
        """Nobody plays any more: the room ends too. Deleted by somebody else: the room can be started again."""
        rooms, changes, room = await self._room(tx, session.session_id)
        if room is None:
            return
        if unused:
            await changes.close(rooms, [(room, None)], now)
        else:
            await changes.save(rooms, put_back(room, DELETED, now))

    async def relay_failed(self, tx: RelayTransaction, session: RelaySession, now: Instant) -> None:
        """The room can be started again, and says what happened."""
        rooms, changes, room = await self._room(tx, session.session_id)
        if room is not None:
            await changes.save(rooms, put_back(room, session.error, now))

    async def relay_host_silent(self, tx: RelayTransaction, session: RelaySession, now: Instant) -> None:
        """Somebody else becomes host, where the room was made so."""
        rooms, changes, room = await self._room(tx, session.session_id)
        if room is not None:
            await changes.demote_host(rooms, room, session)

    async def _room(
        self, tx: RelayTransaction, session_id: SessionId
    ) -> tuple[LobbyTransaction, RoomChanges, Room | None]:
        assert self.changes is not None, "put together without its changes"
        # Relays know only that somebody follows them; the transaction behind has the rooms' rows too.
        rooms = cast(LobbyTransaction, tx)
        try:
            room = await rooms.rooms.lock_of(session_id)
        except UnreadableRoom as error:
            _log.error("relay session %s goes its way without its room: %s", session_id, error)
            room = None
        return rooms, self.changes, room
