"""Asking a UDP echo server for an answer, as a player's game would."""

import socket

from waymeet.model.instant import Clock


class NoEcho(Exception):
    """The game server did not send the datagram back."""


def echo(host: str, port: int, text: str, clock: Clock, *, tries: int = 5, timeout: float = 1.0) -> float:
    """Milliseconds from sending `text` to having it back. `NoEcho` after `tries`, each of `timeout` seconds.

    Datagrams get lost, so each try sends a new one; each is numbered, so that a late answer is not taken for another's.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    reason = "no answer"
    with socket.socket(family, kind, protocol) as player:
        player.settimeout(timeout)
        player.connect(address)
        for attempt in range(tries):
            question = f"{text} #{attempt + 1}".encode()
            sent_at = clock.monotonic()
            try:
                player.send(question)
                while player.recv(2048) != question:
                    pass
            except OSError as problem:
                reason = str(problem) or reason
                continue
            return (clock.monotonic() - sent_at) * 1000
    raise NoEcho(
        f"{host}:{port} sent no datagram back in {tries} tries ({reason}): is UDP open between here and there?"
    )
