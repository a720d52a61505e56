"""Relay sessions: create, look, let users in, shut them out, end.

Every change is written down first, for the node that relays the session; calls that promise an effect then wait, bounded,
until the node has said that it applied the change.
"""

from waymeet.locations.service import LocationService
from waymeet.model.errors import Conflict, Invalid, NotFound
from waymeet.model.ids import OrganisationId, SessionId, parse_session_id
from waymeet.model.instant import Clock
from waymeet.model.node_messages import QuestionKind
from waymeet.model.paging import Page, PageRequest
from waymeet.model.relays import RelayCounters
from waymeet.relays.confirming import Confirmations
from waymeet.relays.endings import RelayEndings
from waymeet.relays.planning import RelayPlanner, checked_users
from waymeet.relays.ports import RelayStore, RelayTransaction
from waymeet.relays.types import RelayRequest, RelaySession, RelayUser
from waymeet.relays.writing import RelayWriting


class RelayService:
    """Owns the rules for relay sessions."""

    def __init__(
        self,
        store: RelayStore,
        planner: RelayPlanner,
        writing: RelayWriting,
        locations: LocationService,
        endings: RelayEndings,
        confirmations: Confirmations,
        clock: Clock,
    ) -> None:
        self._store = store
        self._planner = planner
        self._writing = writing
        self._locations = locations
        self._endings = endings
        self._confirmations = confirmations
        self._clock = clock

    async def create(self, organisation: OrganisationId, request: RelayRequest) -> RelaySession:
        """Write a new relay session on the best relay for the users, and return it still INITIALIZING.

        It turns READY once its node has said that it lets the users in. Raises `Invalid` without users or with too many,
        `Unavailable` when no relay passes the filters, is connected and has room; nothing is written then.
        """
        checked_users(request.addresses)
        plan = await self._planner.plan(organisation, request.addresses, request.filters)

        async def unit(tx: RelayTransaction) -> RelaySession:
            return await self._writing.insert(tx, organisation, request, plan)

        return await self._store.write(unit)

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
        coordinates = self._planner.coordinates_of(address)

        async def unit(tx: RelayTransaction) -> tuple[RelaySession, RelayUser]:
            session = await tx.relays.lock(organisation, session_id)
            if session is None:
                raise unknown
            if not session.ready:
                raise _not_ready(session)
            return await self._writing.let_in(tx, session, address, coordinates)

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
            if all(user.token != token for user in session.users):
                raise NotFound(f"Relay session {session_id} never issued this token")
            return await self._writing.shut_out(tx, session, token), True

        changed, removed = await self._store.write(unit)
        # One that has failed is on no relay any more, and its relay may never be heard of again.
        if changed.wanted:
            await self._confirmations.wait(changed.node_name, changed.change)
        return changed, removed

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
