"""Every setting there is, with its default, its limits and one sentence about it.

The sentences are the reference: `docs/configuration.md` is written from them (`waymeet.settings.reference`), and a test
fails when the two differ. A section is a struct; its docstring introduces it.
"""

import ipaddress
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, field

from waymeet.model.servers import RestartPolicy
from waymeet.settings.forms import DATABASE_URL, HIGHEST_PORT, HOST_NAME_SUFFIX, HTTP_URL, TOKEN, Section
from waymeet.settings.nodes import NodeSettings, ProgramSettings

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
SQLITE_FILE = "waymeet.sqlite3"


class LogSettings(Section, frozen=True, kw_only=True):
    """What the programs write to standard error."""

    format: Annotated[
        Literal["console", "json"],
        Meta(description="Lines for people, or one JSON object per line"),
    ] = "console"
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least severe level that is written"),
    ] = "info"
    access: Annotated[bool, Meta(description="Also write one line per HTTP request")] = False


class HttpSettings(Section, frozen=True, kw_only=True):
    """The API's front door."""

    body_limit_bytes: Annotated[
        int, Meta(ge=1024, le=67_108_864, description="Longest request body; longer ones get a 413")
    ] = 1_048_576
    slow_body_seconds: Annotated[
        float, Meta(gt=0, le=600, description="How long a client may take to send its request body")
    ] = 10.0
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses or networks (`10.0.0.0/8`) of reverse proxies whose X-Forwarded-For and "
            "X-Forwarded-Proto are believed"
        ),
    ] = ()

    def __post_init__(self) -> None:
        for text in self.trusted_proxies:
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise ValueError(f"trusted_proxies: {error}") from None


class LimitSettings(Section, frozen=True, kw_only=True):
    """Requests per second that one organisation may make; above that it gets a 429 with Retry-After. 0 = unlimited."""

    deployment_create: Annotated[int, Meta(ge=0, description="Deploy requests per second and organisation")] = 40
    deployment_status: Annotated[int, Meta(ge=0, description="Deployment status reads")] = 100
    deployment_list: Annotated[int, Meta(ge=0, description="Deployment list reads")] = 50
    default: Annotated[int, Meta(ge=0, description="Every other request")] = 1000
    auth_failures: Annotated[
        int, Meta(ge=0, description="Requests per second and source IP address that present no usable credentials")
    ] = 50


class StoreSettings(Section, frozen=True, kw_only=True):
    """How the database is used."""

    synchronous: Annotated[
        Literal["full", "normal"],
        Meta(
            description="SQLite: `full` survives a power cut, `normal` only a crash of the program, and is faster "
            "where the disk is slow"
        ),
    ] = "full"
    postgres_pool_size: Annotated[
        int, Meta(ge=2, le=500, description="PostgreSQL connections that one control plane process holds at most")
    ] = 10


class LatencyStepSettings(Section, frozen=True, kw_only=True):
    """One step of `latency_steps`."""

    max_ms: Annotated[float, Meta(gt=0, le=10_000, description="Locations above it are not used during this step")]
    seconds: Annotated[float, Meta(gt=0, le=3600, description="How long the step lasts")]


class SessionSettings(Section, frozen=True, kw_only=True):
    """Seating players."""

    placement_range_ms: Annotated[
        float,
        Meta(
            ge=0,
            description="With `autodeploy`, how many milliseconds worse than the best place to start one a running "
            "server may be for the worst-served player and still take the group; 0 = any",
        ),
    ] = 30.0
    latency_steps: Annotated[
        tuple[LatencyStepSettings, ...],
        Meta(
            max_length=10,
            description="For how many `seconds` a group waits for seats at locations that cost no player more than "
            "`max_ms`, step by step, each allowing more than the one before, and afterwards takes any. An estimate "
            "counts as more only when it is above by more than its uncertainty. Steps that no location meets are passed "
            "over. Such as "
            "`[{ max_ms = 80, seconds = 5 }, { max_ms = 120, seconds = 10 }]`; `[]` = any location at once",
        ),
    ] = ()
    notify_waiting: Annotated[
        bool, Meta(description="Also send the session webhook when a session starts to wait for its server")
    ] = False

    def __post_init__(self) -> None:
        for before, step in pairwise(self.latency_steps):
            if step.max_ms <= before.max_ms:
                raise ValueError(
                    f"latency_steps: each step must allow more than the one before, but {step.max_ms:g} follows "
                    f"{before.max_ms:g}; put them in rising order"
                )


