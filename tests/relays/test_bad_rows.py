"""A relay session that nobody can read or act on holds up none of the others: it is set aside, and says why."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.polling import eventually_async
from tests.relays.hands import HandRelay, create, look, ready
from tests.world import ORGANISATION, World
from waymeet.model.errors import Conflict, NotFound
from waymeet.model.paging import PageRequest
from waymeet.model.states import RelayStatus
from waymeet.relays.endings import FAILED_SECONDS
from waymeet.relays.isolating import BACK_OFF_SECONDS, STUCK, UNREADABLE
from waymeet.relays.types import RelaySession
from waymeet.store.statement import Statement
from waymeet.store.transaction import Transaction
from waymeet.webhooks.types import DeliveryQuery

pytestmark = pytest.mark.anyio

HOOK = "https://backend.example.org/hook"
USER = '[{"address": "%s", "token": %d}]'
SPOILT = [
    ("users", "what is this?"),
    ("users", "[{}]"),
    ("users", USER % ("no address", 7)),
    ("users", USER % ("fe80::1%eth0", 7)),
    ("users", USER % ("203.0.113.7", 0)),
    ("users", USER % ("203.0.113.7", 2**32)),
    ("users", USER % ("203.0.113.7", 2**70)),
    ("revoked", "{}"),
    ("endpoint", "[]"),
    ("endpoint", '{"address": "192.0.2.1", "ports": {"server_port": 1, "client_port": 65536}}'),
    ("status", "ASLEEP"),
    ("token", 0),
    ("token", 2**32),
    ("owner", -1),
    ("created_at", -1),
    ("due_at", -1),
]
every_spoilt = pytest.mark.parametrize(("column", "value"), SPOILT)


async def spoil(world: World, session: RelaySession, column: str, value: str | int) -> None:
    async def unit(tx: Transaction) -> None:
        statement = Statement(f"UPDATE relay_session SET {column} = $2 WHERE session_id = $1")
        assert await tx.connection.execute(statement, session.session_id, value) == 1

    await world.store.write(unit)


async def three(world: World) -> tuple[HandRelay, list[RelaySession]]:
    """A relay with sessions that it serves."""
    relay = await HandRelay.joined(world)
    return relay, [await ready(world, relay, "203.0.113.7", webhook_url=HOOK) for _ in range(3)]


async def set_aside(world: World) -> int:
    async def unit(tx: Transaction) -> int:
        return (await tx.relays.totals()).set_aside

    return await world.store.scan(unit)


async def statuses(world: World, sessions: Sequence[RelaySession]) -> list[str]:
    return [(await look(world, session)).status.value for session in sessions]


async def webhooks(world: World, session: RelaySession) -> list[str | None]:
    async def unit(tx: Transaction) -> list[str | None]:
        page = await tx.webhooks.page(
            ORGANISATION, DeliveryQuery(object_key=f"relay:{session.session_id}"), PageRequest(1, 100)
        )
        return [delivery.body for delivery in reversed(page.items)]

    return await world.store.read(unit)


async def assert_aside(world: World, session: RelaySession, caplog: pytest.LogCaptureFixture) -> None:
    """It tells what happened to it, in every place where somebody may look, and holds nothing any more."""
    found = await look(world, session)
    assert (found.status, found.error, found.users) == (RelayStatus.ERROR, UNREADABLE, ())
    assert await set_aside(world) == 1
    assert caplog.text.count(f"relay session {session.session_id} is set aside") == 1
    assert await webhooks(world, session) == ["READY", "ERROR"]
    await world.check_invariants()


@every_spoilt
async def test_lists_show_the_others(
    world: World, caplog: pytest.LogCaptureFixture, column: str, value: str | int
) -> None:
    relay, (bad, *good) = await three(world)
    await spoil(world, bad, column, value)
    page = await world.relays.page(ORGANISATION, PageRequest(1, 10))
    assert {each.session_id for each in page.items if each.ready} == {each.session_id for each in good}
    assert page.total_count == 3
    await assert_aside(world, bad, caplog)
    # Its relay hears that it is nobody's any more.
    await relay.catch_up()
    assert set(relay.serves) == {each.session_id for each in good}
    world.clock.pass_seconds(FAILED_SECONDS + 1)
    await world.relay_loop.act_on_due()
    with pytest.raises(NotFound):
        await look(world, bad)


@every_spoilt
async def test_a_relay_that_comes_back_hears_of_the_others(
    world: World, caplog: pytest.LogCaptureFixture, column: str, value: str | int
) -> None:
    relay, (bad, *good) = await three(world)
    await spoil(world, bad, column, value)
    await relay.start_again()
    assert set(relay.serves) <= {each.session_id for each in (bad, *good)}
    await relay.catch_up()
    assert set(relay.serves) == {each.session_id for each in good}
    if column != "status":
        await assert_aside(world, bad, caplog)


async def test_changes_of_the_others_are_told_and_confirmed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    relay, (bad, *good) = await three(world)
    young = await create(world, webhook_url=HOOK)
    async with relay.at_work():
        await spoil(world, bad, "users", "[{}]")
        # A change of its own is what brings it to the relay's ears.
        await spoil(world, bad, "change_number", 100)
        await world.relays.authorize(ORGANISATION, good[0].session_id, "198.51.100.23")

        async def is_ready() -> bool:
            return (await look(world, young)).ready

        await eventually_async(is_ready)
    assert set(relay.serves) == {each.session_id for each in (*good, young)}
    await assert_aside(world, bad, caplog)


# The deadline of one that becomes READY is written over, not read.
@pytest.mark.parametrize(("column", "value"), [case for case in SPOILT if case[0] != "due_at"])
async def test_the_others_become_ready(
    world: World, caplog: pytest.LogCaptureFixture, column: str, value: str | int
) -> None:
    relay = await HandRelay.joined(world)
    bad, *good = [await create(world) for _ in range(3)]
    assert await relay.hear()
    await spoil(world, bad, column, value)
    await relay.confirm()
    assert await statuses(world, [bad, *good]) == ["ERROR", "READY", "READY"]
    assert caplog.text.count(f"relay session {bad.session_id} is set aside") == 1
    await world.check_invariants()


async def test_deadlines_of_the_others_are_acted_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    relay = await HandRelay.joined(world)
    bad, *good = [await create(world) for _ in range(3)]
    await spoil(world, bad, "users", "?")
    world.clock.pass_seconds(31)
    await world.relay_loop.act_on_due()
    assert await statuses(world, [bad, *good]) == ["ERROR"] * 3
    assert (await look(world, bad)).error == UNREADABLE
    assert f"relay '{relay.name}' did not take" in str((await look(world, good[0])).error)
    assert caplog.text.count("is set aside") == 1
    await world.check_invariants()


async def test_the_others_of_a_lost_relay_are_given_up(world: World) -> None:
    relay, (bad, *good) = await three(world)
    await spoil(world, bad, "endpoint", "")
    await world.locations.leave(relay.name, world.tokens[relay.name])
    await world.directory.refresh()
    for _ in range(62):
        await world.relay_loop.give_up_lost_nodes()
        world.clock.pass_seconds(1)
    assert (await look(world, bad)).error == UNREADABLE
    for session in good:
        assert "has been away" in str((await look(world, session)).error)
    await world.check_invariants()


async def test_what_relays_say_of_the_others_counts(world: World) -> None:
    relay, (bad, idle, refused) = await three(world)
    await spoil(world, bad, "users", "?")
    await world.relay_serving.idle(relay.name, [bad.session_id, idle.session_id])
    with pytest.raises(NotFound):
        await look(world, idle)
    await spoil(world, bad, "users", "?")
    await world.relay_serving.refused(relay.name, [bad.session_id, refused.session_id])
    assert "no room" in str((await look(world, refused)).error)
    assert (await look(world, bad)).error == UNREADABLE
    await world.check_invariants()


async def test_calls_for_it_say_that_it_failed(world: World) -> None:
    relay, (first, second, third) = await three(world)
    for session in (first, second, third):
        await spoil(world, session, "users", "?")
    async with relay.at_work():
        with pytest.raises(Conflict, match="cannot be read"):
            await world.relays.authorize(ORGANISATION, first.session_id, "198.51.100.23")
        with pytest.raises(NotFound, match="never issued"):
            await world.relays.revoke(ORGANISATION, second.session_id, second.users[0].token)
        await world.relays.delete(ORGANISATION, third.session_id)

        async def all_are_gone() -> bool:
            return not relay.serves

        await eventually_async(all_are_gone)
    await world.check_invariants()


async def test_one_that_is_over_stays_over(world: World) -> None:
    relay, (bad, *_) = await three(world)
    async with relay.at_work():
        await world.relays.delete(ORGANISATION, bad.session_id)
    await spoil(world, bad, "users", "?")
    assert await world.relay_loop.act_on_due() is False
    with pytest.raises(NotFound):
        await look(world, bad)
    assert await set_aside(world) == 1
    assert await webhooks(world, bad) == ["READY"]
    world.clock.pass_seconds(BACK_OFF_SECONDS + 1)
    await world.relay_loop.act_on_due()

    async def rows(tx: Transaction) -> int:
        return sum((await tx.census.relay_sessions()).values())

    assert await world.store.read(rows) == 2


async def test_whoever_finds_it_at_the_same_time_counts_it_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    _, (bad, *_) = await three(world)
    await spoil(world, bad, "users", "?")
    # In the first turn of each both find it.
    await asyncio.gather(*(world.relays.page(ORGANISATION, PageRequest(1, 10)) for _ in range(4)))
    assert await set_aside(world) == 1
    assert await webhooks(world, bad) == ["READY", "ERROR"]


async def test_one_that_nothing_can_be_done_with(world: World, caplog: pytest.LogCaptureFixture) -> None:
    relay = await HandRelay.joined(world)
    bad, *good = [await create(world, webhook_url=HOOK) for _ in range(3)]
    whole = world.relay_serving._webhook

    def fails_for_one(session: RelaySession) -> bytes:
        if session.session_id == bad.session_id:
            raise RuntimeError("a bug")
        return whole.body(session)

    # Its own webhook is what fails, so that it cannot even be told of.
    broken = replace(whole, body=fails_for_one)
    world.relay_serving._webhook = world.relay_serving._store._webhook = broken
    await relay.catch_up()
    assert await statuses(world, [bad, *good]) == ["ERROR", "READY", "READY"]
    assert (await look(world, bad)).error == STUCK
    assert await webhooks(world, bad) == []
    assert await webhooks(world, good[0]) == ["READY"]
    assert "a bug" in caplog.text
    assert await set_aside(world) == 1
    await world.check_invariants()


async def test_what_a_relay_counted_and_nobody_can_read_is_counted_anew(world: World) -> None:
    relay, _ = await three(world)

    async def unit(tx: Transaction) -> None:
        await tx.connection.execute(
            Statement("UPDATE relay SET load = 'what is this?' WHERE node_name = $1"), relay.name
        )

    await world.store.write(unit)

    async def totals(tx: Transaction) -> int:
        return (await tx.relays.totals()).relays

    assert await world.store.scan(totals) == 1
