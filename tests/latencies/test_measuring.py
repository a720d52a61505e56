"""Having nodes probe players' networks, on both databases."""

import asyncio
from dataclasses import replace

import pytest

from tests.latencies.world import PATIENT, LatencyWorld, PlayedNode
from tests.polling import eventually_async
from tests.stores import Store
from waymeet.latencies.rounds import PASSED_OVER_SECONDS
from waymeet.latencies.types import MOST_NETWORKS, MOST_SITES
from waymeet.model.latency import Origin, ProbeResult
from waymeet.store.postgres import PostgresStore

pytestmark = pytest.mark.anyio

ANNE, BERT = "8.8.8.8", "1.1.1.1"
LONG = "É" * 240


async def heard(node: PlayedNode) -> None:
    """Wait until the node was asked, once."""

    async def so() -> bool:
        return len(node.questions) == 1

    await eventually_async(so)


async def test_every_site_is_asked_once_and_what_it_says_is_kept(world: LatencyWorld) -> None:
    near, far = await world.node("near"), await world.node("far")
    near.samples = {ANNE: (21.0, 20.0, 22.0), BERT: (90.0,)}
    far.samples = {ANNE: (120.0, 121.0)}
    assert await world.measure(ANNE, BERT) == [{"Near": 20.0, "Far": 120.0}, {"Near": 90.0}]
    assert [question.addresses for question in near.questions] == [(ANNE, BERT)]
    (found, _) = await world.service.measured([ANNE, BERT], world.sites)
    assert {latency.origin for latency in found.values()} == {Origin.MEASURED}
    # Nobody is asked again, not even about him who was silent; and the store is not asked either.
    again = await world.from_memory(lambda: world.measure(ANNE, BERT))
    assert again == [{"Near": 20.0, "Far": 120.0}, {"Near": 90.0}]
    # All players of one network count as one.
    assert await world.measure("8.8.8.9", "::ffff:8.8.8.10") == [{"Near": 20.0, "Far": 120.0}] * 2
    assert (len(near.questions), len(far.questions)) == (1, 1)


async def test_what_was_tried_is_tried_again_when_it_is_no_longer_fresh(world: LatencyWorld) -> None:
    node = await world.node("near")
    node.samples = {ANNE: (20.0,)}
    await world.measure(ANNE, BERT)
    world.clock.pass_seconds(600)
    await world.measure(ANNE, BERT)
    assert len(node.questions) == 1
    world.clock.pass_seconds(0.001)
    node.samples = {ANNE: (60.0,), BERT: (30.0,)}
    # Half of the old one's weight is gone.
    assert await world.measure(ANNE, BERT) == [{"Near": pytest.approx(40.0, abs=0.01)}, {"Near": 30.0}]
    assert len(node.questions) == 2


async def test_what_is_too_old_is_no_longer_known(world: LatencyWorld) -> None:
    node = await world.node("near")
    node.samples = {ANNE: (20.0,)}
    await world.measure(ANNE)
    world.clock.pass_seconds(86_400)
    assert await world.known(ANNE) == {"Near": 20.0}
    world.clock.pass_seconds(0.001)
    assert await world.known(ANNE) == {}


async def test_addresses_that_are_not_on_the_internet_are_not_asked_about(world: LatencyWorld) -> None:
    node = await world.node("near")
    private = ["10.0.0.1", "127.0.0.1", "203.0.113.7", "::1", "fe80::1", "nonsense", "224.0.0.1", ""]
    assert await world.measure(*private) == [{}] * 8
    assert node.questions == []
    node.samples = {"10.0.0.1": (5.0,)}
    allowing = world.with_rules(replace(PATIENT, allow_private=True))
    assert (await world.measure(*private, service=allowing))[0] == {"Near": 5.0}
    (question,) = node.questions
    assert question.addresses == ("10.0.0.1", "127.0.0.1", "203.0.113.7", "::1", "fe80::1")


async def test_nobody_is_asked_where_the_operator_switched_it_off(world: LatencyWorld) -> None:
    node = await world.node("near")
    assert await world.measure(ANNE, service=world.with_rules(replace(PATIENT, probing=False))) == [{}]
    assert node.questions == []


async def test_nodes_that_cannot_probe_or_are_gone_are_not_asked(world: LatencyWorld) -> None:
    old = await world.node("old", probes=False)
    gone = await world.node("gone")
    sites = [world.site("Old"), world.disconnected(world.site("Gone"))]
    assert await world.service.measured([ANNE], sites) == [{}]
    assert old.questions == gone.questions == []


async def test_one_node_for_each_site(world: LatencyWorld) -> None:
    one, other = await world.node("one", "Paris"), await world.node("other", "Paris")
    one.samples = other.samples = {ANNE: (20.0,)}
    assert await world.measure(ANNE) == [{"Paris": 20.0}]
    assert len(one.questions) + len(other.questions) == 1