class DeploymentSettings(Section, frozen=True, kw_only=True):
    """Running game servers."""

    fqdn_suffix: Annotated[
        str,
        Meta(
            pattern=HOST_NAME_SUFFIX,
            description="Host names handed out are `<request id>.<suffix>`, which your DNS must resolve to the node; "
            "empty hands out the node's address instead",
        ),
    ] = ""
    node_lost_seconds: Annotated[
        float, Meta(ge=1, description="How long a node may be away before its deployments are given up")
    ] = 120.0
    node_forgotten_hours: Annotated[
        float,
        Meta(
            ge=1,
            le=87_600,
            description="After how long a node that is away, and on which nothing is, is forgotten and no longer listed",
        ),
    ] = 168.0
    ended_retention_minutes: Annotated[
        int, Meta(ge=1, description="How long an ended deployment can still be read")
    ] = 120
    max_duration_minutes: Annotated[
        int,
        Meta(ge=0, description="Lifetime of deployments whose version names none; 0 = unlimited"),
    ] = 1440
    default_restart_policy: Annotated[
        RestartPolicy, Meta(description="What happens when a game server's process ends by itself")
    ] = RestartPolicy.NEVER


class WebhookSettings(Section, frozen=True, kw_only=True):
    """Calling your backend."""

    allow_private_targets: Annotated[
        bool,
        Meta(
            description="Also call loopback, private and link-local addresses; under `waymeet up` the default is `true`"
        ),
    ] = False
    timeout_seconds: Annotated[float, Meta(gt=0, le=60, description="How long one attempt may take")] = 5.0
    retry_seconds: Annotated[
        tuple[Annotated[float, Meta(gt=0, le=86_400)], ...],
        Meta(max_length=20, description="Pauses before each further attempt; after the last one the call is given up"),
    ] = (1.0, 5.0, 30.0, 120.0, 600.0)
    concurrency: Annotated[int, Meta(ge=1, le=1000, description="Attempts under way at once")] = 64
    per_host: Annotated[int, Meta(ge=1, le=1000, description="Attempts under way at once to one host")] = 4
    highest_pending: Annotated[
        int,
        Meta(
            ge=100,
            le=10_000_000,
            description="Deliveries that may wait for one receiver (host); beyond that its oldest are given up. All "
            "receivers of an organisation together may have four times as many",
        ),
    ] = 100_000


class GeoSettings(Section, frozen=True, kw_only=True):
    """From IP address to place."""

    database: Annotated[
        tuple[Path, ...],
        Meta(
            max_length=16,
            description="MaxMind DB files in place of the installed ones, asked in this order; relative paths start at the "
            "configuration file; files that change are opened again within seconds",
        ),
    ] = ()
    directory: Annotated[
        Path,
        Meta(
            description="Where `waymeet geo update` installs; default `share/waymeet/geo` in the Python environment that "
            "Waymeet runs in"
        ),
    ] = Path()
    registry: Annotated[
        str,
        Meta(pattern=HTTP_URL, description="npm registry to download from; empty = the one that npm uses here"),
    ] = ""


class BeaconListSettings(Section, frozen=True, kw_only=True):
    """The list of beacons that players measure."""

    fqdn_suffix: Annotated[
        str,
        Meta(
            pattern=HOST_NAME_SUFFIX,
            description="Host names handed out are `b-<node>.<suffix>`, which your DNS must resolve to the node; empty "
            "hands out none",
        ),
    ] = ""


