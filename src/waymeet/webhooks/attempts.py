"""What an attempt makes of a delivery. Pure."""

import random

from waymeet.model.instant import Instant, after
from waymeet.webhooks.ports import Reply
from waymeet.webhooks.types import ATTEMPTS_KEPT, Attempt, Delivery, DeliveryRules, DeliveryStatus, Verdict

JITTER = 0.2
"""Pauses are this much longer or shorter by chance, so that deliveries that failed together do not come back together."""


def judge(
    delivery: Delivery, reply: Reply, duration_seconds: float, now: Instant, rules: DeliveryRules, rng: random.Random
) -> Verdict:
    """Delivered by any 2xx; otherwise pending until the next attempt, or failed when there is none left."""
    attempts = delivery.attempts + 1
    attempt = Attempt(now, round(duration_seconds * 1000), reply.status_code, reply.error)
    log = (*delivery.attempt_log, attempt)[-ATTEMPTS_KEPT:]
    if reply.status_code is not None and 200 <= reply.status_code < 300:
        return Verdict(DeliveryStatus.DELIVERED, attempts, log, finished_at=now)
    if attempts > len(rules.retry_seconds):
        return Verdict(DeliveryStatus.FAILED, attempts, log, finished_at=now)
    pause = rules.retry_seconds[attempts - 1] * rng.uniform(1 - JITTER, 1 + JITTER)
    return Verdict(DeliveryStatus.PENDING, attempts, log, due_at=after(now, pause))
