"""The steps that several calls share, inside a transaction that holds the room and its relay session."""

from collections.abc import Sequence

from msgspec.structs import replace

from waymeet.lobbies.bells import ROOM
from waymeet.lobbies.deadlines import due
from waymeet.lobbies.ports import LobbyTransaction
from waymeet.lobbies.types import Assignment, LobbyRules, Member, Room, RoomOutline
from waymeet.model.ids import LobbyId
from waymeet.model.instant import Instant
from waymeet.relays.endings import RelayEndings
from waymeet.relays.types import RelaySession
from waymeet.relays.writing import RelayWriting

DELETED = "the relay session was deleted"
"""What a room says that could be started again."""


class RoomChanges:
    """Writes rooms, tells those who watch them, and keeps their relay sessions in step."""

    def __init__(self, writing: RelayWriting, endings: RelayEndings, rules: LobbyRules) -> None:
        self._writing = writing
        self._endings = endings
        self.rules = rules

    async def save(self, tx: LobbyTransaction, room: Room) -> Room:
        """Write a change that players see."""
        changed = replace(room, version=room.version + 1)
        changed = replace(changed, due_at=due(changed, self.rules))
        await tx.rooms.save(changed)
        tx.wake(ROOM, room.room_id)
        return changed

    async def close(
        self, tx: LobbyTransaction, rooms: Sequence[tuple[Room | RoomOutline, RelaySession | None]], now: Instant
    ) -> Sequence[RelaySession]:
        """The rooms are gone, and their relay sessions end. Returns those that their nodes are yet to drop."""
        await tx.rooms.delete([room.room_id for room, _ in rooms])
        ending: list[RelaySession] = []
        for room, _ in rooms:
            tx.wake(ROOM, room.room_id)
        sessions = [session for _, session in rooms if session is not None]
        # Each end holds the row of its relay: in one order of relays, whoever else ends several.
        for session in sorted(sessions, key=lambda session: (session.node_name, session.session_id)):
            was_wanted = session.wanted
            ended = await self._endings.end(tx, session, now)
            if was_wanted:
                ending.append(ended)
        counts: dict[LobbyId, int] = {}
        for room, _ in rooms:
            counts[room.lobby_id] = counts.get(room.lobby_id, 0) + 1
        await tx.lobbies.give_places(counts)
        return ending

    async def remove(
        self, tx: LobbyTransaction, room: Room, session: RelaySession | None, member: Member, now: Instant
    ) -> RelaySession | None:
        """The member leaves: what that does to the room, its host and its relay session, all in one change.

        Returns the session as its node is yet to have it, when it changed.
        """
        staying = tuple(other for other in room.members if other is not member)
        if member is room.host and not (room.host_migration and any(other.present for other in staying)):
            ending = await self.close(tx, [(room, session)], now)
            return ending[0] if ending else None
        if member is room.host:
            staying = host_first(staying)
        changed: RelaySession | None = None
        if session is not None and member.token is not None:
            changed = await self._writing.shut_out(tx, session, member.token)
            if member is room.host and staying[0].token is not None:
                changed = await self._writing.make_host(tx, changed, staying[0].token)
        await self.save(tx, replace(room, members=staying))
        return changed

    async def demote_host(self, tx: LobbyTransaction, room: Room, session: RelaySession) -> None:
        """The host fell silent: whoever has been there longest after it becomes host, and it goes to the end of the line.
        Nothing happens in a room without `host_migration`, or without anybody else.
        """
        silent, *others = room.members
        if not room.host_migration or not any(other.present for other in others):
            return
        members = (*host_first(tuple(others)), silent)
        token = members[0].token
        # A session that had another host meanwhile is told about the one before.
        if token is None or session.owner != silent.token:
            return
        await self._writing.make_host(tx, session, token)
        await self.save(tx, replace(room, members=members))


def host_first(members: tuple[Member, ...]) -> tuple[Member, ...]:
    """The members with the first visible one at their head. There must be one."""
    host = next(member for member in members if member.present)
    return (host, *(member for member in members if member is not host))


def replaced(members: tuple[Member, ...], one: Member, by: Member) -> tuple[Member, ...]:
    """The members with another in the place of one."""
    return tuple(by if member is one else member for member in members)


def put_back(room: Room, error: str | None, now: Instant) -> Room:
    """The room as it was before it was started: nobody has a token, and all who were on their way in are there.

    From now on it is idle: nobody had to ask for it while a match went on.
    """
    members = tuple(replace(member, token=None, joining_until=None) for member in room.members)
    return replace(room, members=members, relay_session=None, assignment=None, error=error, active_at=now)


def in_step(room: Room, session: RelaySession | None, now: Instant) -> Room:
    """The room as it has to be beside its relay session, `None` for one that is not there: itself, when they are in step."""
    if room.relay_session is None:
        return room
    if session is None or not session.wanted:
        return put_back(room, DELETED if session is None or session.error is None else session.error, now)
    if session.ready and room.assignment != (assignment := _assignment(session)):
        return replace(room, assignment=assignment, error=None)
    return room


def assigned(room: Room, session: RelaySession) -> Room:
    """The room whose relay session is ready."""
    return replace(room, assignment=_assignment(session), error=None)


def _assignment(session: RelaySession) -> Assignment:
    return Assignment(session.token, session.endpoint.address, session.host, session.endpoint.ports)
