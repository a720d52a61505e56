"""What nodes are told to relay, and what follows from what they say."""

from collections.abc import AsyncIterator, Iterator, Sequence

from waymeet.model.errors import Invalid
from waymeet.model.ids import NodeName, SessionId, parse_session_id
from waymeet.model.instant import Clock
from waymeet.model.relays import DropReason, RelayCounters, RelayLoad, RelaySpec
from waymeet.relays.bells import CONFIRMED
from waymeet.relays.endings import RelayEndings
from waymeet.relays.isolating import IsolatingStore
from waymeet.relays.ports import RelayFollower, RelayTransaction
from waymeet.relays.types import DROPPED, RELAY_TRAFFIC, RelayChanges, RelaySession
from waymeet.relays.webhook import RelayWebhook

SESSIONS_PER_READ = 500
CHANGES_PER_READ = 500
READY_PER_UNIT = 100
"""Longer batches are moved in several transactions, so that none holds the write lock for long."""
ENDED_PER_UNIT = 100
HIGHEST_CHANGE = 2**63 - 1
OTHER_REASON = "other"
"""For drops that a node counts for a reason of which we know nothing."""
_REASONS = frozenset(DropReason)


class RelayServing:
    """The conversation with a node about its relay, without the socket."""

    def __init__(
        self,
        store: IsolatingStore,
        endings: RelayEndings,
        webhook: RelayWebhook,
        clock: Clock,
        followers: Sequence[RelayFollower] = (),
    ) -> None:
        self._store = store
        self._followers = followers
        self._endings = endings
        self._webhook = webhook
        self._clock = clock

    async def last_change(self, node: NodeName) -> int:
        """The number of the node's last change: what is read after this call holds it."""

        async def unit(tx: RelayTransaction) -> int:
            return await tx.relays.last_change(node)

        return await self._store.read(unit)

    async def wanted(self, node: NodeName) -> AsyncIterator[Sequence[RelaySpec]]:
        """Everything that the node is to relay, in batches.

        Sessions may change between two batches: whoever reads this asks for `last_change` first and then applies
        `changes` after that number, which are levels and therefore do no harm twice.
        """
        last = SessionId("")
        while True:

            async def unit(tx: RelayTransaction, last: SessionId = last) -> Sequence[RelaySession]:
                return await tx.relays.wanted_on(node, last, SESSIONS_PER_READ)

            batch = await self._store.read(unit)
            yield [session.spec for session in batch]
            if len(batch) < SESSIONS_PER_READ:
                return
            last = batch[-1].session_id

    async def changes(self, node: NodeName, change: int) -> RelayChanges:
        """What changed after `change`, up to some bound; the same number again when nothing did."""

        async def unit(tx: RelayTransaction) -> RelayChanges:
            return await tx.relays.changes_after(node, change, CHANGES_PER_READ)

        return await self._store.read(unit)

    async def applied(self, node: NodeName, change: int) -> None:
        """The node says that everything up to `change` is in force: whoever waits for it goes on, and sessions that it
        now serves are READY. Repeatable. Raises `Invalid` for what is no number of a change.
        """
        if not 0 <= change <= HIGHEST_CHANGE:
            raise Invalid({"change": f"between 0 and {HIGHEST_CHANGE}"})

        async def confirm(tx: RelayTransaction) -> None:
            await tx.relays.confirm(node, change)
            tx.wake(CONFIRMED, node)

        # By itself: the node's row is locked last everywhere else, sessions before it.
        await self._store.write(confirm)
        while await self._make_ready(node, change):
            pass

    async def _make_ready(self, node: NodeName, change: int) -> bool:
        async def look(tx: RelayTransaction) -> Sequence[SessionId]:
            return await tx.relays.unconfirmed_through(node, change, READY_PER_UNIT)

        found = await self._store.read(look)
        if not found:
            return False

        async def make_ready(tx: RelayTransaction, session_ids: Sequence[SessionId]) -> None:
            now = self._clock.now()
            for session in await tx.relays.make_ready(session_ids, change):
                for follower in self._followers:
                    await follower.relay_ready(tx, session, now)
                await self._webhook.queue(tx, session, now)

        await self._store.each(found, make_ready)
        return len(found) == READY_PER_UNIT

    async def idle(self, node: NodeName, keys: Sequence[str]) -> None:
        """The node says that nobody has used these sessions for so long that they end (relay wire, 5.7). Repeatable."""

        async def end(tx: RelayTransaction, session_ids: Sequence[SessionId]) -> None:
            now = self._clock.now()
            for session in await tx.relays.lock_many(session_ids):
                # A node speaks for its own sessions only.
                if session.node_name == node and session.ready:
                    await self._endings.end(tx, session, now, unused=True)

        for batch in _batches(keys):
            await self._store.each(batch, end)

    async def hosts_silent(self, node: NodeName, keys: Sequence[str]) -> None:
        """The node says that the hosts of these sessions have been silent beyond the owner timeout. Repeatable."""

        async def tell(tx: RelayTransaction, session_ids: Sequence[SessionId]) -> None:
            now = self._clock.now()
            confirmed = await tx.relays.confirmed(node)
            for session in await tx.relays.lock_many(session_ids):
                # One that has not heard of the last change may speak of the host before.
                if session.node_name == node and session.ready and session.change <= confirmed:
                    for follower in self._followers:
                        await follower.relay_host_silent(tx, session, now)

        for batch in _batches(keys):
            await self._store.each(batch, tell)

    async def refused(self, node: NodeName, keys: Sequence[str]) -> None:
        """The node says that its relay has no room for these sessions, or their users: they have failed. Repeatable."""

        async def fail(tx: RelayTransaction, session_ids: Sequence[SessionId]) -> None:
            now = self._clock.now()
            for session in await tx.relays.lock_many(session_ids):
                if session.node_name == node and session.wanted:
                    await self._endings.fail(tx, session, f"relay '{node}' has no room for it and its users", now)

        for batch in _batches(keys):
            await self._store.each(batch, fail)

    async def record_load(self, node: NodeName, load: RelayLoad) -> None:
        """Add what the relay has counted since it last said so to what all relays have counted. Repeatable."""

        async def unit(tx: RelayTransaction) -> None:
            before = await tx.relays.load(node)
            if before == load:
                return
            await tx.relays.record_load(node, load)
            if counts := _more(load.counters, before.counters if before is not None else RelayCounters()):
                await tx.relays.count(counts)

        await self._store.write(unit)


def _batches(keys: Sequence[str]) -> Iterator[list[SessionId]]:
    """The session ids among what a node said, a transaction's worth at a time."""
    known = [session_id for key in keys if (session_id := parse_session_id(key)) is not None]
    for start in range(0, len(known), ENDED_PER_UNIT):
        yield known[start : start + ENDED_PER_UNIT]


def _more(now: RelayCounters, before: RelayCounters) -> dict[str, int]:
    """What was counted in between, by the names of `RELAY_TRAFFIC` and, after `DROPPED`, of `DropReason`."""
    new, old = _counts(now), _counts(before)
    if any(count < old.get(name, 0) for name, count in new.items()):
        # Counters only grow: this relay was started anew.
        old = {}
    return {name: more for name, count in new.items() if (more := count - old.get(name, 0)) > 0}


def _counts(counters: RelayCounters) -> dict[str, int]:
    counts = {name: getattr(counters, name) for name in RELAY_TRAFFIC}
    for reason, count in counters.drops.items():
        name = DROPPED + (reason if reason in _REASONS else OTHER_REASON)
        counts[name] = counts.get(name, 0) + count
    return counts
