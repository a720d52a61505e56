"""Asking nodes to probe: who is asked, what is done with the answers, and that nothing is asked twice at once."""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from math import isfinite

from waymeet.latencies.knowledge import LATENCIES, Knowledge, bell_key
from waymeet.latencies.merging import merged
from waymeet.latencies.ports import LatencyStore, LatencyTransaction, Nodes
from waymeet.latencies.types import OUR_NODES, Batch, LatencyRules
from waymeet.locations.types import Inquiry, Node, Site
from waymeet.model.errors import Unavailable
from waymeet.model.ids import NodeName
from waymeet.model.instant import Clock
from waymeet.model.latency import Origin, ProbeResult
from waymeet.model.node_messages import Answer, QuestionKind

ROUND_SECONDS = 8.0
"""How long answers are waited for, whoever waits for the round: the longest time budget that a node can be given, 5 s, and
some for the way."""
MOST_ROUNDS = 100
"""Rounds under way at once; beyond it groups go by what is known."""
PASSED_OVER_SECONDS = 15.0
"""How long a node that owed an answer is not asked again: each question to it would make a request wait for nothing."""
HIGHEST_MS = 10_000.0
MOST_SAMPLES = 16
"""Of one answer for one address."""

Addresses = Mapping[str, str]
"""By network, the address that stands for it."""
_Key = tuple[str, str]
"""Network and site."""

_log = logging.getLogger(__name__)


class Rounds:
    """Questions to nodes under way.

    A round goes on when nobody waits for it any more, and its answers are kept: who comes late serves the next group.
    """

    def __init__(
        self,
        store: LatencyStore,
        knowledge: Knowledge,
        nodes: Nodes,
        clock: Clock,
        rng: random.Random,
        rules: LatencyRules,
    ) -> None:
        self._store = store
        self._knowledge = knowledge
        self._nodes = nodes
        self._clock = clock
        self._rng = rng
        self._rules = rules
        self._open: dict[_Key, asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._passed_over: dict[NodeName, float] = {}
        """Until when, by the monotonic clock; no more entries than there are nodes."""

    def able(self, site: Site) -> list[Node]:
        """The nodes of a site that can be asked now."""
        now = self._clock.monotonic()
        return [
            node
            for node in site.nodes
            if node.connected and node.profile.probes and self._passed_over.get(node.name, now) <= now
        ]

    def begin(self, wanted: Mapping[str, tuple[Sequence[Node], Addresses]]) -> list[asyncio.Future[None]]:
        """Ask one of each site's nodes about the addresses; what to wait for, one future for each site and network.

        What is being asked already is not asked again, only waited for. A future is done when its answer is stored, or
        when there will be none.
        """
        waiting: list[asyncio.Future[None]] = []
        errands: dict[Inquiry, _Errand] = {}
        for site, (nodes, addresses) in wanted.items():
            new: dict[str, str] = {}
            for prefix, address in addresses.items():
                under_way = self._open.get((prefix, site))
                if under_way is not None:
                    waiting.append(under_way)
                else:
                    new[prefix] = address
            if new and nodes and len(self._tasks) < MOST_ROUNDS:
                node = self._rng.choice(nodes)
                errands[Inquiry(node.name, QuestionKind.PROBE, addresses=tuple(new.values()))] = _Errand(site, new)
        if not errands:
            return waiting
        loop = asyncio.get_running_loop()
        opened = {key: loop.create_future() for errand in errands.values() for key in errand.keys}
        self._open |= opened
        task = loop.create_task(self._run(errands), name="probe round")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return [*waiting, *opened.values()]

    async def close(self) -> None:
        """End every round. Those who wait are let go."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, errands: "Mapping[Inquiry, _Errand]") -> None:
        silent = {inquiry.node for inquiry in errands}
        try:
            async with aclosing(self._nodes.ask_each(list(errands), ROUND_SECONDS)) as answers:
                async for some in answers:
                    batches = [batch for inquiry, answer in some for batch in errands[inquiry].batches(answer)]
                    if batches:
                        await self._keep(batches)
                    for inquiry, answer in some:
                        if answer.error is None:
                            silent.discard(inquiry.node)
                        self._let_go(errands[inquiry])
            until = self._clock.monotonic() + PASSED_OVER_SECONDS
            for node in silent:
                _log.warning("node %s did not say how far players are", node)
                self._passed_over[node] = until
        except Unavailable as error:
            _log.warning("round-trip times could not be asked for or kept: %s", error.message)
        finally:
            for errand in errands.values():
                self._let_go(errand)

    def _let_go(self, errand: "_Errand") -> None:
        for key in errand.keys:
            future = self._open.pop(key, None)
            if future is not None and not future.done():
                future.set_result(None)

    async def _keep(self, batches: Sequence[Batch]) -> None:
        prefixes = sorted({batch.prefix for batch in batches})

        async def unit(tx: LatencyTransaction) -> None:
            now = self._clock.now()
            before = {(record.prefix, record.site): record for record in await tx.latencies.of(prefixes, (OUR_NODES,))}
            await tx.latencies.put(
                merged(
                    before.get((batch.prefix, batch.site)),
                    batch,
                    OUR_NODES,
                    Origin.MEASURED,
                    now,
                    self._rules.fresh_seconds,
                )
                for batch in batches
            )
            for prefix in prefixes:
                tx.wake(LATENCIES, bell_key(prefix, OUR_NODES))

        await self._store.write(unit)
        for prefix in prefixes:
            self._knowledge.forget(prefix, OUR_NODES)


@dataclass(frozen=True, slots=True)
class _Errand:
    """What one node is asked on behalf of its site."""

    site: str
    addresses: Addresses

    @property
    def keys(self) -> list[_Key]:
        return [(prefix, self.site) for prefix in self.addresses]

    def batches(self, answer: Answer) -> list[Batch]:
        """What the node found out of what it was asked. An address that it left out was not probed: that says nothing."""
        results = {result.address: result for result in answer.probes or ()}
        return [
            Batch(prefix, self.site, _samples(results[address]))
            for prefix, address in self.addresses.items()
            if address in results
        ]


def _samples(result: ProbeResult) -> tuple[float, ...]:
    return tuple(ms for ms in result.samples_ms[:MOST_SAMPLES] if isfinite(ms) and 0 < ms < HIGHEST_MS)
