"""Players of a peer-to-peer game, as their datagrams look on the wire (relay wire, section 3)."""

import itertools
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from struct import Struct

from tests.polling import eventually
from waymeet.client import Client, RelaySession

HOST, GUEST = "203.0.113.7", "198.51.100.23"
"""What users are registered with; relays let them speak from anywhere."""

RESEND_SECONDS = 0.2
"""Datagrams get lost, so whoever waits for an answer asks again, as games do."""

CHECKING, VALID, INVALID, SESSION_TIMEOUT = 1, 2, 3, 4

_header = Struct("<IIB")
_PING, _DATA = 1, 2


class RelayPlayer:
    """One user of a relay session on a socket of its own. `server` for the one who hosts the game."""

    def __init__(self, session: RelaySession, token: int, *, server: bool = False, source: str = "127.0.0.1") -> None:
        assert session.relay is not None
        assert session.authorization_token is not None
        ports = session.relay.ports
        self._server = server
        self._header = (token, session.authorization_token)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((source, 0))
        self._socket.settimeout(RESEND_SECONDS)
        self._socket.connect((session.relay.ip, (ports.server if server else ports.client).port))

    def close(self) -> None:
        self._socket.close()

    def ping(self) -> None:
        self._send(_header.pack(*self._header, _PING))

    def say(self, payload: bytes, connection: int | None = None) -> None:
        """Send a payload: a client to its host, a host to one of its connections."""
        prefix = b"" if connection is None else connection.to_bytes(4, "little")
        self._send(_header.pack(*self._header, _DATA) + prefix + payload)

    def hear(self) -> bytes:
        """The next frame, type first; empty when none came for a while."""
        try:
            return self._socket.recv(2048)
        except (TimeoutError, ConnectionRefusedError):
            return b""

    def forget(self) -> None:
        """Throw away what has come so far."""
        self._socket.setblocking(False)
        try:
            while True:
                with suppress(ConnectionRefusedError):
                    self._socket.recv(2048)
        except BlockingIOError:
            pass
        finally:
            self._socket.settimeout(RESEND_SECONDS)

    def state(self) -> int:
        """What the relay says to a ping that is sent now. Answers to earlier ones are not heard."""
        self.forget()

        def asked() -> int:
            self.ping()
            frame = self.hear()
            return frame[1] if len(frame) == 2 and frame[0] == _PING else 0

        return eventually(asked)

    def wait_for_state(self, state: int) -> None:
        eventually(lambda: self.state() == state)

    def _send(self, datagram: bytes) -> None:
        # A relay that is not there answers with an ICMP message, which the next call on the socket reports.
        with suppress(ConnectionRefusedError):
            self._socket.send(datagram)


_numbers = itertools.count()


def meet(host: RelayPlayer, client: RelayPlayer) -> int:
    """The number under which the host knows the client, once something has gone both ways."""
    question = b"from client %d" % next(_numbers)

    def heard_by_host() -> int:
        host.ping()
        client.say(question)
        while frame := host.hear():
            if frame[0] == _DATA and frame[5:] == question:
                return int.from_bytes(frame[1:5], "little")
        return 0

    connection = eventually(heard_by_host)
    answer = b"from host %d" % next(_numbers)

    def heard_by_client() -> bool:
        host.say(answer, connection)
        while frame := client.hear():
            if frame == bytes([_DATA]) + answer:
                return True
        return False

    eventually(heard_by_client)
    return connection


def ready(client: Client, *ips: str) -> RelaySession:
    """A new session, by default for a host and a guest, once its relay lets them in."""
    made = client.relays.create(ips or (HOST, GUEST))
    return client.relays.wait_until_ready(made.session_id)


@contextmanager
def players(session: RelaySession, source: str = "127.0.0.1") -> Iterator[tuple[RelayPlayer, RelayPlayer]]:
    """The session's first user as host, the second as a client."""
    host, guest = (user.authorization_token for user in session.session_users)
    with (
        closing(RelayPlayer(session, host, server=True, source=source)) as server,
        closing(RelayPlayer(session, guest, source=source)) as client,
    ):
        yield server, client
