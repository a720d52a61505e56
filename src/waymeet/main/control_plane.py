"""Putting the control plane together."""

import asyncio
import contextlib
import gc
import ipaddress
import os
import random
from collections.abc import AsyncIterator
from socket import socket

import structlog
import uvicorn
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from waymeet import __version__
from waymeet.accounts import loop as account_loop
from waymeet.accounts.service import AccountService
from waymeet.accounts.types import Scope
from waymeet.applications.rules import VersionDefaults
from waymeet.applications.service import ApplicationService
from waymeet.beacons.health import BeaconHealth
from waymeet.beacons.loop import BeaconLoop
from waymeet.beacons.probing import UdpProber
from waymeet.beacons.service import BeaconService
from waymeet.clock import SystemClock
from waymeet.datasets.installation import geo_sources
from waymeet.deployments.changes import StatusChanges
from waymeet.deployments.deadlines import Retention
from waymeet.deployments.finding import CandidateFinder
from waymeet.deployments.loop import DeploymentLoop
from waymeet.deployments.observation import Observation
from waymeet.deployments.service import DeploymentService
from waymeet.deployments.starting import DeploymentStarter, StartSettings
from waymeet.geo.database import GeoDatabase
from waymeet.http import v1, v2
from waymeet.http.application import create_app
from waymeet.http.limits import HttpLimits, RateClass
from waymeet.http.nodes.connection import NodeDoor
from waymeet.http.server import ServerSettings, bind, server_for
from waymeet.http.v1.deployments import status_webhook
from waymeet.http.v1.relays import relay_webhook
from waymeet.http.v1.services import Services
from waymeet.http.v1.sessions import session_webhook
from waymeet.latencies import loop as latency_loop
from waymeet.latencies.service import LatencyService
from waymeet.latencies.types import LatencyRules
from waymeet.lobbies.following import RoomsFollowRelays
from waymeet.locations import loop as location_loop
from waymeet.locations.directory import Directory
from waymeet.locations.ports import LocationTransaction
from waymeet.locations.service import NODES, LocationService
from waymeet.logs import configure_logs
from waymeet.main.beacon_sites import BeaconSites
from waymeet.main.census import Census
from waymeet.main.geography import GeographyWatch
from waymeet.main.images import DirectoryImages
from waymeet.main.lobbies import Lobbies, RelayParts
from waymeet.main.readiness import NodeReadiness
from waymeet.main.sample import register_sample
from waymeet.main.tasks import Tasks
from waymeet.metrics import BeaconCounts, BeaconMetrics, DomainMetrics
from waymeet.model.errors import Invalid, WaymeetError
from waymeet.placement.limits import LatencyStep
from waymeet.relays.confirming import Confirmations
from waymeet.relays.endings import RelayEndings
from waymeet.relays.following import RelaysFollowNodes
from waymeet.relays.isolating import IsolatingStore
from waymeet.relays.loop import RelayLoop
from waymeet.relays.planning import RelayPlanner
from waymeet.relays.service import RelayService
from waymeet.relays.serving import RelayServing
from waymeet.relays.webhook import RelayWebhook
from waymeet.relays.writing import RelayWriting
from waymeet.sessions.following import SessionsFollowDeployments
from waymeet.sessions.loop import SessionLoop
from waymeet.sessions.seating import Seater
from waymeet.sessions.seeking import Seeking
from waymeet.sessions.service import SessionService
from waymeet.sessions.webhook import SessionWebhook
from waymeet.settings import Settings
from waymeet.store.migrate import ensure_migrated
from waymeet.store.postgres import PostgresStore
from waymeet.store.sqlite import SqliteStore
from waymeet.webhooks.addresses import check_webhook_url
from waymeet.webhooks.loop import WebhookLoop
from waymeet.webhooks.sender import HttpSender
from waymeet.webhooks.service import WebhookService
from waymeet.webhooks.types import DeliveryRules

