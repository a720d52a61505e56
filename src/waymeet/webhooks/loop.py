"""The webhooks' loop: claims what is due, attempts it outside any transaction, and records what came of it."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from waymeet.model.errors import Unavailable
from waymeet.model.ids import OrganisationId, new_hex_token
from waymeet.model.instant import MICROSECONDS, Clock, Instant, after
from waymeet.webhooks.attempts import judge
from waymeet.webhooks.outbox import WEBHOOKS
from waymeet.webhooks.ports import Bells, OutboxTransaction, Sender, WebhookStore
from waymeet.webhooks.signing import signed_headers
from waymeet.webhooks.types import (
    ATTEMPTS_KEPT,
    Attempt,
    Backlog,
    Delivery,
    DeliveryRules,
    DeliveryStatus,
    Lease,
    SigningSecrets,
    Verdict,
)

POLL_SECONDS = 5.0
"""The safety net for bells that were lost."""
LEASE_MARGIN_SECONDS = 10.0
"""How much longer than one attempt may take a lease runs, so that a slow database does not cost a second delivery. It is
also what a receiver waits at most, beyond that, for what a killed process had in its hands."""
RECORD_PAUSE_SECONDS = 0.5
CLOSING_SECONDS = 2.0
"""What attempts under way get to finish when the program ends; the rest is released for the next one."""
ROTATION_HOURS = 24.0
"""How long after a rotation the previous secret signs beside the current one."""
PURGE_SECONDS = 60.0
PURGE_BATCH = 500
TRIM_SECONDS = 15.0
TRIM_BATCH = 100
RECEIVERS_PER_ORGANISATION = 4
"""How many receivers may have all the pending deliveries that one may have: URLs are the callers' to choose."""
_HOSTS_PER_LOOK = 1000

_Claimed = list[tuple[str, Delivery]]
_Secrets = dict[OrganisationId, SigningSecrets]

_log = logging.getLogger(__name__)


