"""Deployments: a game server that is wanted, and what is seen of it."""

from dataclasses import dataclass, field

from waymeet.model.filters import Filter
from waymeet.model.ids import DeploymentId, NodeName, OrganisationId
from waymeet.model.instant import Instant
from waymeet.model.location import Coordinates, Location
from waymeet.model.servers import PortMapping, ServerSpec
from waymeet.model.states import DeploymentStatus, SessionKind, SessionStatus
from waymeet.placement.explanation import Explanation


@dataclass(frozen=True, slots=True)
class Tag:
    """A mark on a deployment, looked for by selectors."""

    name: str
    created_at: Instant
    updated_at: Instant


@dataclass(frozen=True, slots=True)
class Crash:
    """How a server ended badly."""

    exit_code: int | None
    message: str | None
    restart_count: int
    log: str | None


@dataclass(frozen=True, slots=True)
class DeploymentWebhooks:
    """Where to tell of READY, ERROR and TERMINATED; v1 calls set the first two, v2 calls each by itself."""

    ready: str | None = None
    error: str | None = None
    terminated: str | None = None


@dataclass(frozen=True, slots=True)
class LogStorage:
    """Where the caller wants the logs kept (contract 3.4); recorded and given back."""

    enabled: bool = False
    endpoint_storage: str | None = None


@dataclass(frozen=True, slots=True)
class DeploymentSettings:
    """What was decided about a deployment when it was asked for, and does not change."""

    context_token: str
    security_number: int
    delete_token: str
    access_point_id: int
    max_duration_minutes: int
    time_to_deploy_seconds: int
    whitelisting_active: bool = False
    user_count: int = 0
    webhooks: DeploymentWebhooks = DeploymentWebhooks()
    filters: tuple[Filter, ...] = ()
    log_storage: LogStorage = LogStorage()


@dataclass(frozen=True, slots=True, eq=False)
class DeploymentContext:
    """What sessions and the server itself may know of a deployment (contract 1.10); the part that is read most.

    Compared by identity, so that what is made of one can be remembered by it.
    """

    request_id: DeploymentId
    status: DeploymentStatus
    public_ip: str
    fqdn: str
    ports: tuple[PortMapping, ...] | None
    location: Location
    tags: tuple[Tag, ...]
    kind: SessionKind
    sockets: int | None
    sockets_used: int
    joinable: bool
    whitelisting_active: bool

    @property
    def ready(self) -> bool:
        return self.status is DeploymentStatus.READY

    @property
    def counted_sockets(self) -> tuple[int | None, int | None]:
        """Capacity and usage as shown to callers: none for a version without sessions (contract 2.1)."""
        return (None, None) if self.kind is SessionKind.DEFAULT else (self.sockets, self.sockets_used)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One game server. `wanted` is what its owner asks for, `status` what was last seen."""

    request_id: DeploymentId
    organisation: OrganisationId
    version_id: int
    application_name: str
    version_name: str
    node_name: NodeName
    status: DeploymentStatus
    last_status: DeploymentStatus | None
    wanted: bool
    joinable: bool
    kind: SessionKind
    sockets: int | None
    sockets_used: int
    session_count: int
    location: Location
    public_ip: str
    fqdn: str
    ports: tuple[PortMapping, ...] | None
    server: ServerSpec
    settings: DeploymentSettings
    tags: tuple[Tag, ...]
    crash: Crash | None
    error_detail: str | None
    """Why it failed; before it is ready, what it still waits for as far as its node can tell."""
    created_at: Instant
    starting_since: Instant | None = None
    """Since when the server has been starting: at first, and again after each crash that it is restarted from."""
    ready_at: Instant | None = None
    stopped_at: Instant | None = None
    ended_at: Instant | None = None
    empty_since: Instant | None = None
    empty_ttl_minutes: int | None = None
    due_at: Instant | None = None
    explanation: Explanation | None = None
    """Why it is where it is: written with it, and not read back with it; see `DeploymentRows.explanation`."""

    @property
    def ready(self) -> bool:
        return self.status is DeploymentStatus.READY

    @property
    def accepting(self) -> bool:
        """Whether new sessions may be linked, as far as status and flags go."""
        return self.wanted and self.joinable and (self.status.starting or self.ready)

    @property
    def counted_sockets(self) -> tuple[int | None, int | None]:
        """As `DeploymentContext.counted_sockets`."""
        return self.context.counted_sockets

    @property
    def context(self) -> DeploymentContext:
        """The part that others may know."""
        return DeploymentContext(
            request_id=self.request_id,
            status=self.status,
            public_ip=self.public_ip,
            fqdn=self.fqdn,
            ports=self.ports,
            location=self.location,
            tags=self.tags,
            kind=self.kind,
            sockets=self.sockets,
            sockets_used=self.sockets_used,
            joinable=self.joinable,
            whitelisting_active=self.settings.whitelisting_active,
        )


@dataclass(frozen=True, slots=True)
class LinkedSession:
    """A session as its deployment's status shows it (contract 3.5)."""

    session_id: str
    status: SessionStatus
    kind: SessionKind
    user_count: int


@dataclass(frozen=True, slots=True)
class Player:
    """A player's address, and the place on the map when it is known."""

    ip: str
    coordinates: Coordinates | None = None


@dataclass(frozen=True, slots=True)
class DeploymentRequest:
    """A checked call to start a deployment."""

    application: str
    version: str | None
    players: tuple[Player, ...] = ()
    location: Coordinates | None = None
    filters: tuple[Filter, ...] = ()
    skip_telemetry: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    webhooks: DeploymentWebhooks = DeploymentWebhooks()
    log_storage: LogStorage = LogStorage()
    command: str | None = None
    arguments: str | None = None
    cpu_units: int | None = None
    memory_mb: int | None = None


@dataclass(frozen=True, slots=True)
class QueryFilter:
    """One condition of a list query; `value` is text, a number, a flag, an instant, or a tuple of those."""

    field: str
    operator: str
    value: str | int | bool | tuple[str | int | bool, ...]


@dataclass(frozen=True, slots=True)
class DeploymentQuery:
    """Which deployments to list, and in which order (contract 3.6)."""

    filters: tuple[QueryFilter, ...] = ()
    order_by: tuple[tuple[str, bool], ...] = ()
    """Field and whether it descends."""


@dataclass(frozen=True, slots=True)
class StopResult:
    """What a stop found: the deployment afterwards, and which answer the contract has for it (3.5)."""

    deployment: Deployment
    first: bool
    """True: this call stopped a settled deployment (200). False: it was already on its way or still starting (202)."""
