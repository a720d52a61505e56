"""`waymeet demo`: a guided tour against a running server, through the public API only.

It makes one application of its own, plays the part of a game's backend and of its players, and takes everything away
again.
"""

import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

from rich.console import Console

from waymeet.cli.echo_probe import NoEcho, echo
from waymeet.cli.lobby_tour import LobbyTour
from waymeet.cli.narration import Narration
from waymeet.cli.webhook_receiver import WebhookReceiver, receiving_webhooks
from waymeet.client import (
    AvailableLocation,
    BadRequest,
    Client,
    ClientError,
    CreatedSession,
    DeploymentContext,
    DeploymentQuery,
    Forbidden,
    Gone,
    LobbyFailed,
    LocatedPlayer,
    Location,
    NewVersion,
    NotFound,
    PlayerCost,
    Port,
    Series,
    Session,
    SessionConfig,
    SessionFailed,
    SessionKind,
    Unauthorized,
    Unreachable,
)
from waymeet.client.calling.address import Address
from waymeet.clock import SystemClock
from waymeet.model.instant import Clock

SEATS = 4
VERSION = "1.0"
GAME_PORT = "game"
READY_SECONDS = 60.0
WEBHOOK_SECONDS = 15.0
STOPPED_SECONDS = 30.0
# A demo that is killed with its computer leaves a game server that ends by itself.
LIFETIME_MINUTES = 30

STEPS = 12
RANKED = 5
"""Locations that are shown with what they would have cost."""


class Surprise(Exception):
    """The server answered, and something else than the story says."""


def demo(url: str, token: str) -> int:
    """Walk through the story against the server at `url`, and clean up; 0 when all of it worked, 1 otherwise.

    Takes some ten seconds. Ctrl-C ends it early, cleaning up as well.
    """
    console = Console(highlight=False)
    try:
        client = Client(url, token)
    except ValueError as problem:
        Narration(console, STEPS).problem(str(problem))
        return 1
    with client:
        return guide(client, console, SystemClock(), f"demo-{secrets.token_hex(3)}")


def guide(client: Client, console: Console, clock: Clock, application: str) -> int:
    """The tour with everything given; the exit code."""
    narration = Narration(console, STEPS)
    worked = clean = False
    with ExitStack() as resources:
        tour = Tour(client, narration, clock, application, resources)
        try:
            tour.walk()
            worked = True
        except KeyboardInterrupt:
            narration.problem("interrupted; cleaning up")
        except (ClientError, NoEcho, Surprise) as problem:
            narration.problem(str(problem))
            if hint := _hint(problem):
                narration.say(hint)
        finally:
            clean = tour.clean_up()
    if worked and clean:
        narration.closing("That was the whole story. The API's reference is at /docs on the server.")
    return 0 if worked and clean else 1


