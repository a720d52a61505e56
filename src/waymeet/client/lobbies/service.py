"""The lobby service that players talk to, without a token (contract 3.13)."""

import random
from collections.abc import Awaitable, Callable, Sequence

import httpx
from msgspec import UNSET, UnsetType

from waymeet.client.calling.address import Address, one_word, path
from waymeet.client.calling.closing import AsyncClosing, Closing
from waymeet.client.calling.connection import Awaiting, Blocking
from waymeet.client.calling.operation import ConnectionT, Group, operation, streaming
from waymeet.client.calling.plan import Call, Plan, StreamPlan
from waymeet.client.calling.retry import DEFAULT_RETRY, ONCE, Retry
from waymeet.client.calling.waiting import poll
from waymeet.client.calling.wire import Answer, Body, answer, nothing
from waymeet.client.errors import RoomFailed
from waymeet.client.lobbies.following import follow_room
from waymeet.client.lobbies.room_types import RelayAccess, Room, RoomAnnotation, RoomBrief

_ROOMS = "/lobbies"


class _Player(Body, frozen=True, kw_only=True):
    id: str


class _NewRoom(Body, frozen=True, kw_only=True):
    # Some services want these in any case, so none of them has a default that would be left out.
    name: str
    capacity: int
    player: _Player
    is_joinable: bool
    tags: Sequence[str]
    annotations: Sequence[RoomAnnotation]
    host_migration: bool = False


class _RoomChange(Body, frozen=True, kw_only=True):
    capacity: int | UnsetType = UNSET
    is_joinable: bool | UnsetType = UNSET
    tags: Sequence[str] | UnsetType = UNSET


class _Membership(Body, frozen=True, kw_only=True):
    lobby_id: str
    player: _Player


class _Start(Body, frozen=True, kw_only=True):
    lobby_id: str


class _Rooms(Answer, frozen=True, kw_only=True):
    data: tuple[RoomBrief, ...] = ()


_read_room = answer(Room)


def _read_room_if_any(content: bytes) -> Room | None:
    return _read_room(content) if content else None