OPERATOR_TOKEN = "operator"
NODES_TOKEN = "nodes"
"""Names of the tokens that come from the settings; a changed setting retires the one before."""

GARBAGE_THRESHOLD = 20_000
"""Objects made, less those gone, between two collections of the youngest generation."""

_log = structlog.get_logger(__name__)


def run(settings: Settings, *, sample: bool, supervised_fd: int | None) -> None:
    """Run the control plane; see `waymeet.main.serve`."""
    configure_logs(settings.log.format, settings.log.level)
    try:
        bound = bind(settings.host, settings.port)
    except OSError as error:
        reason = f"{settings.host}:{settings.port} cannot be bound ({error.strerror}); choose another with --port"
        raise Invalid({"port": reason}, reason) from None
    with bound:
        _make_directory(settings)
        ensure_migrated(database_url(settings))
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(ControlPlane(settings, sample=sample).serve(bound, supervised_fd))


def _make_directory(settings: Settings) -> None:
    """The directory of the SQLite file. PostgreSQL needs none, and the control plane keeps nothing else."""
    file = settings.sqlite_file
    if file is not None:
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            reason = f"the directory {file.parent} cannot be made ({error.strerror}); name another with --data"
            raise Invalid({"data": reason}, reason) from None


def database_url(settings: Settings) -> str:
    """Where the store is: the setting, or the SQLite file in the data directory."""
    return settings.database_url or f"sqlite:///{settings.sqlite_file}"


def open_store(settings: Settings, clock: SystemClock) -> SqliteStore | PostgresStore:
    """The store that the settings name; not opened yet."""
    path = settings.sqlite_file
    if path is not None:
        return SqliteStore(path, clock, synchronous=settings.store.synchronous)
    return PostgresStore(settings.database_url, pool_size=settings.store.postgres_pool_size)


