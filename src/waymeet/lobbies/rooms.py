"""Rooms inside a lobby service: made, joined, left and started by players (lobby service, 3 to 6).

Where a call promises that somebody can connect now, or cannot any more, it waits until the relay has said so.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from msgspec.structs import replace

from waymeet.lobbies.activity import RoomActivity
from waymeet.lobbies.changing import RoomChanges, in_step, replaced
from waymeet.lobbies.deadlines import due
from waymeet.lobbies.locking import unknown_room, write_locked
from waymeet.lobbies.ports import LobbyStore, LobbyTransaction
from waymeet.lobbies.types import HostCheck, Lobby, LobbyRules, Member, Room, RoomBrief, RoomDraft, RoomUpdate
from waymeet.model.errors import Conflict, Forbidden, NotFound, TooManyRequests, Unavailable
from waymeet.model.ids import RoomId, new_room_id
from waymeet.model.instant import Clock, after
from waymeet.model.networks import household_of
from waymeet.model.states import LobbyStatus
from waymeet.relays.confirming import Confirmations
from waymeet.relays.planning import RelayPlanner
from waymeet.relays.types import RelayRequest, RelaySession
from waymeet.relays.writing import RelayWriting

Result = TypeVar("Result")

JOINING_SECONDS = 30
"""After so long without a word of the relay, a player who was to join a started room has not."""
JOINING_RETRY_SECONDS = 1
ROOMS_RETRY_SECONDS = 60


class RoomService:
    """Owns the rules for rooms. `address` is that of the lobby in its URL, `source` the IP address of who asks."""

    def __init__(
        self,
        store: LobbyStore,
        planner: RelayPlanner,
        writing: RelayWriting,
        changes: RoomChanges,
        confirmations: Confirmations,
        activity: RoomActivity,
        clock: Clock,
        rng: random.Random,
        rules: LobbyRules,
    ) -> None:
        self._store = store
        self._planner = planner
        self._writing = writing
        self._changes = changes
        self._confirmations = confirmations
        self._activity = activity
        self._clock = clock
        self._rng = rng
        self._rules = rules

    async def all(self, address: str, tags: Sequence[str] = ()) -> tuple[Lobby, Sequence[RoomBrief]]:
        """The lobby that serves at this address, and every room in it that has all of `tags`, newest first, started
        ones too.

        Raises `NotFound` where no lobby serves.
        """

        async def unit(tx: LobbyTransaction) -> tuple[Lobby, Sequence[RoomBrief]]:
            lobby = await tx.lobbies.at(address)
            if lobby is None or not lobby.status.serving:
                raise unknown_lobby(address)
            return lobby, await tx.rooms.briefs(address, self._rules.rooms)

        lobby, rooms = await self._store.scan(unit)
        wanted = set(tags)
        return lobby, [room for room in rooms if wanted.issubset(room.tags)]

    async def find(self, address: str, room_id: str) -> Room:
        """A room; `NotFound` when it is not there (any more)."""

        async def unit(tx: LobbyTransaction) -> Room | None:
            return await tx.rooms.find(address, RoomId(room_id))

        room = await self._store.read_single(unit)
        if room is None:
            raise unknown_room(room_id)
        self._activity.note(room.room_id)
        return room

    async def create(self, address: str, draft: RoomDraft, source: str) -> Room:
        """A room with its host in it.

        Raises `NotFound` where no lobby serves, `Conflict` when it has as many rooms as it may, `TooManyRequests`
        when this source has.
        """

        async def unit(tx: LobbyTransaction) -> Room:
            lobby = await tx.lobbies.take_place(address, self._rules.rooms)
            if lobby is None:
                lobby = await tx.lobbies.at(address)
                if lobby is None or lobby.status is not LobbyStatus.RELEASED:
                    raise unknown_lobby(address)
                raise Conflict(f"there are {self._rules.rooms} lobbies here, which is the limit; join one of them")
            most = self._rules.rooms_per_address
            if most and await tx.rooms.count_by(lobby.lobby_id, household_of(source)) >= most:
                reason = f"{most} lobbies were made from {source}, which is the limit; delete one of them first"
                raise TooManyRequests(reason, ROOMS_RETRY_SECONDS)
            now = self._clock.now()
            room = Room(
                room_id=new_room_id(self._rng),
                lobby_id=lobby.lobby_id,
                organisation=lobby.organisation,
                lobby_address=address,
                name=draft.name,
                capacity=draft.capacity,
                is_joinable=draft.is_joinable,
                tags=draft.tags,
                annotations=draft.annotations,
                members=(Member(draft.player_id, source),),
                host_migration=draft.host_migration,
                created_at=now,
                active_at=now,
                due_at=now,
            )
            room = replace(room, due_at=due(room, self._rules))
            await tx.rooms.insert(room, household_of(source))
            return room

        return await self._store.write(unit)

    async def update(self, address: str, room_id: str, update: RoomUpdate, source: str) -> Room:
        """Change what is named. Raises `NotFound`, `Conflict` for less capacity than there are players."""

        async def unit(tx: LobbyTransaction, room: Room, session: RelaySession | None) -> Room:
            self._check_host(room, source)
            if update.capacity is not None and update.capacity < len(room.members):
                raise Conflict(
                    f"capacity: {len(room.members)} players are in this lobby; {update.capacity} would be too few"
                )
            changed = replace(
                room,
                capacity=room.capacity if update.capacity is None else update.capacity,
                is_joinable=room.is_joinable if update.is_joinable is None else update.is_joinable,
                tags=room.tags if update.tags is None else update.tags,
            )
            if changed == room:
                # Nothing that anybody would want to be told.
                self._activity.note(room.room_id)
                return room
            return await self._changes.save(tx, replace(changed, active_at=self._clock.now()))

        return await self._locked(address, room_id, unit)

    async def delete(self, address: str, room_id: str, source: str) -> None:
        """End a room and its relay session, and return once the relay has shut everybody out.

        Raises `NotFound`; `Unavailable` when the relay has not confirmed in time: the room is gone all the same.
        """

        async def unit(tx: LobbyTransaction, room: Room, session: RelaySession | None) -> Sequence[RelaySession]:
            self._check_host(room, source)
            return await self._changes.close(tx, [(room, session)], self._clock.now())

        await self._confirm(await self._locked(address, room_id, unit))

    async def join(self, address: str, room_id: str, player_id: str, source: str) -> Room:
        """Let a player in, and return the room with the player in it: in a started one, once the relay lets the
        player in.

        The same player from the same source again is where it was. Raises `NotFound`, `Conflict` when the room is
        full, not joinable or has another player of this id, `Unavailable` when the relay has not confirmed in time: a
        repeat waits on.
        """

        async def unit(tx: LobbyTransaction, room: Room, session: RelaySession | None) -> tuple[Room, Wait | None]:
            now = self._clock.now()
            known = room.member(player_id)
            if known is not None:
                if known.address != source:
                    raise Conflict(f"player.id: somebody else in this lobby is called '{player_id}'; choose another id")
                if session is None or (known.present and (known is room.host or _may_use(session, known))):
                    self._activity.note(room.room_id)
                    return room, None
                if _may_use(session, known):
                    # Whoever asks again still wants to join.
                    waiting = replace(known, joining_until=after(now, JOINING_SECONDS))
                    room = replace(room, members=replaced(room.members, known, waiting), active_at=now)
                    await tx.rooms.save(replace(room, due_at=due(room, self._rules)))
                    return room, (session, waiting)
                # Its token was revoked past the lobby: it comes in anew.
                room = replace(room, members=tuple(member for member in room.members if member is not known))
            self._check_joinable(room, source)
            member = Member(player_id, source)
            wait: Wait | None = None
            if session is not None:
                coordinates = self._planner.coordinates_of(source)
                session, user = await self._writing.let_in(tx, session, source, coordinates)
                member = replace(member, token=user.token)
                if session.ready:
                    # Until its relay has said that it lets the player in, nobody sees the player: whoever finds
                    # itself in the room uses its token at once (lobby service, 3).
                    member = replace(member, joining_until=after(now, JOINING_SECONDS))
                    wait = session, member
            joined = replace(room, members=(*room.members, member), active_at=now)
            if wait is not None:
                joined = replace(joined, due_at=due(joined, self._rules))
                await tx.rooms.save(joined)
            else:
                joined = await self._changes.save(tx, joined)
            return joined, wait

        room, wait = await self._locked(address, room_id, unit)
        if wait is None:
            return room
        session, member = wait
        await self._confirmations.wait(session.node_name, session.change)
        return await self._arrive(room, member)

    async def _arrive(self, room: Room, joined: Member) -> Room:
        """The relay lets the member in: from now on everybody sees it."""

        async def unit(tx: LobbyTransaction, room: Room, session: RelaySession | None) -> Room:
            member = room.member(joined.player_id)
            if member is None:
                raise NotFound(f"player '{joined.player_id}' was removed from the lobby while it joined")
            if member.present:
                return room
            if member.token != joined.token:
                # Removed, and joining again with a token of which the relay has not said anything yet.
                raise Unavailable("the player joins in another call too; try again shortly", JOINING_RETRY_SECONDS)
            members = replaced(room.members, member, replace(member, joining_until=None))
            return await self._changes.save(tx, replace(room, members=members))

        return await self._locked(room.lobby_address, room.room_id, unit)

    async def leave(self, address: str, room_id: str, player_id: str, source: str) -> None:
        """Take a player out, and return once the relay has shut the player out.

        When the host leaves, the room ends, or the next in line becomes host where the room was made so; when the
        last player leaves, it ends. Raises `NotFound` for an unknown room or player, `Unavailable` when the relay has
        not confirmed in time: the player is out of the room all the same.
        """

        async def unit(tx: LobbyTransaction, room: Room, session: RelaySession | None) -> RelaySession | None:
            member = room.member(player_id)
            if member is None:
                raise NotFound(f"player '{player_id}' is not in this lobby")
            if member.address != source:
                # To take the host out is to end the room, or to become host in its place.
                self._check_host(room, source)
            now = self._clock.now()
            return await self._changes.remove(tx, replace(room, active_at=now), session, member, now)

        changed = await self._locked(address, room_id, unit)
        await self._confirm([] if changed is None else [changed])

    async def start(self, address: str, room_id: str, source: str) -> Room:
        """Have a relay session made for the players, once: a room that is started stays as it is.

        The assignment and the tokens appear together once the relay is ready. Raises `NotFound`, `Unavailable` when
        there is no relay; then the room is not started.
        """
        seen = await self.find(address, room_id)
        self._check_host(seen, source)
        if seen.is_started:
            return seen
        plan = await self._planner.plan(seen.organisation, [member.address for member in seen.members])

        async def unit(tx: LobbyTransaction, room: Room, session: RelaySession | None) -> Room:
            if room.is_started:
                return room
            self._check_host(room, source)
            # In the order of the players, the host first: tokens are told apart by place, since players may share an
            # address.
            request = RelayRequest(addresses=tuple(member.address for member in room.members), owned_by_first=True)
            made = await self._writing.insert(tx, room.organisation, request, plan)
            members = tuple(
                replace(member, token=user.token) for member, user in zip(room.members, made.users, strict=True)
            )
            started = replace(
                room, members=members, relay_session=made.session_id, error=None, active_at=self._clock.now()
            )
            return await self._changes.save(tx, started)

        return await self._locked(address, room_id, unit)

    async def _locked(
        self,
        address: str,
        room_id: str,
        unit: Callable[[LobbyTransaction, Room, RelaySession | None], Awaitable[Result]],
    ) -> Result:
        """`write_locked`, where the room is in step with its relay session."""

        async def in_step_first(tx: LobbyTransaction, room: Room, session: RelaySession | None) -> Result:
            stepped = in_step(room, session, self._clock.now())
            if stepped is not room:
                room = await self._changes.save(tx, stepped)
            return await unit(tx, room, session if room.is_started else None)

        return await write_locked(self._store, address, RoomId(room_id), in_step_first)

    async def _confirm(self, changed: Sequence[RelaySession]) -> None:
        for session in changed:
            await self._confirmations.wait(session.node_name, session.change)

    def _check_joinable(self, room: Room, source: str) -> None:
        if not room.is_joinable:
            raise Conflict("this lobby is not joinable")
        if len(room.members) >= room.capacity:
            raise Conflict(f"this lobby is full: it has room for {room.capacity} players")
        most = self._rules.members_per_address
        household = household_of(source)
        if most and sum(household_of(member.address) == household for member in room.members) >= most:
            raise Conflict(f"{most} players from {source} are in this lobby, which is the limit")

    def _check_host(self, room: Room, source: str) -> None:
        if self._rules.host_check is HostCheck.HOST_ADDRESS and room.host.address != source:
            raise Forbidden("only the host may do this")


def _may_use(session: RelaySession, member: Member) -> bool:
    """Whether the member's token is one of the session's: the relay API may have revoked it."""
    return any(user.token == member.token for user in session.users)


Wait = tuple[RelaySession, Member]
"""Whose relay has to confirm what, before a member is there."""


def unknown_lobby(address: str) -> NotFound:
    """What every call says where no lobby serves."""
    return NotFound(f"no lobby service answers at '{address[:64]}'; it is not deployed, or was terminated")
