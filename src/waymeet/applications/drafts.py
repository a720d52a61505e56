"""What a caller sent about an application or a version: each member given, or left out.

Requests are decoded into these as they came; the rules of `rules.py` turn them into settings. A member that is `UNSET`
was not sent: on creation it takes its default, on a change it keeps its value.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "unset"

    def __bool__(self) -> Literal[False]:
        return False


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationDraft:
    """Body of POST and PATCH `/v1/app` (contract 3.1)."""

    name: str | Unset = UNSET
    is_active: bool | None | Unset = UNSET
    is_telemetry_agent_active: bool | None | Unset = UNSET
    image: str | None | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class PortDraft:
    """A port of a version."""

    port: int
    protocol: str
    name: str | None = None
    to_check: bool | None = None
    tls_upgrade: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDraft:
    """Session settings, or a subset of them on a change."""

    kind: str | None | Unset = UNSET
    sockets: int | None | Unset = UNSET
    autodeploy: bool | None | Unset = UNSET
    empty_ttl: int | None | Unset = UNSET
    session_max_duration: int | None | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeDraft:
    """Latency targets in milliseconds."""

    optimal_ping: int
    rejected_ping: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableDraft:
    """An environment variable. `value` is `""` in what a caller read back of a secret one, and then keeps it."""

    key: str
    value: str
    is_secret: bool = False
    """`is_secret` or `is_hidden` of the request: either makes it secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDraft:
    """Body of POST and PATCH `/v1/app/{app}/version` (contract 3.2).

    `None` stands for `null`: it clears what can be absent (see `VersionSettings`) and counts as not sent elsewhere.
    """

    name: str | Unset = UNSET
    is_active: bool | None | Unset = UNSET
    docker_repository: str | None | Unset = UNSET
    docker_image: str | None | Unset = UNSET
    docker_tag: str | None | Unset = UNSET
    private_username: str | None | Unset = UNSET
    private_token: str | None | Unset = UNSET
    req_cpu: int | None | Unset = UNSET
    req_memory: int | None | Unset = UNSET
    req_video: int | None | Unset = UNSET
    max_duration: int | None | Unset = UNSET
    time_to_deploy: int | None | Unset = UNSET
    termination_grace_period_seconds: int | None | Unset = UNSET
    restart_policy: str | None | Unset = UNSET
    verify_image: bool | None | Unset = UNSET
    force_cache: bool | None | Unset = UNSET
    cache_min_hour: int | None | Unset = UNSET
    cache_max_hour: int | None | Unset = UNSET
    enable_all_locations: bool | None | Unset = UNSET
    use_telemetry: bool | None | Unset = UNSET
    inject_context_env: bool | None | Unset = UNSET
    whitelisting_active: bool | None | Unset = UNSET
    session_config: SessionDraft | None | Unset = UNSET
    ports: tuple[PortDraft, ...] | None | Unset = UNSET
    probe: ProbeDraft | None | Unset = UNSET
    envs: tuple[VariableDraft, ...] | None | Unset = UNSET
    endpoint_storage: str | None | Unset = UNSET
    command: str | None | Unset = UNSET
    arguments: str | None | Unset = UNSET
