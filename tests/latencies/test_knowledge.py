"""The memory of what is known: bounded, and never older than what was written."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from tests.clocks import ManualClock
from waymeet.latencies.knowledge import REREAD_SECONDS, Knowledge, bell_key
from waymeet.latencies.types import Record
from waymeet.model.instant import Instant
from waymeet.store.bells import Bells

pytestmark = pytest.mark.anyio

NETWORK = "8.8.8.0/24"


class Shelf:
    """A store of records whose answers a test may hold back."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.asked: list[Sequence[str]] = []
        self.was_asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def latencies(self) -> "Shelf":
        return self

    async def of(self, prefixes: Sequence[str], owners: Sequence[str]) -> Sequence[Record]:
        self.asked.append(list(prefixes))
        self.was_asked.set()
        return [record for record in self.records if record.prefix in prefixes and record.owner in owners]

    async def read(self, unit: Callable[[Any], Awaitable[Any]]) -> Any:
        found = await unit(self)
        await self.gate.wait()
        return found


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def bells() -> Bells:
    return Bells()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def knowledge(shelf: Shelf, bells: Bells, clock: ManualClock, remembered: int = 100) -> Knowledge:
    return Knowledge(shelf, bells, clock, remembered)  # type: ignore[arg-type] # a store in all that is used


RECORD = Record("", NETWORK, "Paris", Instant(1), None)


async def test_it_remembers_also_that_nothing_is_known(shelf: Shelf, bells: Bells, clock: ManualClock) -> None:
    known = knowledge(shelf, bells, clock)
    for _ in range(3):
        assert (await known.of([NETWORK], ("",)))[NETWORK, ""] == {}
    assert shelf.asked == [[NETWORK]]


async def test_a_bell_makes_it_look_again(shelf: Shelf, bells: Bells, clock: ManualClock) -> None:
    known = knowledge(shelf, bells, clock)
    await known.of([NETWORK], ("",))
    shelf.records = [RECORD]
    bells.ring("latencies", bell_key("9.9.9.0/24", ""))
    bells.ring("latencies", bell_key(NETWORK, "somebody"))
    assert (await known.of([NETWORK], ("",)))[NETWORK, ""] == {}
    bells.ring("latencies", bell_key(NETWORK, ""))
    assert (await known.of([NETWORK], ("",)))[NETWORK, ""] == {"Paris": RECORD}
    shelf.records = []
    bells.ring("latencies", None)
    assert (await known.of([NETWORK], ("",)))[NETWORK, ""] == {}


async def test_a_lost_bell_is_made_up_for_with_time(shelf: Shelf, bells: Bells, clock: ManualClock) -> None:
    known = knowledge(shelf, bells, clock)
    await known.of([NETWORK], ("",))
    shelf.records = [RECORD]
    clock.advance(REREAD_SECONDS - 0.001)
    assert (await known.of([NETWORK], ("",)))[NETWORK, ""] == {}
    clock.advance(0.001)
    assert (await known.of([NETWORK], ("",)))[NETWORK, ""] == {"Paris": RECORD}


@pytest.mark.parametrize("everything", [False, True])
async def test_what_was_read_before_a_bell_is_not_remembered_after_it(
    shelf: Shelf, bells: Bells, clock: ManualClock, everything: bool
) -> None:
    known = knowledge(shelf, bells, clock)
    shelf.gate.clear()
    reading = asyncio.create_task(known.of([NETWORK, "9.9.9.0/24"], ("",)))
    await shelf.was_asked.wait()
    shelf.records = [RECORD]
    bells.ring("latencies", None if everything else bell_key(NETWORK, ""))
    shelf.gate.set()
    assert (await reading)[NETWORK, ""] == {}
    assert (await known.of([NETWORK], ("",)))[NETWORK, ""] == {"Paris": RECORD}
    await known.of(["9.9.9.0/24"], ("",))
    assert len(shelf.asked) == (3 if everything else 2)


async def test_the_memory_is_bounded_and_keeps_what_is_used(shelf: Shelf, bells: Bells, clock: ManualClock) -> None:
    known = knowledge(shelf, bells, clock, remembered=3)
    networks = [f"8.8.{number}.0/24" for number in range(3)]
    await known.of(networks, ("",))
    await known.of(networks[:1], ("",))
    await known.of(["9.9.9.0/24"], ("",))
    assert len(known._memory) == 3
    before = len(shelf.asked)
    await known.of([networks[0], networks[2]], ("",))
    assert len(shelf.asked) == before
    await known.of([networks[1]], ("",))
    assert len(shelf.asked) == before + 1


async def test_many_networks_are_read_in_parts(shelf: Shelf, bells: Bells, clock: ManualClock) -> None:
    known = knowledge(shelf, bells, clock)
    networks = [f"8.8.{number}.0/24" for number in range(70)]
    found = await known.of(networks, ("", "studio"))
    assert len(found) == 140
    assert [len(part) for part in shelf.asked] == [32, 32, 6]
