"""Relay sessions: create, look, let users in, shut them out, end.

Every change is written down first, for the node that relays the session; calls that promise an effect then wait, bounded,
until the node has said that it applied the change.
"""

import random
from collections.abc import Mapping

from msgspec.structs import replace

from waymeet.deployments.candidates import Candidates
from waymeet.deployments.finding import CandidateFinder
from waymeet.deployments.players import located
from waymeet.deployments.ports import Geography
from waymeet.deployments.types import Player
from waymeet.locations.service import LocationService
from waymeet.locations.types import Node
from waymeet.model.errors import Conflict, Invalid, NotFound, Unavailable
from waymeet.model.ids import NodeName, OrganisationId, SessionId, new_session_id, parse_session_id
from waymeet.model.instant import Clock, after
from waymeet.model.node_messages import QuestionKind, Role
from waymeet.model.paging import Page, PageRequest
from waymeet.model.relays import RelayCounters
from waymeet.model.states import RelayStatus
from waymeet.relays.bells import RELAY
from waymeet.relays.confirming import Confirmations
from waymeet.relays.endings import RelayEndings
from waymeet.relays.ports import RelayStore, RelayTransaction
from waymeet.relays.tokens import free_token, new_token, new_tokens
from waymeet.relays.types import (
    HIGHEST_USERS,
    REVOKED_KEPT,
    RelayEndpoint,
    RelayRequest,
    RelaySession,
    RelayUser,
)

NO_RELAY_RETRY_SECONDS = 5
INITIALIZING_SECONDS = 30
"""A session whose node has not confirmed it for so long has failed: clients give up after some 30 s (contract 2.15)."""