class RelaySessionSettings(Section, frozen=True, kw_only=True):
    """Relay sessions."""

    fqdn_suffix: Annotated[
        str,
        Meta(
            pattern=HOST_NAME_SUFFIX,
            description="Host names handed out are `<id>.<suffix>`, which your DNS must resolve to the session's node; "
            "empty hands out addresses",
        ),
    ] = ""
    confirm_seconds: Annotated[
        float,
        Meta(
            gt=0,
            le=60,
            description="How long a call waits for the relay to confirm that it lets a user in, shuts one out or ends a "
            "session; after that the answer is 503, and the change is made all the same",
        ),
    ] = 3.0
    node_lost_seconds: Annotated[
        float,
        Meta(
            ge=1,
            le=86_400,
            description="How long a node may be away before its relay sessions are given up, and ended when it is back; "
            "until then its relay goes on forwarding, connected or not",
        ),
    ] = 60.0


class LobbySettings(Section, frozen=True, kw_only=True):
    """Lobbies; players talk to them without a key, so these are their only limits."""

    domain: Annotated[
        str,
        Meta(
            pattern=HOST_NAME_SUFFIX,
            description="Lobbies live at `https://<name>.<domain>`, which your DNS and reverse proxy lead here with the "
            "`Host` header kept; empty = at `<public_url>/l/<name>`",
        ),
    ] = ""
    check: Annotated[
        Literal["public", "local"],
        Meta(
            description="How to see that a deployed lobby answers: at its URL, or, where this machine cannot reach that, at "
            "the address that the API binds"
        ),
    ] = "public"
    deploy_seconds: Annotated[
        float, Meta(ge=1, le=3600, description="After so long without an answer at its URL, a deployment has failed")
    ] = 30.0
    rooms: Annotated[int, Meta(ge=1, le=1_000_000, description="Rooms in one lobby at most")] = 10_000
    rooms_per_address: Annotated[
        int, Meta(ge=0, description="Rooms in one lobby that were made from one IP address, at most; 0 = unlimited")
    ] = 20
    members_per_address: Annotated[
        int, Meta(ge=0, description="Players in one room from one IP address at most; 0 = unlimited")
    ] = 100
    creations_per_minute: Annotated[
        int, Meta(ge=0, description="Rooms that one IP address may make in a minute; 0 = unlimited")
    ] = 10
    requests_per_second: Annotated[
        int,
        Meta(
            ge=0,
            description="Requests that one IP address may make; players behind one router share theirs, and each waiting "
            "one asks five times a second; 0 = unlimited",
        ),
    ] = 500
    streams: Annotated[
        int, Meta(ge=0, le=100_000, description="Event streams that one control plane process keeps open at most")
    ] = 5_000
    streams_per_address: Annotated[
        int, Meta(ge=0, description="Event streams of one IP address at most; 0 = unlimited")
    ] = 100
    idle_minutes: Annotated[
        float,
        Meta(
            ge=0.1,
            le=10_080,
            description="A room that is not started ends when nobody asked for it for so long, and some 20 s more",
        ),
    ] = 30.0
    longest_hours: Annotated[float, Meta(ge=0.01, le=8_760, description="No room lasts longer")] = 24.0
    own_tokens_only: Annotated[
        bool,
        Meta(
            description="Show players' relay tokens only to the IP address that the player joined from; others see null"
        ),
    ] = False
    host_check: Annotated[
        Literal["anyone", "host_address"],
        Meta(
            description="Who may start, change and delete a room: anyone, or the IP address that its host joined from"
        ),
    ] = "anyone"
    game_key: Annotated[
        str,
        Meta(
            pattern=TOKEN,
            description="A key that games must send in the header `X-Game-Key`; anyone who takes a game apart can find it; "
            "empty = none",
        ),
    ] = ""


