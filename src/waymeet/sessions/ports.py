"""What this domain needs of the store and of its neighbours."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from waymeet.applications.types import Version
from waymeet.deployments.ports import DeploymentTransaction, LinkedSessionRows
from waymeet.model.ids import DeploymentId, NodeName, OrganisationId, SessionId
from waymeet.model.instant import Instant
from waymeet.model.paging import Page, PageRequest
from waymeet.placement.explanation import Explanation
from waymeet.sessions.types import SeatedSession, Session

Result = TypeVar("Result")


class SessionRows(LinkedSessionRows, Protocol):
    """Sessions."""

    async def insert(self, session: Session) -> None: ...

    async def insert_seated(
        self, session: Session, version: Version, nodes: Sequence[NodeName], tags: Sequence[str]
    ) -> Session | None:
        """Take the session's seats on the best of these nodes' servers, and write it down as seated there: Ready where the
        server is, otherwise Waiting. The session as it is then.

        As `DeploymentRows.take_in_roomiest` without waiting, so `None` proves nothing. It is also `None` when the version
        is no longer as it was read. A single statement: fit for `SessionStore.write_single`.
        """

    async def find(self, organisation: OrganisationId, session_id: SessionId) -> SeatedSession | None:
        """A session and its deployment. A single statement: fit for `SessionStore.read_single`."""

    async def explanation(
        self, organisation: OrganisationId, session_id: SessionId
    ) -> tuple[Explanation | None] | None:
        """Why the organisation's session is where it is; within the tuple `None` when that was not written down."""

    async def lock(self, organisation: OrganisationId, session_id: SessionId) -> Session | None:
        """A session, held until the transaction ends."""

    async def lock_of(self, deployment_id: DeploymentId) -> Sequence[Session]:
        """The sessions of a deployment that have not ended, held until the transaction ends; oldest first."""

    async def save(self, session: Session) -> None:
        """Write back a locked session; the explanation only when it has one."""

    async def page(self, organisation: OrganisationId, request: PageRequest) -> Page[SeatedSession]:
        """Active sessions, newest first."""

    async def active_after(self, organisation: OrganisationId, after: SessionId, limit: int) -> Sequence[SeatedSession]:
        """Active sessions in the order of their ids, those after `after`."""

    async def seeking_due(self, now: Instant, limit: int) -> Sequence[tuple[OrganisationId, SessionId]]:
        """Sessions that are Seeking and due for another look, the longest overdue first."""

    async def postpone(self, session_id: SessionId, now: Instant, until: Instant) -> None:
        """Have a due session due later, whatever is the matter with the rest of its row."""

    async def any_due(self, now: Instant) -> bool:
        """Whether `seeking_due` or `delete_due` would find anything."""

    async def delete_due(self, now: Instant, limit: int) -> int:
        """Forget sessions whose time has come, those that are Seeking excepted; how many."""


class SessionTransaction(DeploymentTransaction, Protocol):
    """What deployments work on, and the sessions' own rows."""

    @property
    def sessions(self) -> SessionRows: ...


class SessionStore(Protocol):
    async def write(self, unit: Callable[[SessionTransaction], Awaitable[Result]]) -> Result: ...

    async def write_single(self, unit: Callable[[SessionTransaction], Awaitable[Result]]) -> Result:
        """As `write`, for a unit that makes a single statement and wakes nobody; many of them share one commit."""

    async def read(self, unit: Callable[[SessionTransaction], Awaitable[Result]]) -> Result: ...

    async def read_single(self, unit: Callable[[SessionTransaction], Awaitable[Result]]) -> Result:
        """As `read`, for a unit that makes a single statement with exactly one row; many of them share one round trip."""

    async def scan(self, unit: Callable[[SessionTransaction], Awaitable[Result]]) -> Result: ...


class SessionBody(Protocol):
    """Renders what session webhooks send: the body of `GET /v1/session/{id}` and `deployment_request_id`."""

    def __call__(self, seated: SeatedSession, now: Instant) -> bytes: ...
