"""Changing a deployment's status, with everything that follows from it, in one transaction.

Every change of status in the program passes through `StatusChanges.apply`: the state table is consulted there, the
followers (sessions) are told, the webhook is queued, and the node's place is given back at the end.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from waymeet.deployments.deadlines import Retention, next_due
from waymeet.deployments.ports import DeploymentTransaction, Follower, StatusBody
from waymeet.deployments.types import Crash, Deployment
from waymeet.locations.service import NODE
from waymeet.model.instant import Instant
from waymeet.model.servers import ServerReport
from waymeet.model.states import DeploymentStatus, move_deployment
from waymeet.webhooks.outbox import enqueue

DEPLOYMENT = "deployment"
"""Bell with a request id as key: the deployment's status changed."""


class StatusChanges:
    """Moves deployments through their states."""

    def __init__(
        self, followers: Sequence[Follower], status_body: StatusBody, retention: Retention, rng: random.Random
    ) -> None:
        self._followers = followers
        self._status_body = status_body
        self._retention = retention
        self._rng = rng

    async def starting(
        self, tx: DeploymentTransaction, deployment: Deployment, now: Instant, report: ServerReport
    ) -> Deployment:
        """The node has taken it up, or its server crashed and is being started again, or keeps waiting for another
        reason than before.
        """
        changed = replace(
            deployment,
            ports=report.ports or deployment.ports,
            public_ip=report.public_ip or deployment.public_ip,
            error_detail=report.message,
        )
        if deployment.ready:
            changed = replace(changed, starting_since=now)
        return await self.apply(tx, deployment, changed, DeploymentStatus.DEPLOYING, now)

    async def ready(
        self, tx: DeploymentTransaction, deployment: Deployment, now: Instant, report: ServerReport
    ) -> Deployment:
        """Every checked port answers."""
        changed = replace(
            deployment,
            ports=report.ports,
            public_ip=report.public_ip,
            error_detail=None,
            ready_at=deployment.ready_at or now,
            empty_since=now if deployment.session_count == 0 else None,
        )
        return await self.apply(tx, deployment, changed, DeploymentStatus.READY, now)

    async def stop(self, tx: DeploymentTransaction, deployment: Deployment, now: Instant) -> Deployment:
        """It is not wanted any more. What runs is stopped by its node; what has failed is done with at once."""
        target = DeploymentStatus.TERMINATED if deployment.status.ended else DeploymentStatus.TERMINATING
        changed = replace(deployment, wanted=False, stopped_at=deployment.stopped_at or now)
        return await self.apply(tx, deployment, changed, target, now)

    async def end(
        self,
        tx: DeploymentTransaction,
        deployment: Deployment,
        now: Instant,
        *,
        error: str | None = None,
        crash: Crash | None = None,
    ) -> Deployment:
        """No server is left: TERMINATED, or ERROR when `error` says what went wrong."""
        target = DeploymentStatus.TERMINATED if error is None else DeploymentStatus.ERROR
        changed = replace(deployment, error_detail=error, crash=crash or deployment.crash, ended_at=now)
        return await self.apply(tx, deployment, changed, target, now)

    async def apply(
        self,
        tx: DeploymentTransaction,
        before: Deployment,
        changed: Deployment,
        target: DeploymentStatus,
        now: Instant,
    ) -> Deployment:
        """Write `changed` with status `target`; `before` is the locked row as it was."""
        if target is not before.status:
            changed = replace(changed, status=move_deployment(before.status, target), last_status=before.status)
        changed = replace(changed, due_at=next_due(changed, self._retention))
        await tx.deployments.save(changed)
        if target is before.status:
            return changed
        if changed.ended_at is not None and before.ended_at is None:
            await tx.locations.release(changed.node_name)
        if not changed.wanted or changed.ended_at is not None:
            tx.wake(NODE, changed.node_name)
        for follower in self._followers:
            await follower.deployment_changed(tx, before, changed, now)
        await self._queue_webhook(tx, changed, now)
        tx.wake(DEPLOYMENT, changed.request_id)
        return changed

    async def _queue_webhook(self, tx: DeploymentTransaction, deployment: Deployment, now: Instant) -> None:
        webhooks = deployment.settings.webhooks
        url = {
            DeploymentStatus.READY: webhooks.ready,
            DeploymentStatus.ERROR: webhooks.error,
            DeploymentStatus.TERMINATED: webhooks.terminated,
        }.get(deployment.status)
        if not url:
            return
        sessions = await tx.sessions.linked_to(deployment.request_id)
        await enqueue(
            tx,
            organisation=deployment.organisation,
            object_key=f"deployment:{deployment.request_id}",
            event_type=f"deployment.{deployment.status.value.lower()}",
            url=url,
            body=self._status_body(deployment, sessions, now),
            now=now,
            rng=self._rng,
        )
