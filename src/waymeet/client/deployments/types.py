"""What the server says about deployments (contract 1.10, 3.4 to 3.6)."""

from enum import StrEnum

from msgspec import field

from waymeet.client.calling.wire import Answer
from waymeet.client.locations.types import Location


class DeploymentStatus(StrEnum):
    """Where a deployment stands, as `Deployment.status` writes it. A newer server may use further words."""

    INITIALIZING = "INITIALIZING"
    SEEKING = "SEEKING"
    SEEKED = "SEEKED"
    SCANNING = "SCANNING"
    DEPLOYING = "DEPLOYING"
    READY = "READY"
    TERMINATING = "TERMINATING"
    TERMINATED = "TERMINATED"
    ERROR = "ERROR"


class PortMapping(Answer, frozen=True, kw_only=True):
    """A port of a game server as it was really opened; players use `external`."""

    external: int
    internal: int = 0
    protocol: str = ""
    name: str = ""
    tls_upgrade: bool = False
    link: str = ""
    """`host:external`, with a scheme for HTTP and WebSocket ports."""
    proxy: int = 0


class DeploymentContext(Answer, frozen=True, kw_only=True, rename={"status_text": "status"}):
    """A deployment as sessions and the game server itself see it."""

    request_id: str
    public_ip: str = ""
    """Empty until known."""
    status_text: str = ""
    """As the server writes it, `Status.READY`."""
    ready: bool = False
    whitelisting_active: bool = False
    fqdn: str = ""
    ports: dict[str, PortMapping] = field(default_factory=dict)
    """By the port's name, or its internal number when it has none; empty until the ports are open."""
    location: Location | None = None
    tags: tuple[str, ...] = ()
    sockets: int | None = None
    """Room for users or sessions; `None` when the version has no sessions."""
    sockets_usage: int | None = None
    is_joinable_by_session: bool = True

    @property
    def status(self) -> str:
        """A `DeploymentStatus` word, such as `READY`."""
        return _bare(self.status_text)


class LinkedSession(Answer, frozen=True, kw_only=True):
    """A session as its deployment shows it."""

    session_id: str
    status: str = ""
    ready: bool = False
    linked: bool = False
    kind: str = ""
    user_count: int = 0


class Deployment(Answer, frozen=True, kw_only=True, rename={"status_text": "current_status"}):
    """A deployment's status. `elapsed_time` in seconds, `max_duration` in minutes."""

    request_id: str
    fqdn: str = ""
    app_name: str = ""
    app_version: str = ""
    status_text: str = ""
    """As the server writes it, `Status.READY`."""
    running: bool = False
    whitelisting_active: bool = False
    start_time: str = ""
    removal_time: str | None = None
    elapsed_time: int = 0
    last_status: str | None = None
    error: bool = False
    error_detail: str | None = None
    ports: dict[str, PortMapping] = field(default_factory=dict)
    public_ip: str = ""
    sessions: tuple[LinkedSession, ...] = ()
    location: Location | None = None
    tags: tuple[str, ...] = ()
    command: str | None = None
    arguments: str | None = None
    sockets: int | None = None
    sockets_usage: int | None = None
    max_duration: int | None = None

    @property
    def status(self) -> str:
        """A `DeploymentStatus` word, such as `READY`."""
        return _bare(self.status_text)


class DeploymentSummary(Answer, frozen=True, kw_only=True, rename={"status_text": "status"}):
    """A deployment as the list shows it."""

    request_id: str
    fqdn: str = ""
    start_time: str = ""
    ready: bool = False
    public_ip: str = ""
    ports: dict[str, PortMapping] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    sockets: int | None = None
    sockets_usage: int | None = None
    is_joinable_by_session: bool = True
    status_text: str = ""
    """As the server writes it, `Status.READY`."""

    @property
    def status(self) -> str:
        """A `DeploymentStatus` word, such as `READY`; empty when the server's list does not say."""
        return _bare(self.status_text)


class Deployed(Answer, frozen=True, kw_only=True):
    """The answer to a deploy call: what was accepted. Places are known only when the server chose at once."""

    request_id: str
    request_dns: str = ""
    request_app: str = ""
    request_version: str = ""
    request_user_count: int = 0
    city: str | None = None
    country: str | None = None
    continent: str | None = None
    administrative_division: str | None = None
    tags: tuple[str, ...] = ()


class Stopping(Answer, frozen=True, kw_only=True):
    """The answer to a stop: what will happen, and the deployment as it was when this was the first stop."""

    message: str = ""
    deployment_summary: Deployment | None = None


class CrashReport(Answer, frozen=True, kw_only=True):
    """How a game server ended last."""

    exit_code: int | None = None
    message: str | None = None
    restart_count: int = 0


class ContainerLogs(Answer, frozen=True, kw_only=True):
    """What a game server printed."""

    logs: str = ""
    encoding: str = "utf-8"
    crash_logs: str | None = None
    crash_data: CrashReport | None = None
    logs_link: str | None = None
    """Where older logs are stored, when they are."""


class Series(Answer, frozen=True, kw_only=True):
    """Readings over time: `datasets[i]` was taken at `timestamps[i]` (UTC); `None` where there is no reading."""

    labels: tuple[str, ...] = ()
    datasets: tuple[float | None, ...] = ()
    timestamps: tuple[str, ...] = ()


class Totals(Answer, frozen=True, kw_only=True):
    """Bytes since the game server's start."""

    receive_total: Series = Series()
    transmit_total: Series = Series()
    disk_read_total: Series = Series()
    disk_write_total: Series = Series()


class Traffic(Answer, frozen=True, kw_only=True):
    """Bytes per step."""

    receive: Series = Series()
    transmit: Series = Series()


class Metrics(Answer, frozen=True, kw_only=True):
    """What a game server uses."""

    total: Totals = Totals()
    cpu: Series = Series()
    mem: Series = Series()
    network: Traffic = Traffic()
    cpu_throttle_rate: Series | None = None
    cpu_throttle_total: Series | None = None


class Tag(Answer, frozen=True, kw_only=True):
    """A deployment's tag."""

    name: str
    create_time: str = ""
    last_updated: str = ""


def _bare(status: str) -> str:
    # The contract's prefix is exactly seven characters (contract 3.4).
    return status.removeprefix("Status.")
