"""What this domain needs of the store, and of whoever carries a request to its receiver."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from waymeet.model.ids import OrganisationId
from waymeet.model.instant import Instant
from waymeet.model.paging import Page, PageRequest
from waymeet.webhooks.types import Backlog, Delivery, DeliveryQuery, Lease, NewDelivery, SigningSecrets, Verdict

Result = TypeVar("Result")


class WebhookRows(Protocol):
    """Deliveries, in queues: one queue for each pair of object and URL, worked off from its head."""

    async def append(self, delivery: NewDelivery, host: str) -> None:
        """Put a delivery at the end of its queue; it is due at once when nothing unfinished is ahead of it."""

    async def receivers_beyond(self, bound: int) -> Sequence[Backlog]:
        """Receivers to which an organisation has more deliveries pending than `bound`; some, if there are very many."""

    async def organisations_beyond(self, bound: int) -> Sequence[Backlog]:
        """Organisations that have more deliveries pending than `bound`, to all receivers together; some, likewise."""

    async def oldest_of(self, backlog: Backlog, limit: int) -> Sequence[Delivery]:
        """The oldest deliveries of those that are too many, as far as they are still pending."""

    async def give_up(self, delivery: Delivery, verdict: Verdict, now: Instant) -> bool:
        """Finish a delivery whoever works on it, and let its queue go on; false when it was finished already."""

    async def due_hosts(self, now: Instant, limit: int) -> Sequence[str]:
        """Hosts to which something is due, by name."""

    async def next_due(self, now: Instant) -> Instant | None:
        """When the next delivery after `now` becomes due."""

    async def claim(self, host: str, now: Instant, lease: Lease, limit: int) -> Sequence[Delivery]:
        """Take at most `limit` due deliveries to a host. One whose worker died is due again when its lease ends."""

    async def settle(self, delivery: Delivery, lease_token: str, verdict: Verdict, now: Instant) -> bool:
        """Record an attempt's verdict; a finished delivery lets its queue go on. False when the lease was lost."""

    async def release(self, delivery: Delivery, lease_token: str, now: Instant) -> None:
        """Give a claimed delivery back untried; it is due at once."""

    async def find(self, organisation: OrganisationId, delivery_id: str) -> Delivery | None: ...

    async def page(self, organisation: OrganisationId, query: DeliveryQuery, request: PageRequest) -> Page[Delivery]:
        """Newest first."""

    async def purge(self, before: Instant, limit: int) -> int:
        """Forget at most `limit` deliveries that finished before; how many there were."""

    async def secrets(self, organisation: OrganisationId) -> SigningSecrets | None:
        """`None` when there is no such organisation."""

    async def rotate_secret(self, organisation: OrganisationId, secret: str, now: Instant) -> bool:
        """Make `secret` the current one, and the current one the previous."""


class OutboxTransaction(Protocol):
    """The part of a transaction that puts deliveries into the outbox; every domain's transaction has it."""

    @property
    def webhooks(self) -> WebhookRows: ...

    def wake(self, topic: str, key: str | None = None) -> None: ...


class WebhookStore(Protocol):
    async def write(self, unit: Callable[[OutboxTransaction], Awaitable[Result]]) -> Result: ...

    async def read(self, unit: Callable[[OutboxTransaction], Awaitable[Result]]) -> Result: ...

    async def scan(self, unit: Callable[[OutboxTransaction], Awaitable[Result]]) -> Result: ...


class Bells(Protocol):
    """Where this process hears that something changed."""

    def listen(self, topic: str, listener: Callable[[str | None], None]) -> Callable[[], None]: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a request: the receiver's status code, or the reason why there is none."""

    status_code: int | None
    error: str | None = None


class Sender(Protocol):
    """Carries one request to its receiver."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """POST once, within the time allowed. Failures are replies with an `error`; nothing is raised."""

    async def close(self) -> None:
        """Close idle connections. Repeatable; a later `post` opens new ones."""