class ControlPlane:
    """All services over one store, behind one HTTP application."""

    def __init__(self, settings: Settings, *, sample: bool) -> None:
        self._settings = settings
        self._sample = sample
        self._server: uvicorn.Server | None = None
        clock = SystemClock()
        rng = random.SystemRandom()
        # For names that must differ but need not be secret: a system call each would show in the rate of new sessions.
        quick_rng = random.Random(rng.getrandbits(256))
        store = self._store = open_store(settings, clock)
        bells = store.bells
        retention = Retention(settings.deployments.ended_retention_minutes)

        self._directory = directory = Directory(store)
        bells.listen(NODES, directory.mark_stale)
        self._node_readiness = NodeReadiness(directory)
        rooms_follow = RoomsFollowRelays()
        locations = LocationService(store, bells, clock, rng, [RelaysFollowNodes(clock, [rooms_follow])])
        self._latencies = latencies = LatencyService(
            store, bells, locations, BeaconSites(directory, clock), clock, quick_rng, latency_rules(settings)
        )
        self._accounts = accounts = AccountService(store, bells, clock, rng)
        self._applications = applications = ApplicationService(
            store,
            DirectoryImages(directory),
            clock,
            rng,
            VersionDefaults(settings.deployments.max_duration_minutes, settings.deployments.default_restart_policy),
        )
        starter = DeploymentStarter(
            StartSettings(settings.public_url, settings.deployments.fqdn_suffix, retention), rng
        )
        session_hook = SessionWebhook(session_webhook, rng, settings.sessions.notify_waiting)
        changes = StatusChanges([SessionsFollowDeployments(session_hook)], status_webhook, retention, rng)
        geography = GeoDatabase(geo_sources(settings.geo.database, settings.geo.directory))
        finder = CandidateFinder(directory, geography, latencies)
        deployments = DeploymentService(store, starter, changes, finder, locations, clock)
        seater = Seater(
            starter,
            settings.sessions.placement_range_ms,
            settings.deployments.node_lost_seconds,
            [LatencyStep(step.max_ms, step.seconds) for step in settings.sessions.latency_steps],
        )
        sessions = SessionService(store, seater, session_hook, finder, geography, clock, quick_rng)
        webhooks = WebhookService(store, clock, rng)
        webhook_loop = WebhookLoop(
            store,
            bells,
            HttpSender(
                timeout_seconds=settings.webhooks.timeout_seconds,
                concurrency=settings.webhooks.concurrency,
                allow_private_targets=settings.webhooks.allow_private_targets,
            ),
            clock,
            rng,
            DeliveryRules(
                retry_seconds=settings.webhooks.retry_seconds,
                timeout_seconds=settings.webhooks.timeout_seconds,
                concurrency=settings.webhooks.concurrency,
                per_host=settings.webhooks.per_host,
                highest_pending=settings.webhooks.highest_pending,
            ),
            user_agent=f"Waymeet/{__version__}",
        )
        deployment_loop = DeploymentLoop(
            store, changes, directory, clock, retention, settings.deployments.node_lost_seconds
        )
        session_loop = SessionLoop(store, Seeking(store, seater, session_hook, finder, clock), clock)
        relay_hook = RelayWebhook(relay_webhook, rng)
        relay_parts = RelayParts(
            planner=RelayPlanner(store, finder, geography),
            writing=RelayWriting(clock, rng, fqdn_suffix=settings.relays.fqdn_suffix),
            endings=RelayEndings(relay_hook, [rooms_follow]),
            confirmations=Confirmations(store, bells, clock, settings.relays.confirm_seconds),
            followers=rooms_follow,
        )
        relay_endings = relay_parts.endings
        relay_store = IsolatingStore(store, relay_hook, clock, rng, [rooms_follow])
        relays = RelayService(
            relay_store,
            relay_parts.planner,
            relay_parts.writing,
            locations,
            relay_endings,
            relay_parts.confirmations,
            clock,
        )
        relay_serving = RelayServing(relay_store, relay_endings, relay_hook, clock, [rooms_follow])
        relay_loop = RelayLoop(relay_store, relay_endings, directory, clock, settings.relays.node_lost_seconds)
        self._lobbies = lobbies = Lobbies(settings, store, relay_parts, clock, rng)
        beacon_health = BeaconHealth()
        beacon_loop = BeaconLoop(directory, beacon_health, UdpProber(rng), clock)
        domain_metrics = DomainMetrics()
        self._census = Census(store, directory, domain_metrics, clock)
        beacon_metrics = BeaconMetrics(
            lambda: BeaconCounts(beacon_health.known, beacon_health.listed, beacon_health.delistings)
        )
        self._geography_watch = GeographyWatch(geography, clock, domain_metrics)
        registry = CollectorRegistry()
        for collector in (
            domain_metrics,
            beacon_metrics,
            ProcessCollector(registry=None),
            PlatformCollector(registry=None),
        ):
            registry.register(collector)
        self._tasks = Tasks(
            {
                "directory": directory.run,
                "accounts": lambda: account_loop.run(accounts),
                "locations": lambda: location_loop.run(locations, settings.deployments.node_forgotten_hours),
                "latencies": lambda: latency_loop.run(latencies),
                "deployments": deployment_loop.run,
                "sessions": session_loop.run,
                "relays": relay_loop.run,
                **lobbies.loops,
                "webhooks": webhook_loop.run,
                "beacons": beacon_loop.run,
                "geography": self._geography_watch.run,
            }
        )
        allow_private = settings.webhooks.allow_private_targets
        services = Services(
            applications=applications,
            deployments=deployments,
            sessions=sessions,
            relays=relays,
            directory=directory,
            beacons=BeaconService(directory, beacon_health, clock, settings.beacons.fqdn_suffix),
            geography=geography,
            latencies=latencies,
            lobbies=lobbies.manager,
            webhooks=webhooks,
            clock=clock,
            check_url=lambda url: check_webhook_url(url, allow_private),
        )
        self._app = create_app(
            [*v1.endpoints(services), *v2.endpoints(services), *lobbies.endpoints],
            authenticator=accounts,
            clock=clock,
            rng=quick_rng,
            limits=http_limits(settings),
            checks={"store": self._check_store, "nodes": self._node_readiness.check},
            notices={"geo": self._geography_watch.notice},
            web_sockets={
                "/nodes/connect": NodeDoor(
                    accounts, locations, Observation(store, changes, clock), relay_serving, bells
                )
            },
            door=lobbies.door,
            lifespan=self._lifespan,
            registry=registry,
            before_metrics=self._census.refresh,
            access_log=settings.log.access,
            version=__version__,
        )

    async def serve(self, bound: socket, supervised_fd: int | None) -> None:
        """Answer on `bound` until told to stop."""
        self._server = server_for(
            self._app,
            ServerSettings(patience_seconds=self._settings.http.slow_body_seconds),
            stopping=self._lobbies.watch.close,
        )
        if supervised_fd is not None:
            os.set_blocking(supervised_fd, False)
            asyncio.get_running_loop().add_reader(supervised_fd, self._on_lifeline, supervised_fd)
        await self._server.serve(sockets=[bound])

    def _on_lifeline(self, supervised_fd: int) -> None:
        # The pipe carries nothing: it is readable when its other end, the supervisor, is gone.
        if not os.read(supervised_fd, 1) and self._server is not None:
            asyncio.get_running_loop().remove_reader(supervised_fd)
            _log.warning("the supervisor is gone; stopping")
            self._server.should_exit = True

    @contextlib.asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[None]:
        await self._store.open()
        try:
            await self._prepare()
            self._tasks.start()
            _spare_the_collector()
            yield
        finally:
            await self._tasks.stop()
            await self._census.stop()
            await self._latencies.close()
            await self._lobbies.close()
            await self._store.close()

    async def _prepare(self) -> None:
        settings = self._settings
        organisation = (await self._accounts.ensure_organisation()).id
        if settings.token:
            await self._accounts.adopt_token(organisation, settings.token, OPERATOR_TOKEN, (Scope.API, Scope.RELAY))
        if settings.node_token:
            await self._accounts.adopt_token(organisation, settings.node_token, NODES_TOKEN, (Scope.NODE,))
        if self._sample:
            await register_sample(self._applications, organisation)
        await self._directory.refresh()
        self._node_readiness.remember()
        # Before the first request, which would otherwise find nothing.
        await self._geography_watch.look()

    async def _check_store(self) -> str | None:
        async def unit(tx: LocationTransaction) -> None:
            await tx.locations.rooms()

        try:
            await self._store.read(unit)
        except WaymeetError as error:
            return error.message
        return None


