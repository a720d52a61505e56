"""The life of a relay session: wanted, confirmed, changed, ended."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from tests.polling import eventually_async
from tests.relays.hands import PORTS, HandRelay, create, look, ready
from tests.world import CONFIRMING_SECONDS, ORGANISATION, World
from waymeet.model.errors import Conflict, Invalid, NotFound, Unavailable
from waymeet.model.ids import OrganisationId, SessionId
from waymeet.model.paging import PageRequest
from waymeet.model.relays import HIGHEST_ISSUED_TOKEN, RelayMember
from waymeet.model.states import RelayStatus
from waymeet.relays.types import HIGHEST_USERS, RelayEndpoint, RelayRequest, RelaySession
from waymeet.store.transaction import Transaction
from waymeet.webhooks.types import DeliveryQuery

pytestmark = pytest.mark.anyio

Result = TypeVar("Result")
STRANGER = OrganisationId("strangers")


async def unconfirmed(world: World, call: Coroutine[Any, Any, Result], relay: HandRelay, through: int) -> None:
    """Let the time of a call pass whose change, the one after `through`, its relay does not confirm."""
    calling = asyncio.create_task(call)

    async def is_written() -> bool:
        return await world.relay_serving.last_change(relay.name) > through

    await eventually_async(is_written)
    world.clock.pass_seconds(CONFIRMING_SECONDS + 1)
    with pytest.raises(Unavailable, match="has not confirmed") as raised:
        await calling
    assert raised.value.retry_after > 0


async def webhooks(world: World, session: RelaySession) -> list[str | None]:
    """What was queued about a session, oldest first."""

    async def unit(tx: Transaction) -> list[str | None]:
        query = DeliveryQuery(object_key=f"relay:{session.session_id}")
        page = await tx.webhooks.page(ORGANISATION, query, PageRequest(1, 100))
        return [delivery.body for delivery in reversed(page.items)]

    return await world.store.read(unit)


async def test_ready_only_once_the_relay_has_confirmed(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await create(world, "203.0.113.7", "203.0.113.7", webhook_url="https://backend.example.org/hook")
    assert session.status is RelayStatus.INITIALIZING
    assert await relay.hear()
    assert (await look(world, session)).status is RelayStatus.INITIALIZING
    assert await webhooks(world, session) == []
    await relay.confirm()
    found = await look(world, session)
    assert found.status is RelayStatus.READY
    assert found.endpoint == RelayEndpoint("192.0.2.1", PORTS)
    spec = relay.serves[session.session_id]
    assert spec.token == found.token
    assert spec.members == tuple(RelayMember(user.token, "203.0.113.7") for user in found.users)
    tokens = [found.token, *(user.token for user in found.users)]
    assert len({user.token for user in found.users}) == 2
    assert all(1 <= token <= HIGHEST_ISSUED_TOKEN for token in tokens)
    assert await webhooks(world, session) == ["READY"]
    # Said again, it is not told again.
    await relay.confirm()
    assert await webhooks(world, session) == ["READY"]
    await world.check_invariants()


async def test_a_user_who_was_let_in_can_connect_when_the_call_returns(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await ready(world, relay)
    before = relay.through
    calling = asyncio.create_task(world.relays.authorize(ORGANISATION, session.session_id, "198.51.100.23"))

    async def is_written() -> bool:
        return await world.relay_serving.last_change(relay.name) > before

    await eventually_async(is_written)
    assert not calling.done()
    await relay.catch_up()
    changed, user = await calling
    assert changed.users[-1] == user
    assert RelayMember(user.token, "198.51.100.23") in relay.serves[session.session_id].members
    # The same address again is another user.
    async with relay.at_work():
        _, another = await world.relays.authorize(ORGANISATION, session.session_id, "198.51.100.23")
    assert another.token != user.token
    assert len(relay.serves[session.session_id].members) == 3


async def test_revoked_once_and_for_good(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await ready(world, relay, "203.0.113.7", "198.51.100.23")
    first, second = session.users
    async with relay.at_work():
        changed, removed = await world.relays.revoke(ORGANISATION, session.session_id, first.token)
        assert (changed.users, removed) == ((second,), True)
        assert relay.serves[session.session_id].members == (RelayMember(second.token, "198.51.100.23"),)
        assert await world.relays.revoke(ORGANISATION, session.session_id, first.token) == (changed, False)
        with pytest.raises(NotFound, match="never issued"):
            await world.relays.revoke(ORGANISATION, session.session_id, session.token + 1)
        with pytest.raises(Invalid, match="session's token"):
            await world.relays.revoke(ORGANISATION, session.session_id, session.token)
    assert (await look(world, session)).users == (second,)


async def test_deleted_when_the_call_returns(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await ready(world, relay)
    async with relay.at_work():
        await world.relays.delete(ORGANISATION, session.session_id.lower())
        assert relay.serves == {}
    with pytest.raises(NotFound):
        await look(world, session)
    with pytest.raises(NotFound):
        await world.relays.delete(ORGANISATION, session.session_id)
    assert not await world.relay_loop.act_on_due()
    assert await rows(world) == 0
    await world.check_invariants()


async def rows(world: World) -> int:
    async def unit(tx: Transaction) -> int:
        return sum((await tx.census.relay_sessions()).values())

    return await world.store.read(unit)


async def test_what_a_relay_does_not_confirm_stays_wanted(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await ready(world, relay, "203.0.113.7", "198.51.100.23")
    first, second = session.users
    await unconfirmed(world, world.relays.revoke(ORGANISATION, session.session_id, first.token), relay, relay.through)
    # Asked again, the answer waits for the same change, which is there to be heard.
    async with relay.at_work():
        _, removed = await world.relays.revoke(ORGANISATION, session.session_id, first.token)
        assert not removed
        assert [member.token for member in relay.serves[session.session_id].members] == [second.token]
    await unconfirmed(world, world.relays.delete(ORGANISATION, session.session_id), relay, relay.through)
    with pytest.raises(NotFound):
        await look(world, session)
    await relay.catch_up()
    assert relay.serves == {}


async def test_an_unconfirmed_end_is_remembered_until_the_relay_knows(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await ready(world, relay)
    await unconfirmed(world, world.relays.delete(ORGANISATION, session.session_id), relay, relay.through)
    await world.relay_loop.act_on_due()
    assert await rows(world) == 1
    world.clock.pass_seconds(2)
    await relay.catch_up()
    await world.relay_loop.act_on_due()
    assert await rows(world) == 0


async def test_a_relay_that_missed_a_forgotten_end_is_told_everything(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await ready(world, relay)
    await unconfirmed(world, world.relays.delete(ORGANISATION, session.session_id), relay, relay.through)
    world.clock.pass_seconds(61)
    await world.relay_loop.act_on_due()
    assert await rows(world) == 0
    assert not await relay.hear()
    assert set(relay.serves) == {session.session_id}
    await relay.start_again()
    assert relay.serves == {}
    assert await relay.hear()


async def test_a_user_of_a_session_that_ends_meanwhile_is_not_let_in(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await ready(world, relay)
    before = relay.through
    authorizing = asyncio.create_task(world.relays.authorize(ORGANISATION, session.session_id, "198.51.100.23"))

    async def is_written() -> bool:
        return await world.relay_serving.last_change(relay.name) > before

    await eventually_async(is_written)
    async with relay.at_work():
        # The relay hears of both at once, and has nobody to let in.
        await world.relays.delete(ORGANISATION, session.session_id)
        with pytest.raises(Conflict, match="ended meanwhile"):
            await authorizing
    assert relay.serves == {}


async def test_nobody_waits_for_the_relay_of_a_session_that_has_failed(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await ready(world, relay, "203.0.113.7", "198.51.100.23")
    first, second = session.users
    await world.relay_serving.refused(relay.name, [session.session_id])
    # It is never heard of again, and the clock stands still.
    for token, is_removed in ((first.token, True), (second.token, True), (first.token, False)):
        _, removed = await world.relays.revoke(ORGANISATION, session.session_id, token)
        assert removed is is_removed
    await world.relays.delete(ORGANISATION, session.session_id)


async def test_a_number_that_was_never_given_confirms_nothing_to_come(world: World) -> None:
    relay = await HandRelay.joined(world)
    await world.relay_serving.applied(relay.name, 2**62)
    session = await create(world)
    with pytest.raises(Conflict, match="INITIALIZING"):
        await world.relays.authorize(ORGANISATION, session.session_id, "198.51.100.23")
    await relay.catch_up()
    await unconfirmed(world, world.relays.delete(ORGANISATION, session.session_id), relay, relay.through)
    for change in (-1, 2**63):
        with pytest.raises(Invalid, match="change"):
            await world.relay_serving.applied(relay.name, change)


async def test_sessions_that_nobody_uses_end(world: World) -> None:
    relay = await HandRelay.joined(world)
    other = await HandRelay.joined(world, "other")
    idle, used, young = [await create(world) for _ in range(3)]
    await relay.catch_up()
    await other.catch_up()
    homes = {session.session_id: session.node_name for session in (idle, used, young)}
    foreign = other if homes[idle.session_id] == relay.name else relay
    # A relay speaks for its own sessions only, and not every key is one.
    await world.relay_serving.idle(foreign.name, [idle.session_id, "\0", "x", "000000000000-S"])
    assert (await look(world, idle)).ready
    await world.relay_serving.idle(homes[idle.session_id], [idle.session_id])
    await world.relay_serving.idle(homes[idle.session_id], [idle.session_id])
    with pytest.raises(NotFound):
        await look(world, idle)
    assert (await look(world, used)).ready
    await world.check_invariants()


async def test_a_session_without_room_on_its_relay_fails_with_the_reason(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await create(world, webhook_url="https://backend.example.org/hook")
    assert await relay.hear()
    await world.relay_serving.refused(relay.name, [session.session_id])
    await relay.confirm()
    found = await look(world, session)
    assert found.status is RelayStatus.ERROR
    assert "no room" in str(found.error)
    assert await webhooks(world, session) == ["ERROR"]
    await relay.catch_up()
    assert relay.serves == {}
    with pytest.raises(Conflict, match=r"ERROR.*no room"):
        await world.relays.authorize(ORGANISATION, session.session_id, "198.51.100.23")
    # It is on no relay any more, so nobody has to confirm its end.
    await world.relays.delete(ORGANISATION, session.session_id)
    await world.check_invariants()


async def test_limits_and_unknown_ones(world: World) -> None:
    relay = await HandRelay.joined(world)
    with pytest.raises(Invalid, match="at least one"):
        await world.relays.create(ORGANISATION, RelayRequest(addresses=()))
    with pytest.raises(Invalid, match=f"at most {HIGHEST_USERS}"):
        await create(world, *["203.0.113.7"] * (HIGHEST_USERS + 1))
    session = await ready(world, relay, *["203.0.113.7"] * HIGHEST_USERS)
    assert len({user.token for user in session.users}) == HIGHEST_USERS
    with pytest.raises(Conflict, match="limit"):
        await world.relays.authorize(ORGANISATION, session.session_id, "198.51.100.23")
    for text in ("", "x", "000000000000-S", "\0", "950dd2eaff09"):
        for call in (world.relays.find, world.relays.delete, world.relays.counters):
            with pytest.raises(NotFound):
                await call(ORGANISATION, text)
        with pytest.raises(NotFound):
            await world.relays.revoke(ORGANISATION, text, 1)
        with pytest.raises(Invalid, match="session_id"):
            await world.relays.authorize(ORGANISATION, text, "198.51.100.23")


async def test_others_find_nothing(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await ready(world, relay)
    for call in (world.relays.find, world.relays.delete, world.relays.counters):
        with pytest.raises(NotFound):
            await call(STRANGER, session.session_id)
    with pytest.raises(NotFound):
        await world.relays.revoke(STRANGER, session.session_id, session.users[0].token)
    with pytest.raises(Invalid):
        await world.relays.authorize(STRANGER, session.session_id, "198.51.100.23")
    assert (await world.relays.page(STRANGER, PageRequest(1, 10))).total_count == 0
    assert await look(world, session) == session


async def test_the_list_newest_first(world: World) -> None:
    relay = await HandRelay.joined(world)
    made: list[SessionId] = []
    for _ in range(5):
        made.insert(0, (await ready(world, relay)).session_id)
        world.clock.pass_seconds(1)
    async with relay.at_work():
        await world.relays.delete(ORGANISATION, made.pop(2))
    listed: list[SessionId] = []
    for number in (1, 2):
        page = await world.relays.page(ORGANISATION, PageRequest(number, 3))
        assert page.total_count == 4
        listed += [session.session_id for session in page.items]
    assert listed == made


async def test_a_relay_at_new_ports_serves_its_sessions_there(world: World) -> None:
    relay = await HandRelay.joined(world)
    session = await ready(world, relay)
    ports = type(PORTS)(40000, 40001)
    await world.node("relay", relay=ports, address="192.0.2.9")
    assert (await look(world, session)).endpoint == RelayEndpoint("192.0.2.9", ports)
