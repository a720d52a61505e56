"""The session webhook (contract 2.1): on Ready, Unprocessable and Error; on Waiting where the operator wants it."""

import random
from dataclasses import dataclass

from waymeet.model.instant import Instant
from waymeet.model.states import SessionStatus
from waymeet.sessions.ports import SessionBody, SessionTransaction
from waymeet.sessions.types import SeatedSession
from waymeet.webhooks.outbox import enqueue

_ALWAYS = frozenset({SessionStatus.READY, SessionStatus.UNPROCESSABLE, SessionStatus.ERROR})


@dataclass(frozen=True, slots=True)
class SessionWebhook:
    """Queues the webhook of a session, in the transaction that changed it."""

    body: SessionBody
    rng: random.Random
    notify_waiting: bool = False

    async def queue(self, tx: SessionTransaction, seated: SeatedSession, now: Instant) -> None:
        """Queue it, when the session has a URL and its new status is one that is told."""
        session = seated.session
        told = session.status in _ALWAYS or (self.notify_waiting and session.status is SessionStatus.WAITING)
        if not session.webhook_url or not told:
            return
        await enqueue(
            tx,
            organisation=session.organisation,
            object_key=f"session:{session.session_id}",
            event_type=f"session.{session.status.value.lower()}",
            url=session.webhook_url,
            body=self.body(seated, now),
            now=now,
            rng=self.rng,
        )
