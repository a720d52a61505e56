"""Put webhooks into the outbox, inside the transaction that makes the event true: both happen, or neither does."""

import logging
import random
from urllib.parse import urlsplit

from waymeet.model.ids import OrganisationId, new_hex_token
from waymeet.model.instant import Instant
from waymeet.webhooks.ports import OutboxTransaction
from waymeet.webhooks.types import ATTEMPTS_KEPT, Attempt, DeliveryStatus, NewDelivery, Verdict

WEBHOOKS = "webhooks"
"""Bell: something new is due."""

HIGHEST_PENDING = 10_000
"""Deliveries that one organisation may have pending. Only a receiver that is gone for long, or far too slow, gets it
there; then each new delivery pushes out the oldest one, which is marked failed with the reason and can be replayed."""

_log = logging.getLogger(__name__)


async def enqueue(
    tx: OutboxTransaction,
    *,
    organisation: OrganisationId,
    object_key: str,
    event_type: str,
    url: str,
    body: bytes | str,
    now: Instant,
    rng: random.Random,
    replay_of: str | None = None,
    highest_pending: int = HIGHEST_PENDING,
) -> str:
    """Have `body` POSTed to `url` once the transaction commits; the delivery's id.

    Deliveries about the same `object_key` to the same URL leave in the order of these calls, at least once each. `url`
    must have passed `check_webhook_url`, and `body` is UTF-8.
    """
    oldest = await tx.webhooks.oldest_beyond(organisation, highest_pending)
    if oldest is not None:
        reason = f"given up: {highest_pending} newer deliveries of the organisation are waiting"
        log = (*oldest.attempt_log, Attempt(at=now, duration_ms=0, error=reason))[-ATTEMPTS_KEPT:]
        await tx.webhooks.give_up(oldest, Verdict(DeliveryStatus.FAILED, oldest.attempts, log, finished_at=now), now)
        _log.warning("webhook %s for %s %s", oldest.id, oldest.object_key, reason)
    delivery = NewDelivery(
        id=f"msg_{new_hex_token(rng)}",
        organisation=organisation,
        object_key=object_key,
        event_type=event_type,
        url=url,
        body=body if isinstance(body, str) else body.decode(),
        created_at=now,
        replay_of=replay_of,
    )
    await tx.webhooks.append(delivery, (urlsplit(url).hostname or "").lower())
    tx.wake(WEBHOOKS)
    return delivery.id
