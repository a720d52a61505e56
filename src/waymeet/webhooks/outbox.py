"""Put webhooks into the outbox, inside the transaction that makes the event true: both happen, or neither does."""

import random
from urllib.parse import urlsplit

from waymeet.model.ids import OrganisationId, new_hex_token
from waymeet.model.instant import Instant
from waymeet.webhooks.ports import OutboxTransaction
from waymeet.webhooks.types import NewDelivery

WEBHOOKS = "webhooks"
"""Bell: something new is due."""


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
) -> str:
    """Have `body` POSTed to `url` once the transaction commits; the delivery's id.

    Deliveries about the same `object_key` to the same URL leave in the order of these calls, at least once each. `url`
    must have passed `check_webhook_url`, and `body` is UTF-8. However many are pending, this costs the same: the loop keeps
    their number within bounds.
    """
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
