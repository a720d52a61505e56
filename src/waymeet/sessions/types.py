"""Sessions: groups of players, and the deployment they are seated on.

Structs rather than dataclasses where every request makes some: they are made several times faster.
"""

from dataclasses import dataclass

from msgspec import Struct

from waymeet.deployments.types import DeploymentContext, Player
from waymeet.model.filters import Filter
from waymeet.model.ids import DeploymentId, OrganisationId, SessionId
from waymeet.model.instant import MINUTE, Instant
from waymeet.model.location import Coordinates
from waymeet.model.states import SessionKind, SessionStatus
from waymeet.placement.explanation import Explanation


@dataclass(frozen=True, slots=True)
class SelectorVariable:
    """A variable for a deployment that the session's own request starts, and for no other."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """A tag that the deployment must carry; with `tag_only` it is only recorded (contract 2.2)."""

    tag: str
    tag_only: bool = False
    env: SelectorVariable | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """Where a session wants to be: what placement needs beside its players and selectors."""

    location: Coordinates | None = None
    filters: tuple[Filter, ...] = ()
    skip_telemetry: bool = False


class SessionRequest(Struct, frozen=True):
    """A checked call to create a session."""

    application: str
    version: str | None
    players: tuple[Player, ...] = ()
    deployment_id: DeploymentId | None = None
    wish: Wish = Wish()
    selectors: tuple[Selector, ...] = ()
    webhook_url: str | None = None


class Session(Struct, frozen=True):
    """A group of players. `seats` is what it occupies on its deployment now."""

    session_id: SessionId
    organisation: OrganisationId
    version_id: int
    application_name: str
    version_name: str
    kind: SessionKind
    status: SessionStatus
    deployment_id: DeploymentId | None
    seats: int
    users: tuple[Player, ...]
    selectors: tuple[Selector, ...]
    wish: Wish
    webhook_url: str | None
    error: str | None
    retention_minutes: int
    created_at: Instant
    ended_at: Instant | None = None
    due_at: Instant | None = None
    explanation: Explanation | None = None
    """Why it is where it is: written by `SessionRows`, and not read back with the session; see its `explanation`."""

    @property
    def user_count(self) -> int:
        return len(self.users)


class SeatedSession(Struct, frozen=True):
    """A session together with the deployment that it is linked to, if any."""

    session: Session
    deployment: DeploymentContext | None

    @property
    def linked(self) -> bool:
        """Bound to a deployment; a session that is disappearing still shows what it was (contract 2.1)."""
        status = self.session.status
        return status.linked or (status is SessionStatus.TERMINATING and self.session.deployment_id is not None)

    @property
    def ready(self) -> bool:
        """Players may connect: linked to a READY deployment whose address and ports are known (contract 2.3)."""
        deployment = self.deployment
        return (
            self.session.status is SessionStatus.READY
            and deployment is not None
            and deployment.ready
            and bool(deployment.public_ip)
        )


def retained_until(now: Instant, retention_minutes: int) -> Instant:
    """When the record of a session that nobody plays in vanishes: its deployment ended, or it never got one."""
    return Instant(now + retention_minutes * MINUTE)


def seats_needed(kind: SessionKind, users: int) -> int:
    """Sockets that a session of so many users occupies (contract 2.1)."""
    match kind:
        case SessionKind.SEAT:
            return users
        case SessionKind.MATCH:
            return 1
        case SessionKind.DEFAULT:
            return 0