class LobbyServiceCalls(Group[ConnectionT]):
    """What players do in a lobby service. Its rooms are called lobbies on the wire, hence `lobby_id`.

    Players choose their own ids, and nobody proves who they are: see the notes on security in docs/operating.md.
    """

    def __init__(self, connection: ConnectionT, rng: random.Random | None) -> None:
        super().__init__(connection)
        self._rng = rng or random.Random()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @property
    def url(self) -> str:
        """The service's URL, without a trailing slash."""
        return self._connection.address.url

    @operation
    def all(self, tags: Sequence[str] = ()) -> Plan[tuple[RoomBrief, ...]]:
        """Every room that has all of `tags`, full and started ones too. `ValueError` for a tag with a comma, which no
        service can be asked for.
        """
        return self._rooms(tags)

    @operation
    def create(
        self,
        name: str,
        capacity: int,
        player_id: str,
        *,
        is_joinable: bool = True,
        tags: Sequence[str] = (),
        annotations: Sequence[RoomAnnotation] = (),
        host_migration: bool = False,
    ) -> Plan[Room]:
        """A room for `capacity` players (1 to 1000) with the player in it, who is its host.

        A room that is not joinable lets nobody in. `host_migration`, which only Waymeet knows: when the host goes, whoever
        has been there longest becomes host, where otherwise the room ends. `RateLimited` when too many rooms were made from
        here. Not repeated by itself: two calls make two rooms.
        """
        body = _NewRoom(
            name=name,
            capacity=capacity,
            player=_Player(id=player_id),
            is_joinable=is_joinable,
            tags=tags,
            annotations=annotations,
            host_migration=host_migration,
        )
        return self._post(_ROOMS, _read_room, body)

    @operation
    def get(self, lobby_id: str) -> Plan[Room]:
        """The room as it is now. `NotFound` when there is none (any more)."""
        return self._room(lobby_id)

    @operation
    def update(
        self,
        lobby_id: str,
        *,
        capacity: int | UnsetType = UNSET,
        is_joinable: bool | UnsetType = UNSET,
        tags: Sequence[str] | UnsetType = UNSET,
    ) -> Plan[RoomBrief]:
        """The room with what was given changed and the rest left as it was. `Conflict` for less capacity than it has
        players, `Forbidden` when the service wants this from the host alone.
        """
        change = _RoomChange(capacity=capacity, is_joinable=is_joinable, tags=tags)
        return self._patch(_ROOMS + path(lobby_id), answer(RoomBrief), change)

    @operation
    def delete(self, lobby_id: str) -> Plan[None]:
        """End the room and its match: when this returns, the relay forwards nothing of it any more.

        `Unavailable` when the relay could not be reached: the room is gone all the same. `NotFound` when it was gone before,
        `Forbidden` when the service wants this from the host alone.
        """
        # Not repeated: after a 503 the room is gone, and a second try would only say so.
        return self._connection.exchange(Call("DELETE", _ROOMS + path(lobby_id), nothing), ONCE)

    @operation
    def join(self, lobby_id: str, player_id: str) -> Plan[Room]:
        """The room with the player in it. In one that plays already, the relay lets the player in when this returns.

        Safe to repeat from the same IP address. `Conflict` when the room is full or not joinable, or has another player of
        this id; `Unavailable` when the relay did not confirm in time: repeat it.
        """
        return self._change("join", lobby_id, _membership(lobby_id, player_id))

    @operation
    def leave(self, lobby_id: str, player_id: str) -> Plan[None]:
        """Take the player out: when this returns, the relay forwards nothing of the player any more.

        With the host, or the last player, the room goes too, but see `create`. `Unavailable` when the relay could not be
        reached: the player is out all the same. `NotFound` for an unknown room or player.
        """
        call = Call("POST", f"{_ROOMS}:leave", nothing, body=_membership(lobby_id, player_id))
        return self._connection.exchange(call, ONCE)

    @operation
    def start(self, lobby_id: str) -> Plan[Room]:
        """Have a relay made ready for the room's players; follow with `wait_until_assigned`.

        Players may still join. Safe to repeat. `Unavailable` when there is no relay, and the room is not started.
        """
        return self._change("start", lobby_id, _Start(lobby_id=lobby_id))

    @operation
    def wait_until_assigned(self, lobby_id: str, player_id: str, timeout: float = 60.0) -> Plan[RelayAccess]:
        """What this player needs to play, once the room is started, by whomever, and its relay lets the player in.

        Asks every 0.2 s at first, later every 2 s. `RoomFailed` when the last start came to nothing or the player is not in
        the room, `NotFound` when the room ends, `StillWaiting` after `timeout` seconds. A service that shows tokens only to
        the IP address that a player joined from lets everybody else wait in vain.
        """
        return self._assigned(lobby_id, player_id, timeout)

    @streaming
    def follow(self, lobby_id: str, *, patience: float = 60.0) -> StreamPlan[Room]:
        """The room as it is, and again each time that it has changed, until it ends.

        Only Waymeet offers this. Whoever is slow gets the newest state, not each in between. A connection that breaks is
        made again, after a pause of a second or more, and goes on where it ended. Raises `NotFound` when there is no such
        room, and once the service was away for `patience` seconds what kept it: mostly `Unreachable`, `Unavailable`, or
        `RateLimited` when too many streams are open from here.

        Leaving the loop closes the connection; in `AsyncLobbyService` when the iterator is closed, so wrap it in
        `contextlib.aclosing`.
        """
        return follow_room(self._connection, _ROOMS + path(lobby_id) + "/events", patience, self._rng)

    def _room(self, lobby_id: str, retry: Retry | None = None) -> Plan[Room]:
        return self._get(_ROOMS + path(lobby_id), _read_room, retry=retry)

    def _rooms(self, tags: Sequence[str]) -> Plan[tuple[RoomBrief, ...]]:
        if any("," in tag for tag in tags):
            raise ValueError(f"tags: a comma separates tags, so none of {list(tags)} may hold one")
        query = {"tags": ",".join(tags)} if tags else {}
        found: _Rooms = yield from self._get(_ROOMS, answer(_Rooms), query)
        return found.data

    def _change(self, verb: str, lobby_id: str, body: Body) -> Plan[Room]:
        call = Call("POST", f"{_ROOMS}:{verb}", _read_room_if_any, body=body, repeatable=True)
        changed: Room | None = yield from self._connection.exchange(call)
        # Other services than Waymeet's may answer with nothing.
        return changed if changed is not None else (yield from self._room(lobby_id))

    def _assigned(self, lobby_id: str, player_id: str, timeout: float) -> Plan[RelayAccess]:
        def assigned(room: Room) -> bool:
            if room.player(player_id) is None:
                raise RoomFailed(room, f"player {player_id!r} is not in it")
            if room.error is not None and not room.is_started:
                raise RoomFailed(room, f"it could not be started: {room.error}")
            return room.access_of(player_id) is not None

        what = f"a relay for player {player_id!r} in lobby {lobby_id}"
        room = yield from poll(self._connection, lambda: self._room(lobby_id, ONCE), assigned, timeout, what)
        access = room.access_of(player_id)
        assert access is not None, "that is what was waited for"
        return access


