"""Deliveries leave in order per object, at least once, and are given up in the end. On both databases."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest
import standardwebhooks

from tests.polling import GENEROUS_SECONDS, eventually_async
from tests.webhooks.outboxes import ORGANISATION, RULES, URL, Outbox
from tests.webhooks.senders import BROKEN, OK, Answer, HangingSender, ScriptedSender, Sent
from waymeet.model.errors import NotFound
from waymeet.model.ids import OrganisationId
from waymeet.model.instant import MICROSECONDS
from waymeet.model.paging import PageRequest
from waymeet.store.transaction import Transaction
from waymeet.webhooks.loop import LEASE_MARGIN_SECONDS, TRIM_BATCH
from waymeet.webhooks.outbox import enqueue
from waymeet.webhooks.ports import Reply
from waymeet.webhooks.types import ATTEMPTS_KEPT, DeliveryQuery, DeliveryRules, DeliveryStatus

pytestmark = pytest.mark.anyio


async def test_a_delivery_of_a_unit_that_failed_is_never_sent(outbox: Outbox) -> None:
    async def unit(tx: Transaction) -> None:
        await enqueue(
            tx,
            organisation=ORGANISATION,
            object_key="session:a",
            event_type="session.ready",
            url=URL,
            body="{}",
            now=outbox.clock.now(),
            rng=outbox.rng,
        )
        raise NotFound("no such thing")

    with pytest.raises(NotFound):
        await outbox.store.write(unit)
    assert await outbox.loop(ScriptedSender()).deliver_due() == 0


async def test_a_delivery_is_sent_once_and_recorded(outbox: Outbox) -> None:
    sender = ScriptedSender()
    delivery_id = await outbox.put('{"ready": true}')
    assert await outbox.loop(sender).deliver_due() == 1
    assert await outbox.loop(sender).deliver_due() == 0
    assert sender.bodies == ['{"ready": true}']
    kept = await outbox.get(delivery_id)
    assert kept.status is DeliveryStatus.DELIVERED
    assert kept.attempts == 1
    assert kept.attempt_log[0].status_code == 200
    assert kept.finished_at == outbox.clock.now()
    assert kept.due_at is None


async def test_one_object_waits_for_its_failed_delivery_and_no_other_does(outbox: Outbox) -> None:
    sender = ScriptedSender(lambda sent: BROKEN if sent.body == "a1" else OK)
    loop = outbox.loop(sender)
    for body in ("a1", "a2", "a3", "b1", "b2"):
        await outbox.put(body, object_key=f"session:{body[0]}")
    await loop.deliver_due()
    assert sorted(sender.bodies) == ["a1", "b1", "b2"]
    outbox.clock.advance(2)
    await loop.deliver_due()
    assert sender.bodies.count("a1") == 2
    sender.script = lambda _sent: OK
    outbox.clock.advance(10)
    await loop.deliver_due()
    assert [body for body in sender.bodies if body[0] == "a"] == ["a1", "a1", "a1", "a2", "a3"]


async def test_another_url_of_the_same_object_does_not_wait(outbox: Outbox) -> None:
    sender = ScriptedSender(lambda sent: BROKEN if sent.url == URL else OK)
    await outbox.put("first")
    await outbox.put("second", url="https://other.example/hook")
    await outbox.loop(sender).deliver_due()
    assert sorted(sender.bodies) == ["first", "second"]


async def test_a_delivery_is_given_up_after_its_last_attempt_and_the_next_goes_on(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    rules = DeliveryRules(retry_seconds=(1.0,) * 12)
    sender = ScriptedSender(lambda sent: Reply(None, "cannot connect") if sent.body == "lost" else OK)
    loop = outbox.loop(sender, rules)
    lost, following = await outbox.put("lost"), await outbox.put("following")
    for _ in range(12):
        assert await loop.deliver_due() == 1
        assert (await outbox.get(lost)).status is DeliveryStatus.PENDING
        outbox.clock.advance(1.3)
    await loop.deliver_due()
    kept = await outbox.get(lost)
    assert kept.status is DeliveryStatus.FAILED
    assert kept.attempts == 13
    assert [attempt.error for attempt in kept.attempt_log] == ["cannot connect"] * ATTEMPTS_KEPT
    assert (await outbox.get(following)).status is DeliveryStatus.DELIVERED
    assert "given up after 13 attempts" in caplog.text


async def test_pauses_follow_the_table_give_or_take_a_fifth(outbox: Outbox) -> None:
    loop = outbox.loop(ScriptedSender(lambda _sent: BROKEN))
    delivery_id = await outbox.put("x")
    for pause in (1.0, 5.0, 30.0, 120.0, 600.0):
        await loop.deliver_due()
        due_at = (await outbox.get(delivery_id)).due_at
        assert due_at is not None
        seconds = (due_at - outbox.clock.now()) / MICROSECONDS
        assert 0.8 * pause <= seconds <= 1.2 * pause
        assert seconds != pause
        outbox.clock.advance(seconds - 0.001)
        assert await loop.deliver_due() == 0
        outbox.clock.advance(0.002)
    await loop.deliver_due()
    assert (await outbox.get(delivery_id)).status is DeliveryStatus.FAILED


async def test_each_attempt_is_signed_afresh_under_the_same_id(outbox: Outbox) -> None:
    sender = ScriptedSender(lambda _sent: BROKEN)
    loop = outbox.loop(sender)
    delivery_id = await outbox.put('{"name": "Zoë"}')
    await loop.deliver_due()
    outbox.clock.advance(2)
    await loop.deliver_due()
    first, second = (sent.headers for sent in sender.sent)
    assert first["webhook-id"] == second["webhook-id"] == delivery_id
    assert int(second["webhook-timestamp"]) == int(first["webhook-timestamp"]) + 2
    assert first["webhook-signature"] != second["webhook-signature"]
    assert first["Content-Type"] == "application/json"


async def test_the_previous_secret_signs_for_a_day_after_a_rotation(outbox: Outbox) -> None:
    old = (await outbox.service.secret(ORGANISATION)).current
    new = (await outbox.service.rotate_secret(ORGANISATION)).current
    assert new != old
    sender = ScriptedSender()
    await outbox.put('{"a": 1}')
    await outbox.loop(sender).deliver_due()
    for secret in (old, new):
        assert _verified(secret, sender.sent[-1])
    outbox.clock.advance(24 * 3600 + 1)
    await outbox.put('{"a": 2}')
    await outbox.loop(sender).deliver_due()
    assert _verified(new, sender.sent[-1])
    assert not _verified(old, sender.sent[-1])


def _verified(secret: str, sent: Sent) -> bool:
    # The package's `verify` would also compare the timestamp with the machine's clock; the test's clock is elsewhere.
    moment = datetime.fromtimestamp(int(sent.headers["webhook-timestamp"]), UTC)
    expected = standardwebhooks.Webhook(secret).sign(sent.headers["webhook-id"], moment, sent.body)
    return expected in sent.headers["webhook-signature"].split()


async def test_a_slow_receiver_holds_nobody_else_up(outbox: Outbox) -> None:
    sender = HangingSender("slow.example")
    for number in range(100):
        await outbox.put(f"slow-{number}", object_key=f"session:{number}", url="https://slow.example/hook")
    for number in range(20):
        await outbox.put(
            f"fast-{number}", object_key=f"session:f{number}", url=f"https://fast{number % 3}.example/hook"
        )
    loop = asyncio.create_task(outbox.loop(sender).run())

    async def fast_ones_are_through() -> bool:
        return sum(body.startswith("fast") for body in sender.sent) == 20

    await eventually_async(fast_ones_are_through)
    assert sender.most_under_way == RULES.per_host
    sender.go.set()

    async def all_are_through() -> bool:
        return len(sender.sent) == 120

    await eventually_async(all_are_through)
    assert sender.most_under_way == RULES.per_host
    await _stopped(loop)


async def _stopped(loop: "asyncio.Task[None]") -> None:
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def test_there_are_never_more_attempts_under_way_than_allowed(outbox: Outbox) -> None:
    sender = HangingSender("")
    for number in range(30):
        await outbox.put(f"{number}", object_key=f"session:{number}", url=f"https://host{number}.example/hook")
    loop = outbox.loop(sender, DeliveryRules(concurrency=7))
    assert await loop.start_due() == 7
    assert await loop.start_due() == 0

    async def all_under_way() -> bool:
        return sender.under_way == 7

    await eventually_async(all_under_way)
    sender.go.set()
    await loop.deliver_due()
    assert sender.most_under_way == 7
    assert len(sender.sent) == 30


async def test_a_new_delivery_is_sent_without_waiting_for_the_poll(outbox: Outbox) -> None:
    sender = ScriptedSender()
    loop = asyncio.create_task(outbox.loop(sender, poll_seconds=3600).run())

    async def heard_of_the_first() -> bool:
        # PostgreSQL needs a moment until its listener is connected; then the loop is told to look.
        return bool(sender.sent)

    await outbox.put("0")
    await eventually_async(heard_of_the_first)
    for number in range(1, 20):
        await outbox.put(f"{number}")

        async def delivered(count: int = number + 1) -> bool:
            return len(sender.sent) == count

        await eventually_async(delivered)
    assert sender.bodies == [f"{number}" for number in range(20)]
    await _stopped(loop)


async def test_what_a_dead_worker_had_is_taken_over_and_its_late_result_dropped(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stuck = HangingSender()
    first, second = outbox.loop(stuck), outbox.loop(ScriptedSender(lambda _sent: BROKEN))
    delivery_id = await outbox.put("x")
    assert await first.start_due() == 1
    outbox.clock.advance(5.0 + LEASE_MARGIN_SECONDS - 0.1)
    assert await second.deliver_due() == 0
    outbox.clock.advance(0.2)
    assert await second.deliver_due() == 1
    taken_over = await outbox.get(delivery_id)
    stuck.go.set()
    await first.deliver_due()
    assert "taken over" in caplog.text
    assert await outbox.get(delivery_id) == taken_over
    assert taken_over.status is DeliveryStatus.PENDING
    assert [attempt.status_code for attempt in taken_over.attempt_log] == [500]


async def test_a_loop_that_ends_releases_what_it_could_not_finish(outbox: Outbox) -> None:
    stuck = HangingSender()
    loop = asyncio.create_task(outbox.loop(stuck, closing_seconds=0.01).run())
    await outbox.put("x")

    async def under_way() -> bool:
        return stuck.under_way == 1

    await eventually_async(under_way)
    await _stopped(loop)
    assert stuck.under_way == 0
    # At once, on the same clock: nobody waits for a lease to run out.
    sender = ScriptedSender()
    assert await outbox.loop(sender).deliver_due() == 1


async def test_a_loop_that_ends_lets_attempts_finish(outbox: Outbox) -> None:
    stuck = HangingSender()
    loop = asyncio.create_task(outbox.loop(stuck, closing_seconds=GENEROUS_SECONDS).run())
    delivery_id = await outbox.put("x")

    async def under_way() -> bool:
        return stuck.under_way == 1

    await eventually_async(under_way)
    loop.cancel()
    await asyncio.sleep(0)
    stuck.go.set()
    await asyncio.gather(loop, return_exceptions=True)
    assert (await outbox.get(delivery_id)).status is DeliveryStatus.DELIVERED


async def test_two_loops_at_once_deliver_each_once_and_in_order(outbox: Outbox) -> None:
    senders = [ScriptedSender(), ScriptedSender()]
    loops = [asyncio.create_task(outbox.loop(sender).run()) for sender in senders]

    async def put_all(key: str) -> None:
        for number in range(15):
            await outbox.put(f"{key}-{number:02}", object_key=f"session:{key}")

    await asyncio.gather(*(put_all(key) for key in "abcdef"))

    async def delivered() -> bool:
        return sum(len(sender.sent) for sender in senders) >= 90

    await eventually_async(delivered)
    for loop in loops:
        await _stopped(loop)
    assert sorted(body for sender in senders for body in sender.bodies) == sorted(
        f"{key}-{number:02}" for key in "abcdef" for number in range(15)
    )
    for sender in senders:
        for key in "abcdef":
            mine = [body for body in sender.bodies if body[0] == key]
            assert mine == sorted(mine)
    assert {delivery.status for delivery in await outbox.all()} == {DeliveryStatus.DELIVERED}


async def test_concurrent_enqueues_and_deliveries_of_one_object_strand_nothing(outbox: Outbox) -> None:
    sender = ScriptedSender()
    loop = outbox.loop(sender)

    async def deliver() -> None:
        while len(sender.sent) < 100:
            await loop.deliver_due()
            await asyncio.sleep(0)

    async with asyncio.timeout(GENEROUS_SECONDS):
        await asyncio.gather(deliver(), *(outbox.put(f"{number}") for number in range(100)))
    kept = await outbox.all()
    assert {delivery.status for delivery in kept} == {DeliveryStatus.DELIVERED}
    assert sender.bodies == [delivery.body for delivery in kept]


async def test_an_attempt_that_fails_inside_us_is_made_again_after_its_lease(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[Answer] = [RuntimeError("a bug"), OK]
    sender = ScriptedSender(lambda _sent: answers.pop(0))
    loop = outbox.loop(sender)
    await outbox.put("x")
    assert await loop.deliver_due() == 1
    assert "failed" in caplog.text
    assert await loop.deliver_due() == 0
    outbox.clock.advance(31)
    assert await loop.deliver_due() == 1


async def test_a_replay_is_a_new_delivery_behind_all_others_of_its_object(outbox: Outbox) -> None:
    sender = ScriptedSender()
    loop = outbox.loop(sender)
    first = await outbox.put("first")
    await loop.deliver_due()
    sender.script = lambda _sent: BROKEN
    await outbox.put("second")
    again = await outbox.service.replay(ORGANISATION, first)
    await loop.deliver_due()
    assert sender.bodies == ["first", "second"]
    sender.script = lambda _sent: OK
    outbox.clock.advance(2)
    await loop.deliver_due()
    assert sender.bodies == ["first", "second", "second", "first"]
    assert again.id != first
    assert again.replay_of == first
    assert sender.sent[-1].headers["webhook-id"] == again.id
    with pytest.raises(NotFound):
        await outbox.service.replay(OrganisationId("somebody else"), first)


async def put_many(outbox: Outbox, count: int, url: str, organisation: OrganisationId = ORGANISATION) -> list[str]:
    return [
        await outbox.put(f"{number}", url=url, object_key=f"session:{number % 2}", organisation=organisation)
        for number in range(count)
    ]


async def statuses(outbox: Outbox, ids: list[str], organisation: OrganisationId = ORGANISATION) -> str:
    """One letter each: pending, delivered or failed."""
    found = [await outbox.service.get(organisation, delivery_id) for delivery_id in ids]
    return "".join(delivery.status.value[0] for delivery in found)


async def test_of_too_many_to_one_receiver_its_oldest_are_given_up(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    loop = outbox.loop(ScriptedSender(), DeliveryRules(highest_pending=3))
    well = await put_many(outbox, 3, "https://well.example/hook")
    gone = await put_many(outbox, 5, "https://gone.example/hook")
    other = OrganisationId("other")
    await outbox.prepare(other)
    theirs = await put_many(outbox, 3, "https://gone.example/hook", other)
    # Not while they are put there: nobody who starts a game waits for that.
    assert await statuses(outbox, gone) == "ppppp"
    assert await loop.trim() == 2
    assert await statuses(outbox, well) == "ppp"
    assert await statuses(outbox, theirs, other) == "ppp"
    assert await statuses(outbox, gone) == "ffppp"
    reason = (await outbox.get(gone[0])).attempt_log[-1].error
    assert reason == "given up: more than 3 deliveries to gone.example were waiting"
    assert caplog.text.count("gave up the 2 oldest webhooks") == 1
    assert await loop.trim() == 0
    # The queues go on behind the gap.
    await loop.deliver_due()
    assert await statuses(outbox, well + gone) == "ddd" + "ffddd"


async def test_many_receivers_do_not_make_the_bound_meaningless(outbox: Outbox) -> None:
    loop = outbox.loop(ScriptedSender(), DeliveryRules(highest_pending=2))
    ids = [await outbox.put("x", url=f"https://host{number}.example/") for number in range(11)]
    assert await loop.trim() == 3
    assert await statuses(outbox, ids) == "fff" + "p" * 8


async def test_a_burst_is_delivered_and_not_given_up(outbox: Outbox) -> None:
    loop = outbox.loop(ScriptedSender())
    ids = await put_many(outbox, 300, URL)
    assert await loop.trim() == 0
    await loop.deliver_due()
    assert await statuses(outbox, ids) == "d" * 300


async def test_more_than_one_batch_is_given_up_in_one_go(outbox: Outbox) -> None:
    ids = await put_many(outbox, 2 * TRIM_BATCH + 7, URL)
    assert await outbox.loop(ScriptedSender(), DeliveryRules(highest_pending=1)).trim() == 2 * TRIM_BATCH + 6
    assert await statuses(outbox, ids) == "f" * (2 * TRIM_BATCH + 6) + "p"


async def test_a_loop_that_ends_closes_its_connections(outbox: Outbox) -> None:
    sender = ScriptedSender()
    loop = asyncio.create_task(outbox.loop(sender).run())
    await outbox.put("x")

    async def delivered() -> bool:
        return bool(sender.sent)

    await eventually_async(delivered)
    assert sender.closed == 0
    await _stopped(loop)
    assert sender.closed == 1


async def test_lists_are_narrowed_paged_and_newest_first(outbox: Outbox) -> None:
    await outbox.prepare(OrganisationId("other"))
    await outbox.put("theirs", organisation=OrganisationId("other"), object_key="session:theirs")
    for number in range(5):
        await outbox.put(f"{number}", object_key=f"session:{number % 2}")
    await outbox.loop(ScriptedSender(lambda sent: OK if sent.body == "0" else BROKEN)).deliver_due()

    async def bodies(query: DeliveryQuery | None = None, number: int = 1, limit: int = 2) -> tuple[list[str], int]:
        page = await outbox.service.list(ORGANISATION, PageRequest(number, limit), query)
        return [delivery.body for delivery in page.items], page.total_count

    assert await bodies() == (["4", "3"], 5)
    assert await bodies(number=3) == (["0"], 5)
    assert await bodies(number=4) == ([], 5)
    assert await bodies(DeliveryQuery(status=DeliveryStatus.DELIVERED)) == (["0"], 1)
    assert await bodies(DeliveryQuery(object_key="session:1")) == (["3", "1"], 2)
    assert await bodies(DeliveryQuery(event_type="deployment.ready")) == ([], 0)


async def test_finished_deliveries_are_purged_after_their_time_and_pending_ones_never(outbox: Outbox) -> None:
    sender = ScriptedSender(lambda sent: OK if sent.body == "done" else BROKEN)
    loop = outbox.loop(sender)
    await outbox.put("done", object_key="session:done")
    await outbox.put("pending")
    await loop.deliver_due()
    outbox.clock.advance(72 * 3600 - 1)
    assert await loop.purge() == 0
    outbox.clock.advance(2)
    assert await loop.purge() == 1
    assert [delivery.body for delivery in await outbox.all()] == ["pending"]
