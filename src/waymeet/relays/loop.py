"""The relay sessions' reconciler: fails those whose relay is lost or never answered, and forgets those that ended.

It needs no lease: what it does is only writing, done in the same transaction that locks the row and looks at it again.
"""

import asyncio
import logging
from collections.abc import Sequence

from msgspec.structs import replace

from waymeet.locations.directory import Directory
from waymeet.locations.types import Node
from waymeet.model.errors import Unavailable
from waymeet.model.ids import NodeName, SessionId
from waymeet.model.instant import Clock, Instant, after
from waymeet.model.states import RelayStatus
from waymeet.relays.endings import RelayEndings
from waymeet.relays.isolating import IsolatingStore
from waymeet.relays.ports import RelayTransaction
from waymeet.relays.types import RelaySession
from waymeet.relays.writing import INITIALIZING_SECONDS

POLL_SECONDS = 1.0
ROWS_PER_UNIT = 100
UNCONFIRMED_SECONDS = 60
"""How long the end of a session stays written down for its node to hear. A node that comes back later is told everything
anyway, and what is not in that ends."""
DEAF_SECONDS = 10.0
"""More than this between two looks means that this process was suspended, or that the clock was set: what nodes did
meanwhile is not known yet."""

_log = logging.getLogger(__name__)


class RelayLoop:
    """Acts on deadlines and on lost nodes."""

    def __init__(
        self,
        store: IsolatingStore,
        endings: RelayEndings,
        directory: Directory,
        clock: Clock,
        node_lost_seconds: float,
    ) -> None:
        self._store = store
        self._endings = endings
        self._directory = directory
        self._clock = clock
        self._node_lost_seconds = node_lost_seconds
        self._away_since: dict[NodeName, Instant] = {}
        """Since when this process has known a relay to be away without a break in which it could have come back unheard."""
        self._looked_at = clock.now()

    async def run(self) -> None:
        """Work until cancelled. A database outage is waited out."""
        while True:
            try:
                more = await self.act_on_due()
                await self.give_up_lost_nodes()
            except Unavailable as error:
                _log.warning("relay sessions could not be looked at: %s", error.message)
                # Nobody could have recorded that a node is well meanwhile.
                self._away_since.clear()
                more = False
            if not more:
                await asyncio.sleep(POLL_SECONDS)

    async def act_on_due(self) -> bool:
        """Act on up to `ROWS_PER_UNIT` due sessions; whether there may be more."""
        now = self._clock.now()

        async def look(tx: RelayTransaction) -> Sequence[SessionId]:
            return await tx.relays.due(now, ROWS_PER_UNIT)

        due = await self._store.read(look)
        if not due:
            return False

        async def act(tx: RelayTransaction, session_ids: Sequence[SessionId]) -> None:
            forgotten: list[RelaySession] = []
            for session in await tx.relays.lock_many(session_ids):
                if session.due_at is None or session.due_at > now:
                    continue
                if session.status is RelayStatus.INITIALIZING:
                    reason = f"relay '{session.node_name}' did not take the session within {INITIALIZING_SECONDS} s"
                    await self._endings.fail(tx, session, reason, now)
                elif session.ended_at is None or await self._heard(tx, session, session.ended_at, now):
                    forgotten.append(session)
                else:
                    await tx.relays.save(replace(session, due_at=after(now, POLL_SECONDS)))
            if forgotten:
                await tx.relays.forget(forgotten)

        await self._store.each(due, act)
        return len(due) == ROWS_PER_UNIT

    async def _heard(self, tx: RelayTransaction, session: RelaySession, ended_at: Instant, now: Instant) -> bool:
        """Whether the node knows that the session ended, or has had its time to hear of just that."""
        if now >= after(ended_at, UNCONFIRMED_SECONDS):
            return True
        return await tx.relays.confirmed(session.node_name) >= session.change

    async def give_up_lost_nodes(self) -> None:
        """Fail what is on relays that have been away for too long, so that players are told and ask for another.

        Nobody's session ends because nobody could hear that its node was well: time in which this process did not run, or
        the database took no reports, does not count.
        """
        now = self._clock.now()
        if not self._looked_at <= now <= after(self._looked_at, DEAF_SECONDS):
            self._away_since.clear()
        self._looked_at = now
        by_name = self._directory.fleet.by_name

        async def look(tx: RelayTransaction) -> Sequence[NodeName]:
            return await tx.relays.occupied()

        occupied = await self._store.read(look)
        # One that this process has not heard of yet is nobody's loss.
        away = {name: by_name[name] for name in occupied if name in by_name and not _serves(by_name[name])}
        self._away_since = {name: self._away_since.get(name, now) for name in away}
        before = after(now, -self._node_lost_seconds)
        for name, since in self._away_since.items():
            if since <= before and _is_lost(away[name], before):
                await self._give_up(name, now, before)

    async def _give_up(self, name: NodeName, now: Instant, before: Instant) -> None:
        reason = f"relay '{name}' has been away for more than {self._node_lost_seconds:g} s"

        async def look(tx: RelayTransaction) -> Sequence[SessionId]:
            return await tx.relays.on_node(name, ROWS_PER_UNIT)

        lost: set[SessionId] = set()

        async def fail(tx: RelayTransaction, session_ids: Sequence[SessionId]) -> None:
            # The snapshot may be old, and a bell lost: what its row says now is the truth.
            node = await tx.locations.node(name)
            if node is not None and not _is_lost(node, before):
                return
            for session in await tx.relays.lock_many(session_ids):
                if session.wanted:
                    await self._endings.fail(tx, session, reason, now)
                    lost.add(session.session_id)

        while found := await self._store.read(look):
            lost.clear()
            await self._store.each(found, fail)
            if not lost:
                return
            _log.warning("gave up %d relay sessions: %s", len(lost), reason, extra={"node": name})


def _serves(node: Node) -> bool:
    return node.connected and node.profile.relay is not None


def _is_lost(node: Node, before: Instant) -> bool:
    """Whether it has no relay since `before`. It may have come and gone between two looks, which its row tells."""
    if node.connected:
        # There, but without a relay: its ports could not be opened, or the role was taken from it.
        return node.profile.relay is None
    return node.last_seen_at <= before
