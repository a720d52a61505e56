"""Players, as far as a game server can tell: datagrams that want an answer."""

import socket

from tests.polling import eventually
from waymeet.client import Session

RESEND_SECONDS = 1.0


def is_answered(host: str, port: int, payload: bytes = b"hello") -> bool:
    """True once the echo server there has sent a datagram back. Datagrams may get lost, so it is asked again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as player:
        player.settimeout(RESEND_SECONDS)
        player.connect((host, port))

        def answered() -> bool:
            try:
                player.send(payload)
                return player.recv(2048) == payload
            except (TimeoutError, ConnectionRefusedError):
                return False

        return eventually(answered)


def address_of(session: Session) -> tuple[str, int]:
    """Where the session's players connect to."""
    assert session.deployment is not None, session
    (port,) = session.deployment.ports.values()
    return session.deployment.public_ip, port.external
