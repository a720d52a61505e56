"""Applications and their versions."""

from dataclasses import dataclass, field

from waymeet.model.ids import OrganisationId
from waymeet.model.instant import Instant
from waymeet.model.servers import PortRequest, RestartPolicy
from waymeet.model.states import SessionKind
from waymeet.placement.limits import NO_LIMITS, Limits


@dataclass(frozen=True, slots=True)
class Application:
    """A game. Its name is unique within its organisation."""

    id: int
    organisation: OrganisationId
    name: str
    is_active: bool
    is_telemetry_agent_active: bool
    image: str
    created_at: Instant
    updated_at: Instant


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How sessions use a version's deployments (contract 2.1). Minutes."""

    kind: SessionKind = SessionKind.DEFAULT
    sockets: int = 1
    autodeploy: bool = False
    empty_ttl: int | None = None
    session_max_duration: int = 60
    """Despite its name: how long session records are kept after their deployment terminated."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Latency targets in milliseconds."""

    optimal_ping: int
    rejected_ping: int


@dataclass(frozen=True, slots=True)
class EnvironmentVariable:
    """A variable for the game server. A secret one is never shown again."""

    key: str
    value: str
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class VersionSettings:
    """Everything about a version that only its deployments need (contract 3.2)."""

    docker_repository: str
    docker_image: str
    docker_tag: str
    req_cpu: int
    req_memory: int
    req_video: int | None = None
    private_username: str | None = None
    private_token: str | None = None
    max_duration: int = 1440
    """Minutes; 0 and -1 mean unlimited."""
    time_to_deploy: int = 120
    """Seconds from the start of a server until it must answer."""
    termination_grace_period_seconds: int = 5
    restart_policy: RestartPolicy = RestartPolicy.NEVER
    verify_image: bool = False
    force_cache: bool = False
    cache_min_hour: int = 0
    cache_max_hour: int = 0
    enable_all_locations: bool = False
    use_telemetry: bool = True
    inject_context_env: bool = True
    whitelisting_active: bool = False
    session_config: SessionSettings | None = None
    ports: tuple[PortRequest, ...] = ()
    probe: Probe | None = None
    envs: tuple[EnvironmentVariable, ...] = ()
    endpoint_storage: str | None = None
    command: str | None = None
    arguments: str | None = None

    @property
    def sessions(self) -> SessionSettings:
        """The session settings, or those of kind `Default` (no sessions) when there are none."""
        return self.session_config or _NO_SESSIONS

    def limits(self, cap_ms: float | None = None) -> Limits:
        """What the version asks of placement, and what the moment does."""
        if self.probe is None:
            return NO_LIMITS if cap_ms is None else Limits(cap_ms=cap_ms)
        return Limits(self.probe.optimal_ping, self.probe.rejected_ping, cap_ms)


_NO_SESSIONS = SessionSettings()


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an application. `id` is handed out as `app_version` and never used again."""

    id: int
    application_id: int
    organisation: OrganisationId
    application_name: str
    application_is_active: bool
    name: str
    is_active: bool
    settings: VersionSettings
    created_at: Instant
    updated_at: Instant
    settings_mark: str = field(default="", compare=False, repr=False)
    """Of the stored settings: the same mark, the same settings. "" when it was not read from the store."""

    @property
    def deployable(self) -> bool:
        return self.is_active and self.application_is_active


@dataclass(frozen=True, slots=True)
class ApplicationFields:
    """What a caller decides about an application."""

    name: str
    is_active: bool
    is_telemetry_agent_active: bool
    image: str


@dataclass(frozen=True, slots=True)
class VersionFields:
    """What a caller decides about a version."""

    name: str
    is_active: bool
    settings: VersionSettings


@dataclass(frozen=True, slots=True)
class WhitelistEntry:
    """An address range that may reach a version's deployments (contract 3.3)."""

    id: str
    cidr: str
    label: str = ""
    is_active: bool = True
    created_at: Instant = field(default=Instant(0))
