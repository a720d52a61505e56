"""What this domain needs of the store."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from waymeet.locations.ports import LocationRows
from waymeet.model.ids import NodeName, OrganisationId, SessionId
from waymeet.model.instant import Instant
from waymeet.model.paging import Page, PageRequest
from waymeet.model.relays import RelayLoad
from waymeet.relays.types import RelayChanges, RelayEndpoint, RelaySession, RelayTotals, SalvagedSession
from waymeet.webhooks.ports import WebhookRows

Result = TypeVar("Result")


class RelayRows(Protocol):
    """Relay sessions, and for each node the count of changes that it has to apply.

    Changes of one node are numbered in the order in which they commit: the row that counts them stays locked until the
    transaction ends. Whoever has applied everything up to a number has therefore missed nothing below it.

    Whatever returns sessions raises `UnreadableSessions` when it meets any that cannot be read.
    """

    async def join(self, node: NodeName, capacity: int, endpoint: RelayEndpoint) -> Sequence[SessionId]:
        """Record that the node has a relay, how many sessions it takes at most, and where all of them are served. Returns
        those that were served elsewhere before.
        """

    async def close(self, node: NodeName) -> None:
        """Record that the node has no relay now: nothing new goes there."""

    async def rooms(self) -> dict[NodeName, int]:
        """How many more sessions each connected relay takes; full ones are left out."""

    async def occupied(self) -> Sequence[NodeName]:
        """Nodes whose relay is to serve any session."""

    async def reserve(self, node: NodeName) -> int | None:
        """Take one session's place, and the number of the change that brings it; `None` when the relay is full or gone."""

    async def next_change(self, node: NodeName) -> int:
        """A number for one more change."""

    async def release(self, node: NodeName) -> int:
        """Give one place back; the number of the change that ends its session."""

    async def confirmed(self, node: NodeName) -> int:
        """The highest change that the node has said to have applied; 0 when it never said so. A single statement: fit for
        `RelayStore.read_single`.
        """

    async def confirm(self, node: NodeName, change: int) -> None:
        """Record that the node has applied everything up to `change`, or up to the last change if that is lower; lower
        numbers than before change nothing.
        """

    async def insert(self, session: RelaySession) -> None: ...

    async def find(self, organisation: OrganisationId, session_id: SessionId) -> RelaySession | None:
        """The organisation's session, unless it has ended. A single statement: fit for `RelayStore.read_single`."""

    async def lock(self, organisation: OrganisationId, session_id: SessionId) -> RelaySession | None:
        """As `find`, holding the row until the transaction ends."""

    async def lock_many(self, session_ids: Sequence[SessionId]) -> Sequence[RelaySession]:
        """Sessions of whichever organisation, in the order of their ids, held until the transaction ends."""

    async def save(self, session: RelaySession) -> None: ...

    async def salvage(self, session_ids: Sequence[SessionId]) -> Sequence[SalvagedSession]:
        """As `lock_many`, whether or not they can be read."""

    async def rewrite(self, session: RelaySession) -> None:
        """Write every member of a session that is there already, and count anew what its relay is to serve."""

    async def page(self, organisation: OrganisationId, request: PageRequest) -> Page[RelaySession]:
        """Sessions that have not ended, newest first."""

    async def token_taken(self, token: int) -> bool:
        """Whether a session that is still somewhere on a relay has this session token."""

    async def wanted_on(self, node: NodeName, after: SessionId, limit: int) -> Sequence[RelaySession]:
        """Sessions that the node is to serve, in the order of their ids, those after `after`."""

    async def last_change(self, node: NodeName) -> int:
        """The number of the node's last change; 0 when there was none."""

    async def changes_after(self, node: NodeName, change: int, limit: int) -> RelayChanges:
        """What changed on the node after `change`, the oldest `limit` changes at most; not complete when sessions with
        later changes have been forgotten.
        """

    async def unconfirmed_through(self, node: NodeName, change: int, limit: int) -> Sequence[SessionId]:
        """Sessions still INITIALIZING whose change is at most `change`: the node serves them now."""

    async def make_ready(self, session_ids: Sequence[SessionId], change: int) -> Sequence[RelaySession]:
        """Move to READY those of the sessions that are INITIALIZING with at most `change` as their change. Returns
        them as they are then.
        """

    async def on_node(self, node: NodeName, limit: int) -> Sequence[SessionId]:
        """Sessions that the node is to serve."""

    async def due(self, now: Instant, limit: int) -> Sequence[SessionId]:
        """Sessions with a passed deadline, the longest overdue first."""

    async def forget(self, sessions: Sequence[RelaySession]) -> None:
        """Delete sessions, and remember up to which change of their nodes something may be missing."""

    async def load(self, node: NodeName) -> RelayLoad | None:
        """What the node's relay last said about itself. Holds the row until the transaction ends."""

    async def record_load(self, node: NodeName, load: RelayLoad) -> None: ...

    async def count(self, counts: Mapping[str, int]) -> None:
        """Add to the counts of all relays together, by name; names come from closed sets."""

    async def totals(self) -> RelayTotals: ...


class RelayTransaction(Protocol):
    @property
    def relays(self) -> RelayRows: ...

    @property
    def locations(self) -> LocationRows: ...

    @property
    def webhooks(self) -> WebhookRows: ...

    def wake(self, topic: str, key: str | None = None) -> None: ...


class RelayStore(Protocol):
    async def write(self, unit: Callable[[RelayTransaction], Awaitable[Result]]) -> Result: ...

    async def read(self, unit: Callable[[RelayTransaction], Awaitable[Result]]) -> Result: ...

    async def read_single(self, unit: Callable[[RelayTransaction], Awaitable[Result]]) -> Result:
        """As `read`, for a unit that makes a single statement with exactly one row; many of them share one round trip."""

    async def scan(self, unit: Callable[[RelayTransaction], Awaitable[Result]]) -> Result: ...


class RelayFollower(Protocol):
    """Told what becomes of a relay session, inside the transaction that changes it: its row is locked, and saved already.

    Whoever locks rows of its own here must lock them after the session's everywhere else too.
    """

    async def relay_ready(self, tx: RelayTransaction, session: RelaySession, now: Instant) -> None:
        """Its users can connect now."""

    async def relay_moved(
        self, tx: RelayTransaction, session_id: SessionId, endpoint: RelayEndpoint, now: Instant
    ) -> None:
        """Its relay answers at `endpoint` now. The session has not been read, since that may not be possible."""

    async def relay_ended(self, tx: RelayTransaction, session: RelaySession, now: Instant, *, unused: bool) -> None:
        """It was deleted, or (`unused`) nobody spoke for so long that it ended."""

    async def relay_failed(self, tx: RelayTransaction, session: RelaySession, now: Instant) -> None:
        """It is an ERROR now; `session.error` says why."""

    async def relay_host_silent(self, tx: RelayTransaction, session: RelaySession, now: Instant) -> None:
        """Its host has been silent for longer than the owner timeout (relay wire, 5.7). May be told again and again."""


class Bells(Protocol):
    """Where this process hears that something changed."""

    def listen(self, topic: str, listener: Callable[[str | None], None]) -> Callable[[], None]: ...


class RelayBody(Protocol):
    """Renders the relay session object (contract 2.15), which is also what webhooks send."""

    def __call__(self, session: RelaySession) -> bytes: ...
