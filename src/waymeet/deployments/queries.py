"""Checking the `query` of the deployments list (contract 3.6)."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from waymeet.deployments.types import DeploymentQuery, QueryFilter
from waymeet.model.errors import Invalid
from waymeet.model.states import DeploymentStatus

FIELDS = (
    "status",
    "request_id",
    "tags",
    "created_at",
    "application",
    "version",
    "is_joinable_by_session",
    "available_session_sockets",
)
OPERATORS = ("eq", "neq", "in", "nin", "lt", "lte", "gt", "gte")
ORDER_FIELDS = ("created_at", "available_session_sockets")
HIGHEST_CONDITIONS = 16
HIGHEST_VALUES = 100
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,10}")
_ORDERED = ("created_at", "available_session_sockets")


def checked_query(document: Any) -> DeploymentQuery:
    """The query in a decoded JSON document; `Invalid` names the member that is wrong."""
    if not isinstance(document, Mapping):
        raise Invalid(
            {"query": 'a JSON object such as {"filters": [{"field": "status", "operator": "eq", "value": "ready"}]}'}
        )
    filters = _list(document, "filters")
    order_by = _list(document, "order_by")
    return DeploymentQuery(
        tuple(_filter(entry, f"query.filters.{index}") for index, entry in enumerate(filters)),
        tuple(_order(entry, f"query.order_by.{index}") for index, entry in enumerate(order_by)),
    )


def _list(document: Mapping[str, Any], member: str) -> Sequence[Any]:
    value = document.get(member)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > HIGHEST_CONDITIONS:
        raise Invalid({f"query.{member}": f"a list of at most {HIGHEST_CONDITIONS} objects"})
    return value


def _filter(entry: Any, path: str) -> QueryFilter:
    if not isinstance(entry, Mapping):
        raise Invalid({path: "an object with field, operator and value"})
    name, operator, value = entry.get("field"), entry.get("operator"), entry.get("value")
    if name not in FIELDS:
        raise Invalid({f"{path}.field": f"use one of: {', '.join(FIELDS)}"})
    if operator not in OPERATORS:
        raise Invalid({f"{path}.operator": f"use one of: {', '.join(OPERATORS)}"})
    if operator in ("lt", "lte", "gt", "gte") and name not in _ORDERED:
        raise Invalid({f"{path}.operator": f"'{name}' has no order; use eq, neq, in or nin"})
    if operator in ("in", "nin"):
        if not isinstance(value, list) or not 1 <= len(value) <= HIGHEST_VALUES:
            raise Invalid({f"{path}.value": f"'{operator}' takes a list of 1 to {HIGHEST_VALUES} values"})
        return QueryFilter(name, operator, tuple(_value(name, each, path) for each in value))
    return QueryFilter(name, operator, _value(name, value, path))


def _value(name: str, value: Any, path: str) -> str | int | bool:
    here = f"{path}.value"
    match name:
        case "is_joinable_by_session":
            if not isinstance(value, bool):
                raise Invalid({here: "true or false"})
            return value
        case "available_session_sockets":
            if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
                value = int(value)  # Some clients send numbers as text (contract 1.3).
            if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**31 - 1:
                raise Invalid({here: "a whole number"})
            return value
        case "created_at":
            return _instant(value, here)
        case "status":
            word = value.removeprefix("Status.").upper() if isinstance(value, str) else ""
            if word not in DeploymentStatus.__members__:
                raise Invalid({here: f"one of: {', '.join(name.lower() for name in DeploymentStatus.__members__)}"})
            return word
        case _:
            if not isinstance(value, str) or len(value) > 255:
                raise Invalid({here: "text of at most 255 characters"})
            return value


def _instant(value: Any, path: str) -> int:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Invalid({path: "a time such as 2025-07-01 12:00:28"}) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)


def _order(entry: Any, path: str) -> tuple[str, bool]:
    if not isinstance(entry, Mapping) or entry.get("field") not in ORDER_FIELDS:
        raise Invalid({f"{path}.field": f"use one of: {', '.join(ORDER_FIELDS)}"})
    if entry.get("order", "asc") not in ("asc", "desc"):
        raise Invalid({f"{path}.order": "asc or desc"})
    return entry["field"], entry.get("order", "asc") == "desc"
