"""What makes a good application, version or access-list entry (contract 3.1 to 3.3). Pure.

Every function collects all that is wrong and raises one `Invalid` whose field paths are those of the request. Readings
of the contract that are decided here:

- A name is 1 to 64 characters of a set that stands unescaped in a URL's path, or needs only `%20`.
- A string sent as `""` counts as not sent (contract 1.3), so a client may send back `""` for what it was not shown.
- `null` clears what can be absent, and counts as not sent elsewhere. On a change `"ports": []` and `"envs": []` remove
  them all: there is no other way to remove the last one.
- A secret variable is shown with the value `""`. Sent back so, it keeps the value that it has.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from waymeet.applications.drafts import (
    UNSET,
    ApplicationDraft,
    PortDraft,
    ProbeDraft,
    SessionDraft,
    Unset,
    VariableDraft,
    VersionDraft,
)
from waymeet.applications.types import (
    ApplicationFields,
    EnvironmentVariable,
    Probe,
    SessionSettings,
    VersionFields,
    VersionSettings,
)
from waymeet.model.errors import Invalid
from waymeet.model.servers import PortProtocol, PortRequest, RestartPolicy
from waymeet.model.states import SessionKind

LONGEST_NAME = 64
LONGEST_IMAGE = 262_144
"""Of an application's picture in base64: 192 KiB of picture."""
LONGEST_REFERENCE = 255
LONGEST_COMMAND = 4096
LONGEST_KEY = 255
LONGEST_VALUE = 4096
LONGEST_LABEL = 255
HIGHEST_PORTS = 64
HIGHEST_VARIABLES = 100
HIGHEST_UNITS = 100_000_000
"""Of req_cpu, req_memory and req_video: far above any machine, and safe in every integer type on the way."""
HIGHEST_SOCKETS = 1_000_000
HIGHEST_MINUTES = 5_256_000
"""Ten years."""
HIGHEST_PING = 1_000_000

_NAME = re.compile(r"[A-Za-z0-9_~+-](?:[A-Za-z0-9 ._~+-]{0,62}[A-Za-z0-9_~+-])?")
_PORT_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9 ._-]{0,62}[A-Za-z0-9_])?")
# How a port's name becomes part of a variable's (contract 3.10).
_NOT_IN_VARIABLES = re.compile(r"[^A-Za-z0-9]")
_REFERENCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:/@+-]*")
_TLS_UPGRADABLE = (PortProtocol.HTTP, PortProtocol.WS)

Value = TypeVar("Value")
Choice = TypeVar("Choice", bound=StrEnum)
Problems = dict[str, str]


@dataclass(frozen=True, slots=True)
class VersionDefaults:
    """What a version gets that names neither: the operator's choice."""

    max_duration: int = 1440
    restart_policy: RestartPolicy = RestartPolicy.NEVER


def application_fields(draft: ApplicationDraft, current: ApplicationFields | None = None) -> ApplicationFields:
    """The fields of a new application, or of `current` after the change. `Invalid` says all that is wrong."""
    problems: Problems = {}
    fields = ApplicationFields(
        name=_name(problems, draft.name, current.name if current else None),
        is_active=_required(problems, "is_active", draft.is_active, current.is_active if current else None, True),
        is_telemetry_agent_active=_given(
            draft.is_telemetry_agent_active, current.is_telemetry_agent_active if current else False
        ),
        # Not one of the texts for which "" means "not sent": the only way to remove a picture, and what plugins send.
        image=_given(draft.image, current.image if current else ""),
    )
    if len(fields.image) > LONGEST_IMAGE or "\0" in fields.image:
        problems["image"] = f"a picture in base64, at most {LONGEST_IMAGE} characters"
    _raise(problems)
    return fields


