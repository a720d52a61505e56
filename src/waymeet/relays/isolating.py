"""One relay session that nobody can read or act on keeps nobody else's waiting: it is set aside, and the others go on."""

import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from waymeet.model.errors import Unavailable
from waymeet.model.ids import SessionId
from waymeet.model.instant import Clock, after
from waymeet.model.states import RelayStatus
from waymeet.relays.bells import RELAY
from waymeet.relays.endings import FAILED_SECONDS
from waymeet.relays.ports import RelayFollower, RelayStore, RelayTransaction
from waymeet.relays.tokens import free_token
from waymeet.relays.types import SET_ASIDE, RelaySession, UnreadableSessions
from waymeet.relays.webhook import RelayWebhook

UNREADABLE = "its record in the database cannot be read; create another session"
STUCK = "the server cannot act on it, and its log says why; create another session"
BACK_OFF_SECONDS = 60.0
"""How long the end of a session is left alone that could not be acted on."""

Result = TypeVar("Result")
Unit = Callable[[RelayTransaction], Awaitable[Result]]

_log = logging.getLogger(__name__)


class IsolatingStore:
    """A `RelayStore` in which no row stops a unit of work.

    A unit that meets rows of relay sessions that cannot be read runs again, once they are set aside: they are then in ERROR
    with the reason, on no relay, and readable like any other.
    """

    def __init__(
        self,
        store: RelayStore,
        webhook: RelayWebhook,
        clock: Clock,
        rng: random.Random,
        followers: Sequence[RelayFollower] = (),
    ) -> None:
        """`rng` has to be one for secrets."""
        self._store = store
        self._followers = followers
        self._webhook = webhook
        self._clock = clock
        self._rng = rng

    async def write(self, unit: Unit[Result]) -> Result:
        return await self._past_unreadable(self._store.write, unit)

    async def read(self, unit: Unit[Result]) -> Result:
        return await self._past_unreadable(self._store.read, unit)

    async def read_single(self, unit: Unit[Result]) -> Result:
        return await self._past_unreadable(self._store.read_single, unit)

    async def scan(self, unit: Unit[Result]) -> Result:
        return await self._past_unreadable(self._store.scan, unit)

    async def each(
        self,
        session_ids: Sequence[SessionId],
        act: Callable[[RelayTransaction, Sequence[SessionId]], Awaitable[None]],
    ) -> None:
        """Act on all sessions in one transaction or, when that fails, on each by itself; those that it fails for even so are
        set aside. An outage is nobody's fault: `Unavailable` is raised.
        """

        async def together(tx: RelayTransaction) -> None:
            await act(tx, session_ids)

        try:
            await self.write(together)
            return
        except Unavailable:
            raise
        except Exception as error:
            _log.info("acting on each of %d relay sessions by itself, after %r", len(session_ids), error)
        for session_id in session_ids:

            async def alone(tx: RelayTransaction, session_id: SessionId = session_id) -> None:
                await act(tx, [session_id])

            try:
                await self.write(alone)
            except Unavailable:
                raise
            except Exception:
                _log.exception("relay session %s is set aside, since nothing can be done with it", session_id)
                await self._set_aside({session_id: STUCK})

    async def _past_unreadable(self, run: Callable[[Unit[Result]], Awaitable[Result]], unit: Unit[Result]) -> Result:
        met: set[SessionId] = set()
        while True:
            try:
                return await run(unit)
            except UnreadableSessions as error:
                if met >= error.faults.keys():
                    raise  # Setting aside does not help, so that this would go on for ever.
                met |= error.faults.keys()
                for session_id, fault in error.faults.items():
                    _log.error("relay session %s is set aside, since its row cannot be read: %s", session_id, fault)
                await self._set_aside(dict.fromkeys(error.faults, UNREADABLE))

    async def _set_aside(self, reasons: Mapping[SessionId, str]) -> None:
        try:
            await self._store.write(lambda tx: self._write_aside(tx, reasons, tell=True))
        except Unavailable:
            raise
        except Exception:
            # It may be just the telling that fails.
            _log.exception("relay sessions are set aside without their webhooks")
            await self._store.write(lambda tx: self._write_aside(tx, reasons, tell=False))

    async def _write_aside(self, tx: RelayTransaction, reasons: Mapping[SessionId, str], *, tell: bool) -> None:
        now = self._clock.now()
        count = 0
        for salvaged in await tx.relays.salvage(sorted(reasons)):
            before, reason = salvaged.session, reasons[salvaged.session.session_id]
            if salvaged.fault is None and reason == UNREADABLE:
                continue  # Another process was faster.
            is_over = before.ended_at is not None
            aside = RelaySession(
                session_id=before.session_id,
                organisation=before.organisation,
                node_name=before.node_name,
                status=RelayStatus.TERMINATING if is_over else RelayStatus.ERROR,
                token=before.token or await free_token(tx, self._rng),
                users=(),
                endpoint=before.endpoint,
                host_name=before.host_name,
                webhook_url=before.webhook_url,
                error=reason,
                change=await tx.relays.next_change(before.node_name),
                created_at=before.created_at,
                ended_at=before.ended_at,
                due_at=after(now, BACK_OFF_SECONDS if is_over else FAILED_SECONDS),
            )
            await tx.relays.rewrite(aside)
            tx.wake(RELAY, aside.node_name)
            if tell and not is_over:
                for follower in self._followers:
                    await follower.relay_failed(tx, aside, now)
            if tell:
                await self._webhook.queue(tx, aside, now)
            count += 1
        if count:
            await tx.relays.count({SET_ASIDE: count})