def _spare_the_collector() -> None:
    """Leave what was made at start out of every later collection, and collect less often.

    Requests make many short-lived objects and hardly any cycles; the default of a collection every 700 objects costs
    some 5 to 10 % of the time and finds nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)


def latency_rules(settings: Settings) -> LatencyRules:
    """How players' latency is measured."""
    chosen = settings.latencies
    return LatencyRules(
        probing=chosen.probing,
        allow_private=chosen.allow_private,
        wait_seconds=chosen.wait_ms / 1000,
        fresh_seconds=chosen.fresh_minutes * 60,
        keep_seconds=chosen.keep_hours * 3600,
        rows=chosen.rows,
    )


def http_limits(settings: Settings) -> HttpLimits:
    """The bounds of the HTTP application."""
    limits = settings.limits
    return HttpLimits(
        body_bytes=settings.http.body_limit_bytes,
        rates={
            RateClass.CREATE_DEPLOYMENT: float(limits.deployment_create),
            RateClass.DEPLOYMENT_STATUS: float(limits.deployment_status),
            RateClass.DEPLOYMENT_LIST: float(limits.deployment_list),
            RateClass.OTHER: float(limits.default),
        },
        failures_per_second=float(limits.auth_failures),
        trusted_proxies=tuple(ipaddress.ip_network(text) for text in settings.http.trusted_proxies),
    )


def _loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop  # type: ignore[return-value]
