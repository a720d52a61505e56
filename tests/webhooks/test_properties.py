"""Whatever receivers and workers do: per object in order, at least once, and nothing is forgotten."""

import asyncio
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.webhooks.outboxes import Outbox
from tests.webhooks.senders import BROKEN, OK, Answer, ScriptedSender, Sent
from waymeet.clock import SystemClock
from waymeet.store.sqlite import SqliteStore
from waymeet.webhooks.ports import Reply
from waymeet.webhooks.types import DeliveryRules, DeliveryStatus

RULES = DeliveryRules(retry_seconds=(1.0, 2.0))
CRASH = RuntimeError("the worker died after the receiver had it")
UNREACHABLE = Reply(None, "cannot connect")

answers = st.lists(st.sampled_from([OK, OK, BROKEN, UNREACHABLE, CRASH]), max_size=30)
# Which object an event is about, or a moment in which the loop works.
steps = st.lists(st.sampled_from(["a", "b", "c", "work", "wait"]), min_size=1, max_size=25)


@settings(max_examples=40)
@given(steps=steps, answers=answers)
def test_order_and_at_least_once(sqlite_template: Path, steps: list[str], answers: list[Answer]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "waymeet.sqlite3"
        shutil.copy(sqlite_template, path)
        asyncio.run(_check(path, steps, list(answers)))


async def _check(path: Path, steps: list[str], answers: list[Answer]) -> None:
    store = SqliteStore(path, SystemClock(), synchronous="normal")
    await store.open()
    outbox = Outbox(store)
    await outbox.prepare()
    received: dict[str, list[int]] = defaultdict(list)

    def script(sent: Sent) -> Answer:
        key, _, number = sent.body.partition(" ")
        answer = answers.pop() if answers else OK
        if answer is not UNREACHABLE:
            received[key].append(int(number))
        return answer

    loop = outbox.loop(ScriptedSender(script), RULES)
    ids: list[str] = []
    for step in steps:
        if step == "work":
            await loop.deliver_due()
        elif step == "wait":
            outbox.clock.advance(1.5)
        else:
            ids.append(await outbox.put(f"{step} {len(ids)}", object_key=f"session:{step}"))
    # Answers run out, and then every receiver is well: all must come to an end, leases of the dead included.
    for _ in range(3 * (len(answers) + len(ids)) + 3):
        await loop.deliver_due()
        outbox.clock.advance(31)

    deliveries = [await outbox.get(delivery_id) for delivery_id in ids]
    await store.close()
    for delivery in deliveries:
        key, _, number = delivery.body.partition(" ")
        assert delivery.status in (DeliveryStatus.DELIVERED, DeliveryStatus.FAILED)
        if delivery.status is DeliveryStatus.DELIVERED:
            assert int(number) in received[key]
        else:
            assert delivery.attempts == len(RULES.retry_seconds) + 1
    for numbers in received.values():
        # A delivery may come twice; never one after a later one.
        assert numbers == sorted(numbers)