class RelayService:
    """Owns the rules for relay sessions."""

    def __init__(
        self,
        store: RelayStore,
        finder: CandidateFinder,
        geography: Geography,
        locations: LocationService,
        endings: RelayEndings,
        confirmations: Confirmations,
        clock: Clock,
        rng: random.Random,
        *,
        fqdn_suffix: str = "",
    ) -> None:
        self._store = store
        self._finder = finder
        self._geography = geography
        self._locations = locations
        self._endings = endings
        self._confirmations = confirmations
        self._clock = clock
        self._rng = rng
        self._fqdn_suffix = fqdn_suffix

    async def create(self, organisation: OrganisationId, request: RelayRequest) -> RelaySession:
        """Write a new relay session on the best relay for the users, and return it still INITIALIZING.

        It turns READY once its node has said that it lets the users in. Raises `Invalid` without users or with too many,
        `Unavailable` when no relay passes the filters, is connected and has room; nothing is written then.
        """
        if not request.addresses:
            raise Invalid({"users": "at least one user is required"})
        if len(request.addresses) > HIGHEST_USERS:
            raise Invalid({"users": f"a relay session has at most {HIGHEST_USERS} users; split the group"})
        players = tuple(Player(address) for address in request.addresses)
        found = await self._finder.find(organisation, players, None, request.filters, measured=True, role=Role.RELAY)
        if not found.fleet.nodes:
            raise Unavailable("no relay is connected; start a node with the role 'relay'", NO_RELAY_RETRY_SECONDS)
        if not found.sites:
            raise Unavailable("no relay passes the filters; relax them or add one there", NO_RELAY_RETRY_SECONDS)
        relays = _best_first(found, await self._store.read(_rooms))
        users = tuple(
            RelayUser(player.ip, token, player.coordinates)
            for player, token in zip(found.players, new_tokens(self._rng, len(players)), strict=True)
        )

        async def unit(tx: RelayTransaction) -> RelaySession:
            # Before the row of a relay, which everybody else who changes something there waits for from then on.
            token = await free_token(tx, self._rng)
            for node in relays:
                if (change := await tx.relays.reserve(node.name)) is not None:
                    session = await self._write_down(tx, organisation, request, token, users, node, change)
                    tx.wake(RELAY, node.name)
                    return session
            raise Unavailable("every allowed relay is full; try again later or add relays", NO_RELAY_RETRY_SECONDS)

        return await self._store.write(unit)

    async def _write_down(
        self,
        tx: RelayTransaction,
        organisation: OrganisationId,
        request: RelayRequest,
        token: int,
        users: tuple[RelayUser, ...],
        node: Node,
        change: int,
    ) -> RelaySession:
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
        return session

    async def find(self, organisation: OrganisationId, text: str) -> RelaySession:
        """A relay session that has not ended; `NotFound` otherwise."""
        session_id = _known_form(text)

        async def unit(tx: RelayTransaction) -> RelaySession | None:
            return await tx.relays.find(organisation, session_id)

        session = await self._store.read_single(unit)
        if session is None:
            raise _unknown(text)
        return session

    async def page(self, organisation: OrganisationId, request: PageRequest) -> Page[RelaySession]:
        """Sessions that have not ended, newest first."""

        async def unit(tx: RelayTransaction) -> Page[RelaySession]:
            return await tx.relays.page(organisation, request)

        return await self._store.scan(unit)

    async def delete(self, organisation: OrganisationId, text: str) -> None:
        """End a session, and return once its relay has shut everybody out.

        The session is gone at once and for good. Raises `NotFound` when it is unknown or already gone, `Unavailable` when
        the relay has not confirmed in time: it will, as soon as it can. One that had failed is on no relay any more.
        """
        session_id = _known_form(text)

        async def unit(tx: RelayTransaction) -> tuple[bool, RelaySession]:
            session = await tx.relays.lock(organisation, session_id)
            if session is None:
                raise _unknown(text)
            return session.wanted, await self._endings.end(tx, session, self._clock.now())

        was_wanted, ended = await self._store.write(unit)
        if was_wanted:
            await self._confirmations.wait(ended.node_name, ended.change)

    async def authorize(self, organisation: OrganisationId, text: str, address: str) -> tuple[RelaySession, RelayUser]:
        """Let one more user in, and return once the relay does. The same address again gets another token (2.20).

        Raises `Invalid` for an unknown session (this call documents no 404), `Conflict` when it is not READY, is full, ends
        meanwhile, or fails because its relay has no room for one more user; `Unavailable` when the relay has not confirmed
        in time: the user is let in as soon as it can.
        """
        session_id = parse_session_id(text)
        unknown = Invalid({"session_id": f"Relay session {text[:64]} not found"})
        if session_id is None:
            raise unknown
        (player,) = located((Player(address),), self._geography)

        async def unit(tx: RelayTransaction) -> tuple[RelaySession, RelayUser]:
            session = await tx.relays.lock(organisation, session_id)
            if session is None:
                raise unknown
            if not session.ready:
                raise _not_ready(session)
            if len(session.users) >= HIGHEST_USERS:
                raise Conflict(f"Relay session {session_id} has {HIGHEST_USERS} users, which is the limit")
            taken = {user.token for user in session.users} | set(session.revoked)
            user = RelayUser(address, new_token(self._rng, taken), player.coordinates)
            changed = await self._change(tx, replace(session, users=(*session.users, user)))
            return changed, user

        changed, user = await self._store.write(unit)
        await self._confirmations.wait(changed.node_name, changed.change)
        try:
            session = await self.find(organisation, changed.session_id)
        except NotFound:
            raise Conflict(f"Relay session {session_id} was ended meanwhile") from None
        if not session.ready:
            raise _not_ready(session)
        return changed, user

    async def revoke(self, organisation: OrganisationId, text: str, token: int) -> tuple[RelaySession, bool]:
        """Shut one user out, and return once the relay has; false with it when that had been done before.

        Raises `NotFound` for an unknown session or a token never issued in it, `Invalid` for the session's own token,
        `Unavailable` when the relay has not confirmed in time.
        """
        session_id = _known_form(text)

        async def unit(tx: RelayTransaction) -> tuple[RelaySession, bool]:
            session = await tx.relays.lock(organisation, session_id)
            if session is None:
                raise _unknown(text)
            if token == session.token:
                raise Invalid({"authorization_token": "this is the session's token; send the token of one user"})
            if token in session.revoked:
                return session, False
            users = tuple(user for user in session.users if user.token != token)
            if len(users) == len(session.users):
                raise NotFound(f"Relay session {session_id} never issued this token")
            revoked = (*session.revoked, token)[-REVOKED_KEPT:]
            owner = None if session.owner == token else session.owner
            return await self._change(tx, replace(session, users=users, revoked=revoked, owner=owner)), True

        changed, removed = await self._store.write(unit)
        # One that has failed is on no relay any more, and its relay may never be heard of again.
        if changed.wanted:
            await self._confirmations.wait(changed.node_name, changed.change)
        return changed, removed

    async def _change(self, tx: RelayTransaction, session: RelaySession) -> RelaySession:
        if session.wanted:
            session = replace(session, change=await tx.relays.next_change(session.node_name))
            tx.wake(RELAY, session.node_name)
        await tx.relays.save(session)
        return session

    async def counters(self, organisation: OrganisationId, text: str) -> tuple[RelaySession, RelayCounters]:
        """A session, and what its relay counted for it since it has had it: asked of its node, which answers at once.

        Raises `NotFound` for an unknown session, `Unavailable` when the node does not answer in time.
        """
        session = await self.find(organisation, text)
        if not session.ready:
            return session, RelayCounters()
        try:
            answer = await self._locations.ask(session.node_name, QuestionKind.RELAY, session.session_id)
        except NotFound:
            # The relay has just been started anew, and not heard of the session yet.
            return session, RelayCounters()
        return session, answer.relay or RelayCounters()


async def _rooms(tx: RelayTransaction) -> Mapping[NodeName, int]:
    return await tx.relays.rooms()


def _best_first(candidates: Candidates, rooms: Mapping[NodeName, int]) -> list[Node]:
    """The allowed relays that have room: by what they cost the group, then more room first, then by name."""

    def roomiest_first(node: Node) -> tuple[int, str]:
        return -rooms[node.name], node.name

    at: dict[int, list[Node]] = {}
    for site in candidates.sites:
        if nodes := [node for node in candidates.nodes_at(site) if node.name in rooms]:
            at[site] = sorted(nodes, key=roomiest_first)
    ordered = candidates.group.in_order(list(at), lambda site: roomiest_first(at[site][0]))
    return [node for _, site in ordered for node in at[site]]


def _known_form(text: str) -> SessionId:
    session_id = parse_session_id(text)
    if session_id is None:
        raise _unknown(text)
    return session_id


def _unknown(text: str) -> NotFound:
    return NotFound(f"Relay session {text[:64]} not found")


def _not_ready(session: RelaySession) -> Conflict:
    why = f" ({session.error})" if session.error else "; users can join once it is READY"
    return Conflict(f"Relay session {session.session_id} is {session.status}{why}")
