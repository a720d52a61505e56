"""What application versions look like on the wire (contract 3.2), and how requests become drafts.

The limits are those of `waymeet.applications.rules`: here members only have their types, so that the rules can name
everything that is wrong at once.
"""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from waymeet.applications.drafts import PortDraft, ProbeDraft, SessionDraft, VariableDraft, VersionDraft
from waymeet.applications.types import SessionSettings, Version
from waymeet.http.v1.objects import sent_members
from waymeet.model.instant import v1_timestamp
from waymeet.model.servers import PortRequest

Minutes = Annotated[int, Meta(description="Minutes.")]
Milliseconds = Annotated[int, Meta(description="Milliseconds.")]
Seconds = Annotated[int, Meta(description="Seconds.")]
Units = Annotated[int, Meta(description="1024 is one whole.")]
Megabytes = Annotated[int, Meta(description="Megabytes.")]


class RequestedPort(Struct, frozen=True, kw_only=True):
    port: int
    protocol: str
    to_check: bool | None = None
    tls_upgrade: bool | None = None
    name: str | None = None


class RequestedSessions(Struct, frozen=True, kw_only=True):
    kind: str | None | UnsetType = UNSET
    sockets: int | None | UnsetType = UNSET
    autodeploy: bool | None | UnsetType = UNSET
    empty_ttl: Minutes | None | UnsetType = UNSET
    session_max_duration: Minutes | None | UnsetType = UNSET


class RequestedProbe(Struct, frozen=True, kw_only=True):
    optimal_ping: Milliseconds
    rejected_ping: Milliseconds


class RequestedVariable(Struct, frozen=True, kw_only=True):
    """A variable. One that is secret or hidden, which is the same, is never shown; its value "" keeps what it has."""

    key: str
    value: str = ""
    is_secret: bool = False
    is_hidden: bool = False


class VersionChange(Struct, frozen=True, kw_only=True):
    """What shall change; what is not sent stays, and null takes away what can be absent."""

    name: str | UnsetType = UNSET
    is_active: bool | None | UnsetType = UNSET
    docker_repository: str | None | UnsetType = UNSET
    docker_image: str | None | UnsetType = UNSET
    docker_tag: str | None | UnsetType = UNSET
    private_username: str | None | UnsetType = UNSET
    private_token: str | None | UnsetType = UNSET
    req_cpu: Units | None | UnsetType = UNSET
    req_memory: Megabytes | None | UnsetType = UNSET
    req_video: Units | None | UnsetType = UNSET
    max_duration: Minutes | None | UnsetType = UNSET
    time_to_deploy: Seconds | None | UnsetType = UNSET
    termination_grace_period_seconds: Seconds | None | UnsetType = UNSET
    restart_policy: str | None | UnsetType = UNSET
    verify_image: bool | None | UnsetType = UNSET
    force_cache: bool | None | UnsetType = UNSET
    cache_min_hour: int | None | UnsetType = UNSET
    cache_max_hour: int | None | UnsetType = UNSET
    enable_all_locations: bool | None | UnsetType = UNSET
    use_telemetry: bool | None | UnsetType = UNSET
    inject_context_env: bool | None | UnsetType = UNSET
    whitelisting_active: bool | None | UnsetType = UNSET
    session_config: RequestedSessions | None | UnsetType = UNSET
    ports: list[RequestedPort] | None | UnsetType = UNSET
    probe: RequestedProbe | None | UnsetType = UNSET
    envs: list[RequestedVariable] | None | UnsetType = UNSET
    endpoint_storage: str | None | UnsetType = UNSET
    command: str | None | UnsetType = UNSET
    arguments: str | None | UnsetType = UNSET


class NewVersion(VersionChange, frozen=True, kw_only=True):
    """A version to create."""

    name: str
    docker_repository: str
    docker_image: str
    docker_tag: str
    req_cpu: Units
    req_memory: Megabytes


class VersionPort(Struct, frozen=True, kw_only=True):
    port: int
    protocol: str
    to_check: bool
    tls_upgrade: bool
    name: str


class VersionSessions(Struct, frozen=True, kw_only=True):
    kind: str
    sockets: int
    autodeploy: bool
    empty_ttl: Minutes | None
    session_max_duration: Minutes


class VersionProbe(Struct, frozen=True, kw_only=True):
    optimal_ping: Milliseconds
    rejected_ping: Milliseconds