def version_fields(
    draft: VersionDraft, defaults: VersionDefaults, current: VersionFields | None = None
) -> VersionFields:
    """The fields of a new version, or of `current` after the change. `Invalid` says all that is wrong."""
    problems: Problems = {}
    old = current.settings if current else None
    base = old or VersionSettings(
        "", "", "", 0, 0, max_duration=defaults.max_duration, restart_policy=defaults.restart_policy
    )

    def number(field: str, lowest: int, highest: int) -> int:
        return _number(problems, field, _given(getattr(draft, field), getattr(base, field)), lowest, highest)

    def required_number(field: str, lowest: int, highest: int) -> int:
        value = _required(problems, field, getattr(draft, field), getattr(old, field) if old else None, lowest)
        return _number(problems, field, value, lowest, highest)

    def reference(field: str) -> str:
        return _reference(problems, field, getattr(draft, field), getattr(old, field) if old else None)

    def text(field: str, longest: int) -> str | None:
        return _text(problems, field, getattr(draft, field), getattr(base, field), longest)

    settings = VersionSettings(
        docker_repository=reference("docker_repository"),
        docker_image=reference("docker_image"),
        docker_tag=reference("docker_tag"),
        req_cpu=required_number("req_cpu", 100, HIGHEST_UNITS),
        req_memory=required_number("req_memory", 100, HIGHEST_UNITS),
        req_video=_optional_number(problems, "req_video", draft.req_video, base.req_video, 0, HIGHEST_UNITS),
        private_username=text("private_username", LONGEST_VALUE),
        private_token=text("private_token", LONGEST_VALUE),
        # The operator's default may lie above what a request may ask for.
        max_duration=number("max_duration", -1, max(1440, base.max_duration)),
        time_to_deploy=number("time_to_deploy", 15, 86_400),
        termination_grace_period_seconds=number("termination_grace_period_seconds", 5, 3600),
        restart_policy=_choice(problems, "restart_policy", RestartPolicy, draft.restart_policy, base.restart_policy),
        verify_image=_given(draft.verify_image, base.verify_image),
        force_cache=_given(draft.force_cache, base.force_cache),
        cache_min_hour=number("cache_min_hour", 0, 23),
        cache_max_hour=number("cache_max_hour", 0, 23),
        enable_all_locations=_given(draft.enable_all_locations, base.enable_all_locations),
        use_telemetry=_given(draft.use_telemetry, base.use_telemetry),
        inject_context_env=_given(draft.inject_context_env, base.inject_context_env),
        whitelisting_active=_given(draft.whitelisting_active, base.whitelisting_active),
        session_config=_session_settings(problems, draft.session_config, base.session_config),
        ports=base.ports if draft.ports is None or draft.ports is UNSET else _ports(problems, draft.ports),
        probe=_probe(problems, draft.probe, base.probe),
        envs=base.envs if draft.envs is None or draft.envs is UNSET else _variables(problems, draft.envs, base.envs),
        endpoint_storage=text("endpoint_storage", LONGEST_NAME),
        command=text("command", LONGEST_COMMAND),
        arguments=text("arguments", LONGEST_COMMAND),
    )
    if settings.req_memory > 2 * settings.req_cpu and not {"req_cpu", "req_memory"} & problems.keys():
        problems["req_memory"] = (
            f"at most twice req_cpu, so at most {2 * settings.req_cpu} here; lower it or raise req_cpu"
        )
    fields = VersionFields(
        name=_name(problems, draft.name, current.name if current else None),
        is_active=_given(draft.is_active, current.is_active if current else True),
        settings=settings,
    )
    _raise(problems)
    return fields


def whitelist_cidr(cidr: str, label: str) -> str:
    """The access-list entry's network in its canonical form; a bare address stands for itself alone."""
    problems: Problems = {}
    canonical = ""
    try:
        canonical = str(ipaddress.ip_network(cidr))
    except ValueError:
        problems["cidr"] = "a network such as 203.0.113.0/24 or 2001:db8::/32, or an IP address"
        try:
            meant = ipaddress.ip_network(cidr, strict=False)
        except ValueError:
            pass
        else:
            problems["cidr"] = f"has bits set to the right of its mask; the network is {meant}"
    if len(label) > LONGEST_LABEL or "\0" in label:
        problems["label"] = f"at most {LONGEST_LABEL} characters"
    _raise(problems)
    return canonical


