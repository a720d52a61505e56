"""Deliveries of webhooks, and the rules by which they are made."""

from dataclasses import dataclass
from enum import StrEnum

from waymeet.model.ids import OrganisationId
from waymeet.model.instant import Instant


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    """Not delivered yet: waiting for its turn, for its next attempt, or under way."""
    DELIVERED = "delivered"
    """The receiver answered 2xx."""
    FAILED = "failed"
    """Given up; the attempt log says why. A replay sends it again."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try, or the reason for not trying any longer. `error` says what went wrong where the status code does not."""

    at: Instant
    duration_ms: int
    status_code: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """What is to be sent, about which object, and to whom."""

    id: str
    """Sent as `webhook-id`, the same on every attempt: receivers tell repetitions apart by it."""
    organisation: OrganisationId
    object_key: str
    """Names the object that the event is about, such as `session:950dd2eaff09-S`."""
    event_type: str
    url: str
    body: str
    created_at: Instant
    replay_of: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery(NewDelivery):
    """A delivery, and how it went so far."""

    sequence: int = 0
    """Grows with every delivery; those of one object to one URL leave in this order, one at a time."""
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: int = 0
    attempt_log: tuple[Attempt, ...] = ()
    """The last `ATTEMPTS_KEPT` attempts, oldest first."""
    finished_at: Instant | None = None
    due_at: Instant | None = None
    """When it is tried next; absent when it is finished, or waits for an earlier one of its object."""


ATTEMPTS_KEPT = 10


@dataclass(frozen=True, slots=True)
class Lease:
    """Who works on a claimed delivery, and until when the others keep off."""

    owner: str
    token: str
    until: Instant


@dataclass(frozen=True, slots=True)
class Backlog:
    """Too many pending deliveries of an organisation: to one receiver, or (`host` is `None`) to all of them."""

    organisation: OrganisationId
    host: str | None
    last: int
    """The sequence of the last one that is too many; none behind it is."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the last attempt makes of a delivery. Pending again exactly when `due_at` is set."""

    status: DeliveryStatus
    attempts: int
    attempt_log: tuple[Attempt, ...]
    finished_at: Instant | None = None
    due_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class SigningSecrets:
    """What an organisation's webhooks are signed with. `previous` still signs for a while after a rotation."""

    current: str
    previous: str | None = None
    rotated_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """Narrows a list of deliveries; what is absent does not narrow."""

    status: DeliveryStatus | None = None
    object_key: str | None = None
    event_type: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """How deliveries are attempted. Durations in seconds."""

    timeout_seconds: float = 5.0
    """For one whole attempt, from the name look-up to the end of the answer (contract 2.1)."""
    retry_seconds: tuple[float, ...] = (1.0, 5.0, 30.0, 120.0, 600.0)
    """Pauses before the second attempt, the third and so on, each made up to 20 % longer or shorter by chance."""
    concurrency: int = 64
    per_host: int = 4
    """Attempts under way at once to one host, so that a slow receiver cannot use up `concurrency`."""
    highest_pending: int = 100_000
    """Deliveries that may be pending to one receiver (a host) of an organisation, and four times as many to all of its
    receivers together. Only a receiver that is gone for long, or far too slow, gets there; then its oldest are given up."""
    retention_hours: float = 72.0
    """How long finished deliveries can be read and replayed."""
