"""Changes to relay sessions, written down inside the caller's unit of work; their nodes are told when it commits.

A row that is changed here has been locked by the caller. That its relay does what was written down, `Confirmations` tell.
"""

import random

from msgspec.structs import replace

from waymeet.model.errors import Conflict, Unavailable
from waymeet.model.ids import OrganisationId, new_session_id
from waymeet.model.instant import Clock, after
from waymeet.model.location import Coordinates
from waymeet.model.states import RelayStatus
from waymeet.relays.bells import RELAY
from waymeet.relays.planning import NO_RELAY_RETRY_SECONDS, RelayPlan
from waymeet.relays.ports import RelayTransaction
from waymeet.relays.tokens import free_token, new_token, new_tokens
from waymeet.relays.types import (
    HIGHEST_USERS,
    REVOKED_KEPT,
    RelayEndpoint,
    RelayRequest,
    RelaySession,
    RelayUser,
)

INITIALIZING_SECONDS = 30
"""A session whose node has not confirmed it for so long has failed: clients give up after some 30 s (contract 2.15)."""


class RelayWriting:
    """Writes relay sessions and their users."""

    def __init__(self, clock: Clock, rng: random.Random, *, fqdn_suffix: str = "") -> None:
        self._clock = clock
        self._rng = rng
        self._fqdn_suffix = fqdn_suffix

    async def insert(
        self, tx: RelayTransaction, organisation: OrganisationId, request: RelayRequest, plan: RelayPlan
    ) -> RelaySession:
        """A new session, INITIALIZING, on the first planned relay that takes it; its users are in the order of the request.

        Raises `Unavailable` when all of them are full.
        """
        # Before the row of a relay, which everybody else who changes something there waits for from then on.
        token = await free_token(tx, self._rng)
        for node in plan.relays:
            change = await tx.relays.reserve(node.name)
            if change is not None:
                break
        else:
            raise Unavailable("every allowed relay is full; try again later or add relays", NO_RELAY_RETRY_SECONDS)
        users = tuple(
            RelayUser(address, user_token, plan.coordinates.get(address))
            for address, user_token in zip(
                request.addresses, new_tokens(self._rng, len(request.addresses)), strict=True
            )
        )
        now = self._clock.now()
        session_id = new_session_id(self._rng)
        ports = node.profile.relay
        assert ports is not None, "only nodes with a relay are chosen"
        session = RelaySession(
            session_id=session_id,
            organisation=organisation,
            node_name=node.name,
            status=RelayStatus.INITIALIZING,
            token=token,
            users=users,
            owner=users[0].token if request.owned_by_first else None,
            endpoint=RelayEndpoint(node.profile.address, ports),
            host_name=f"{session_id[:12]}.{self._fqdn_suffix}" if self._fqdn_suffix else "",
            webhook_url=request.webhook_url,
            change=change,
            created_at=now,
            due_at=after(now, INITIALIZING_SECONDS),
        )
        await tx.relays.insert(session)
        tx.wake(RELAY, node.name)
        return session

    async def let_in(
        self, tx: RelayTransaction, session: RelaySession, address: str, coordinates: Coordinates | None
    ) -> tuple[RelaySession, RelayUser]:
        """One more user. The same address again gets another token. Raises `Conflict` when the session is full."""
        if len(session.users) >= HIGHEST_USERS:
            raise Conflict(f"Relay session {session.session_id} has {HIGHEST_USERS} users, which is the limit")
        taken = {user.token for user in session.users} | set(session.revoked)
        user = RelayUser(address, new_token(self._rng, taken), coordinates)
        return await self._change(tx, replace(session, users=(*session.users, user))), user

    async def shut_out(self, tx: RelayTransaction, session: RelaySession, token: int) -> RelaySession:
        """The user with this token is none any more; if only that user could host, whoever comes first may now."""
        users = tuple(user for user in session.users if user.token != token)
        revoked = (*session.revoked, token)[-REVOKED_KEPT:]
        owner = None if session.owner == token else session.owner
        return await self._change(tx, replace(session, users=users, revoked=revoked, owner=owner))

    async def make_host(self, tx: RelayTransaction, session: RelaySession, token: int) -> RelaySession:
        """From now on only the user with this token may host."""
        return await self._change(tx, replace(session, owner=token))

    async def _change(self, tx: RelayTransaction, session: RelaySession) -> RelaySession:
        if session.wanted:
            session = replace(session, change=await tx.relays.next_change(session.node_name))
            tx.wake(RELAY, session.node_name)
        await tx.relays.save(session)
        return session
