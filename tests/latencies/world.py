"""Nodes that a test plays, over a real store: each says of an address what the test has put there, or nothing."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tests.polling import eventually_async
from tests.stores import Store
from tests.world import ORGANISATION, HandClock, place
from waymeet.accounts.types import Organisation
from waymeet.latencies.service import LatencyService
from waymeet.latencies.types import LatencyRules
from waymeet.locations.directory import Directory
from waymeet.locations.service import NODE, LocationService
from waymeet.locations.types import Site
from waymeet.model.ids import NodeName, OrganisationId
from waymeet.model.latency import ProbeResult
from waymeet.model.node_messages import PROTOCOL, Answer, Hello, Question, QuestionKind, Role
from waymeet.store.transaction import Transaction

Result = TypeVar("Result")
RIVAL = OrganisationId("rival")
PATIENT = LatencyRules(wait_seconds=20.0)
"""Far longer than any answer takes: what ends the waiting is the answers."""


@dataclass
class PlayedNode:
    """What a node answers. `mute`: not at all; `refuses`: with an error, as an old one does."""

    name: NodeName
    samples: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """By address; an address that is not here is silent."""
    left_out: set[str] = field(default_factory=set)
    mute: bool = False
    refuses: bool = False
    questions: list[Question] = field(default_factory=list)
    lies: tuple[ProbeResult, ...] = ()

    def answer(self, question: Question) -> Answer:
        if self.refuses:
            return Answer(question.id, error="this node does not probe")
        results = tuple(
            ProbeResult(address, self.samples.get(address, ()))
            for address in question.addresses
            if address not in self.left_out
        )
        return Answer(question.id, probes=(*results, *self.lies))


class Cities:
    """Stands for the list of beacons: every site that was made is listed under its city."""

    def __init__(self) -> None:
        self.sites: dict[str, str] = {}

    def site_of(self, city: str) -> str | None:
        return self.sites.get(city)


class CountingStore:
    """A store that counts what it is asked to read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = 0
        self.write = store.write
        self.scan = store.scan

    async def read(self, unit):  # type: ignore[no-untyped-def]
        self.reads += 1
        return await self._store.read(unit)


class LatencyWorld:
    """The latencies' service of one control plane."""

    def __init__(self, store: Store, clock: HandClock | None = None) -> None:
        self.store = store
        self.clock = clock or HandClock()
        self.locations = LocationService(store, store.bells, self.clock, random.Random(1))
        self.directory = Directory(store)
        self.cities = Cities()
        self.counting = CountingStore(store)
        self.service = self.with_rules(PATIENT)
        self.nodes: dict[str, PlayedNode] = {}
        self._asked: set[str] = set()
        self._services: list[LatencyService] = [self.service]
        self._answering: set[asyncio.Task[None]] = set()
        self._silence = store.bells.listen(NODE, self._hear)

    def with_rules(self, rules: LatencyRules) -> LatencyService:
        """Another service on the same store, as another replica has it."""
        service = LatencyService(
            self.counting, self.store.bells, self.locations, self.cities, self.clock, random.Random(2), rules
        )
        if hasattr(self, "_services"):
            self._services.append(service)
        return service

    async def found(self) -> "LatencyWorld":
        """Make two organisations."""

        async def unit(tx: Transaction) -> None:
            for organisation in (ORGANISATION, RIVAL):
                await tx.accounts.add_organisation(
                    Organisation(organisation, organisation, self.clock.now()), "whsec_x"
                )

        await self.store.write(unit)
        return self

    async def node(self, name: str, city: str | None = None, *, probes: bool = True, **samples: object) -> PlayedNode:
        """A connected node in a city of its own, or in `city`."""
        location = place(city or name.capitalize(), 1.0, 2.0)
        hello = Hello(PROTOCOL, name, (Role.SERVER,), "process", "192.0.2.1", location, 10, probes=probes)
        await self.locations.join(hello)
        await self.directory.refresh()
        played = self.nodes[name] = PlayedNode(NodeName(name))
        self.cities.sites[location.city] = self.site(location.city).key
        return played

    def site(self, city: str) -> Site:
        return next(site for site in self.directory.fleet.sites if site.nodes[0].profile.location.city == city)

    @property
    def sites(self) -> list[Site]:
        return list(self.directory.fleet.sites)

    def disconnected(self, site: Site) -> Site:
        """The same site, all its nodes gone."""
        return Site(site.vector, tuple(replace(node, connected=False) for node in site.nodes))

    async def measure(self, *addresses: str, service: LatencyService | None = None) -> list[dict[str, float]]:
        """For each address, milliseconds by city."""
        found = await (service or self.service).measured(addresses, self.sites, ORGANISATION)
        return [{site.split("|")[0]: latency.ms for site, latency in one.items()} for one in found]

    async def known(self, address: str, organisation: OrganisationId = ORGANISATION) -> dict[str, float]:
        (found,) = await self.service.known([address], organisation)
        return {site.split("|")[0]: latency.ms for site, latency in found.items()}

    async def from_memory(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """What a call returns, once it has done so without reading the store.

        Bells of PostgreSQL arrive when they do, and each makes it look again: but there comes an end to that.
        """
        found: list[Result] = []

        async def so() -> bool:
            before = self.counting.reads
            found[:] = [await call()]
            return self.counting.reads == before

        await eventually_async(so)
        return found[0]

    async def close(self) -> None:
        self._silence()
        for service in self._services:
            await service.close()
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    def _hear(self, name: str | None) -> None:
        task = asyncio.get_running_loop().create_task(self._answer_all())
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer_all(self) -> None:
        for name, node in list(self.nodes.items()):
            for question in await self.locations.open_questions(NodeName(name)):
                if question.id in self._asked or question.kind is not QuestionKind.PROBE:
                    continue
                self._asked.add(question.id)
                node.questions.append(question)
                if not node.mute:
                    await self.locations.record_answer(node.answer(question))
