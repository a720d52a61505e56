"""Putting the lobbies together."""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from waymeet.http.endpoint import Endpoint
from waymeet.http.lobby.door import LobbyDoor
from waymeet.http.lobby.events import HEARTBEAT_SECONDS
from waymeet.http.lobby.guarding import GAME_KEY_HEADER, LobbyGuard
from waymeet.http.lobby.rooms import RoomEndpoints
from waymeet.lobbies.activity import RoomActivity
from waymeet.lobbies.answering import HttpAnswering
from waymeet.lobbies.changing import RoomChanges
from waymeet.lobbies.following import RoomsFollowRelays
from waymeet.lobbies.loop import LobbyLoop
from waymeet.lobbies.room_loop import RoomLoop
from waymeet.lobbies.rooms import RoomService
from waymeet.lobbies.service import LobbyService
from waymeet.lobbies.types import HostCheck, LobbyRules
from waymeet.lobbies.watching import RoomWatch
from waymeet.model.instant import Clock
from waymeet.relays.confirming import Confirmations
from waymeet.relays.endings import RelayEndings
from waymeet.relays.planning import RelayPlanner
from waymeet.relays.writing import RelayWriting
from waymeet.settings import Settings
from waymeet.store.postgres import PostgresStore
from waymeet.store.sqlite import SqliteStore


@dataclass(frozen=True, slots=True)
class RelayParts:
    """What rooms need of the relays."""

    planner: RelayPlanner
    writing: RelayWriting
    endings: RelayEndings
    confirmations: Confirmations
    followers: RoomsFollowRelays


class Lobbies:
    """The manager, the lobby service and their loops."""

    def __init__(
        self,
        settings: Settings,
        store: SqliteStore | PostgresStore,
        relays: RelayParts,
        clock: Clock,
        rng: random.Random,
        *,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        chosen = settings.lobbies
        rules = lobby_rules(settings)
        activity = RoomActivity()
        changes = RoomChanges(relays.writing, relays.endings, rules)
        relays.followers.changes = changes
        rooms = RoomService(
            store, relays.planner, relays.writing, changes, relays.confirmations, activity, clock, rng, rules
        )
        guard = LobbyGuard(
            requests_per_second=float(chosen.requests_per_second),
            creations_per_minute=float(chosen.creations_per_minute),
            game_key=chosen.game_key,
            monotonic=clock.monotonic,
        )
        self._answering = HttpAnswering(
            settings.local_url if chosen.check == "local" else None,
            {GAME_KEY_HEADER.decode(): chosen.game_key} if chosen.game_key else None,
        )
        self.manager = LobbyService(store, clock, rng)
        self.watch = RoomWatch(
            rooms.find, store.bells, followers=chosen.streams, followers_per_source=chosen.streams_per_address
        )
        self.door = LobbyDoor(chosen.domain)
        endpoints = RoomEndpoints(
            rooms,
            self.watch,
            guard,
            own_tokens_only=chosen.own_tokens_only,
            heartbeat_seconds=heartbeat_seconds,
        )
        self.endpoints: list[Endpoint[Any, Any]] = endpoints.table()
        self.loops: Mapping[str, Callable[[], Awaitable[None]]] = {
            "lobbies": LobbyLoop(store, store.bells, self._answering, changes, clock, rules).run,
            "rooms": RoomLoop(store, changes, activity, clock).run,
        }

    async def close(self) -> None:
        """Give back what outlives requests. Repeatable."""
        self.watch.close()
        await self._answering.close()


def lobby_rules(settings: Settings) -> LobbyRules:
    """The rules that the settings make."""
    chosen = settings.lobbies
    return LobbyRules(
        url=f"https://{{address}}.{chosen.domain}"
        if chosen.domain
        else settings.public_url.rstrip("/") + "/l/{address}",
        deploy_seconds=chosen.deploy_seconds,
        rooms=chosen.rooms,
        rooms_per_address=chosen.rooms_per_address,
        members_per_address=chosen.members_per_address,
        idle_minutes=chosen.idle_minutes,
        longest_hours=chosen.longest_hours,
        host_check=HostCheck(chosen.host_check),
    )