def _raise(problems: Problems) -> None:
    if problems:
        raise Invalid(problems)


def _given(sent: Value | None | Unset, otherwise: Value) -> Value:
    return otherwise if sent is None or isinstance(sent, Unset) else sent


def _required(
    problems: Problems, field: str, sent: Value | None | Unset, current: Value | None, stand_in: Value
) -> Value:
    """The value sent or current; when there is neither, a problem and `stand_in`, so that the check can go on."""
    if sent is not None and not isinstance(sent, Unset):
        return sent
    if current is not None:
        return current
    problems[field] = f"'{field}' is a required property"
    return stand_in


def _name(problems: Problems, sent: str | Unset, current: str | None) -> str:
    name = _required(problems, "name", sent or UNSET, current, "unnamed")
    if _NAME.fullmatch(name) is None:
        problems["name"] = (
            f"1 to {LONGEST_NAME} characters of A-Z a-z 0-9 . _ ~ + - and space, with no dot or space at either end"
        )
    return name


def _reference(problems: Problems, field: str, sent: str | None | Unset, current: str | None) -> str:
    text = _required(problems, field, sent or UNSET, current, "none")
    if len(text) > LONGEST_REFERENCE or _REFERENCE.fullmatch(text) is None:
        problems[field] = (
            f"1 to {LONGEST_REFERENCE} characters of A-Z a-z 0-9 . _ : / @ + -, starting with a letter, a digit or _"
        )
    return text


def _text(problems: Problems, field: str, sent: str | None | Unset, current: str | None, longest: int) -> str | None:
    if isinstance(sent, Unset) or sent == "":
        return current
    if sent is not None and (len(sent) > longest or "\0" in sent):
        problems[field] = f"at most {longest} characters, none of them NUL"
    return sent


def _number(problems: Problems, field: str, value: int, lowest: int, highest: int) -> int:
    if not lowest <= value <= highest:
        problems[field] = f"between {lowest} and {highest}, not {value if abs(value) < 10**18 else 'this'}"
    return value


def _optional_number(
    problems: Problems, field: str, sent: int | None | Unset, current: int | None, lowest: int, highest: int
) -> int | None:
    value = current if isinstance(sent, Unset) else sent
    return None if value is None else _number(problems, field, value, lowest, highest)


def _choice(problems: Problems, field: str, kind: type[Choice], sent: str | None | Unset, otherwise: Choice) -> Choice:
    if not sent:
        return otherwise
    return _member(problems, field, kind, sent, str.lower) or otherwise


def _member(problems: Problems, field: str, kind: type[Choice], sent: str, fold: Callable[[str], str]) -> Choice | None:
    """The member that `sent` names; `fold` brings it to the letter case of the members."""
    try:
        return kind(fold(sent))
    except ValueError:
        problems[field] = f"one of {', '.join(kind)}"
        return None


def _session_settings(
    problems: Problems, sent: SessionDraft | None | Unset, current: SessionSettings | None
) -> SessionSettings | None:
    if isinstance(sent, Unset):
        return current
    if sent is None:
        return None
    base = current or SessionSettings()
    kind = _required(problems, "session_config.kind", sent.kind or UNSET, current.kind if current else None, "Seat")
    sockets = _required(problems, "session_config.sockets", sent.sockets, current.sockets if current else None, 1)
    return SessionSettings(
        kind=_member(problems, "session_config.kind", SessionKind, kind, str.capitalize) or SessionKind.DEFAULT,
        sockets=_number(problems, "session_config.sockets", sockets, 1, HIGHEST_SOCKETS),
        autodeploy=_given(sent.autodeploy, base.autodeploy),
        empty_ttl=_optional_number(
            problems, "session_config.empty_ttl", sent.empty_ttl, base.empty_ttl, 1, HIGHEST_MINUTES
        ),
        session_max_duration=_number(
            problems,
            "session_config.session_max_duration",
            _given(sent.session_max_duration, base.session_max_duration),
            60,
            HIGHEST_MINUTES,
        ),
    )


