"""Links with a delay between namespaces: by the kernel's netem where there is one, else by a router of our own over TUN."""

import itertools
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.network.namespaces import Impossible, Namespace, command


@dataclass(frozen=True)
class Link:
    """Two places, and the milliseconds from one to the other and back."""

    one: Namespace
    other: Namespace
    round_trip_ms: float
    interface: str
    """Its name on both ends."""


class Wiring(Protocol):
    """A way to make links."""

    name: str

    def lay(self, links: list[Link]) -> None:
        """Make them all; the interfaces are up afterwards. Raises `Impossible`."""

    def close(self) -> None: ...


class Netem:
    """Pairs of virtual Ethernet interfaces; the kernel holds packets back at each end."""

    name = "netem"

    def lay(self, links: list[Link]) -> None:
        tc = command("tc")
        for link in links:
            peer = ("peer", "name", link.interface, "netns", str(link.other.holder))
            link.one.ip("link", "add", link.interface, "type", "veth", *peer)
            for end in (link.one, link.other):
                delay = f"{link.round_trip_ms / 2:g}ms"
                end.run(tc, "qdisc", "add", "dev", link.interface, "root", "netem", "delay", delay)
                end.ip("link", "set", link.interface, "up")

    def close(self) -> None:
        """Nothing: the interfaces go with their namespaces."""


class TunRouter:
    """TUN interfaces, with `tests.network.router` between them."""

    name = "a router over TUN interfaces"

    def __init__(self) -> None:
        self._router: subprocess.Popen[str] | None = None

    def lay(self, links: list[Link]) -> None:
        if not Path("/dev/net/tun").exists():
            raise Impossible("there is no /dev/net/tun")
        table = [[link.one.path, link.other.path, link.interface, link.round_trip_ms / 2000] for link in links]
        self._router = subprocess.Popen(
            [sys.executable, "-m", "tests.network.router"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert self._router.stdin is not None
        assert self._router.stdout is not None
        self._router.stdin.write(json.dumps(table) + "\n")
        self._router.stdin.flush()
        if self._router.stdout.readline() != "ready\n":
            _, said = self._router.communicate()
            raise Impossible(f"TUN interfaces cannot be used: {said.strip().splitlines()[-1:]}")
        for link, end in itertools.chain(((link, link.one) for link in links), ((link, link.other) for link in links)):
            end.ip("link", "set", link.interface, "up")

    def close(self) -> None:
        if self._router is not None:
            self._router.communicate()


def possible_wirings() -> list[type[Netem] | type[TunRouter]]:
    """Ways to make links, the better one first."""
    return [Netem, TunRouter]
