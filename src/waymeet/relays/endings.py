"""The two ways in which a relay session ends: it is over, or it has failed."""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from waymeet.model.instant import Instant, after
from waymeet.model.states import RelayStatus, move_relay
from waymeet.relays.bells import RELAY
from waymeet.relays.ports import RelayFollower, RelayTransaction
from waymeet.relays.types import RelaySession
from waymeet.relays.webhook import RelayWebhook

FAILED_SECONDS = 3600
"""How long a failed session can be read, and tells why."""


@dataclass(frozen=True, slots=True)
class RelayEndings:
    """Ends locked sessions inside the caller's unit of work. Their places are free at once, and their nodes are told."""

    webhook: RelayWebhook
    followers: Sequence[RelayFollower] = ()

    async def end(
        self, tx: RelayTransaction, session: RelaySession, now: Instant, *, unused: bool = False
    ) -> RelaySession:
        """It is over: gone for everybody but its node, which is yet to drop it."""
        ended = replace(
            await self._released(tx, session),
            status=move_relay(session.status, RelayStatus.TERMINATING),
            ended_at=now,
            due_at=now,
        )
        await tx.relays.save(ended)
        for follower in self.followers:
            await follower.relay_ended(tx, ended, now, unused=unused)
        return ended

    async def fail(self, tx: RelayTransaction, session: RelaySession, reason: str, now: Instant) -> RelaySession:
        """It is an ERROR with this reason, which its webhook tells."""
        failed = replace(
            await self._released(tx, session),
            status=move_relay(session.status, RelayStatus.ERROR),
            error=reason,
            due_at=after(now, FAILED_SECONDS),
        )
        await tx.relays.save(failed)
        for follower in self.followers:
            await follower.relay_failed(tx, failed, now)
        await self.webhook.queue(tx, failed, now)
        return failed

    async def _released(self, tx: RelayTransaction, session: RelaySession) -> RelaySession:
        if not session.wanted:
            return session
        tx.wake(RELAY, session.node_name)
        return replace(session, change=await tx.relays.release(session.node_name))