class LatencySettings(Section, frozen=True, kw_only=True):
    """Measuring how far players are from your locations."""

    probing: Annotated[
        bool,
        Meta(
            description="Have nodes probe players' addresses for new groups, unless a request says `skip_telemetry`; "
            "`false` leaves distance, and what players report"
        ),
    ] = True
    wait_ms: Annotated[float, Meta(ge=0, le=5000, description="How long a request waits for measurements at most")] = (
        300.0
    )
    fresh_minutes: Annotated[
        float, Meta(gt=0, le=10_080, description="A network is not probed again from a location within this time")
    ] = 10.0
    keep_hours: Annotated[float, Meta(gt=0, le=8760, description="Older measurements are forgotten")] = 24.0
    rows: Annotated[
        int,
        Meta(
            ge=100,
            le=100_000_000,
            description="Measurements that are kept at most, one for each network and location; of each organisation's "
            "reports a tenth of it",
        ),
    ] = 1_000_000
    allow_private: Annotated[
        bool,
        Meta(
            description="Also have private, loopback and other addresses probed that are not on the internet; the nodes "
            "must allow it too (`probe`)"
        ),
    ] = False


class Settings(Section, frozen=True, kw_only=True):
    """Top-level keys: they stand above the first `[section]`."""

    host: Annotated[str, Meta(min_length=1, description="Address that the API binds")] = DEFAULT_HOST
    port: Annotated[int, Meta(ge=1, le=HIGHEST_PORT, description="TCP port that the API binds")] = DEFAULT_PORT
    public_url: Annotated[
        str,
        Meta(
            pattern=HTTP_URL,
            description="How others reach the API; put into URLs handed out; empty = from `host` and `port`",
        ),
    ] = ""
    data: Annotated[
        Path,
        Meta(description="All that is kept; default `$XDG_DATA_HOME/waymeet`, else `~/.local/share/waymeet`"),
    ] = Path()
    database_url: Annotated[
        str,
        Meta(
            pattern=DATABASE_URL,
            description=f"The database; empty = `{SQLITE_FILE}` in `data`",
        ),
    ] = ""
    token: Annotated[
        str,
        Meta(
            pattern=TOKEN,
            description="An API token that always works; `waymeet up` makes "
            "one and keeps it in `data` when this is empty",
        ),
    ] = ""
    node_token: Annotated[
        str,
        Meta(
            pattern=TOKEN,
            description="A token for nodes; `waymeet up` makes one for its own nodes when this is empty",
        ),
    ] = ""
    log: LogSettings = LogSettings()
    http: HttpSettings = HttpSettings()
    limits: LimitSettings = LimitSettings()
    store: StoreSettings = StoreSettings()
    sessions: SessionSettings = SessionSettings()
    deployments: DeploymentSettings = DeploymentSettings()
    webhooks: WebhookSettings = WebhookSettings()
    geo: GeoSettings = GeoSettings()
    latencies: LatencySettings = LatencySettings()
    beacons: BeaconListSettings = BeaconListSettings()
    relays: RelaySessionSettings = RelaySessionSettings()
    lobbies: LobbySettings = LobbySettings()
    nodes: Annotated[tuple[NodeSettings, ...], Meta(max_length=256)] = ()
    programs: dict[str, ProgramSettings] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [node.name for node in self.nodes]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"nodes: two nodes are named {name!r}; names are unique")

    def __repr__(self) -> str:
        # Tokens and the database's password live in here: never let a log line or a traceback show them.
        return f"Settings(host={self.host!r}, port={self.port}, data={str(self.data)!r}, ...)"

    @property
    def sqlite_file(self) -> Path | None:
        """The database file, or `None` when the database is PostgreSQL."""
        if self.database_url.startswith("sqlite:///"):
            return Path(self.database_url.removeprefix("sqlite:///"))
        return None

    @property
    def local_url(self) -> str:
        """How a program on this machine reaches the API, whatever `public_url` says."""
        return f"http://{_bracketed(reachable(self.host))}:{self.port}"


def reachable(host: str) -> str:
    """The loopback address for a wildcard bind address, else `host` itself."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - a comparison, nothing is bound


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def default_public_url(host: str, port: int) -> str:
    """The URL that `public_url` stands for when it is empty."""
    return f"http://{_bracketed(reachable(host))}:{port}"