class Tour:
    """The story, and what it has made so far."""

    def __init__(
        self, client: Client, narration: Narration, clock: Clock, application: str, resources: ExitStack
    ) -> None:
        self._client = client
        self._tell = narration
        self._clock = clock
        self._application = application
        self._resources = resources
        self._sessions: list[str] = []
        self._made_application = False
        self._webhooks: WebhookReceiver | None = None
        self._lobby = LobbyTour(client, narration, clock, application)

    def walk(self) -> None:
        """All steps but the last, `clean_up`. Whatever goes wrong is raised."""
        self._greet()
        places = self._look_around()
        self._make_application()
        self._receive_webhooks()
        # One player near each end of the list: with several places, the choice between them can be seen.
        first, server = self._seat_first_party([_player(1, places[0]), _player(2, places[-1])])
        self._explain(first, server)
        self._play(server)
        neighbours = [_player(number, server.location or places[0]) for number in (3, 4, 5)]
        self._fill_up(server, neighbours[:1])
        self._outgrow(server, neighbours)
        self._inspect(server)
        self._read_webhook(first)
        self._lobby.walk()

    def _greet(self) -> None:
        self._tell.step("Who am I?", "POST /v1/wizard/init-quick-start")
        self._client.check_token()
        self._tell.done(f"{self._client.url} is there and accepts the token")

    def _look_around(self) -> list[AvailableLocation]:
        self._tell.step("Where can game servers run?", "GET /v1/locations")
        places = list(self._client.locations.each())
        if not places:
            raise Surprise(
                "the server has no place for game servers: connect a node (`waymeet node`), or use `waymeet up`"
            )
        for place in places[:5]:
            self._tell.show(f"{place.city}, {place.country}  ({place.latitude:.2f}, {place.longitude:.2f})")
        if len(places) > 5:
            self._tell.show(f"and {len(places) - 5} more")
        return places

    def _make_application(self) -> None:
        self._tell.step("Say what to run", "POST /v1/app, POST /v1/app/{app}/version")
        self._tell.say(
            f"A version is an image, its ports, and how groups share its servers: here {SEATS} seats on each."
        )
        # Before the call: when its answer gets lost, the application may still be there.
        self._made_application = True
        self._client.applications.create(self._application)
        self._client.versions.create(
            self._application,
            NewVersion(
                name=VERSION,
                docker_repository="local",
                docker_image="waymeet/echo",
                docker_tag="latest",
                req_cpu=128,
                req_memory=128,
                max_duration=LIFETIME_MINUTES,
                time_to_deploy=60,
                ports=[Port(port=7777, protocol="UDP", name=GAME_PORT), Port(port=7778, protocol="TCP", name="chat")],
                session_config=SessionConfig(kind=SessionKind.SEAT, sockets=SEATS, autodeploy=True, empty_ttl=5),
            ),
        )
        self._tell.done(f"application {self._application}, version {VERSION}: an echo server with a UDP and a TCP port")

    def _receive_webhooks(self) -> None:
        # A server on another machine cannot call this machine's loopback.
        if not Address.parse(self._client.url, None).is_this_machine:
            return
        try:
            secret = self._client.webhooks.secret()
        except NotFound:
            return
        self._webhooks = self._resources.enter_context(receiving_webhooks(secret, self._clock))

    def _seat_first_party(self, players: Sequence[LocatedPlayer]) -> tuple[Session, DeploymentContext]:
        self._tell.step("Seat two players together", "POST /v1/session, GET /v1/session/{id}")
        self._tell.say(
            "Nothing runs yet. The place is chosen for the player who would be served worst, then a server starts."
        )
        started_at = self._clock.monotonic()
        created = self._create(players, with_webhook=True)
        session, server = self._ready(created)
        place = f" in {server.location.city}" if server.location else ""
        self._tell.done(
            f"game server {server.request_id}{place} is ready after {self._clock.monotonic() - started_at:.1f} s: "
            + ", ".join(
                f"{name} {server.public_ip}:{port.external}/{port.protocol}" for name, port in server.ports.items()
            )
        )
        return session, server

    def _explain(self, session: Session, server: DeploymentContext) -> None:
        self._tell.step("Ask why there", "GET /v1/session/{id}/placement")
        try:
            placement = self._client.sessions.placement(session.session_id)
        except NotFound:
            self._tell.say("Left out: the server keeps no record of why groups are where they are.")
            return
        self._tell.say(placement.reason)
        for entry in placement.ranking[:RANKED]:
            costs = ", ".join(f"{cost.ip} {_round_trip(cost)}" for cost in entry.costs)
            self._tell.show(f"{entry.location.city}: {entry.worst_ms:.1f} ms at worst ({costs})")
            if entry.passed_over:
                self._tell.show(f"  not taken: {entry.passed_over}")
        chosen = placement.chosen
        if chosen is None:
            raise Surprise(f"nobody wrote down why session {session.session_id} is where it is")
        if server.location is not None and chosen.location.city != server.location.city:
            raise Surprise(
                f"the explanation speaks of {chosen.location.city}, but the server runs in {server.location.city}"
            )
        self._tell.done(f"{chosen.location.city} was chosen: {chosen.worst_ms:.1f} ms for whoever is served worst")

    def _play(self, server: DeploymentContext) -> None:
        self._tell.step("Play", "UDP, straight to the game server")
        if GAME_PORT not in server.ports:
            raise Surprise(f"the server is ready without its port {GAME_PORT!r}: it has {sorted(server.ports)}")
        port = server.ports[GAME_PORT].external
        for name in ("Amara", "Ben"):
            milliseconds = echo(server.public_ip, port, f"hello from {name}", self._clock)
            self._tell.done(f'{name} said "hello from {name}" and heard it back after {milliseconds:.2f} ms')

    def _fill_up(self, server: DeploymentContext, players: Sequence[LocatedPlayer]) -> None:
        self._tell.step("Fill the running server first", "POST /v1/session, PUT /v1/session/{id}/users")
        self._tell.say(
            "Another player nearby joins the same server instead of starting a second one, then brings a friend."
        )
        created = self._create(players)
        _, joined = self._ready(created)
        if joined.request_id != server.request_id:
            raise Surprise(
                f"the second party was seated on {joined.request_id}, not with the first on {server.request_id}"
            )
        self._tell.done(f"same server {joined.request_id}: {joined.sockets_usage} of {joined.sockets} seats taken")
        users = self._client.sessions.add_users(created.session_id, ["198.51.100.99"])
        self._tell.done(f"one more player: the second party is {len(users)} now, the server is full")

    def _outgrow(self, server: DeploymentContext, players: Sequence[LocatedPlayer]) -> None:
        self._tell.step("Outgrow it", "POST /v1/session")
        self._tell.say("A party that does not fit any more gets a server of its own.")
        _, own = self._ready(self._create(players))
        if own.request_id == server.request_id:
            raise Surprise(f"a party of {len(players)} was seated on the full server {server.request_id}")
        self._tell.done(f"a party of {len(players)} plays on {own.request_id}")

    def _inspect(self, server: DeploymentContext) -> None:
        self._tell.step("Look inside", "GET /v1/deployment/{id}/container-logs, GET /v1/metrics/deployment/{id}")
        lines = self._client.deployments.container_logs(server.request_id).logs.strip().splitlines()
        for line in lines[-4:]:
            self._tell.show(f"| {line}")
        self._tell.done(f"{len(lines)} lines of log from {server.request_id}")
        metrics = self._client.deployments.metrics(server.request_id)
        self._tell.done(f"latest readings: cpu {_latest(metrics.cpu)}, memory {_latest(metrics.mem)}")

    def _read_webhook(self, session: Session) -> None:
        self._tell.step("Be told instead of asking", "webhook, GET /v1/webhooks/deliveries")
        if self._webhooks is None:
            self._tell.say("Left out: the server cannot call this machine, or keeps no record of webhooks.")
            return
        with self._tell.waiting("waiting for the webhook"):
            arrived = self._webhooks.next(WEBHOOK_SECONDS)
        if arrived is None:
            raise Surprise(f"no signed webhook arrived at {self._webhooks.url} within {WEBHOOK_SECONDS:.0f} s")
        told = arrived.read(Session)
        if told.session_id != session.session_id:
            raise Surprise(f"the webhook speaks of {told.session_id}, not of {session.session_id}")
        self._tell.done(f"received {arrived.id}, signature verified: {told.session_id} is {told.status}")
        for delivery in self._client.webhooks.page(limit=5).items:
            self._tell.show(f"{delivery.id}  {delivery.event_type}  {delivery.status}  attempts: {delivery.attempts}")

    def clean_up(self) -> bool:
        """Take away what was made; whether all of it is gone. Says by name what is left."""
        if not self._made_application:
            return True
        self._tell.step(
            "Leave no trace",
            "POST /v1/lobbies:terminate, DELETE /v1/session/{id}, DELETE /v1/stop/{id}, DELETE /v1/app/{app}",
        )
        try:
            # The lobby first: it is gone at once, while game servers take their time.
            clean = not self._lobby.made or self._take_away("lobby", self._lobby.clean_up)
            return self._take_away("application", self._delete_application) and clean
        except KeyboardInterrupt:
            left = f"application {self._application} may be left, its lobby too; its servers end by themselves"
            self._tell.problem(f"interrupted again: {left}")
            return False

    def _take_away(self, kind: str, delete: Callable[[], None]) -> bool:
        what = f"{kind} {self._application}"
        try:
            delete()
        except ClientError as problem:
            self._tell.problem(f"{what} may be left: {problem}")
            return False
        self._tell.done(f"{what} and everything of it is gone")
        return True

    def _delete_application(self) -> None:
        self._delete_sessions()
        self._stop_servers()
        _unless_gone(self._client.applications.delete, self._application)

    def _delete_sessions(self) -> None:
        for session_id in self._sessions:
            _unless_gone(self._client.sessions.delete, session_id)

    def _stop_servers(self) -> None:
        servers = list(self._client.deployments.each(query=DeploymentQuery().application(self._application)))
        for server in servers:
            _unless_gone(self._client.deployments.stop, server.request_id)
        with self._tell.waiting("waiting for the game servers to end"):
            for server in servers:
                self._client.deployments.wait_until_stopped(server.request_id, STOPPED_SECONDS)

    def _create(self, players: Sequence[LocatedPlayer], *, with_webhook: bool = False) -> CreatedSession:
        url = self._webhooks.url if with_webhook and self._webhooks else None
        try:
            created = self._client.sessions.create(self._application, VERSION, players=players, webhook_url=url)
        except BadRequest as problem:
            if "webhook_url" not in problem.errors:
                raise
            # The operator forbids webhooks to private addresses, as on any server on the internet.
            self._webhooks = None
            created = self._client.sessions.create(self._application, VERSION, players=players)
        self._sessions.append(created.session_id)
        return created

    def _ready(self, created: CreatedSession) -> tuple[Session, DeploymentContext]:
        started_at = self._clock.monotonic()

        def changed(session: Session) -> None:
            self._tell.show(
                f"{self._clock.monotonic() - started_at:5.1f} s  session {session.session_id} is {session.status}"
            )

        with self._tell.waiting("waiting for a game server"):
            session = self._client.sessions.wait_until_ready(created.session_id, READY_SECONDS, on_change=changed)
        if session.deployment is None:
            raise Surprise(f"session {session.session_id} is ready without a game server")
        return session, session.deployment