async def test_a_node_that_does_not_answer_leaves_only_its_own_site_unmeasured(world: LatencyWorld) -> None:
    near, dead = await world.node("near"), await world.node("dead")
    near.samples = {ANNE: (20.0,)}
    dead.mute = True
    # It ends when the time is over, whatever the dead node does.
    impatient = world.with_rules(replace(PATIENT, wait_seconds=0.2))

    async def measured() -> bool:
        return await world.measure(ANNE, service=impatient) == [{"Near": 20.0}]

    await eventually_async(measured)
    await heard(dead)
    # Meanwhile everybody goes on without waiting for what is being asked already, and nothing is asked twice.
    assert await world.measure(ANNE, service=impatient) == [{"Near": 20.0}]
    assert len(dead.questions) == 1


async def test_a_node_that_owed_an_answer_is_passed_over_for_a_while(world: LatencyWorld) -> None:
    broken = await world.node("broken")
    broken.refuses = True
    assert await world.measure(ANNE) == [{}]
    assert await world.measure(ANNE) == [{}]
    assert len(broken.questions) == 1
    world.clock.pass_seconds(PASSED_OVER_SECONDS)
    broken.refuses = False
    broken.samples = {ANNE: (20.0,)}
    assert await world.measure(ANNE) == [{"Broken": 20.0}]


async def test_another_node_of_the_site_steps_in(world: LatencyWorld) -> None:
    one, other = await world.node("one", "Paris"), await world.node("other", "Paris")
    one.refuses = other.refuses = True
    await world.measure(ANNE)
    failed, fine = (one, other) if one.questions else (other, one)
    fine.refuses = False
    fine.samples = {ANNE: (20.0,)}
    assert await world.measure(ANNE) == [{"Paris": 20.0}]
    assert len(failed.questions) == len(fine.questions) == 1


async def test_what_a_node_left_out_is_not_known_to_be_silent(world: LatencyWorld) -> None:
    node = await world.node("near")
    node.left_out = {ANNE}
    assert await world.measure(ANNE) == [{}]
    node.left_out = set()
    node.samples = {ANNE: (20.0,)}
    assert await world.measure(ANNE) == [{"Near": 20.0}]


async def test_what_is_being_asked_is_not_asked_again(world: LatencyWorld) -> None:
    node = await world.node("near")
    node.samples = {ANNE: (20.0,), BERT: (30.0,)}
    groups = await asyncio.gather(world.measure(ANNE), world.measure(ANNE, BERT), world.measure("8.8.8.200"))
    assert list(groups) == [[{"Near": 20.0}], [{"Near": 20.0}, {"Near": 30.0}], [{"Near": 20.0}]]
    # Who of those that ask at once comes first is the database's choice.
    assert sorted(question.addresses for question in node.questions) == sorted([(ANNE,), (BERT,)])


async def test_an_answer_that_comes_late_serves_the_next_group(world: LatencyWorld) -> None:
    node = await world.node("near")
    node.samples = {ANNE: (20.0,)}
    node.mute = True
    assert await world.measure(ANNE, service=world.with_rules(replace(PATIENT, wait_seconds=0.0))) == [{}]
    await heard(node)
    await world.locations.record_answer(node.answer(node.questions[0]))

    async def known() -> bool:
        return await world.known(ANNE) == {"Near": 20.0}

    await eventually_async(known)
    assert len(node.questions) == 1


async def test_a_request_is_bounded(world: LatencyWorld) -> None:
    for number in range(MOST_SITES + 3):
        await world.node(f"n{number:02}")
    addresses = [f"8.8.{number}.1" for number in range(MOST_NETWORKS + 8)]
    for node in world.nodes.values():
        node.samples = dict.fromkeys(addresses, (20.0,))
    found = await world.measure(*addresses)
    assert len(found) == MOST_NETWORKS + 8
    assert [len(one) for one in found] == [MOST_SITES] * MOST_NETWORKS + [0] * 8
    asked = [node for node in world.nodes.values() if node.questions]
    assert len(asked) == MOST_SITES
    assert {question.addresses for node in asked for question in node.questions} == {tuple(addresses[:MOST_NETWORKS])}


async def test_nonsense_from_a_node_is_not_kept(world: LatencyWorld) -> None:
    node = await world.node("near")
    node.samples = {ANNE: (-1.0, 0.0, 1e300, 20.0, 10_000.0)}
    node.lies = (ProbeResult(BERT, (1.0,)),)
    assert await world.measure(ANNE) == [{"Near": 20.0}]
    assert await world.known(BERT) == {}


async def test_a_site_whose_name_is_longer_than_an_index_takes(world: LatencyWorld) -> None:
    node = await world.node("near", LONG)
    node.samples = {ANNE: (20.0,)}
    assert await world.measure(ANNE) == [{LONG: 20.0}]
    world.clock.pass_seconds(601)
    assert await world.measure(ANNE) == [{LONG: 20.0}]


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
async def test_another_replica_hears_of_it(world: LatencyWorld, postgres_database: str) -> None:
    other_store: Store = PostgresStore(postgres_database, pool_size=2)
    await other_store.open()
    other = LatencyWorld(other_store, world.clock)
    try:
        assert await other.known(ANNE) == {}
        node = await world.node("near")
        node.samples = {ANNE: (20.0,)}
        assert await world.measure(ANNE) == [{"Near": 20.0}]

        async def told() -> bool:
            return await other.known(ANNE) == {"Near": 20.0}

        await eventually_async(told)
        assert await other.from_memory(lambda: other.known(ANNE)) == {"Near": 20.0}
    finally:
        await other.close()
        await other_store.close()
