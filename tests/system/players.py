"""Players, as far as a game server can tell: datagrams that want an answer."""

import socket

from waymeet.client import Session

PATIENCE_SECONDS = 1.0


def is_answered(host: str, port: int, payload: bytes = b"hello", *, tries: int = 3) -> bool:
    """Whether the echo server there sends a datagram back. Datagrams may get lost, so it is asked a few times."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as player:
        player.settimeout(PATIENCE_SECONDS)
        player.connect((host, port))
        for _ in range(tries):
            try:
                player.send(payload)
                if player.recv(2048) == payload:
                    return True
            except (TimeoutError, ConnectionRefusedError):
                continue
    return False


def address_of(session: Session) -> tuple[str, int]:
    """Where the session's players connect to."""
    assert session.deployment is not None, session
    (port,) = session.deployment.ports.values()
    return session.deployment.public_ip, port.external
