"""Relay sessions as the control plane knows them."""

from collections.abc import Mapping

from msgspec import Struct

from waymeet.model.filters import Filter
from waymeet.model.ids import NodeName, OrganisationId, SessionId
from waymeet.model.instant import Instant
from waymeet.model.location import Coordinates
from waymeet.model.relays import RelayMember, RelayPorts, RelaySpec
from waymeet.model.states import RelayStatus

HIGHEST_USERS = 1_000
"""Users of one relay session. The contract names no limit; a row, an answer and a relay's table must have one."""
REVOKED_KEPT = 1_000
"""Tokens remembered as revoked, so that repeating a revocation is told from a token never issued."""


class RelayUser(Struct, frozen=True):
    """One user of a relay session, in the order in which they came."""

    address: str
    token: int
    coordinates: Coordinates | None = None


class RelayRequest(Struct, frozen=True, kw_only=True):
    """A relay session that somebody wants."""

    addresses: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    webhook_url: str | None = None
    owned_by_first: bool = False
    """Only the first user may be host. Otherwise whoever speaks to the server port first is."""


class RelayEndpoint(Struct, frozen=True):
    """Where a relay answers players."""

    address: str
    ports: RelayPorts


class RelaySession(Struct, frozen=True, kw_only=True):
    """One relay session. `change` is the number of its last change on its node: confirmed once the node says so."""

    session_id: SessionId
    organisation: OrganisationId
    node_name: NodeName
    status: RelayStatus
    token: int
    users: tuple[RelayUser, ...]
    revoked: tuple[int, ...] = ()
    owner: int | None = None
    endpoint: RelayEndpoint
    host_name: str = ""
    """Its own name in the operator's domain; "" when there is none."""
    webhook_url: str | None = None
    error: str | None = None
    change: int
    created_at: Instant
    ended_at: Instant | None = None
    due_at: Instant | None = None

    @property
    def host(self) -> str:
        """What players connect to."""
        return self.host_name or self.endpoint.address

    @property
    def ready(self) -> bool:
        return self.status is RelayStatus.READY

    @property
    def wanted(self) -> bool:
        """Whether its node is to serve it."""
        return self.status in (RelayStatus.INITIALIZING, RelayStatus.READY)

    @property
    def spec(self) -> RelaySpec:
        """What its node needs to serve it."""
        members = tuple(RelayMember(user.token, user.address) for user in self.users)
        return RelaySpec(self.session_id, self.token, members, self.owner)


NOWHERE = RelayEndpoint("", RelayPorts(0, 0))
"""Of a session whose relay's address cannot be read."""


class UnreadableSessions(Exception):
    """Rows of relay sessions that nobody can read, and why. `relays.isolating` sets them aside."""

    def __init__(self, faults: Mapping[SessionId, str]) -> None:
        super().__init__("; ".join(f"{session_id}: {fault}" for session_id, fault in faults.items()))
        self.faults = faults


class SalvagedSession(Struct, frozen=True):
    """As much of a session as can be read; members that cannot are empty."""

    session: RelaySession
    fault: str | None
    """What cannot be read; `None`: nothing is missing."""


class RelayChanges(Struct, frozen=True):
    """What changed on a node: everything up to and including the change number `through`."""

    through: int
    complete: bool = True
    """False: some of it is forgotten, and only the whole set can say what the node is to relay."""
    sessions: tuple[RelaySpec, ...] = ()
    removed: tuple[SessionId, ...] = ()


DROPPED = "dropped:"
"""Before a reason, in the name of its count."""
SET_ASIDE = "set_aside"
"""The name of the count of sessions that were set aside."""
RELAY_TRAFFIC = ("received_packets", "received_bytes", "sent_packets", "sent_bytes")


class RelayTotals(Struct, frozen=True):
    """All relays together."""

    relays: int = 0
    """Those whose node is connected."""
    places: int = 0
    """Sessions that these take together."""
    bindings: int = 0
    """Addresses that are bound to these now, hosts and clients."""
    traffic: dict[str, int] = {}
    """By `RELAY_TRAFFIC`, since the database was made."""
    drops: dict[str, int] = {}
    """By `DropReason`."""
    set_aside: int = 0
    """Sessions that nobody could read or act on, since the database was made."""