def _ports(problems: Problems, sent: tuple[PortDraft, ...]) -> tuple[PortRequest, ...]:
    if len(sent) > HIGHEST_PORTS:
        problems["ports"] = f"at most {HIGHEST_PORTS}"
        return ()
    ports: list[PortRequest] = []
    keys: set[str] = set()
    variables: set[str] = set()
    for index, draft in enumerate(sent):
        path = f"ports.{index}"
        name = draft.name or ""
        _number(problems, f"{path}.port", draft.port, 0, 59_999)
        if name and _PORT_NAME.fullmatch(name) is None:
            problems[f"{path}.name"] = (
                f"1 to {LONGEST_NAME} characters of A-Z a-z 0-9 . _ - and space, starting and ending with A-Z a-z 0-9 _"
            )
        elif not name and draft.port == 0:
            problems[f"{path}.name"] = "a port 0 (one-to-one mapping) needs a name"
        # Clients look ports up by this key, so it must mean one of them (contract 1.10).
        key = name or str(draft.port)
        if key in keys:
            problems.setdefault(f"{path}.name", f"'{key}' names two ports; names must differ, also from port numbers")
        keys.add(key)
        variable = _NOT_IN_VARIABLES.sub("_", key).upper()
        if variable in variables:
            problems.setdefault(
                f"{path}.name", f"'{key}' and another port would share the variables ARBITRIUM_PORT_{variable}_*"
            )
        variables.add(variable)
        protocol = _member(problems, f"{path}.protocol", PortProtocol, draft.protocol, str.upper)
        tls_upgrade = bool(draft.tls_upgrade)
        if tls_upgrade and protocol is not None and protocol not in _TLS_UPGRADABLE:
            problems[f"{path}.tls_upgrade"] = f"only for {' and '.join(_TLS_UPGRADABLE)}"
        ports.append(
            PortRequest(
                name=name,
                internal=draft.port,
                protocol=protocol or PortProtocol.UDP,
                to_check=draft.to_check is not False,
                tls_upgrade=tls_upgrade,
            )
        )
    return tuple(ports)


def _probe(problems: Problems, sent: ProbeDraft | None | Unset, current: Probe | None) -> Probe | None:
    if isinstance(sent, Unset):
        return current
    if sent is None:
        return None
    return Probe(
        _number(problems, "probe.optimal_ping", sent.optimal_ping, 1, HIGHEST_PING),
        _number(problems, "probe.rejected_ping", sent.rejected_ping, 1, HIGHEST_PING),
    )


def _variables(
    problems: Problems, sent: tuple[VariableDraft, ...], current: tuple[EnvironmentVariable, ...]
) -> tuple[EnvironmentVariable, ...]:
    if len(sent) > HIGHEST_VARIABLES:
        problems["envs"] = f"at most {HIGHEST_VARIABLES}"
        return ()
    secrets = {variable.key: variable.value for variable in current if variable.is_secret}
    variables: list[EnvironmentVariable] = []
    keys: set[str] = set()
    for index, draft in enumerate(sent):
        path = f"envs.{index}"
        value = draft.value
        if not 1 <= len(draft.key) <= LONGEST_KEY or "=" in draft.key or not draft.key.isprintable():
            problems[f"{path}.key"] = f"1 to {LONGEST_KEY} printable characters without ="
        elif draft.key in keys:
            problems[f"{path}.key"] = f"'{draft.key}' is there twice"
        keys.add(draft.key)
        if value == "" and draft.key in secrets:
            value = secrets[draft.key]
            if not draft.is_secret:
                # Otherwise anyone who may change a version could read its secrets.
                problems[f"{path}.value"] = "needed to make this secret variable a visible one"
        elif len(value) > LONGEST_VALUE or "\0" in value or (draft.is_secret and not value):
            # An empty secret could not be told from one that is sent back as it was shown.
            fewest = 1 if draft.is_secret else 0
            problems[f"{path}.value"] = f"{fewest} to {LONGEST_VALUE} characters, none of them NUL"
        variables.append(EnvironmentVariable(draft.key, value, draft.is_secret))
    return tuple(variables)
