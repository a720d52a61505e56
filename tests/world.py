"""A small world to test the domains in: real store, real services, a clock moved by hand, nodes played by the test."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from tests.stores import Store
from waymeet.accounts.types import Organisation
from waymeet.applications.types import (
    ApplicationFields,
    Probe,
    SessionSettings,
    Version,
    VersionFields,
    VersionSettings,
)
from waymeet.deployments.changes import StatusChanges
from waymeet.deployments.deadlines import Retention
from waymeet.deployments.finding import CandidateFinder
from waymeet.deployments.loop import DeploymentLoop
from waymeet.deployments.observation import Observation
from waymeet.deployments.service import DeploymentService
from waymeet.deployments.starting import DeploymentStarter, StartSettings
from waymeet.deployments.types import Deployment, LinkedSession, Player
from waymeet.geo.database import GeoDatabase
from waymeet.lobbies.changing import RoomChanges
from waymeet.lobbies.following import RoomsFollowRelays
from waymeet.lobbies.types import LobbyRules
from waymeet.locations.directory import Directory
from waymeet.locations.service import LocationService
from waymeet.locations.types import Site
from waymeet.model.ids import DeploymentId, NodeName, OrganisationId
from waymeet.model.instant import MICROSECONDS, Instant
from waymeet.model.latency import Latency, Origin
from waymeet.model.location import Coordinates, Location
from waymeet.model.node_messages import PROTOCOL, BeaconPorts, Hello, Role
from waymeet.model.relays import RelayPorts
from waymeet.model.servers import (
    EndReason,
    PortMapping,
    PortProtocol,
    PortRequest,
    ServerPhase,
    ServerReport,
)
from waymeet.model.states import SessionKind
from waymeet.placement.limits import LatencyStep
from waymeet.placement.places import place as site_place
from waymeet.relays.confirming import Confirmations
from waymeet.relays.endings import RelayEndings
from waymeet.relays.following import RelaysFollowNodes
from waymeet.relays.isolating import IsolatingStore
from waymeet.relays.loop import RelayLoop
from waymeet.relays.planning import RelayPlanner
from waymeet.relays.service import RelayService
from waymeet.relays.serving import RelayServing
from waymeet.relays.types import RelaySession
from waymeet.relays.webhook import RelayWebhook
from waymeet.relays.writing import RelayWriting
from waymeet.sessions.following import SessionsFollowDeployments
from waymeet.sessions.loop import SessionLoop
from waymeet.sessions.seating import Seater
from waymeet.sessions.seeking import Seeking
from waymeet.sessions.service import SessionService
from waymeet.sessions.types import SeatedSession, Session, SessionRequest
from waymeet.sessions.webhook import SessionWebhook
from waymeet.store.statement import Statement
from waymeet.store.transaction import Transaction

ORGANISATION = OrganisationId("tests")
IMAGE = "studio/arena"
CONFIRMING_SECONDS = 3.0
"""By the clock moved by hand: calls wait for a relay to confirm until a test lets this time pass."""

_INVARIANTS = Statement(
    """
    SELECT d.request_id, d.sockets, d.sockets_used, d.session_count, d.ended_at,
        (SELECT COALESCE(SUM(s.seats), 0) FROM session s WHERE s.deployment_id = d.request_id
            AND s.status IN ('Waiting', 'Ready')) AS seats,
        (SELECT COUNT(*) FROM session s WHERE s.deployment_id = d.request_id
            AND s.status IN ('Waiting', 'Ready')) AS linked
    FROM deployment d
    """
)
_NODES = Statement(
    """
    SELECT n.name, n.capacity, n.in_use,
        (SELECT COUNT(*) FROM deployment d WHERE d.node_name = n.name AND d.ended_at IS NULL) AS placed
    FROM node n
    """
)
_RELAYS = Statement(
    """
    SELECT r.node_name, r.capacity, r.session_count, r.last_change, r.confirmed_change,
        (SELECT COUNT(*) FROM relay_session s WHERE s.node_name = r.node_name
            AND s.status IN ('INITIALIZING', 'READY')) AS placed,
        (SELECT COALESCE(MAX(s.change_number), 0) FROM relay_session s WHERE s.node_name = r.node_name) AS newest
    FROM relay r
    """
)
_LOBBIES = Statement(
    """
    SELECT lobby.name, lobby.status, lobby.url, lobby.room_count,
        (SELECT COUNT(*) FROM room WHERE room.lobby_id = lobby.lobby_id) AS rooms
    FROM lobby
    """
)
_EVERY_DEPLOYMENT = Statement("SELECT request_id FROM deployment ORDER BY created_at, request_id")


@dataclass
class HandClock:
    """A clock that stands still until it is moved."""

    microseconds: int = 1_750_000_000 * MICROSECONDS

    def now(self) -> Instant:
        return Instant(self.microseconds)

    def monotonic(self) -> float:
        return self.microseconds / MICROSECONDS

    def pass_seconds(self, seconds: float) -> None:
        self.microseconds += round(seconds * MICROSECONDS)


def place(city: str, latitude: float, longitude: float, continent: str = "Europe") -> Location:
    return Location(city, f"{city}land", continent, f"{city} region", "Local Time", latitude, longitude)


FRANKFURT = place("Frankfurt", 50.11, 8.68)
WARSAW = place("Warsaw", 52.23, 21.01)
MONTREAL = place("Montreal", 45.5, -73.56, "North America")
PARIS_PLAYER = Coordinates(48.85, 2.35)
TORONTO_PLAYER = Coordinates(43.65, -79.38)


class KnownLatencies:
    """What the test says was measured: milliseconds by address and city."""

    def __init__(self) -> None:
        self.by_city: dict[str, dict[str, float]] = {}
        self.asked: list[tuple[list[str], list[str]]] = []
        """Addresses and cities of every call to probe."""

    async def known(
        self, addresses: Sequence[str], organisation: OrganisationId | None = None
    ) -> Sequence[Mapping[str, Latency]]:
        return [
            {place_of(city): Latency(ms, Origin.MEASURED, 1.0) for city, ms in self.by_city.get(address, {}).items()}
            for address in addresses
        ]

    async def measured(
        self, addresses: Sequence[str], sites: Sequence[Site], organisation: OrganisationId | None = None
    ) -> Sequence[Mapping[str, Latency]]:
        self.asked.append((list(addresses), [site.nodes[0].profile.location.city for site in sites]))
        return await self.known(addresses)


def place_of(city: str) -> str:
    """What measurements call the location in one of the cities here."""
    location = next(each for each in (FRANKFURT, MONTREAL, WARSAW) if each.city == city)
    return site_place("x", location, region=None, tags={}).site


class World:
    """The domains over one store."""

    def __init__(
        self,
        store: Store,
        seed: int = 0,
        placement_range_ms: float = 30.0,
        latency_steps: Sequence[LatencyStep] = (),
        lobby_rules: LobbyRules | None = None,
    ) -> None:
        self.store = store
        self.clock = HandClock()
        self.rng = random.Random(seed)
        self.directory = Directory(store)
        self.rooms_follow = RoomsFollowRelays()
        relays_follow = RelaysFollowNodes(self.clock, [self.rooms_follow])
        self.locations = LocationService(store, store.bells, self.clock, self.rng, [relays_follow])
        retention = Retention(120)
        webhook = SessionWebhook(_session_body, self.rng)
        self.changes = StatusChanges([SessionsFollowDeployments(webhook)], _status_body, retention, self.rng)
        starter = DeploymentStarter(StartSettings("http://127.0.0.1:8080"), self.rng)
        self.latencies = KnownLatencies()
        geography = GeoDatabase(tuple)
        finder = CandidateFinder(self.directory, geography, self.latencies)
        self.deployments = DeploymentService(store, starter, self.changes, finder, self.locations, self.clock)
        seater = Seater(starter, placement_range_ms, 120.0, latency_steps)
        self.sessions = SessionService(store, seater, webhook, finder, geography, self.clock, self.rng)
        self.observation = Observation(store, self.changes, self.clock)
        self.deployment_loop = DeploymentLoop(store, self.changes, self.directory, self.clock, retention, 120)
        self.session_loop = SessionLoop(store, Seeking(store, seater, webhook, finder, self.clock), self.clock)
        relay_webhook = RelayWebhook(_relay_body, self.rng)
        self.relay_endings = endings = RelayEndings(relay_webhook, [self.rooms_follow])
        self.confirmations = Confirmations(store, store.bells, self.clock, CONFIRMING_SECONDS)
        self.geography = geography
        self.relay_planner = RelayPlanner(store, finder, geography)
        self.relay_writing = RelayWriting(self.clock, self.rng)
        relay_store = IsolatingStore(store, relay_webhook, self.clock, self.rng, [self.rooms_follow])
        self.relays = RelayService(
            relay_store,
            self.relay_planner,
            self.relay_writing,
            self.locations,
            endings,
            self.confirmations,
            self.clock,
        )
        self.relay_serving = RelayServing(relay_store, endings, relay_webhook, self.clock, [self.rooms_follow])
        self.lobby_rules = lobby_rules or LobbyRules(url="https://lobbies.example.org/l/{address}")
        self.room_changes = RoomChanges(self.relay_writing, endings, self.lobby_rules)
        self.rooms_follow.changes = self.room_changes
        self.relay_loop = RelayLoop(relay_store, endings, self.directory, self.clock, 60.0)
        self.tokens: dict[str, str] = {}

    async def found(self) -> Self:
        """Make the organisation that owns everything here."""

        async def unit(tx: Transaction) -> None:
            await tx.accounts.add_organisation(Organisation(ORGANISATION, "tests", self.clock.now()), "whsec_x")

        await self.store.write(unit)
        return self

    async def node(
        self,
        name: str,
        location: Location = FRANKFURT,
        capacity: int = 100,
        images: tuple[str, ...] | None = (IMAGE,),
        tags: dict[str, str] | None = None,
        beacon: BeaconPorts | None = None,
        probes: bool = False,
        relay: RelayPorts | None = None,
        relay_capacity: int = 100,
        address: str = "192.0.2.1",
    ) -> NodeName:
        others = {Role.BEACON: beacon, Role.RELAY: relay}
        hello = Hello(
            PROTOCOL,
            name,
            (Role.SERVER, *(role for role, ports in others.items() if ports is not None)),
            "process",
            address,
            location,
            capacity,
            tags or {},
            None,
            images,
            beacon=beacon,
            probes=probes,
            relay=relay,
            relay_capacity=relay_capacity if relay is not None else 0,
        )
        self.tokens[name] = await self.locations.join(hello)
        await self.directory.refresh()
        return NodeName(name)

    async def version(
        self,
        name: str = "1.0",
        *,
        kind: SessionKind = SessionKind.SEAT,
        sockets: int = 4,
        autodeploy: bool = True,
        empty_ttl: int | None = None,
        application: str = "arena",
        is_active: bool = True,
        max_duration: int = 1440,
        probe: Probe | None = None,
    ) -> Version:
        settings = VersionSettings(
            docker_repository="registry.example",
            docker_image=IMAGE,
            docker_tag=name,
            req_cpu=128,
            req_memory=128,
            max_duration=max_duration,
            session_config=SessionSettings(kind, sockets, autodeploy, empty_ttl),
            ports=(PortRequest("game", 7777, PortProtocol.UDP),),
            probe=probe,
        )

        async def unit(tx: Transaction) -> Version:
            now = self.clock.now()
            owner = await tx.applications.find_application(ORGANISATION, application)
            if owner is None:
                fields = ApplicationFields(application, True, False, "")
                owner = await tx.applications.add_application(ORGANISATION, fields, now)
            assert owner is not None
            made = await tx.applications.add_version(owner, VersionFields(name, is_active, settings), now)
            assert made is not None
            return made

        return await self.store.write(unit)

    async def change_sessions(self, version: Version, sessions: SessionSettings) -> None:
        """What a PATCH of the version's session_config does."""

        async def unit(tx: Transaction) -> None:
            assert await tx.applications.save_version(
                replace(version, settings=replace(version.settings, session_config=sessions))
            )

        await self.store.write(unit)

    async def seat(
        self, players: int = 1, at: Coordinates | None = PARIS_PLAYER, version: str | None = "1.0", **more: object
    ) -> Session:
        """A session for a group that is all in one place."""
        group = tuple(Player(f"198.51.100.{index % 250}", at) for index in range(players))
        request = SessionRequest("arena", version, players=group, **more)  # type: ignore[arg-type]
        return await self.sessions.create(ORGANISATION, request)

    async def look(self, session: Session) -> SeatedSession:
        return await self.sessions.find(ORGANISATION, session.session_id)

    async def deployment(self, request_id: str | None) -> Deployment:
        assert request_id is not None
        return (await self.deployments.find(ORGANISATION, request_id))[0]

    async def every_deployment(self) -> list[Deployment]:
        async def unit(tx: Transaction) -> list[Deployment]:
            ids = [DeploymentId(row["request_id"]) for row in await tx.connection.fetch(_EVERY_DEPLOYMENT)]
            return list(await tx.deployments.lock_many(ids)) if ids else []

        return await self.store.write(unit)

    async def report(self, request_id: str | None, phase: ServerPhase, **more: object) -> None:
        """Let the deployment's node say something about its server."""
        deployment = await self.deployment(request_id)
        ports = (PortMapping("game", 30001, 30001, PortProtocol.UDP),)
        report = ServerReport(deployment.request_id, phase, "192.0.2.1", ports, **more)  # type: ignore[arg-type]
        await self.observation.observe(deployment.node_name, [report])

    async def ready(self, request_id: str | None) -> None:
        await self.report(request_id, ServerPhase.READY)

    async def ended(self, request_id: str | None, reason: EndReason, **more: object) -> None:
        await self.report(request_id, ServerPhase.ENDED, end_reason=reason, **more)

    async def check_invariants(self) -> None:
        """Seats add up, nothing is over-seated, nodes' and lobbies' counters are right."""

        async def unit(tx: Transaction) -> None:
            for row in await tx.connection.fetch(_INVARIANTS):
                counted = (row["sockets_used"], row["session_count"])
                assert counted == (row["seats"], row["linked"]), dict(_members(row))
                assert row["sockets"] is None or row["sockets_used"] <= row["sockets"], dict(_members(row))
                assert row["ended_at"] is None or row["linked"] == 0, dict(_members(row))
            for row in await tx.connection.fetch(_NODES):
                assert row["in_use"] == row["placed"] <= row["capacity"], dict(_members(row))
            for row in await tx.connection.fetch(_RELAYS):
                assert row["session_count"] == row["placed"], dict(_members(row))
                assert max(row["confirmed_change"], row["newest"]) <= row["last_change"], dict(_members(row))
            for row in await tx.connection.fetch(_LOBBIES):
                assert row["room_count"] == row["rooms"], dict(_members(row))
                assert (row["url"] != "") == (row["status"] == "Released"), dict(_members(row))
                assert row["rooms"] == 0 or row["status"] in ("Released", "Terminating"), dict(_members(row))

        await self.store.scan(unit)


def _members(row: object) -> Sequence[tuple[str, object]]:
    keys: Sequence[str] = list(row.keys())  # type: ignore[attr-defined]
    return [(key, row[key]) for key in keys]  # type: ignore[index]


def _session_body(seated: SeatedSession, now: Instant) -> bytes:
    return seated.session.status.value.encode()


def _relay_body(session: RelaySession) -> bytes:
    return session.status.value.encode()


def _status_body(deployment: Deployment, sessions: Sequence[LinkedSession], now: Instant) -> bytes:
    return deployment.status.value.encode()