class WebhookLoop:
    """Delivers, at least once and in order per object, for as long as `run` runs.

    Any number of processes may run one on the same store. The limits of `rules` hold for each of them.
    """

    def __init__(
        self,
        store: WebhookStore,
        bells: Bells,
        sender: Sender,
        clock: Clock,
        rng: random.Random,
        rules: DeliveryRules,
        *,
        user_agent: str = "Waymeet",
        closing_seconds: float = CLOSING_SECONDS,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._store = store
        self._bells = bells
        self._sender = sender
        self._clock = clock
        self._rng = rng
        self._rules = rules
        self._user_agent = user_agent
        self._closing_seconds = closing_seconds
        self._poll_seconds = poll_seconds
        self._owner = new_hex_token(rng)
        self._attempts: dict[asyncio.Task[None], tuple[Delivery, Lease]] = {}
        self._per_host: Counter[str] = Counter()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Deliver until cancelled; then let attempts finish for `closing_seconds` and release what is left."""
        stop_listening = self._bells.listen(WEBHOOKS, lambda _key: self._wake.set())
        tidying = [
            asyncio.create_task(self._now_and_then(PURGE_SECONDS, self.purge)),
            asyncio.create_task(self._now_and_then(TRIM_SECONDS, self.trim)),
        ]
        try:
            while True:
                # Cleared first: what rings while we look is looked at next.
                self._wake.clear()
                try:
                    started = await self.start_due()
                    pause = 0.0 if started else await self._pause()
                except Unavailable as error:
                    _log.warning("webhooks are not sent now: %s", error.message)
                    pause = self._poll_seconds
                if pause > 0:
                    await self._woken_or_after(pause)
        finally:
            stop_listening()
            for task in tidying:
                task.cancel()
            await asyncio.gather(*tidying, return_exceptions=True)
            try:
                await self._finish()
            finally:
                await self._sender.close()

    async def start_due(self) -> int:
        """Claim what is due, as far as the limits leave room, and start to attempt it; how many were started."""
        room = self._rules.concurrency - len(self._attempts)
        if room <= 0:
            return 0
        now = self._clock.now()

        async def look(tx: OutboxTransaction) -> list[str]:
            return list(await tx.webhooks.due_hosts(now, _HOSTS_PER_LOOK))

        hosts = [host for host in await self._store.read(look) if self._per_host[host] < self._rules.per_host]
        if not hosts:
            return 0
        # No host is always first when there is not room for all.
        self._rng.shuffle(hosts)
        lease = Lease(
            self._owner, new_hex_token(self._rng), after(now, self._rules.timeout_seconds + LEASE_MARGIN_SECONDS)
        )

        async def claim(tx: OutboxTransaction) -> tuple[_Claimed, _Secrets]:
            claimed: _Claimed = []
            secrets: _Secrets = {}
            for host in hosts:
                limit = min(self._rules.per_host - self._per_host[host], room - len(claimed))
                if limit <= 0:
                    break
                for delivery in await tx.webhooks.claim(host, now, lease, limit):
                    claimed.append((host, delivery))
                    if delivery.organisation not in secrets:
                        found = await tx.webhooks.secrets(delivery.organisation)
                        assert found is not None, "deliveries go with their organisation"
                        secrets[delivery.organisation] = found
            return claimed, secrets

        claimed, secrets = await self._store.write(claim)
        for host, delivery in claimed:
            task = asyncio.create_task(self._attempt(delivery, lease, secrets[delivery.organisation]))
            self._attempts[task] = (delivery, lease)
            self._per_host[host] += 1
            task.add_done_callback(lambda done, host=host: self._ended(done, host))  # type: ignore[misc]
        return len(claimed)

    async def deliver_due(self) -> int:
        """Attempt all that is due now, and what that makes due, and wait for it; how many attempts were started."""
        total = 0
        while (started := await self.start_due()) or self._attempts:
            total += started
            # What goes wrong in one of them is logged by `_ended`.
            await asyncio.gather(*self._attempts, return_exceptions=True)
        return total

    async def purge(self) -> int:
        """Forget deliveries that finished longer ago than they are kept; how many there were."""
        before = after(self._clock.now(), -self._rules.retention_hours * 3600)

        async def unit(tx: OutboxTransaction) -> int:
            return await tx.webhooks.purge(before, PURGE_BATCH)

        # In batches: one long transaction would hold everybody else up.
        total = 0
        while purged := await self._store.write(unit):
            total += purged
        return total

    async def trim(self) -> int:
        """Give up the oldest deliveries where more are pending than the rules allow; how many there were."""
        per_receiver = self._rules.highest_pending
        per_organisation = RECEIVERS_PER_ORGANISATION * per_receiver

        async def receivers(tx: OutboxTransaction) -> Sequence[Backlog]:
            return await tx.webhooks.receivers_beyond(per_receiver)

        async def organisations(tx: OutboxTransaction) -> Sequence[Backlog]:
            return await tx.webhooks.organisations_beyond(per_organisation)

        total = 0
        for backlog in await self._store.scan(receivers):
            total += await self._give_up(backlog, f"more than {per_receiver} deliveries to {backlog.host} were waiting")
        # Looked for afterwards: what was given up for its receiver counts no more.
        for backlog in await self._store.scan(organisations):
            total += await self._give_up(backlog, f"more than {per_organisation} deliveries were waiting")
        return total

    async def _give_up(self, backlog: Backlog, why: str) -> int:
        async def unit(tx: OutboxTransaction) -> int:
            now = self._clock.now()
            oldest = await tx.webhooks.oldest_of(backlog, TRIM_BATCH)
            # Always in the same order of queues, so that two of us do not wait for each other.
            for delivery in sorted(oldest, key=lambda one: (one.object_key, one.url, one.sequence)):
                attempt = Attempt(at=now, duration_ms=0, error=f"given up: {why}")
                log = (*delivery.attempt_log, attempt)[-ATTEMPTS_KEPT:]
                verdict = Verdict(DeliveryStatus.FAILED, delivery.attempts, log, finished_at=now)
                await tx.webhooks.give_up(delivery, verdict, now)
            return len(oldest)

        total = 0
        while count := await self._store.write(unit):
            total += count
        _log.warning("gave up the %d oldest webhooks: %s", total, why, extra={"organisation": backlog.organisation})
        return total

    async def _attempt(self, delivery: Delivery, lease: Lease, secrets: SigningSecrets) -> None:
        started_at, started = self._clock.now(), self._clock.monotonic()
        body = delivery.body.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": self._user_agent,
            # Made on every attempt: receivers refuse a timestamp that is minutes old.
            **signed_headers(valid_secrets(secrets, started_at), delivery.id, body, started_at),
        }
        reply = await self._sender.post(delivery.url, headers, body)
        duration = self._clock.monotonic() - started
        verdict = judge(delivery, reply, duration, self._clock.now(), self._rules, self._rng)
        if verdict.status is DeliveryStatus.FAILED:
            _log.warning(
                "webhook %s for %s was given up after %d attempts: %s",
                delivery.id,
                delivery.object_key,
                verdict.attempts,
                reply.error or f"status {reply.status_code}",
            )

        async def record(tx: OutboxTransaction) -> bool:
            # No bell: `_ended` wakes this loop, which has the room for what comes next in the queue.
            return await tx.webhooks.settle(delivery, lease.token, verdict, self._clock.now())

        while True:
            try:
                if not await self._store.write(record):
                    _log.info("webhook %s was taken over by another process", delivery.id)
                return
            except Unavailable as error:
                # Not recorded, it would be sent again; so try for as long as it is ours.
                if self._clock.now() >= lease.until:
                    _log.warning("webhook %s will be attempted again: %s", delivery.id, error.message)
                    return
                await asyncio.sleep(RECORD_PAUSE_SECONDS)

    def _ended(self, task: asyncio.Task[None], host: str) -> None:
        self._attempts.pop(task, None)
        self._per_host[host] -= 1
        if self._per_host[host] <= 0:
            del self._per_host[host]
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its lease runs out, and it is attempted again.
            _log.error("an attempt to deliver a webhook failed", exc_info=error)
        self._wake.set()

    async def _pause(self) -> float:
        """Seconds until the next delivery is due, `poll_seconds` at most."""
        now = self._clock.now()

        async def look(tx: OutboxTransaction) -> Instant | None:
            return await tx.webhooks.next_due(now)

        due = await self._store.read(look)
        # Never quite nothing: with every host at its limit the next thing to happen is the end of an attempt.
        longest = self._poll_seconds
        return longest if due is None else min(longest, max(0.01, (due - now) / MICROSECONDS))

    async def _woken_or_after(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _now_and_then(self, seconds: float, tidy: Callable[[], Awaitable[int]]) -> None:
        while True:
            try:
                await tidy()
            except Unavailable as error:
                _log.warning("webhooks could not be tidied up: %s", error.message)
            await asyncio.sleep(seconds)

    async def _finish(self) -> None:
        under_way = dict(self._attempts)
        if not under_way:
            return
        _, unfinished = await asyncio.wait(under_way, timeout=self._closing_seconds)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

        async def release(tx: OutboxTransaction) -> None:
            for task in unfinished:
                delivery, lease = under_way[task]
                await tx.webhooks.release(delivery, lease.token, self._clock.now())

        try:
            await self._store.write(release)
        except Unavailable as error:
            _log.warning("webhooks under way are released when their leases end: %s", error.message)


def valid_secrets(secrets: SigningSecrets, now: Instant) -> list[str]:
    """The secrets that sign now: the current one, and for `ROTATION_HOURS` after a rotation the one before."""
    if secrets.previous is None or secrets.rotated_at is None:
        return [secrets.current]
    if now >= after(secrets.rotated_at, ROTATION_HOURS * 3600):
        return [secrets.current]
    return [secrets.current, secrets.previous]