class VersionVariable(Struct, frozen=True, kw_only=True):
    """A variable; `value` is "" when it is secret."""

    key: str
    value: str
    is_secret: bool
    is_hidden: bool


class VersionBody(Struct, frozen=True, kw_only=True):
    """A version. `private_token` is "" when there is one: sent back so, it keeps its value."""

    name: str
    is_active: bool
    docker_repository: str
    docker_image: str
    docker_tag: str
    private_username: str | None
    private_token: str | None
    req_cpu: Units
    req_memory: Megabytes
    req_video: Units
    max_duration: Minutes
    time_to_deploy: Seconds
    termination_grace_period_seconds: Seconds
    restart_policy: str
    verify_image: bool
    force_cache: bool
    cache_min_hour: int
    cache_max_hour: int
    enable_all_locations: bool
    use_telemetry: bool
    inject_context_env: bool
    caching_percent: float
    whitelisting_active: bool
    session_config: VersionSessions | None
    ports: list[VersionPort]
    probe: VersionProbe | None
    envs: list[VersionVariable]
    endpoint_storage: str | None
    command: str | None
    arguments: str | None
    create_time: str
    last_updated: str


def version_draft(body: VersionChange) -> VersionDraft:
    """What was sent about a version, for the rules to check."""
    members: dict[str, Any] = sent_members(body)
    if body.session_config:
        members["session_config"] = SessionDraft(**sent_members(body.session_config))
    if body.probe:
        members["probe"] = ProbeDraft(**sent_members(body.probe))
    if isinstance(body.ports, list):
        members["ports"] = tuple(PortDraft(**sent_members(port)) for port in body.ports)
    if isinstance(body.envs, list):
        members["envs"] = tuple(
            VariableDraft(key=entry.key, value=entry.value, is_secret=entry.is_secret or entry.is_hidden)
            for entry in body.envs
        )
    return VersionDraft(**members)


def version_body(version: Version) -> VersionBody:
    settings = version.settings
    return VersionBody(
        name=version.name,
        is_active=version.is_active,
        docker_repository=settings.docker_repository,
        docker_image=settings.docker_image,
        docker_tag=settings.docker_tag,
        private_username=settings.private_username,
        private_token=None if settings.private_token is None else "",
        req_cpu=settings.req_cpu,
        req_memory=settings.req_memory,
        req_video=settings.req_video or 0,
        max_duration=settings.max_duration,
        time_to_deploy=settings.time_to_deploy,
        termination_grace_period_seconds=settings.termination_grace_period_seconds,
        restart_policy=settings.restart_policy.value,
        verify_image=settings.verify_image,
        force_cache=settings.force_cache,
        cache_min_hour=settings.cache_min_hour,
        cache_max_hour=settings.cache_max_hour,
        enable_all_locations=settings.enable_all_locations,
        use_telemetry=settings.use_telemetry,
        inject_context_env=settings.inject_context_env,
        # Nothing here caches images ahead of deployments.
        caching_percent=0.0,
        whitelisting_active=settings.whitelisting_active,
        session_config=None if settings.session_config is None else _sessions(settings.session_config),
        ports=[_port(port) for port in settings.ports],
        probe=(
            None
            if settings.probe is None
            else VersionProbe(optimal_ping=settings.probe.optimal_ping, rejected_ping=settings.probe.rejected_ping)
        ),
        envs=[
            VersionVariable(
                key=entry.key,
                value="" if entry.is_secret else entry.value,
                is_secret=entry.is_secret,
                is_hidden=entry.is_secret,
            )
            for entry in settings.envs
        ],
        endpoint_storage=settings.endpoint_storage,
        command=settings.command,
        arguments=settings.arguments,
        create_time=v1_timestamp(version.created_at),
        last_updated=v1_timestamp(version.updated_at),
    )


def _sessions(settings: SessionSettings) -> VersionSessions:
    return VersionSessions(
        kind=settings.kind.value,
        sockets=settings.sockets,
        autodeploy=settings.autodeploy,
        empty_ttl=settings.empty_ttl,
        session_max_duration=settings.session_max_duration,
    )


def _port(port: PortRequest) -> VersionPort:
    return VersionPort(
        port=port.internal,
        protocol=port.protocol.value,
        to_check=port.to_check,
        tls_upgrade=port.tls_upgrade,
        name=port.name,
    )
