"""The ports of a beacon: those of the settings, else those that it had the last time, else free ones."""

import errno
import json
import os
import random
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from waymeet.model.errors import Invalid
from waymeet.node.beacon.sockets import Bind

CHOSEN_FROM = range(28_000, 30_000)
"""Below the usual ports of game servers, and below those that the kernel gives to outgoing connections: what a beacon had
is still free when it comes back."""
HIGHEST_PORT = 59_999
"""What clients accept (contract 2.14)."""
TRIES = 200


@dataclass(frozen=True, slots=True)
class WantedPorts:
    """What the settings say; `None` leaves the choice to the node."""

    udp_port: int | None = None
    tcp_port: int | None = None


def bind_wanted(bind: Bind, address: str, port: int, setting: str) -> Sequence[socket.socket]:
    """The sockets on the port that a setting names; `Invalid` names the setting when they cannot be had."""
    try:
        return bind(address, port)
    except OSError as error:
        reason = f"{setting}: {port} cannot be bound on {address} ({error.strerror})"
        if error.errno == errno.EADDRINUSE:
            reason += "; name another port, or none to have a free one chosen"
        raise Invalid({setting: reason}, reason) from None


def bind_any(
    bind: Bind, address: str, kept: int | None, avoid: range, rng: random.Random, setting: str
) -> Sequence[socket.socket]:
    """The sockets on the port `kept` if that can be had, else on a free one outside `avoid`.

    `Invalid` names the setting with which to choose by hand when there is none.
    """
    problem = "no free port was found"
    for port in _candidates(kept, avoid, rng):
        try:
            return bind(address, port)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                problem = error.strerror or str(error)
                break
    reason = (
        f"{setting}: the beacon cannot be opened on {address} ({problem}); take `beacon` out of roles, or name a port"
    )
    raise Invalid({setting: reason}, reason)


def read_kept(file: Path) -> WantedPorts:
    """The ports that the beacon had before; nothing where nothing usable is kept."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return WantedPorts(_port(content["udp_port"]), _port(content["tcp_port"]))
    except (OSError, ValueError, TypeError, KeyError):
        return WantedPorts()


def keep(file: Path, udp_port: int, tcp_port: int) -> None:
    """Remember the ports for the next start; `OSError` when that is not possible."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(json.dumps({"udp_port": udp_port, "tcp_port": tcp_port}), encoding="utf-8")
    draft.replace(file)


def _port(value: object) -> int | None:
    return value if type(value) is int and 1 <= value <= HIGHEST_PORT else None


def _candidates(kept: int | None, avoid: range, rng: random.Random) -> Iterator[int]:
    if kept is not None:
        yield kept
    free = [port for port in CHOSEN_FROM if port not in avoid] or list(CHOSEN_FROM)
    yield from rng.sample(free, min(TRIES, len(free)))
