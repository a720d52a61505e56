"""From a unit of work to a receiver that checks the signature, with real time and a real socket."""

import asyncio
import random

import pytest
import standardwebhooks

from tests.polling import GENEROUS_SECONDS, eventually_async
from tests.webhooks.outboxes import ORGANISATION, RULES, Outbox
from tests.webhooks.receivers import receiving, status
from waymeet.clock import SystemClock
from waymeet.webhooks.loop import WebhookLoop
from waymeet.webhooks.sender import HttpSender

pytestmark = pytest.mark.anyio


async def test_a_receiver_gets_all_in_order_and_can_check_who_sent_it(outbox: Outbox) -> None:
    sender = HttpSender(timeout_seconds=GENEROUS_SECONDS, concurrency=4, allow_private_targets=True)
    loop = WebhookLoop(outbox.store, outbox.store.bells, sender, SystemClock(), random.Random(1), RULES)
    secret = (await outbox.service.secret(ORGANISATION)).current
    async with receiving(status(200)) as receiver:
        running = asyncio.create_task(loop.run())
        for number in range(10):
            await outbox.put(f'{{"number": {number}}}', url=receiver.url)

        async def all_arrived() -> bool:
            return len(receiver.requests) == 10

        await eventually_async(all_arrived)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await sender.close()
    received = [standardwebhooks.Webhook(secret).verify(request.body, request.headers) for request in receiver.requests]
    assert received == [{"number": number} for number in range(10)]
