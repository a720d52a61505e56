"""Which deployments a list shows, and in what order (contract 3.6)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from waymeet.client.calling import wire


class DeploymentField(StrEnum):
    """What a deployment list can be narrowed by."""

    STATUS = "status"
    REQUEST_ID = "request_id"
    TAGS = "tags"
    CREATED_AT = "created_at"
    APPLICATION = "application"
    VERSION = "version"
    IS_JOINABLE_BY_SESSION = "is_joinable_by_session"
    AVAILABLE_SESSION_SOCKETS = "available_session_sockets"


class Operator(StrEnum):
    """How a field is compared. `IN` and `NIN` take a list of values."""

    EQ = "eq"
    NEQ = "neq"
    IN = "in"
    NIN = "nin"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"


@dataclass(frozen=True, slots=True)
class DeploymentQuery:
    """A query, built up step by step; each step gives a new one.

    DeploymentQuery().application("arena").status("ready").free_sockets(at_least=2).newest_first()
    """

    filters: tuple[dict[str, Any], ...] = ()
    order: tuple[dict[str, str], ...] = ()

    def where(
        self, field: DeploymentField, operator: Operator, value: str | int | bool | Sequence[str]
    ) -> "DeploymentQuery":
        """Narrowed by one more condition; all of them must hold."""
        listed = not isinstance(value, str | int)
        if listed != (operator in (Operator.IN, Operator.NIN)):
            raise ValueError(f"{operator.value} on {field.value} takes {'one value' if listed else 'a list of values'}")
        condition = {"field": field.value, "operator": operator.value, "value": value}
        return replace(self, filters=(*self.filters, condition))

    def status(self, *words: str) -> "DeploymentQuery":
        """Only deployments in one of these states, such as `ready`."""
        return self._one_of(DeploymentField.STATUS, tuple(word.lower() for word in words))

    def request_id(self, *request_ids: str) -> "DeploymentQuery":
        """Only these deployments."""
        return self._one_of(DeploymentField.REQUEST_ID, request_ids)

    def tagged(self, *tags: str) -> "DeploymentQuery":
        """Only deployments with at least one of these tags."""
        return self._one_of(DeploymentField.TAGS, tags)

    def application(self, *names: str) -> "DeploymentQuery":
        """Only deployments of these applications."""
        return self._one_of(DeploymentField.APPLICATION, names)

    def version(self, *names: str) -> "DeploymentQuery":
        """Only deployments of versions with these names."""
        return self._one_of(DeploymentField.VERSION, names)

    def joinable(self, is_joinable: bool = True) -> "DeploymentQuery":
        """Only deployments that take new sessions, or only those that do not."""
        return self.where(DeploymentField.IS_JOINABLE_BY_SESSION, Operator.EQ, is_joinable)

    def free_sockets(self, at_least: int) -> "DeploymentQuery":
        """Only deployments with this much room left."""
        return self.where(DeploymentField.AVAILABLE_SESSION_SOCKETS, Operator.GTE, at_least)

    def newest_first(self) -> "DeploymentQuery":
        """Ordered by creation, the newest first."""
        return self._ordered(DeploymentField.CREATED_AT, "desc")

    def oldest_first(self) -> "DeploymentQuery":
        """Ordered by creation, the oldest first."""
        return self._ordered(DeploymentField.CREATED_AT, "asc")

    def fullest_first(self) -> "DeploymentQuery":
        """Ordered by room left, the least first."""
        return self._ordered(DeploymentField.AVAILABLE_SESSION_SOCKETS, "asc")

    def emptiest_first(self) -> "DeploymentQuery":
        """Ordered by room left, the most first."""
        return self._ordered(DeploymentField.AVAILABLE_SESSION_SOCKETS, "desc")

    def as_text(self) -> str:
        """The JSON of the `query` parameter."""
        return wire.write({"filters": self.filters, "order_by": self.order}).decode()

    def _one_of(self, field: DeploymentField, values: tuple[str, ...]) -> "DeploymentQuery":
        if len(values) == 1:
            return self.where(field, Operator.EQ, values[0])
        return self.where(field, Operator.IN, values)

    def _ordered(self, field: DeploymentField, order: str) -> "DeploymentQuery":
        return replace(self, order=(*self.order, {"field": field.value, "order": order}))
