"""What a lobby service says about its rooms (contract 3.13). They are called lobbies there, as players call them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from waymeet.client.calling.wire import Answer
from waymeet.client.relays.peers import RelayClient, RelayHost


@dataclass(frozen=True, slots=True)
class RelayAccess:
    """What one player needs to take part in the match of a room: where its relay is, and the secret numbers."""

    is_host: bool
    """Whether this player hosts the match. Everybody else speaks to the host."""
    ip: str
    server_port: int
    """UDP, for the host."""
    client_port: int
    """UDP, for everybody else."""
    session_token: int = field(repr=False)
    user_token: int = field(repr=False)
    """The player's own: whoever has it can take the player's place."""

    def as_host(self) -> RelayHost:
        """A connection that hosts the match, to be used as `async with`. `ValueError` for anybody but the host, whom the
        relay would refuse.
        """
        if not self.is_host:
            raise ValueError("this player does not host the match: use as_client()")
        return RelayHost(self.ip, self.server_port, session_token=self.session_token, user_token=self.user_token)

    def as_client(self) -> RelayClient:
        """A connection to the host, to be used as `async with`."""
        return RelayClient(self.ip, self.client_port, session_token=self.session_token, user_token=self.user_token)


class RoomAnnotation(Answer, frozen=True, kw_only=True):
    """Something that a game keeps with a room. Servers store it and give it back."""

    key: str = ""
    value: str = ""
    inject: bool = False


class RoomPlayer(Answer, frozen=True, kw_only=True):
    """A player in a room, under the id that the player chose."""

    id: str
    is_host: bool = False
    authorization_token: int | None = None
    """On the relay; `None` before there is one, and where the server shows it to its owner alone."""


class AssignmentPort(Answer, frozen=True, kw_only=True):
    """A UDP port of a relay: `server` is for the host, `client` for everybody else."""

    name: str
    port: int
    protocol: str = "UDP"


class RoomAssignment(Answer, frozen=True, kw_only=True):
    """The relay on which the players of a room meet."""

    authorization_token: int
    """The secret number of the relay session, which all of its users share."""
    ip: str = ""
    host: str = ""
    ports: tuple[AssignmentPort, ...] = ()


class RoomBrief(Answer, frozen=True, kw_only=True):
    """A room in the list. `player_count` includes the host."""

    lobby_id: str
    name: str = ""
    is_joinable: bool = True
    is_started: bool = False
    player_count: int = 0
    capacity: int = 0
    tags: tuple[str, ...] = ()

    @property
    def available_slots(self) -> int:
        """How many more players it has room for."""
        return max(0, self.capacity - self.player_count)


class Room(RoomBrief, frozen=True, kw_only=True):
    """Players before and during a match; the wire and most games call it a lobby. The host comes first."""

    annotations: tuple[RoomAnnotation, ...] = ()
    players: tuple[RoomPlayer, ...] = ()
    assignment: RoomAssignment | None = None
    """Where they meet, from the moment on at which they can."""
    host_migration: bool = False
    """Whether somebody else becomes host when the host goes; otherwise the room goes with the host."""
    error: str | None = None
    """Why the last start came to nothing."""

    def player(self, player_id: str) -> RoomPlayer | None:
        """The player of this id, if in the room."""
        return next((player for player in self.players if player.id == player_id), None)

    def access_of(self, player_id: str) -> RelayAccess | None:
        """What this player needs to take part in the match; `None` while there is no relay, for players who are not in
        the room, and for those whose tokens the server does not show to us.
        """
        player, assignment = self.player(player_id), self.assignment
        if player is None or player.authorization_token is None or assignment is None or not assignment.ip:
            return None
        ports: Mapping[str, int] = {port.name: port.port for port in assignment.ports}
        if not {"server", "client"} <= ports.keys():
            return None
        return RelayAccess(
            is_host=player.is_host,
            ip=assignment.ip,
            server_port=ports["server"],
            client_port=ports["client"],
            session_token=assignment.authorization_token,
            user_token=player.authorization_token,
        )
