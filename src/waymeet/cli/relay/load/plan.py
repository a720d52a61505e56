"""What a load test is to do, and who plays in it."""

from dataclasses import dataclass

from waymeet.client.relays.peers import LONGEST_PAYLOAD

SMALLEST_SIZE = 32
"""Bytes of a payload: what tells one datagram from all others takes so many."""
LARGEST_SIZE = LONGEST_PAYLOAD
MOST_SESSIONS = 1_000
MOST_CLIENTS = 100
"""Of one session, beside its host."""
MOST_PLAYERS = 20_000
"""Hosts and clients, each with a socket of its own."""
MOST_DATAGRAMS = 10_000_000
"""Each is remembered until the end."""
HIGHEST_RATE = 4_000.0
"""Datagrams per second that a relay sends to one client by default."""
MOST_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """How many players send how much for how long. Clients send, hosts send back what they get."""

    sessions: int = 10
    clients: int = 3
    """Of each session, beside its host."""
    rate: float = 20.0
    """Datagrams per second that each client sends."""
    size: int = 100
    """Bytes of each payload."""
    seconds: float = 10.0
    most_lost: float = 1.0
    """Percent of all datagrams, there and back, that may be lost before the test has failed."""

    def __post_init__(self) -> None:
        """Raises `ValueError`, naming the limit and the way out, for what would ask too much of this machine."""
        for name, value, low, high in (
            ("sessions", self.sessions, 1, MOST_SESSIONS),
            ("clients", self.clients, 1, MOST_CLIENTS),
            ("rate", self.rate, 0.1, HIGHEST_RATE),
            ("size", self.size, SMALLEST_SIZE, LARGEST_SIZE),
            ("seconds", self.seconds, 0.1, MOST_SECONDS),
            ("max-loss", self.most_lost, 0, 100),
        ):
            if not low <= value <= high:
                raise ValueError(f"--{name}: {low:g} to {high:g}, got {value:g}")
        if self.players > MOST_PLAYERS:
            raise ValueError(
                f"{self.players} hosts and clients are more than {MOST_PLAYERS}; lower --sessions or --clients, "
                "or run it on several machines"
            )
        if self.datagrams > MOST_DATAGRAMS:
            raise ValueError(
                f"{self.datagrams} datagrams are more than {MOST_DATAGRAMS}; lower --seconds, --rate, --clients or "
                "--sessions"
            )

    @property
    def players(self) -> int:
        """Hosts and clients together."""
        return self.sessions * (self.clients + 1)

    @property
    def rounds(self) -> int:
        """Datagrams that each client sends."""
        return max(1, round(self.rate * self.seconds))

    @property
    def datagrams(self) -> int:
        """Datagrams that all clients send together."""
        return self.sessions * self.clients * self.rounds


@dataclass(frozen=True, slots=True)
class PlayedSession:
    """A relay session that is ready to be played in."""

    address: str
    """IP address or name of its relay."""
    server_port: int
    client_port: int
    session_token: int
    host_token: int
    client_tokens: tuple[int, ...]
