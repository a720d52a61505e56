"""The contract's objects as shapes: exactly these members, of exactly these types.

A shape is a type (matched exactly: `True` is no `int`), a pattern that a whole string must match, a list of one shape, a
mapping of members to shapes, or `either`, `each`, `one_of`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Shape = Any


@dataclass(frozen=True)
class Either:
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class Each:
    """A JSON object with any names, each of whose values has the shape."""

    shape: Shape


@dataclass(frozen=True)
class OneOf:
    values: tuple[object, ...]


def either(*shapes: Shape) -> Either:
    return Either(shapes)


def or_null(shape: Shape) -> Either:
    return Either((shape, None))


def one_of(*values: object) -> OneOf:
    return OneOf(values)


def misfit(value: Any, shape: Shape, path: str = "$") -> str | None:
    """Where and how `value` differs from `shape`; `None` when it does not."""
    match shape:
        case None:
            return None if value is None else f"{path}: {value!r} is not null"
        case type():
            return None if type(value) is shape else f"{path}: {value!r} is no {shape.__name__}"
        case re.Pattern():
            fits = isinstance(value, str) and shape.fullmatch(value) is not None
            return None if fits else f"{path}: {value!r} is not of the form {shape.pattern}"
        case Either(shapes):
            problems = [misfit(value, one, path) for one in shapes]
            return None if None in problems else "; ".join(problem for problem in problems if problem)
        case Each(inner):
            if not isinstance(value, dict):
                return f"{path}: {value!r} is no object"
            return _first(misfit(item, inner, f"{path}.{name}") for name, item in value.items())
        case OneOf(values):
            fits = any(type(value) is type(one) and value == one for one in values)
            return None if fits else f"{path}: {value!r} is none of {values}"
        case [inner]:
            if not isinstance(value, list):
                return f"{path}: {value!r} is no list"
            return _first(misfit(item, inner, f"{path}[{index}]") for index, item in enumerate(value))
        case Mapping():
            if not isinstance(value, dict):
                return f"{path}: {value!r} is no object"
            if missing := shape.keys() - value.keys():
                return f"{path}: {sorted(missing)} missing from {value!r}"
            if extra := value.keys() - shape.keys():
                return f"{path}: {sorted(extra)} not expected in {value!r}"
            return _first(misfit(value[name], inner, f"{path}.{name}") for name, inner in shape.items())
    raise TypeError(f"{shape!r} is no shape")


def _first(problems: Any) -> str | None:
    return next((problem for problem in problems if problem), None)


def assert_fits(value: Any, shape: Shape) -> None:
    problem = misfit(value, shape)
    assert problem is None, problem


NUMBER = either(int, float)
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")
METRICS_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}")
REQUEST_ID = re.compile(r"[0-9a-f]{12}")
SESSION_ID = re.compile(r"[0-9a-f]{12}-S")
TOKEN = re.compile(r"[0-9a-f]{32}")
TEXT = re.compile(r".+", re.DOTALL)
DEPLOYMENT_STATUS = re.compile(
    r"Status\.(INITIALIZING|SEEKING|SEEKED|SCANNING|DEPLOYING|READY|TERMINATING|TERMINATED|ERROR)"
)
SESSION_STATUS = one_of(
    "Initializing", "Seeking", "Waiting", "Ready", "Error", "Unprocessable", "Terminating", "Terminated"
)
KIND = one_of("Default", "Seat", "Match")

ERROR = {"message": TEXT}
FIELD_ERRORS = {"message": TEXT, "errors": Each(TEXT)}

LOCATION = {
    "city": str,
    "country": str,
    "continent": str,
    "administrative_division": str,
    "timezone": str,
    "latitude": NUMBER,
    "longitude": NUMBER,
}
USER = {"ip": TEXT, "latitude": or_null(NUMBER), "longitude": or_null(NUMBER)}
PORT = {
    "external": int,
    "internal": int,
    "protocol": one_of("UDP", "TCP", "TCP/UDP", "HTTP", "HTTPS", "WS", "WSS"),
    "name": TEXT,
    "tls_upgrade": bool,
    "link": TEXT,
    "proxy": int,
}
CONTEXT = {
    "request_id": REQUEST_ID,
    "public_ip": str,
    "status": DEPLOYMENT_STATUS,
    "ready": bool,
    "whitelisting_active": bool,
    "fqdn": TEXT,
    "ports": or_null(Each(PORT)),
    "location": or_null(LOCATION),
    "tags": [str],
    "sockets": or_null(int),
    "sockets_usage": or_null(int),
    "is_joinable_by_session": bool,
}
SELECTOR = {"tag": TEXT, "tag_only": bool, "env": or_null({"key": TEXT, "value": TEXT})}
SESSION_CREATED = {
    "session_id": SESSION_ID,
    "custom_id": None,
    "app": TEXT,
    "version": TEXT,
    "deployment_request_id": or_null(REQUEST_ID),
    "selectors": [SELECTOR],
    "webhook_url": or_null(str),
}
SESSION_BRIEF = {
    "session_id": SESSION_ID,
    "custom_id": None,
    "status": SESSION_STATUS,
    "ready": bool,
    "linked": bool,
    "kind": KIND,
    "user_count": int,
    "deployment_request_id": or_null(REQUEST_ID),
    "webhook_url": or_null(str),
}
SESSION = SESSION_BRIEF | {
    "app_version": int,
    "create_time": TIMESTAMP,
    "elapsed": int,
    "error": or_null(TEXT),
    "session_users": [USER],
    "session_ips": [USER],
    "deployment": or_null(CONTEXT),
}
PAGINATION = {
    "number": int,
    "next_page_number": or_null(int),
    "previous_page_number": or_null(int),
    "paginator": {"num_pages": int},
    "has_next": bool,
    "has_previous": bool,
}
ONLY_PAGE = {
    "number": 1,
    "next_page_number": None,
    "previous_page_number": None,
    "paginator": {"num_pages": 1},
    "has_next": False,
    "has_previous": False,
}
"""The value of `pagination` when everything fits on the first page."""
SESSION_LIST = {"data": [SESSION_BRIEF], "total_count": int, "pagination": PAGINATION}
SESSION_DELETED = {"message": TEXT, "session_id": SESSION_ID, "custom_id": None}

APPLICATION = {
    "name": TEXT,
    "is_active": bool,
    "is_telemetry_agent_active": bool,
    "image": str,
    "create_time": TIMESTAMP,
    "last_updated": TIMESTAMP,
}
VERSION = {
    "name": TEXT,
    "is_active": bool,
    "docker_repository": TEXT,
    "docker_image": TEXT,
    "docker_tag": TEXT,
    "private_username": or_null(str),
    "private_token": or_null(str),
    "req_cpu": int,
    "req_memory": int,
    "req_video": int,
    "max_duration": int,
    "time_to_deploy": int,
    "termination_grace_period_seconds": int,
    "restart_policy": one_of("always", "never", "on_failure"),
    "verify_image": bool,
    "force_cache": bool,
    "cache_min_hour": int,
    "cache_max_hour": int,
    "enable_all_locations": bool,
    "use_telemetry": bool,
    "inject_context_env": bool,
    "caching_percent": NUMBER,
    "whitelisting_active": bool,
    "session_config": or_null(
        {
            "kind": KIND,
            "sockets": int,
            "autodeploy": bool,
            "empty_ttl": or_null(int),
            "session_max_duration": int,
        }
    ),
    "ports": [
        {"port": int, "protocol": TEXT, "to_check": bool, "tls_upgrade": bool, "name": str},
    ],
    "probe": or_null({"optimal_ping": int, "rejected_ping": int}),
    "envs": [{"key": TEXT, "value": str, "is_secret": bool, "is_hidden": bool}],
    "endpoint_storage": or_null(str),
    "command": or_null(str),
    "arguments": or_null(str),
    "create_time": TIMESTAMP,
    "last_updated": TIMESTAMP,
}
VERSION_SAVED = {"success": one_of(True), "version": VERSION}
WHITELIST_ENTRY = {"id": TEXT, "cidr": TEXT, "label": str, "is_active": bool}

FILTER = {"field": TEXT, "values": [str], "filter_type": one_of("any", "all", "not")}
DEPLOYED = {
    "request_id": REQUEST_ID,
    "request_dns": TEXT,
    "request_app": TEXT,
    "request_version": TEXT,
    "request_user_count": int,
    "city": or_null(str),
    "country": or_null(str),
    "continent": or_null(str),
    "administrative_division": or_null(str),
    "tags": [str],
    "filters": [FILTER],
    "container_log_storage": {"enabled": bool, "endpoint_storage": or_null(str)},
}
LINKED_SESSION = {
    "session_id": SESSION_ID,
    "status": SESSION_STATUS,
    "ready": bool,
    "linked": bool,
    "kind": KIND,
    "user_count": int,
}
STATUS = {
    "request_id": REQUEST_ID,
    "fqdn": TEXT,
    "app_name": TEXT,
    "app_version": TEXT,
    "current_status": DEPLOYMENT_STATUS,
    "running": bool,
    "whitelisting_active": bool,
    "start_time": TIMESTAMP,
    "removal_time": or_null(TIMESTAMP),
    "elapsed_time": int,
    "last_status": or_null(DEPLOYMENT_STATUS),
    "error": bool,
    "error_detail": or_null(TEXT),
    "ports": or_null(Each(PORT)),
    "public_ip": str,
    "sessions": [LINKED_SESSION],
    "location": LOCATION,
    "tags": [str],
    "command": or_null(str),
    "arguments": or_null(str),
    "sockets": or_null(int),
    "sockets_usage": or_null(int),
    "max_duration": int,
}
STOPPED = {"message": TEXT, "deployment_summary": STATUS}
DEPLOYMENT_BRIEF = {
    "request_id": REQUEST_ID,
    "fqdn": TEXT,
    "start_time": TIMESTAMP,
    "ready": bool,
    "status": DEPLOYMENT_STATUS,
    "public_ip": str,
    "ports": or_null(Each(PORT)),
    "tags": [str],
    "sockets": or_null(int),
    "sockets_usage": or_null(int),
    "is_joinable_by_session": bool,
}
DEPLOYMENT_LIST = {"data": [DEPLOYMENT_BRIEF], "total_count": int, "pagination": PAGINATION, "message": [str]}
TAG = {"name": TEXT, "create_time": TIMESTAMP, "last_updated": TIMESTAMP}
TAG_LIST = {"tags": [TAG], "count": int, "total_count": int, "pagination": PAGINATION}
LOGS = {
    "logs": str,
    "encoding": one_of("utf-8"),
    "crash_logs": or_null(str),
    "crash_data": or_null({"exit_code": or_null(int), "message": or_null(str), "restart_count": int}),
    "logs_link": or_null(str),
}
SERIES = {"labels": [str], "datasets": [NUMBER], "timestamps": [METRICS_TIMESTAMP]}
METRICS = {
    "total": dict.fromkeys(("receive_total", "transmit_total", "disk_read_total", "disk_write_total"), SERIES),
    "cpu": SERIES,
    "mem": SERIES,
    "network": {"receive": SERIES, "transmit": SERIES},
    "cpu_throttle_rate": SERIES,
    "cpu_throttle_total": SERIES,
}
LOCATIONS = {
    "locations": [LOCATION | {"type": one_of("standard"), "tags": [{"key": TEXT, "value": str}]}],
    "messages": [str],
    "total_count": int,
    "pagination": PAGINATION,
}