def _player(number: int, place: Location) -> LocatedPlayer:
    """A player close to a place, with an address that belongs to nobody (RFC 5737)."""
    return LocatedPlayer(
        ip=f"198.51.100.{number}",
        latitude=max(-90.0, min(90.0, place.latitude + 0.01 * number)),
        longitude=max(-180.0, min(180.0, place.longitude + 0.01 * number)),
    )


def _round_trip(cost: PlayerCost) -> str:
    sign = "about " if cost.origin == "estimated" else ""
    return f"{sign}{cost.ms:.1f} ms, {cost.origin}"


def _latest(series: Series) -> str:
    readings = [reading for reading in series.datasets if reading is not None]
    return f"{readings[-1]:g}" if readings else "none yet"


def _unless_gone(end: Callable[[str], object], name: str) -> None:
    with suppress(NotFound, Gone):
        end(name)


def _hint(problem: Exception) -> str:
    match problem:
        case Unreachable():
            return "Start a server with `waymeet up`, or name another one with --url."
        case Unauthorized() | Forbidden():
            return "Give the server's token with --token or WAYMEET_TOKEN; `waymeet up` prints it when it starts."
        case SessionFailed():
            return (
                "The demo runs the image waymeet/echo: built in for the process driver, to be provided for any other."
            )
        case LobbyFailed():
            return (
                "Lobbies answer below public_url, or lobbies.domain, and the server looks there for itself, as players do. "
                'Where it cannot reach its own address, set lobbies.check = "local".'
            )
    return ""
