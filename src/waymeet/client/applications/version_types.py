"""What an application version is made of (contract 3.2, 2.1)."""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import UNSET, UnsetType

from waymeet.client.calling.wire import Answer, Body


class Protocol(StrEnum):
    """Protocols of a version's ports."""

    UDP = "UDP"
    TCP = "TCP"
    TCP_UDP = "TCP/UDP"
    HTTP = "HTTP"
    HTTPS = "HTTPS"
    WS = "WS"
    WSS = "WSS"


class SessionKind(StrEnum):
    """What occupies a socket of a deployment: nothing, each user, or each session."""

    DEFAULT = "Default"
    SEAT = "Seat"
    MATCH = "Match"


class Port(Answer, frozen=True, kw_only=True):
    """A port that the game server opens. `port` 0 asks for one-to-one mapping and needs a `name`."""

    port: int
    protocol: str
    to_check: bool = True
    """Whether the server counts as ready only when this port answers."""
    tls_upgrade: bool = False
    name: str = ""


class Probe(Answer, frozen=True, kw_only=True):
    """Latency targets in milliseconds."""

    optimal_ping: int
    rejected_ping: int


class SessionConfig(Answer, frozen=True, kw_only=True, omit_defaults=True):
    """How sessions use a version's deployments. `empty_ttl` and `session_max_duration` in minutes."""

    kind: str
    sockets: int
    autodeploy: bool = False
    """Whether a deployment is started when none can take a session."""
    empty_ttl: int | None = None
    """A deployment without sessions for this long is stopped; `None` for never."""
    session_max_duration: int = 60
    """How long a session can be read after its deployment ended."""


class SessionConfigChange(Body, frozen=True, kw_only=True):
    """What shall change of a version's `SessionConfig`; what is not given stays."""

    kind: str | UnsetType = UNSET
    sockets: int | UnsetType = UNSET
    autodeploy: bool | UnsetType = UNSET
    empty_ttl: int | UnsetType = UNSET
    session_max_duration: int | UnsetType = UNSET


class Variable(Body, frozen=True, kw_only=True):
    """An environment variable for game servers. A hidden one is not shown again by the server."""

    key: str
    value: str
    is_hidden: bool = False


class VersionVariable(Answer, frozen=True, kw_only=True):
    """A version's environment variable as the server shows it: `value` is absent or masked when it is a secret."""

    key: str
    value: str = ""
    is_hidden: bool = False
    is_secret: bool = False


class _VersionSettings(Body, frozen=True, kw_only=True):
    name: str | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    docker_repository: str | UnsetType = UNSET
    docker_image: str | UnsetType = UNSET
    docker_tag: str | UnsetType = UNSET
    private_username: str | UnsetType = UNSET
    private_token: str | UnsetType = UNSET
    req_cpu: int | UnsetType = UNSET
    req_memory: int | UnsetType = UNSET
    req_video: int | UnsetType = UNSET
    max_duration: int | UnsetType = UNSET
    time_to_deploy: int | UnsetType = UNSET
    termination_grace_period_seconds: int | UnsetType = UNSET
    restart_policy: str | UnsetType = UNSET
    verify_image: bool | UnsetType = UNSET
    force_cache: bool | UnsetType = UNSET
    cache_min_hour: int | UnsetType = UNSET
    cache_max_hour: int | UnsetType = UNSET
    enable_all_locations: bool | UnsetType = UNSET
    use_telemetry: bool | UnsetType = UNSET
    whitelisting_active: bool | UnsetType = UNSET
    ports: Sequence[Port] | UnsetType = UNSET
    probe: Probe | UnsetType = UNSET
    envs: Sequence[Variable] | UnsetType = UNSET
    endpoint_storage: str | UnsetType = UNSET
    command: str | None | UnsetType = UNSET
    arguments: str | None | UnsetType = UNSET


class VersionChange(_VersionSettings, frozen=True, kw_only=True):
    """What shall change of a version; what is not given stays. Units and limits as in `Version`."""

    session_config: SessionConfigChange | UnsetType = UNSET


class NewVersion(_VersionSettings, frozen=True, kw_only=True):
    """A version to create. Units and limits as in `Version`; what is not given gets the server's default."""

    name: str
    docker_repository: str
    docker_image: str
    docker_tag: str
    req_cpu: int
    req_memory: int
    session_config: SessionConfig | UnsetType = UNSET


class Version(Answer, frozen=True, kw_only=True):
    """A build of a game and how to run it."""

    name: str
    is_active: bool = True
    """An inactive version takes neither deployments nor sessions."""
    docker_repository: str = ""
    docker_image: str = ""
    docker_tag: str = ""
    private_username: str | None = None
    req_cpu: int = 0
    """1024 is one virtual CPU; at least 100."""
    req_memory: int = 0
    """Megabytes; at least 100."""
    req_video: int = 0
    max_duration: int | None = None
    """Minutes a deployment may live."""
    time_to_deploy: int | None = None
    """Seconds a deployment may take to become ready."""
    termination_grace_period_seconds: int | None = None
    restart_policy: str | None = None
    """`always`, `never` or `on_failure`."""
    verify_image: bool = False
    force_cache: bool = False
    caching_percent: float | None = None
    whitelisting_active: bool = False
    session_config: SessionConfig | None = None
    ports: tuple[Port, ...] = ()
    probe: Probe | None = None
    envs: tuple[VersionVariable, ...] = ()
    endpoint_storage: str | None = None
    command: str | None = None
    arguments: str | None = None
    create_time: str = ""
    last_updated: str = ""
