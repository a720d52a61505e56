"""Relays that are lost, that never answer, that come back; and what all of them count."""

import asyncio

import pytest

from tests.polling import eventually_async
from tests.relays.hands import PORTS, HandRelay, create, look, ready
from tests.world import ORGANISATION, World
from waymeet.model.errors import NotFound
from waymeet.model.ids import NodeName
from waymeet.model.instant import Instant
from waymeet.model.node_messages import Answer, QuestionKind
from waymeet.model.relays import DropReason, RelayCounters, RelayLoad
from waymeet.model.states import RelayStatus
from waymeet.relays.endings import FAILED_SECONDS
from waymeet.relays.types import RelayTotals
from waymeet.store.transaction import Transaction

pytestmark = pytest.mark.anyio

LOST_SECONDS = 60


async def leave(world: World, relay: HandRelay) -> None:
    await world.locations.leave(relay.name, world.tokens[relay.name])
    await world.directory.refresh()


async def watch(world: World, seconds: int) -> None:
    """Let time pass as it does for a loop that is not interrupted."""
    for _ in range(seconds):
        await world.relay_loop.give_up_lost_nodes()
        world.clock.pass_seconds(1)
    await world.relay_loop.give_up_lost_nodes()


async def test_sessions_of_a_lost_relay_fail_with_the_reason(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await ready(world, relay)
    young = await create(world)
    await leave(world, relay)
    await watch(world, LOST_SECONDS - 1)
    assert (await look(world, session)).ready
    await watch(world, 2)
    for lost in (session, young):
        found = await look(world, lost)
        assert (found.status, found.ready) == (RelayStatus.ERROR, False)
        assert found.error == "relay 'relay' has been away for more than 60 s"
    await world.check_invariants()
    # Back again, it ends what nobody wants any more.
    await world.node("relay", relay=PORTS)
    assert set(relay.serves) == {session.session_id}
    await relay.start_again()
    assert relay.serves == {}
    world.clock.pass_seconds(FAILED_SECONDS + 1)
    await world.relay_loop.act_on_due()
    with pytest.raises(NotFound):
        await look(world, session)


async def test_a_relay_that_comes_back_in_time_goes_on(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await ready(world, relay)
    await leave(world, relay)
    await watch(world, LOST_SECONDS - 1)
    await world.node("relay", relay=PORTS)
    await relay.start_again()
    assert set(relay.serves) == {session.session_id}
    await watch(world, LOST_SECONDS + 1)
    assert (await look(world, session)).ready


async def test_time_in_which_nobody_looked_does_not_count(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await ready(world, relay)
    await leave(world, relay)
    await watch(world, 1)
    world.clock.pass_seconds(10 * LOST_SECONDS)
    await watch(world, LOST_SECONDS - 1)
    assert (await look(world, session)).ready
    await watch(world, 2)
    assert not (await look(world, session)).ready


async def test_the_row_decides_not_an_old_snapshot(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await ready(world, relay)
    await leave(world, relay)
    away = world.directory.fleet
    await watch(world, LOST_SECONDS - 1)
    await world.node("relay", relay=PORTS)
    world.directory._fleet = away
    await watch(world, 2)
    assert (await look(world, session)).ready


async def test_a_node_that_is_back_without_its_relay_has_lost_its_sessions(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await ready(world, relay)
    await world.node("relay")
    await watch(world, LOST_SECONDS - 1)
    assert (await look(world, session)).ready
    await watch(world, 2)
    assert (await look(world, session)).status is RelayStatus.ERROR


async def test_a_relay_that_never_takes_a_session_fails_it(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await create(world)
    world.clock.pass_seconds(29)
    await world.relay_loop.act_on_due()
    assert (await look(world, session)).status is RelayStatus.INITIALIZING
    world.clock.pass_seconds(2)
    await world.relay_loop.act_on_due()
    found = await look(world, session)
    assert found.status is RelayStatus.ERROR
    assert found.error == "relay 'relay' did not take the session within 30 s"
    await relay.catch_up()
    assert (await look(world, session)).status is RelayStatus.ERROR
    assert relay.serves == {}
    await world.check_invariants()


async def test_a_node_with_relay_sessions_is_not_forgotten(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await ready(world, relay)
    await leave(world, relay)
    world.clock.pass_seconds(48 * 3600)
    assert await world.locations.forget_unseen_nodes(24) == []
    await watch(world, LOST_SECONDS + 1)
    await world.relays.delete(ORGANISATION, session.session_id)
    assert await world.locations.forget_unseen_nodes(24) == []
    world.clock.pass_seconds(61)
    await world.relay_loop.act_on_due()
    assert await world.locations.forget_unseen_nodes(24) == ["relay"]


async def test_counters_are_asked_of_the_relay(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await create(world)
    assert await world.relays.counters(ORGANISATION, session.session_id) == (session, RelayCounters())
    await relay.catch_up()
    counted = RelayCounters(3, 300, 2, 200, {DropReason.NO_HOST: 1}, Instant(5))
    for answer, expected in (({"relay": counted}, counted), ({"error": "no such session"}, RelayCounters())):
        asking = asyncio.create_task(world.relays.counters(ORGANISATION, session.session_id))

        async def is_asked() -> bool:
            return bool(await world.locations.open_questions(relay.name))

        await eventually_async(is_asked)
        (question,) = await world.locations.open_questions(relay.name)
        assert (question.kind, question.key) == (QuestionKind.RELAY, session.session_id)
        await world.locations.record_answer(Answer(question.id, **answer))
        assert (await asking)[1] == expected


async def totals(world: World) -> RelayTotals:
    async def unit(tx: Transaction) -> RelayTotals:
        return await tx.relays.totals()

    return await world.store.scan(unit)


async def test_totals_only_grow(world: World) -> None:
    first, second = await HandRelay.joined(world), await HandRelay.joined(world, "second", capacity=7)
    load = RelayLoad(2, 5, RelayCounters(10, 1000, 9, 900, {DropReason.NO_HOST: 1, "invented": 4}))
    for _ in range(2):
        # Said twice, counted once.
        await world.relay_serving.record_load(first.name, load)
    await world.relay_serving.record_load(second.name, RelayLoad(1, 3, RelayCounters(1, 100, 0, 0, {})))
    expected = RelayTotals(
        relays=2,
        places=107,
        bindings=8,
        traffic={"received_packets": 11, "received_bytes": 1100, "sent_packets": 9, "sent_bytes": 900},
        drops={"no_host": 1, "other": 4},
    )
    assert await totals(world) == expected
    more = RelayLoad(2, 6, RelayCounters(11, 1100, 10, 1000, {DropReason.NO_HOST: 2, "invented": 4}))
    await world.relay_serving.record_load(first.name, more)
    # A relay that was started anew begins at 0 again.
    await world.relay_serving.record_load(first.name, RelayLoad(0, 0, RelayCounters(2, 200, 2, 200, {})))
    found = await totals(world)
    assert found.traffic == {"received_packets": 14, "received_bytes": 1400, "sent_packets": 12, "sent_bytes": 1200}
    assert (found.drops, found.bindings) == ({"no_host": 2, "other": 4}, 3)
    # Who is gone keeps what it has counted.
    await world.locations.leave(NodeName("relay"), world.tokens["relay"])
    found = await totals(world)
    assert (found.relays, found.places, found.traffic["received_packets"]) == (1, 7, 14)


async def test_an_idle_loop_writes_nothing(world: World) -> None:
    relay = await HandRelay.joined(world)
    await ready(world, relay)
    writes = 0
    write = world.store.write

    async def counted(unit: object) -> object:
        nonlocal writes
        writes += 1
        return await write(unit)  # type: ignore[arg-type]

    loop_store = type("Watched", (), {"write": staticmethod(counted), "read": world.store.read})()
    world.relay_loop._store = loop_store
    for _ in range(3):
        world.clock.pass_seconds(1)
        assert not await world.relay_loop.act_on_due()
        await world.relay_loop.give_up_lost_nodes()
    assert writes == 0
