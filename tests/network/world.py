"""A small world on one machine: cities with a node each, a control plane, and players at distances of their own.

control ── every city, without delay          addresses: control 10.9.0.1, cities 10.8.<number>.1,
every city ── every crowd, with a delay       crowds /16 each: every address in it is a player
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import missing
from tests.network.links import Link, Wiring, possible_wirings
from tests.network.namespaces import Impossible, Namespace
from tests.polling import eventually
from tests.system import games
from tests.system.installation import TOKEN, Installation, node_table
from waymeet.client import Client, LocatedPlayer, Placement, Session

_PORT = 8080
_CONTROL = "10.9.0.1"
WAIT_MS, BUDGET_MS = 5000, 3500
"""For requests and for the probes that they wait for: nothing in these tests hangs on how long a busy machine takes."""


@dataclass(frozen=True)
class City:
    """A place with a node. `round_trips_ms` by crowd."""

    name: str
    latitude: float
    longitude: float
    round_trips_ms: Mapping[str, float]


@dataclass(frozen=True)
class Crowd:
    """Players, each address of a network one of them. Those who are not there say nothing at all."""

    name: str
    network: str
    answers_echo: bool = True
    is_there: bool = True


class World:
    """The cities, the crowds, and a control plane that serves."""

    def __init__(
        self, directory: Path, stack: ExitStack, wiring: Wiring, cities: Sequence[City], crowds: Sequence[Crowd]
    ) -> None:
        self.wiring = wiring
        self._directory = directory
        self._stack = stack
        self._cities = {city.name: (number, city) for number, city in enumerate(cities, start=1)}
        self._control = stack.enter_context(Namespace("control"))
        self._places = {city.name: stack.enter_context(Namespace(city.name)) for city in cities}
        self._build(cities, crowds)
        settings = (
            f'host = "{_CONTROL}"\n[latencies]\nallow_private = true\nwait_ms = {WAIT_MS}\n'
            '[store]\nsynchronous = "normal"\n'
        )
        self.server = stack.enter_context(
            Installation(directory / "control", settings=settings, within=self._control.within)
        )
        self.server.run("serve", "--port", str(_PORT), "--token", TOKEN)
        self._client: Client = self._control.call(lambda: Client(self.url, TOKEN, timeout=60.0))
        stack.callback(self._control.call, self._client.close)
        eventually(lambda: self.call(lambda client: client.is_alive()), seconds=60)

    @property
    def url(self) -> str:
        return f"http://{_CONTROL}:{_PORT}"

    def call(self, use: Callable[[Client], Any]) -> Any:
        """What a call to the control plane answers."""
        return self._control.call(use, self._client)

    def start(self, city: str) -> Installation:
        """A node in that city, once the control plane has heard of it."""
        number, there = self._cities[city]
        more = (
            f'location = {{ city = "{there.name}", country = "{there.name}", continent = "Earth", '
            f'administrative_division = "{there.name}", timezone = "UTC", '
            f"latitude = {there.latitude}, longitude = {there.longitude} }}\n"
            f"probe = {{ allow_private = true, budget_ms = {BUDGET_MS}, samples = 5, tcp_ports = [443, 80, 22, 7] }}\n"
        )
        name = city.lower().replace(" ", "-")
        node = self._stack.enter_context(
            Installation(
                self._directory / name,
                nodes=[node_table(name, f"10.8.{number}.1", more=more)],
                within=self._places[city].within,
            )
        )
        node.node(self.url, arguments=("--stop-servers",))
        eventually(lambda: city in self.listed(), seconds=60)
        return node

    def listed(self) -> set[str]:
        """Cities in which servers can be started now."""
        return {location.city for location in self.call(lambda client: client.locations.page(1, 100)).items}

    def seat(self, version: str, *players: LocatedPlayer, **how: Any) -> tuple[Session, Placement]:
        """A new group's session, once it is ready, and why it is where it is."""

        def play(client: Client) -> tuple[Session, Placement]:
            games.register(client, version)
            made = client.sessions.create(games.GAME, version, players=players, **how)
            ready = client.sessions.wait_until_ready(made.session_id, timeout=60.0)
            return ready, client.sessions.placement(made.session_id)

        found: tuple[Session, Placement] = self.call(play)
        return found

    def latencies(self, ip: str) -> dict[str, tuple[str, float]]:
        """What is known of an address by measuring: by city, origin and milliseconds."""
        known = self.call(lambda client: client.latencies.of(ip))
        return {one.location.city: (one.origin, one.ms) for one in known}

    def _build(self, cities: Sequence[City], crowds: Sequence[Crowd]) -> None:
        homes = {crowd.name: self._stack.enter_context(Namespace(crowd.name)) for crowd in crowds}
        links: list[Link] = []
        for city in cities:
            links.append(Link(self._control, self._places[city.name], 0.0, f"l{len(links)}"))
            for crowd in crowds:
                delay = city.round_trips_ms[crowd.name]
                links.append(Link(self._places[city.name], homes[crowd.name], delay, f"l{len(links)}"))
        self.wiring.lay(links)
        self._stack.callback(self.wiring.close)
        self._control.ip("address", "add", f"{_CONTROL}/32", "dev", "lo")
        for city in cities:
            place, own = self._places[city.name], f"10.8.{self._cities[city.name][0]}.1"
            place.ip("address", "add", f"{own}/32", "dev", "lo")
            for link in links:
                if link.one is self._control and link.other is place:
                    place.ip("route", "add", f"{_CONTROL}/32", "dev", link.interface, "src", own)
                    self._control.ip("route", "add", f"{own}/32", "dev", link.interface, "src", _CONTROL)
                elif link.one is place:
                    crowd = next(crowd for crowd in crowds if homes[crowd.name] is link.other)
                    place.ip("route", "add", crowd.network, "dev", link.interface, "src", own)
                    link.other.ip("route", "add", f"{own}/32", "dev", link.interface)
        for crowd in crowds:
            home = homes[crowd.name]
            if crowd.is_there:
                home.ip("route", "add", "local", crowd.network, "dev", "lo")
            home.set("net/ipv4/icmp_echo_ignore_all", "0" if crowd.answers_echo else "1")
            home.set("net/ipv4/ip_forward", "0")


@contextmanager
def world(directory: Path, cities: Sequence[City], crowds: Sequence[Crowd]) -> Iterator[World]:
    """The world, built with the best wiring that this machine has; says which. Skips, visibly, where there is none."""
    reasons: list[str] = []
    for wiring in possible_wirings():
        with ExitStack() as trial:
            try:
                one, other = trial.enter_context(Namespace("one")), trial.enter_context(Namespace("other"))
                laid = wiring()
                trial.callback(laid.close)
                laid.lay([Link(one, other, 1.0, "trial")])
            except (Impossible, OSError) as reason:
                reasons.append(f"{wiring.name}: {reason}")
                continue
        print(f"delays by {wiring.name}" + "".join(f"; not {reason}" for reason in reasons))
        with ExitStack() as stack:
            yield World(directory, stack, wiring(), cities, crowds)
        return
    missing("netns", "no network with delays can be made: " + "; ".join(reasons))
