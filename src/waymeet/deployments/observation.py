"""What nodes report becomes what deployments are; what deployments want becomes what nodes are told."""

from collections.abc import Collection, Mapping, Sequence

from waymeet.deployments.changes import StatusChanges
from waymeet.deployments.ports import DeploymentStore, DeploymentTransaction
from waymeet.deployments.reports import admissible
from waymeet.deployments.types import Crash, Deployment
from waymeet.model.ids import DeploymentId, NodeName
from waymeet.model.instant import Clock, Instant
from waymeet.model.servers import EndReason, ServerPhase, ServerReport, ServerSpec
from waymeet.model.states import DeploymentStatus

REPORTS_PER_UNIT = 50
"""Longer batches of reports are applied in several transactions, so that none holds the write lock for long."""
SESSIONS_PER_UNIT = 100
"""Likewise: once the deployments that were applied have so many sessions, which all move along, the others wait."""


class Observation:
    """Applies reports. Each report is a level, so applying it again changes nothing."""

    def __init__(self, store: DeploymentStore, changes: StatusChanges, clock: Clock) -> None:
        self._store = store
        self._changes = changes
        self._clock = clock

    async def observe(self, node: NodeName, reports: Sequence[ServerReport]) -> None:
        """Apply the reports of one node. Servers that it does not own, or that nobody knows, are ignored: the node
        stops them by itself, since they are not in its wanted set. Raises `Invalid` for a report that is out of its
        limits; those of the batches before are applied then.
        """
        for start in range(0, len(reports), REPORTS_PER_UNIT):
            some = reports[start : start + REPORTS_PER_UNIT]
            batch = {DeploymentId(report.key): admissible(report) for report in some}
            left: Collection[DeploymentId] = batch.keys()
            while left:
                left = await self._observe(node, {key: batch[key] for key in left})

    async def _observe(self, node: NodeName, batch: Mapping[DeploymentId, ServerReport]) -> Collection[DeploymentId]:
        """Apply reports in one transaction, at least one of them; the keys of those that have to wait for the next."""

        async def unit(tx: DeploymentTransaction) -> Collection[DeploymentId]:
            sessions = 0
            deployments = await tx.deployments.lock_many(list(batch))
            for position, deployment in enumerate(deployments, 1):
                if deployment.node_name == node and deployment.ended_at is None:
                    await self._apply(tx, deployment, batch[deployment.request_id], self._clock.now())
                    sessions += deployment.session_count
                if sessions >= SESSIONS_PER_UNIT:
                    return [waiting.request_id for waiting in deployments[position:]]
            return ()

        return await self._store.write(unit)

    async def end_unknown(self, node: NodeName, known: Collection[str]) -> None:
        """What is being stopped on the node, but was never there, has ended.

        `known` holds the keys that the node has reported or was told of; it will report the end of those itself.
        Deployments that are wanted and unknown to the node are left alone: it is about to start them.
        """

        async def unit(tx: DeploymentTransaction) -> None:
            unfinished = await tx.deployments.unfinished_on(node)
            unknown = [key for key, wanted in unfinished.items() if not wanted and key not in known]
            for deployment in await tx.deployments.lock_many(unknown) if unknown else ():
                if not deployment.wanted and deployment.ended_at is None:
                    await self._changes.end(tx, deployment, self._clock.now())

        await self._store.write(unit)

    async def unfinished(self, node: NodeName) -> Mapping[DeploymentId, bool]:
        """The node's deployments that have not ended, and whether each is wanted."""

        async def unit(tx: DeploymentTransaction) -> Mapping[DeploymentId, bool]:
            return await tx.deployments.unfinished_on(node)

        return await self._store.read(unit)

    async def servers(self, request_ids: Sequence[DeploymentId]) -> Sequence[ServerSpec]:
        """What the node needs to run these deployments."""

        async def unit(tx: DeploymentTransaction) -> Sequence[ServerSpec]:
            return await tx.deployments.servers(request_ids)

        return await self._store.read(unit) if request_ids else ()

    async def _apply(
        self, tx: DeploymentTransaction, deployment: Deployment, report: ServerReport, now: Instant
    ) -> None:
        match report.phase:
            case ServerPhase.STARTING if deployment.wanted:
                if (
                    deployment.status is not DeploymentStatus.DEPLOYING
                    or not deployment.ports
                    or deployment.error_detail != report.message
                ):
                    await self._changes.starting(tx, deployment, now, report)
            case ServerPhase.READY if deployment.wanted:
                if not deployment.ready:
                    await self._changes.ready(tx, deployment, now, report)
            case ServerPhase.ENDED:
                await self._end(tx, deployment, report, now)
            case _:
                pass  # Not wanted any more and still there: its end will be reported.

    async def _end(self, tx: DeploymentTransaction, deployment: Deployment, report: ServerReport, now: Instant) -> None:
        crash = None
        if report.exit_code is not None or report.crash_log:
            crash = Crash(report.exit_code, report.message, report.restart_count, report.crash_log)
        if not deployment.wanted or report.end_reason in (EndReason.STOPPED, EndReason.EXITED):
            await self._changes.end(tx, deployment, now, crash=crash)
        else:
            reason = report.end_reason.value.replace("_", " ") if report.end_reason else "ended"
            detail = f"{reason}: {report.message}" if report.message else f"the game server {reason}"
            await self._changes.end(tx, deployment, now, error=detail, crash=crash)
