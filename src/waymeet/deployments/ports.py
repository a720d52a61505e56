"""What this domain needs of the store, of its neighbours, and of whoever follows its changes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from waymeet.applications.types import Version
from waymeet.deployments.types import Deployment, DeploymentContext, DeploymentQuery, LinkedSession
from waymeet.locations.ports import LocationRows
from waymeet.locations.types import Site
from waymeet.model.ids import DeploymentId, NodeName, OrganisationId
from waymeet.model.instant import Instant
from waymeet.model.latency import Latency
from waymeet.model.location import Coordinates
from waymeet.model.paging import Page, PageRequest
from waymeet.model.servers import ServerSpec
from waymeet.model.states import SessionKind
from waymeet.placement.explanation import Explanation
from waymeet.webhooks.ports import WebhookRows

Result = TypeVar("Result")


class DeploymentRows(Protocol):
    """Deployments."""

    async def insert(self, deployment: Deployment) -> None: ...

    async def find(self, organisation: OrganisationId, request_id: DeploymentId) -> Deployment | None:
        """The organisation's deployment, ended ones included while they are remembered."""

    async def explanation(
        self, organisation: OrganisationId, request_id: DeploymentId
    ) -> tuple[Explanation | None] | None:
        """Why the organisation's deployment is where it is; within the tuple `None` when that was not written down."""

    async def find_any(self, request_id: DeploymentId) -> Deployment | None:
        """A deployment of whichever organisation: for nodes and for calls with the deployment's own token."""

    async def lock(self, request_id: DeploymentId) -> Deployment | None:
        """As `find_any`, holding the row until the transaction ends."""

    async def lock_many(self, request_ids: Sequence[DeploymentId]) -> Sequence[Deployment]:
        """As `lock`, for several, in the order of their ids (so that two such transactions cannot deadlock)."""

    async def save(self, deployment: Deployment) -> None:
        """Write back a locked deployment. The seat counters are left alone: only the three calls below change them."""

    async def take_seats(self, request_id: DeploymentId, seats: int) -> DeploymentContext | None:
        """Link one more session that occupies `seats`; `None` when they are not free or it accepts no sessions."""

    async def add_seats(self, request_id: DeploymentId, seats: int) -> bool:
        """More seats for a session that is already linked; false when they are not free."""

    async def give_back(self, request_id: DeploymentId, seats: int, sessions: int, now: Instant) -> None:
        """Free seats, and unlink `sessions`; starts the empty clock when the last session left."""

    async def take_in_roomiest(
        self,
        version_id: int,
        kind: SessionKind,
        nodes: Sequence[NodeName],
        seats: int,
        tags: Sequence[str],
        *,
        wait: bool,
    ) -> DeploymentContext | None:
        """`take_seats` on the best of these nodes' servers: ready before starting, then fullest, then oldest.

        Only servers that count sockets in the way of `kind`: a version's kind may have changed since they were started.

        Without `wait`, servers that another transaction is busy with are passed over, so `None` proves nothing. With
        it, `None` means that the server waited for was filled meanwhile, or that there is none: look again.
        """

    async def nodes_with_room(
        self, version_id: int, kind: SessionKind, seats: int, tags: Sequence[str]
    ) -> Sequence[NodeName]:
        """Nodes on which some server of the version and `kind` can take `seats` more and carries all `tags`."""

    async def lock_starts(self, version_id: int) -> None:
        """Hold back other transactions that want to start a server of this version, until this one ends."""

    async def unfinished_on(self, node: NodeName) -> Mapping[DeploymentId, bool]:
        """Deployments placed on the node that have not ended, by id, and whether each is still wanted."""

    async def servers(self, request_ids: Sequence[DeploymentId]) -> Sequence[ServerSpec]:
        """What a node needs to run these deployments, oldest first."""

    async def due(self, now: Instant, limit: int) -> Sequence[DeploymentId]:
        """Deployments with a passed deadline, the longest overdue first."""

    async def postpone(self, request_id: DeploymentId, now: Instant, until: Instant) -> None:
        """Have a due deployment due later, whatever is the matter with the rest of its row."""

    async def page(
        self, organisation: OrganisationId, query: DeploymentQuery, request: PageRequest
    ) -> Page[Deployment]:
        """Deployments that are not terminated, newest first unless the query orders otherwise."""

    async def active_after(self, organisation: OrganisationId, after: DeploymentId, limit: int) -> Sequence[Deployment]:
        """Deployments that are not terminated, in the order of their ids, those after `after`."""

    async def delete(self, request_id: DeploymentId) -> None: ...


class ApplicationRows(Protocol):
    async def find_version(
        self, organisation: OrganisationId, application: str, name: str | None
    ) -> Version | None: ...


class LinkedSessionRows(Protocol):
    async def linked_to(self, request_id: DeploymentId) -> Sequence[LinkedSession]:
        """Sessions that are linked to the deployment, oldest first."""


class DeploymentTransaction(Protocol):
    @property
    def applications(self) -> ApplicationRows: ...

    @property
    def deployments(self) -> DeploymentRows: ...

    @property
    def locations(self) -> LocationRows: ...

    @property
    def sessions(self) -> LinkedSessionRows: ...

    @property
    def webhooks(self) -> WebhookRows: ...

    def wake(self, topic: str, key: str | None = None) -> None: ...


class DeploymentStore(Protocol):
    async def write(self, unit: Callable[[DeploymentTransaction], Awaitable[Result]]) -> Result: ...

    async def read(self, unit: Callable[[DeploymentTransaction], Awaitable[Result]]) -> Result: ...

    async def scan(self, unit: Callable[[DeploymentTransaction], Awaitable[Result]]) -> Result: ...


class Follower(Protocol):
    """Told of every change of status, inside the transaction that makes it."""

    async def deployment_changed(
        self, tx: DeploymentTransaction, before: Deployment, after: Deployment, now: Instant
    ) -> None: ...


class StatusBody(Protocol):
    """Renders the body of `GET /v1/status` (contract 3.5), which is also what webhooks send."""

    def __call__(self, deployment: Deployment, sessions: Sequence[LinkedSession], now: Instant) -> bytes: ...


class Geography(Protocol):
    """Where an address is, as far as the installed geo data knows."""

    def coordinates_of(self, ip: str) -> Coordinates | None: ...


class Latencies(Protocol):
    """Round-trip times between locations and players that somebody measured; never an estimate.

    Both calls answer one mapping per address, in their order, by site (`Place.site`); it is empty where nothing is known.
    """

    async def known(
        self, addresses: Sequence[str], organisation: OrganisationId | None = None
    ) -> Sequence[Mapping[str, Latency]]:
        """What is known now, to `organisation` also from its own players: from memory or by one read, without waiting."""

    async def measured(
        self, addresses: Sequence[str], sites: Sequence[Site], organisation: OrganisationId | None = None
    ) -> Sequence[Mapping[str, Latency]]:
        """As `known`, after having the sites probe those addresses of which nothing fresh is known.

        Waits at most for the probe budget (some 300 ms), and not at all when there is nothing to ask. Whoever does not
        answer in time is missing from the result; nothing is raised for it. To be called outside any transaction.
        """
