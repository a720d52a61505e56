"""The relay sessions that a load test makes for itself, and always ends."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from waymeet.cli.relay.load.plan import LoadPlan, PlayedSession
from waymeet.cli.relay.load.tally import MILLISECONDS
from waymeet.client import (
    AsyncClient,
    ClientError,
    Filter,
    NotFound,
    RateLimited,
    RelaySession,
    RelayStatus,
    Unavailable,
)

CALLS_AT_ONCE = 16
READY_SECONDS = 60.0
FIRST_LOOK_SECONDS = 0.01
"""Between two looks whether a session is ready: this long at first, then half as long again each time."""
LONGEST_LOOK_SECONDS = 0.5
DELETE_ATTEMPTS = 4
DIFFERENT_FAILURES = 20
"""Counted apart; all others together."""


class LoadSessions:
    """Makes sessions, tells what their relay counted, and deletes every one of them, also those half made."""

    def __init__(
        self, client: AsyncClient, plan: LoadPlan, locations: Sequence[str], monotonic: Callable[[], float]
    ) -> None:
        """`locations` are names or codes of places, one of which the relay must be at; none: wherever it is best."""
        self.ready_ms: list[float] = []
        """From before each call that made a session until that was READY."""
        self.failures: Counter[str] = Counter()
        """What could not be done, and how often."""
        self.drops: Counter[str] = Counter()
        """Datagrams that the relays dropped, by reason."""
        self.received_packets = 0
        self.sent_packets = 0
        self._client = client
        self._plan = plan
        self._filters = [Filter.any_of("location", *locations)] if locations else []
        self._monotonic = monotonic
        self._room = asyncio.Semaphore(CALLS_AT_ONCE)
        self._made: set[str] = set()
        self._ready: list[RelaySession] = []
        self._creating: set[asyncio.Task[RelaySession]] = set()

    async def make(self) -> list[PlayedSession]:
        """All sessions that became READY; what kept the others from it is in `failures`."""
        own = await self._client.ip.own()
        await _together(self._make_one(own) for _ in range(self._plan.sessions))
        return [_played(session) for session in self._ready]

    async def ask(self) -> None:
        """Add up what the relays counted."""
        await _together(self._ask_one(session.session_id) for session in self._ready)

    async def delete(self) -> None:
        """End all sessions. What could not be ended is in `failures`."""
        # Somebody who was interrupted may not know yet what there is to delete.
        await asyncio.gather(*self._creating, return_exceptions=True)
        await _together(self._delete_one(session_id) for session_id in sorted(self._made))

    async def _make_one(self, own: str) -> None:
        async with self._room:
            try:
                began = self._monotonic()
                session = await self._created([own] * (self._plan.clients + 1))
                session = await self._until_ready(session)
                self.ready_ms.append((self._monotonic() - began) * MILLISECONDS)
                self._ready.append(session)
            except ClientError as error:
                self._fail(f"a session did not become READY: {error.message}")

    async def _created(self, ips: Sequence[str]) -> RelaySession:
        while True:
            creating = asyncio.create_task(self._client.relays.create(ips, filters=self._filters))
            self._creating.add(creating)
            creating.add_done_callback(self._remember)
            try:
                return await asyncio.shield(creating)
            except RateLimited as limited:
                # It was turned away before it did anything.
                await asyncio.sleep(limited.retry_after or LONGEST_LOOK_SECONDS)

    def _remember(self, creating: "asyncio.Task[RelaySession]") -> None:
        self._creating.discard(creating)
        if not creating.cancelled() and creating.exception() is None:
            self._made.add(creating.result().session_id)

    async def _until_ready(self, session: RelaySession) -> RelaySession:
        deadline = self._monotonic() + READY_SECONDS
        pause = FIRST_LOOK_SECONDS
        while not session.ready:
            if session.status == RelayStatus.ERROR:
                raise ClientError(session.error or "it is an ERROR")
            if self._monotonic() > deadline:
                raise ClientError(f"still {session.status} after {READY_SECONDS:g} s")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_LOOK_SECONDS)
            session = await self._client.relays.get(session.session_id)
        return session

    async def _ask_one(self, session_id: str) -> None:
        async with self._room:
            try:
                counted = await self._client.relays.statistics(session_id)
            except ClientError as error:
                self._fail(f"a relay did not say what it counted: {error.message}")
                return
            self.received_packets += counted.received_packets
            self.sent_packets += counted.sent_packets
            self.drops.update(counted.drops)

    async def _delete_one(self, session_id: str) -> None:
        async with self._room:
            for attempt in range(1, DELETE_ATTEMPTS + 1):
                try:
                    await self._client.relays.delete(session_id)
                except NotFound:
                    return  # Over already.
                except Unavailable as error:
                    self._fail(f"a session was deleted, but its relay has not confirmed that: {error.message}")
                    return
                except ClientError as error:
                    if attempt == DELETE_ATTEMPTS:
                        self._fail(f"session {session_id} could not be deleted: {error.message}")
                    await asyncio.sleep(getattr(error, "retry_after", None) or attempt)
                else:
                    return

    def _fail(self, message: str) -> None:
        known = message in self.failures or len(self.failures) < DIFFERENT_FAILURES
        self.failures[message if known else "something else failed"] += 1


async def _together(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for call in calls:
            tasks.create_task(call)


def _played(session: RelaySession) -> PlayedSession:
    assert session.relay is not None, "a session that is ready has a relay"
    assert session.authorization_token is not None, "and a token"
    host, *clients = (user.authorization_token for user in session.session_users)
    ports = session.relay.ports
    return PlayedSession(
        session.relay.ip, ports.server.port, ports.client.port, session.authorization_token, host, tuple(clients)
    )
