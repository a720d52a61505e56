"""The deployments' reconciler: acts on passed deadlines and on nodes that stay away.

It needs no lease: what it does is only writing, done in the same transaction that locks the row and looks at it again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from waymeet.deployments.changes import StatusChanges
from waymeet.deployments.deadlines import Deadline, Retention, passed
from waymeet.deployments.ports import DeploymentStore, DeploymentTransaction
from waymeet.deployments.types import Deployment
from waymeet.locations.directory import Directory
from waymeet.model.errors import Unavailable
from waymeet.model.ids import DeploymentId, NodeName
from waymeet.model.instant import Clock, Instant, after

POLL_SECONDS = 1.0
HEARING_SECONDS = 10.0
"""How long after our own start a server's silence proves nothing: its node needs a moment to connect and to report."""
ROWS_PER_UNIT = 50
DEAF_SECONDS = 10.0
"""More than this between two looks means that this process was suspended, as on a laptop that slept, or that the clock was
set. What nodes did meanwhile is not known yet."""

BACK_OFF_SECONDS = 60.0
"""How long a deployment is left alone that could not be acted on: a bug, or something in its row that nobody can read."""

_log = logging.getLogger(__name__)


class DeploymentLoop:
    """Looks at due deployments once a second, and at lost nodes."""

    def __init__(
        self,
        store: DeploymentStore,
        changes: StatusChanges,
        directory: Directory,
        clock: Clock,
        retention: Retention,
        node_lost_seconds: float,
    ) -> None:
        self._store = store
        self._changes = changes
        self._directory = directory
        self._clock = clock
        self._retention = retention
        self._node_lost_seconds = node_lost_seconds
        self._away_since: dict[NodeName, Instant] = {}
        """Since when this process has known a node to be away without a break in which it could have come back unheard."""
        self._given_up_in_vain: dict[DeploymentId, Instant] = {}
        """What could not be given up with its node, and until when it is left alone."""
        self._looked_at = self._started_at = clock.now()

    async def run(self) -> None:
        """Work until cancelled. A database outage is waited out."""
        while True:
            try:
                busy = await self.act_on_deadlines()
                await self.give_up_lost_nodes()
            except Unavailable as error:
                _log.warning("deadlines could not be checked: %s", error.message)
                # Nor could a node be recorded as back: after an outage each gets the whole time once more.
                self._away_since.clear()
                busy = False
            if not busy:
                await asyncio.sleep(POLL_SECONDS)

    async def act_on_deadlines(self) -> bool:
        """Act on up to `ROWS_PER_UNIT` due deployments; whether there may be more."""
        now = self._clock.now()

        async def look(tx: DeploymentTransaction) -> list[DeploymentId]:
            return list(await tx.deployments.due(now, ROWS_PER_UNIT))

        due = await self._store.read(look)
        if not due:
            return False

        async def act(tx: DeploymentTransaction, request_ids: Sequence[DeploymentId]) -> None:
            for deployment in await tx.deployments.lock_many(request_ids):
                if deployment.due_at is not None and deployment.due_at <= now:
                    await self._act(tx, deployment, now)

        for request_id in await self._troublesome(due, act):

            async def postpone(tx: DeploymentTransaction, request_id: DeploymentId = request_id) -> None:
                await tx.deployments.postpone(request_id, now, after(now, BACK_OFF_SECONDS))

            await self._store.write(postpone)
        return len(due) == ROWS_PER_UNIT

    async def _troublesome(
        self,
        request_ids: Sequence[DeploymentId],
        act: Callable[[DeploymentTransaction, Sequence[DeploymentId]], Awaitable[None]],
    ) -> list[DeploymentId]:
        """Act on all in one transaction or, when that fails, on each by itself; those that it failed for even so.

        One that cannot be acted on holds up none of the others. An outage is nobody's fault: `Unavailable` is raised.
        """

        async def together(tx: DeploymentTransaction) -> None:
            await act(tx, request_ids)

        try:
            await self._store.write(together)
        except Unavailable:
            raise
        except Exception as error:
            _log.info("acting on each of %d deployments by itself, after %r", len(request_ids), error)
        else:
            return []
        failed = []
        for request_id in request_ids:

            async def alone(tx: DeploymentTransaction, request_id: DeploymentId = request_id) -> None:
                await act(tx, [request_id])

            try:
                await self._store.write(alone)
            except Unavailable:
                raise
            except Exception:
                _log.exception("deployment %s is left alone for %g s", request_id, BACK_OFF_SECONDS)
                failed.append(request_id)
        return failed

    async def _act(self, tx: DeploymentTransaction, deployment: Deployment, now: Instant) -> None:
        match passed(deployment, self._retention, now):
            case Deadline.NOT_READY_IN_TIME if not self._could_have_heard(deployment, now):
                await tx.deployments.save(replace(deployment, due_at=after(now, HEARING_SECONDS)))
            case Deadline.NOT_READY_IN_TIME:
                seconds = deployment.settings.time_to_deploy_seconds
                detail = f"the game server did not answer within {seconds} s (time_to_deploy)"
                if deployment.error_detail:
                    detail += f": {deployment.error_detail}"
                await self._changes.end(tx, deployment, now, error=detail)
            case Deadline.TOO_OLD | Deadline.EMPTY_TOO_LONG:
                await self._changes.stop(tx, deployment, now)
            case Deadline.FORGET:
                await tx.deployments.delete(deployment.request_id)
            case None:
                # The row was due for a reason that is gone; this writes its next deadline.
                await self._changes.apply(tx, deployment, deployment, deployment.status, now)

    def _could_have_heard(self, deployment: Deployment, now: Instant) -> bool:
        """Whether a server that became ready could have said so: its node is there, and we have listened for a while.

        A node that stays away is given up by itself, and all that was placed on it.
        """
        if now < after(self._started_at, HEARING_SECONDS):
            return False
        return any(node.name == deployment.node_name and node.connected for node in self._directory.nodes)

    async def give_up_lost_nodes(self) -> None:
        """Fail what was placed on nodes that have been away for too long, so that players are told.

        Nobody's games end because nobody could hear that their node was well: time in which this process did not run, or
        the database took no reports, does not count.
        """
        now = self._clock.now()
        if not self._looked_at <= now <= after(self._looked_at, DEAF_SECONDS):
            self._away_since.clear()
        self._looked_at = now
        away = {node.name: node for node in self._directory.nodes if not node.connected and node.in_use > 0}
        self._away_since = {name: self._away_since.get(name, now) for name in away}
        before = after(now, -self._node_lost_seconds)
        for name, since in self._away_since.items():
            # It may have come and gone between two looks, which its row tells.
            if max(since, away[name].last_seen_at) <= before:
                await self._give_up(name, now, before)

    async def _give_up(self, node: NodeName, now: Instant, before: Instant) -> None:
        self._given_up_in_vain = {key: until for key, until in self._given_up_in_vain.items() if until > now}

        async def look(tx: DeploymentTransaction) -> list[DeploymentId]:
            return [key for key in await tx.deployments.unfinished_on(node) if key not in self._given_up_in_vain]

        lost = (await self._store.read(look))[:ROWS_PER_UNIT]
        ended: set[DeploymentId] = set()

        async def give_up(tx: DeploymentTransaction, request_ids: Sequence[DeploymentId]) -> None:
            # The snapshot may be old, and a bell lost: what its row says now is the truth.
            for known in await tx.locations.nodes():
                if known.name == node and (known.connected or known.last_seen_at > before):
                    return
            for deployment in await tx.deployments.lock_many(request_ids):
                if deployment.ended_at is not None:
                    continue
                if deployment.wanted:
                    detail = f"node '{node}' has been away for more than {self._node_lost_seconds:g} s"
                    await self._changes.end(tx, deployment, now, error=detail)
                else:
                    await self._changes.end(tx, deployment, now)
                ended.add(deployment.request_id)

        for request_id in await self._troublesome(lost, give_up) if lost else ():
            ended.discard(request_id)
            self._given_up_in_vain[request_id] = after(now, BACK_OFF_SECONDS)
        if ended:
            _log.warning("gave up %d deployments of a node that is away", len(ended), extra={"node": node})
            self._directory.mark_stale()
