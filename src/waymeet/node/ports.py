"""The ports of what a node offers: those of the settings, else those that it had the last time, else free ones."""

import errno
import json
import logging
import os
import random
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from waymeet.model.errors import Invalid
from waymeet.node.sockets import Bind

CHOSEN_FROM = range(28_000, 30_000)
"""Below the usual ports of game servers, and below those that the kernel gives to outgoing connections: what a node had is
still free when it comes back."""
TRIES = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WantedPort:
    """One port of a role, by the name that it has in the settings."""

    name: str
    bind: Bind
    port: int | None
    """What the settings say; `None` leaves the choice to the node."""


def open_ports(
    node: str,
    role: str,
    address: str,
    wanted: Sequence[WantedPort],
    *,
    directory: Path,
    highest: int,
    avoid: range,
    rng: random.Random,
) -> Sequence[Sequence[socket.socket]]:
    """For each wanted port its sockets, bound, all of them or none.

    Ports that are not named are those of the last time, kept in the node's `directory`, or new ones outside `avoid`.
    Raises `Invalid`, naming the setting, when a port cannot be had.
    """
    file = directory / f"{role}.json"
    names = [each.name for each in wanted]
    found: list[Sequence[socket.socket]] = []
    with ExitStack() as undo:
        for each, before in zip(wanted, read_kept(file, names, highest), strict=True):
            setting = f"node {node}: {role}.{each.name}"
            if each.port is None:
                sockets = bind_any(each.bind, address, before, avoid, rng, setting, role)
            else:
                sockets = bind_wanted(each.bind, address, each.port, setting)
            for endpoint in sockets:
                undo.enter_context(endpoint)
            found.append(sockets)
        undo.pop_all()
    try:
        keep(file, {name: sockets[0].getsockname()[1] for name, sockets in zip(names, found, strict=True)})
    except OSError as error:
        log.warning("node %s: its %s's ports will be others after a restart: %s", node, role, error)
    return found


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
    bind: Bind, address: str, kept: int | None, avoid: range, rng: random.Random, setting: str, role: str
) -> Sequence[socket.socket]:
    """The sockets on the port `kept` if that can be had, else on a free one outside `avoid`.

    `Invalid` names the setting with which to choose by hand when there is none, and the node's `role` that needs it.
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
        f"{setting}: the {role} cannot be opened on {address} ({problem}); take `{role}` out of roles, or name a port"
    )
    raise Invalid({setting: reason}, reason)


def read_kept(file: Path, names: Sequence[str], highest: int) -> Sequence[int | None]:
    """The ports of these names that were kept; `None` for one above `highest`, and for all where the file is not usable."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return [_port(content[name], highest) for name in names]
    except (OSError, ValueError, TypeError, KeyError):
        return [None] * len(names)


def keep(file: Path, ports: Mapping[str, int]) -> None:
    """Remember the ports for the next start; `OSError` when that is not possible."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(json.dumps(ports), encoding="utf-8")
    draft.replace(file)


def _port(value: object, highest: int) -> int | None:
    return value if type(value) is int and 1 <= value <= highest else None


def _candidates(kept: int | None, avoid: range, rng: random.Random) -> Iterator[int]:
    if kept is not None:
        yield kept
    free = [port for port in CHOSEN_FROM if port not in avoid] or list(CHOSEN_FROM)
    yield from rng.sample(free, min(TRIES, len(free)))
