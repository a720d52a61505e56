"""Lobbies and rooms as the control plane knows them."""

from enum import StrEnum

from msgspec import Struct

from waymeet.model.ids import LobbyId, OrganisationId, RoomId, SessionId
from waymeet.model.instant import Instant
from waymeet.model.relays import RelayPorts
from waymeet.model.states import LobbyStatus

HIGHEST_CAPACITY = 1_000
"""Players of one room (lobby service, section 3)."""
HIGHEST_TAGS = 32
HIGHEST_ANNOTATIONS = 32
"""Lobby service, section 7."""


class Lobby(Struct, frozen=True, kw_only=True):
    """A lobby service, as the manager sees it (contract 2.22)."""

    lobby_id: LobbyId
    organisation: OrganisationId
    name: str
    address: str
    """What stands for the name in its URL: the name itself, unless another organisation was there before."""
    status: LobbyStatus
    url: str = ""
    """Where it answers; "" whenever it is not Released."""
    error: str | None = None
    """Why it could not be deployed."""
    revision: int = 1
    """Grows with every change of status: whoever acts on what was read before acts on nothing else."""
    created_at: Instant
    deploying_since: Instant | None = None


class Annotation(Struct, frozen=True):
    """Something that a game remembers with a room. Stored and given back."""

    inject: bool
    key: str
    value: str


class Member(Struct, frozen=True):
    """A player in a room. `token` is the player's on the relay session of the room, when there is one."""

    player_id: str
    address: str
    """Where the request came from that brought the player."""
    token: int | None = None
    joining_until: Instant | None = None
    """Not visible yet: the relay has not said that it lets the player in. After this moment it counts as a failure."""

    @property
    def present(self) -> bool:
        return self.joining_until is None


class Assignment(Struct, frozen=True):
    """Where the room's relay session answers. Appears in the same change as its members' tokens become visible."""

    token: int
    address: str
    host: str
    ports: RelayPorts


class Room(Struct, frozen=True, kw_only=True):
    """A group of players before and during a match (lobby service, 2). The first member is the host."""

    room_id: RoomId
    lobby_id: LobbyId
    organisation: OrganisationId
    lobby_address: str
    version: int = 1
    """Grows with every change that anybody can see."""
    name: str
    capacity: int
    is_joinable: bool = True
    tags: tuple[str, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    members: tuple[Member, ...]
    host_migration: bool = False
    """When the host goes, the member who has been there longest becomes host; otherwise the room goes too."""
    relay_session: SessionId | None = None
    assignment: Assignment | None = None
    error: str | None = None
    """Why the last start came to nothing."""
    created_at: Instant
    active_at: Instant
    """When a request last named the room; kept up to date with some delay."""
    due_at: Instant

    @property
    def is_started(self) -> bool:
        return self.relay_session is not None

    @property
    def present(self) -> tuple[Member, ...]:
        """Those whom everybody sees, the host first."""
        return tuple(member for member in self.members if member.present)

    @property
    def host(self) -> Member:
        return self.members[0]

    def member(self, player_id: str) -> Member | None:
        return next((member for member in self.members if member.player_id == player_id), None)


class RoomOutline(Struct, frozen=True, kw_only=True):
    """What is known of a room without reading its document, which may be spoilt: enough to end it."""

    room_id: RoomId
    lobby_id: LobbyId
    relay_session: SessionId | None
    created_at: Instant
    active_at: Instant

    @property
    def is_started(self) -> bool:
        return self.relay_session is not None


class UnreadableRoom(Exception):
    """The row of a room is there and makes no sense: a mistake of ours, or somebody else's hand in the database."""

    def __init__(self, room_id: str, fault: object) -> None:
        super().__init__(f"room {room_id} cannot be read: {fault}")


class RoomBrief(Struct, frozen=True, kw_only=True):
    """A room in the list."""

    room_id: RoomId
    name: str
    is_joinable: bool
    is_started: bool
    player_count: int
    capacity: int
    tags: tuple[str, ...]


class RoomDraft(Struct, frozen=True, kw_only=True):
    """A room that somebody wants."""

    name: str
    capacity: int
    player_id: str
    is_joinable: bool = True
    tags: tuple[str, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    host_migration: bool = False


class RoomUpdate(Struct, frozen=True, kw_only=True):
    """What to change of a room; `None` leaves it as it is."""

    capacity: int | None = None
    is_joinable: bool | None = None
    tags: tuple[str, ...] | None = None


class HostCheck(StrEnum):
    """Who may start, change and delete a room (lobby service, 7)."""

    ANYONE = "anyone"
    HOST_ADDRESS = "host_address"
    """Only requests from the IP address that the host's came from."""


class LobbyRules(Struct, frozen=True, kw_only=True):
    """What an operator may choose about lobbies."""

    url: str
    """Under which lobby services live, by address: with `{address}` in it."""
    deploy_seconds: float = 30.0
    rooms: int = 10_000
    """Of one lobby."""
    rooms_per_address: int = 20
    """Rooms of one lobby that one IP address has made; 0: any number."""
    members_per_address: int = 100
    """Players of one room from one IP address; 0: any number."""
    idle_minutes: float = 30.0
    """A room that is not started ends when no request has named it for so long."""
    longest_hours: float = 24.0
    """No room lasts longer."""
    host_check: HostCheck = HostCheck.ANYONE
