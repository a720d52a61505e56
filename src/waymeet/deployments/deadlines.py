"""The deadlines of a deployment. Pure: the time comes in."""

from dataclasses import dataclass
from enum import Enum

from waymeet.deployments.types import Deployment
from waymeet.model.instant import MINUTE, Instant, after
from waymeet.model.states import DeploymentStatus


class Deadline(Enum):
    """What a passed deadline asks for."""

    NOT_READY_IN_TIME = "not ready in time"
    TOO_OLD = "maximum duration"
    EMPTY_TOO_LONG = "empty too long"
    FORGET = "forget"


@dataclass(frozen=True, slots=True)
class Retention:
    """How long an ended deployment can still be read: at least an hour (contract 3.5)."""

    ended_minutes: int = 120


def deadlines(deployment: Deployment, retention: Retention) -> list[tuple[Instant, Deadline]]:
    """Every deadline that the deployment has in its present state."""
    if deployment.ended_at is not None:
        return [(Instant(deployment.ended_at + retention.ended_minutes * MINUTE), Deadline.FORGET)]
    if not deployment.wanted:
        return []
    found: list[tuple[Instant, Deadline]] = []
    settings = deployment.settings
    if deployment.status.starting:
        # A server that crashed and is being started again has the whole time once more, from when that began.
        began = deployment.starting_since or deployment.created_at
        found.append((after(began, settings.time_to_deploy_seconds), Deadline.NOT_READY_IN_TIME))
    if settings.max_duration_minutes > 0:
        born = deployment.ready_at or deployment.created_at
        found.append((Instant(born + settings.max_duration_minutes * MINUTE), Deadline.TOO_OLD))
    if (
        deployment.status is DeploymentStatus.READY
        and deployment.empty_since is not None
        and deployment.empty_ttl_minutes is not None
    ):
        found.append((Instant(deployment.empty_since + deployment.empty_ttl_minutes * MINUTE), Deadline.EMPTY_TOO_LONG))
    return found


def next_due(deployment: Deployment, retention: Retention) -> Instant | None:
    """When the loop has to look at the deployment again; `None`: never, unless something happens to it."""
    return min((moment for moment, _ in deadlines(deployment, retention)), default=None)


def passed(deployment: Deployment, retention: Retention, now: Instant) -> Deadline | None:
    """The earliest deadline that has passed, if any."""
    due = sorted((entry for entry in deadlines(deployment, retention) if entry[0] <= now), key=lambda entry: entry[0])
    return due[0][1] if due else None
