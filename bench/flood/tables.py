"""Relay sessions as those who play in them know them."""

from dataclasses import dataclass

from tests.node.relay.world import data, data_to, ping
from waymeet.client import RelaySession

Spot = tuple[str, int]


@dataclass(frozen=True)
class Table:
    """A session's ports and tokens."""

    server: Spot
    client: Spot
    session: int
    host: int
    clients: tuple[int, ...]

    @classmethod
    def of(cls, session: RelaySession) -> "Table":
        assert session.relay is not None
        assert session.authorization_token is not None
        ports, ip = session.relay.ports, session.relay.ip
        host, *clients = (user.authorization_token for user in session.session_users)
        return cls((ip, ports.server.port), (ip, ports.client.port), session.authorization_token, host, tuple(clients))

    def overheard(self) -> list[bytes]:
        """What its people say."""
        first = self.clients[0]
        return [
            ping(self.session, self.host),
            ping(self.session, first),
            data(self.session, first, b"something that was said"),
            data_to(self.session, self.host, 1, b"something that was answered"),
            data(self.session, first, bytes(1187)),
        ]
