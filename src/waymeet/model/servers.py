"""Game servers as control plane, nodes and drivers speak of them."""

from dataclasses import dataclass, field
from enum import StrEnum

from waymeet.model.instant import Instant


class PortProtocol(StrEnum):
    """Protocols of a version's ports (contract 3.2)."""

    UDP = "UDP"
    TCP = "TCP"
    TCP_UDP = "TCP/UDP"
    HTTP = "HTTP"
    HTTPS = "HTTPS"
    WS = "WS"
    WSS = "WSS"

    @property
    def uses_udp(self) -> bool:
        return self in (PortProtocol.UDP, PortProtocol.TCP_UDP)

    @property
    def uses_tcp(self) -> bool:
        return self is not PortProtocol.UDP


class RestartPolicy(StrEnum):
    """What happens when a server's process ends by itself."""

    ALWAYS = "always"
    NEVER = "never"
    ON_FAILURE = "on_failure"


@dataclass(frozen=True, slots=True)
class PortRequest:
    """A port that a game server needs. `internal` 0 means one-to-one mapping: any port, same inside and outside."""

    name: str
    internal: int
    protocol: PortProtocol
    to_check: bool = True
    tls_upgrade: bool = False


@dataclass(frozen=True, slots=True)
class PortMapping:
    """A port as it was really opened. `key` is the name, or the internal port in decimal when unnamed (contract 1.10)."""

    key: str
    internal: int
    external: int
    protocol: PortProtocol
    tls_upgrade: bool = False


@dataclass(frozen=True, slots=True)
class RegistryCredentials:
    """How a driver logs in to the image's registry."""

    username: str
    token: str


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One game server that a node is to run: everything a driver needs, decided by the control plane.

    `platform_environment` holds the ARBITRIUM variables that the control plane knows; the node adds those that only it
    knows (public ip, ports, host, beacon). `environment` holds the caller's variables and wins over both (contract 3.10).
    """

    key: str
    repository: str
    image: str
    tag: str
    ports: tuple[PortRequest, ...] = ()
    platform_environment: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    command: str | None = None
    arguments: str | None = None
    restart_policy: RestartPolicy = RestartPolicy.NEVER
    grace_seconds: int = 5
    cpu_units: int = 100
    memory_mb: int = 100
    credentials: RegistryCredentials | None = None


class ServerPhase(StrEnum):
    """What a driver can truthfully say about a server right now."""

    STARTING = "starting"
    """Accepted, being started, or running without answering yet (also while a restart policy starts it again)."""
    READY = "ready"
    """Every port marked `to_check` answers, or the process said that it is ready."""
    STOPPING = "stopping"
    """Told to stop, inside its grace period."""
    ENDED = "ended"
    """No process is left, and none will be started: see `exit_code` and `message`."""


class EndReason(StrEnum):
    """Why a server ended; a closed set, so it can be a metric label."""

    STOPPED = "stopped"
    EXITED = "exited"
    CRASHED = "crashed"
    START_FAILED = "start_failed"
    IMAGE_UNKNOWN = "image_unknown"
    NO_ROOM = "no_room"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class ServerReport:
    """What a node sees of one server. Level, not edge: each report replaces the one before."""

    key: str
    phase: ServerPhase
    public_ip: str = ""
    ports: tuple[PortMapping, ...] = ()
    restart_count: int = 0
    end_reason: EndReason | None = None
    exit_code: int | None = None
    message: str | None = None
    crash_log: str | None = None
    """The last lines the server printed before it ended badly; bounded (see `CRASH_LOG_BYTES`)."""
    spawned_at: Instant | None = None
    ready_at: Instant | None = None


CRASH_LOG_BYTES = 8 * 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """One sample of what a server uses. Totals count from the server's start; a driver that cannot tell leaves `None`."""

    at: Instant
    cpu_fraction: float | None = None
    """Cores in use since the reading before: 1.0 is one whole core."""
    memory_bytes: int | None = None
    disk_read_bytes: int | None = None
    disk_written_bytes: int | None = None
    received_bytes: int | None = None
    transmitted_bytes: int | None = None
