"""Sessions that are Seeking, so seats are looked for again.

Every node that could take them is away for a moment, or none within the latency that is allowed so far had room.
"""

import logging
from collections.abc import Sequence

from msgspec.structs import replace

from waymeet.deployments.finding import CandidateFinder
from waymeet.model.errors import Unavailable
from waymeet.model.ids import OrganisationId, SessionId
from waymeet.model.instant import MICROSECONDS, Clock, Instant, after
from waymeet.model.states import SessionStatus, move_session
from waymeet.placement.explanation import Explanation, same_reasons
from waymeet.sessions.following import SESSION
from waymeet.sessions.ports import SessionStore, SessionTransaction
from waymeet.sessions.seating import Seater, Seating
from waymeet.sessions.types import SeatedSession, SessionRequest, retained_until, seats_needed
from waymeet.sessions.webhook import SessionWebhook

SEEK_SECONDS = 0.5
"""Between two looks for seats for one session."""
SEEKING_PER_ROUND = 50
BACK_OFF_SECONDS = 60.0
"""How long a session is left alone for which it was not possible to look."""

_log = logging.getLogger(__name__)


def next_look(status: SessionStatus, now: Instant, retention_minutes: int) -> Instant | None:
    """When the loop has to look at a session that has just got this status; `None`: not before something happens to it."""
    if status is SessionStatus.SEEKING:
        return after(now, SEEK_SECONDS)
    return None if status.linked else retained_until(now, retention_minutes)


class Seeking:
    """Looks again, until there are seats, or the nodes count as lost, or the steps of the latency caps are over.

    Meanwhile the explanation is that of the first look with the same outcome: it is written again only when something
    else than figures changed, such as the step of the caps or the players.
    """

    def __init__(
        self, store: SessionStore, seater: Seater, webhook: SessionWebhook, finder: CandidateFinder, clock: Clock
    ) -> None:
        self._store = store
        self._seater = seater
        self._webhook = webhook
        self._finder = finder
        self._clock = clock

    async def seek_again(self) -> bool:
        """Look again for seats for the sessions that are Seeking; whether there may be more of them due."""
        now = self._clock.now()

        async def look(tx: SessionTransaction) -> Sequence[tuple[OrganisationId, SessionId]]:
            return await tx.sessions.seeking_due(now, SEEKING_PER_ROUND)

        due = await self._store.read(look)
        for organisation, session_id in due:
            try:
                await self._seek(organisation, session_id)
            except Unavailable:
                raise
            except Exception:
                # The others must not wait for whoever finds out what is wrong with this one.
                _log.exception("session %s is left alone for %g s", session_id, BACK_OFF_SECONDS)
                await self._postpone(session_id, now)
        return len(due) == SEEKING_PER_ROUND

    async def _postpone(self, session_id: SessionId, now: Instant) -> None:
        async def unit(tx: SessionTransaction) -> None:
            await tx.sessions.postpone(session_id, now, after(now, BACK_OFF_SECONDS))

        await self._store.write(unit)

    async def _seek(self, organisation: OrganisationId, session_id: SessionId) -> None:
        async def read(tx: SessionTransaction) -> tuple[SeatedSession | None, Explanation | None]:
            found = await tx.sessions.explanation(organisation, session_id)
            return await tx.sessions.find(organisation, session_id), None if found is None else found[0]

        seated, written = await self._store.read(read)
        if seated is None:
            return  # Deleted meanwhile.
        before, wish = seated.session, seated.session.wish
        # What was measured when it was created is known; nobody is probed again for it.
        candidates = await self._finder.find(
            organisation,
            before.users,
            wish.location,
            wish.filters,
            measured=not wish.skip_telemetry,
            probe=False,
        )

        async def unit(tx: SessionTransaction) -> None:
            session = await tx.sessions.lock(organisation, session_id)
            now = self._clock.now()
            if session is None or session.status is not SessionStatus.SEEKING or (session.due_at or now) > now:
                return  # Deleted meanwhile, or another replica has just looked.
            if session.users != before.users:
                return  # The candidates are those of another group; the next round finds the right ones.
            request = SessionRequest(
                application=session.application_name,
                version=session.version_name,
                players=session.users,
                wish=session.wish,
                selectors=session.selectors,
            )
            version = await tx.applications.find_version(organisation, request.application, request.version)
            if version is None or not version.deployable:
                found = Seating(SessionStatus.ERROR, error="the version was deleted or deactivated meanwhile")
            elif version.id != session.version_id or version.settings.sessions.kind is not session.kind:
                # Seats are counted by the kind that the session was made with; another kind would not add up.
                found = Seating(
                    SessionStatus.ERROR, error="the version was changed meanwhile; create the session again"
                )
            else:
                waited = (now - session.created_at) / MICROSECONDS
                found = await self._seater.seat_or_start(tx, organisation, version, request, candidates, now, waited)
            due_at = next_look(found.status, now, session.retention_minutes)
            if found.status is SessionStatus.SEEKING:
                if due_at is not None and written and found.explanation and same_reasons(written, found.explanation):
                    await tx.sessions.postpone(session_id, now, due_at)
                else:
                    await tx.sessions.save(replace(session, due_at=due_at, explanation=found.explanation))
                return
            seated = replace(
                session,
                status=move_session(session.status, found.status),
                deployment_id=None if found.deployment is None else found.deployment.request_id,
                seats=0 if found.deployment is None else seats_needed(session.kind, session.user_count),
                error=found.error,
                due_at=due_at,
                explanation=found.explanation,
            )
            await tx.sessions.save(seated)
            await self._webhook.queue(tx, SeatedSession(seated, found.deployment), now)
            tx.wake(SESSION, session_id)

        await self._store.write(unit)
