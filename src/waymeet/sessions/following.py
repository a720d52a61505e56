"""Sessions follow their deployment: ready with it, gone with it."""

from typing import cast

from msgspec.structs import replace

from waymeet.deployments.ports import DeploymentTransaction
from waymeet.deployments.types import Deployment
from waymeet.model.instant import Instant
from waymeet.model.states import DeploymentStatus, SessionStatus, move_session
from waymeet.sessions.ports import SessionTransaction
from waymeet.sessions.types import SeatedSession, Session, retained_until
from waymeet.sessions.webhook import SessionWebhook

SESSION = "session"
"""Bell with a session id as key: the session's status changed."""


class SessionsFollowDeployments:
    """A `deployments.ports.Follower`."""

    def __init__(self, webhook: SessionWebhook) -> None:
        self._webhook = webhook

    async def deployment_changed(
        self, tx: DeploymentTransaction, before: Deployment, after: Deployment, now: Instant
    ) -> None:
        """Move the linked sessions along; everything in the transaction that moves the deployment."""
        # Deployments know only that somebody is linked to them; the transaction behind it has the sessions' rows too.
        sessions = cast(SessionTransaction, tx)
        target = _target(before, after)
        if target is None or after.session_count == 0:
            return
        for session in await sessions.sessions.lock_of(after.request_id):
            if session.status is target or not session.status.linked:
                continue
            await self._move(sessions, session, target, after, now)
        if not target.linked:
            await tx.deployments.give_back(after.request_id, after.sockets_used, after.session_count, now)

    async def _move(
        self, tx: SessionTransaction, session: Session, target: SessionStatus, deployment: Deployment, now: Instant
    ) -> None:
        changed = replace(session, status=move_session(session.status, target))
        if not target.linked:
            changed = replace(changed, seats=0, due_at=retained_until(now, session.retention_minutes))
        if target is SessionStatus.TERMINATED:
            changed = replace(changed, ended_at=now)
        elif target is SessionStatus.ERROR:
            detail = deployment.error_detail or "the deployment for this session failed"
            changed = replace(changed, error=detail)
        await tx.sessions.save(changed)
        await self._webhook.queue(tx, SeatedSession(changed, deployment.context), now)
        tx.wake(SESSION, session.session_id)


def _target(before: Deployment, after: Deployment) -> SessionStatus | None:
    match after.status:
        case DeploymentStatus.READY:
            return SessionStatus.READY
        case DeploymentStatus.DEPLOYING if before.ready:
            return SessionStatus.WAITING
        case DeploymentStatus.ERROR:
            # Failed before it was ever ready: the session's placement failed. Afterwards: the game is over.
            return SessionStatus.TERMINATED if after.ready_at is not None else SessionStatus.ERROR
        case DeploymentStatus.TERMINATED:
            return SessionStatus.TERMINATED
        case _:
            return None