class LobbyService(LobbyServiceCalls[Blocking], Closing):
    """The lobby service at a URL, to be called from plain code: every call blocks until its answer is there.

        with LobbyService("https://play.studio.example/l/duel") as duel:
            room = duel.create("Ann's room", 4, "ann")
            duel.start(room.lobby_id)
            access = duel.wait_until_assigned(room.lobby_id, "ann")

    `url` is what `client.lobbies.get` says, and needs no token; `game_key` where its operator asks for one. `timeout` in
    seconds without any progress. Threads may share it. Every call raises what `waymeet.client.errors` lists. `transport`,
    `monotonic`, `sleep` and `rng` are for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        game_key: str | None = None,
        timeout: float = 10.0,
        retry: Retry = DEFAULT_RETRY,
        transport: httpx.BaseTransport | None = None,
        monotonic: Callable[[], float] | None = None,
        sleep: Callable[[float], None] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        connection = Blocking(
            _address(url, game_key),
            timeout=timeout,
            retry=retry,
            transport=transport,
            monotonic=monotonic,
            sleep=sleep,
        )
        super().__init__(connection, rng)


class AsyncLobbyService(LobbyServiceCalls[Awaiting], AsyncClosing):
    """The lobby service at a URL, to be called from an event loop: every call is awaited. Parameters as for
    `LobbyService`.

    async with AsyncLobbyService("https://play.studio.example/l/duel") as duel:
        async for room in duel.follow(lobby_id):
            print(f"{room.player_count} of {room.capacity} players")
    """

    def __init__(
        self,
        url: str,
        *,
        game_key: str | None = None,
        timeout: float = 10.0,
        retry: Retry = DEFAULT_RETRY,
        transport: httpx.AsyncBaseTransport | None = None,
        monotonic: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        connection = Awaiting(
            _address(url, game_key),
            timeout=timeout,
            retry=retry,
            transport=transport,
            monotonic=monotonic,
            sleep=sleep,
        )
        super().__init__(connection, rng)


def _address(url: str, game_key: str | None) -> Address:
    return Address.given(url, {} if game_key is None else {"X-Game-Key": one_word("the game's key", game_key)})


def _membership(lobby_id: str, player_id: str) -> _Membership:
    return _Membership(lobby_id=lobby_id, player=_Player(id=player_id))
