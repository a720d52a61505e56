"""The relay webhook (contract 2.15): once the session is ready, and when it fails."""

import random
from dataclasses import dataclass

from waymeet.model.instant import Instant
from waymeet.model.states import RelayStatus
from waymeet.relays.ports import RelayBody, RelayTransaction
from waymeet.relays.types import RelaySession
from waymeet.webhooks.outbox import enqueue

_TOLD = frozenset({RelayStatus.READY, RelayStatus.ERROR})


@dataclass(frozen=True, slots=True)
class RelayWebhook:
    """Queues the webhook of a relay session, in the transaction that changed it."""

    body: RelayBody
    rng: random.Random

    async def queue(self, tx: RelayTransaction, session: RelaySession, now: Instant) -> None:
        """Queue it, when the session has a URL and its new status is one that is told."""
        if not session.webhook_url or session.status not in _TOLD:
            return
        await enqueue(
            tx,
            organisation=session.organisation,
            object_key=f"relay:{session.session_id}",
            event_type=f"relay.{session.status.value.lower()}",
            url=session.webhook_url,
            body=self.body(session),
            now=now,
            rng=self.rng,
        )
