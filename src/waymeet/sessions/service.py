"""Sessions: seat a group of players, look at it, let players come and go, end it."""

import random
from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace

from waymeet.applications.types import Version
from waymeet.deployments.candidates import Candidates
from waymeet.deployments.explaining import expanded, explain_at_once, explain_named
from waymeet.deployments.finding import CandidateFinder
from waymeet.deployments.players import located
from waymeet.deployments.ports import Geography
from waymeet.deployments.service import bulk_values
from waymeet.deployments.types import Deployment, Player
from waymeet.model.errors import Conflict, Gone, Invalid, NotFound, Unsatisfiable
from waymeet.model.filters import Filter, agrees, folded
from waymeet.model.ids import DeploymentId, OrganisationId, SessionId, new_session_id, parse_session_id
from waymeet.model.instant import Clock, Instant
from waymeet.model.paging import Page, PageRequest
from waymeet.model.states import SessionKind, SessionStatus, move_session
from waymeet.placement.explanation import Explanation
from waymeet.sessions.following import SESSION
from waymeet.sessions.known_versions import KnownVersions
from waymeet.sessions.ports import SessionStore, SessionTransaction
from waymeet.sessions.seating import Seater, Seating, never_fits, wanted_tags
from waymeet.sessions.seeking import next_look
from waymeet.sessions.types import SeatedSession, Session, SessionRequest, seats_needed
from waymeet.sessions.webhook import SessionWebhook

BULK_STOP_FIELDS = frozenset({"session_id", "request_id", "deployment_tags"})
BULK_PER_UNIT = 100
HIGHEST_USERS = 1_000
"""Users in one session. The contract names no limit; a row and an answer must have one."""


class SessionService:
    """Owns the rules for sessions."""

    def __init__(
        self,
        store: SessionStore,
        seater: Seater,
        webhook: SessionWebhook,
        finder: CandidateFinder,
        geography: Geography,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._store = store
        self._seater = seater
        self._webhook = webhook
        self._finder = finder
        self._geography = geography
        self._clock = clock
        self._rng = rng
        self._known_versions = KnownVersions()

    async def create(self, organisation: OrganisationId, request: SessionRequest) -> Session:
        """Seat a group, and return its session.

        Seats are taken in the same transaction that writes the session, so an answer means that they are held. Starts
        nothing itself: a server that is missing is written down as wanted. A group that cannot be seated gets a session
        all the same, Unprocessable or in Error, with the reason; or Seeking, while the nodes that could take it are away
        for a moment: then `sessions.seeking` goes on.

        Raises `Invalid` (unknown or inactive version, nothing to place by, too many users) and `Conflict` (the named
        deployment cannot take the session).
        """
        if len(request.players) > HIGHEST_USERS:
            raise Invalid({"ip_list": f"a session has at most {HIGHEST_USERS} users; split the group"})
        wish = request.wish
        measured = not wish.skip_telemetry and request.deployment_id is None
        probe = measured and await self._worth_probing(organisation, request)
        candidates = await self._finder.find(
            organisation, request.players, wish.location, wish.filters, measured=measured, probe=probe
        )
        if candidates.players is not request.players:
            request = replace(request, players=candidates.players)

        session = await self._seat_quickly(organisation, request, candidates)
        if session is not None:
            return session

        async def checked_version(tx: SessionTransaction, name: str | None = request.version) -> Version:
            found = await tx.applications.find_version(organisation, request.application, name)
            version = _check_version(found, request)
            if request.deployment_id is None:
                self._known_versions.remember(version)
            return version

        async def write_down(tx: SessionTransaction, version: Version, seating: Seating, kind: SessionKind) -> Session:
            now = self._clock.now()
            session = _settled(self._session(organisation, version, request, kind, now), seating)
            await tx.sessions.insert(session)
            await self._webhook.queue(tx, SeatedSession(session, seating.deployment), now)
            return session

        async def at_once(tx: SessionTransaction) -> Session | None:
            if request.deployment_id is not None:
                named = await _named_deployment(tx, organisation, request.deployment_id)
                # A deployment that is named brings its version along, however many newer ones there are.
                version = await checked_version(tx, request.version or named.version_name)
                linked = await _link_to(tx, named, version, request, self._clock.now())
                return await write_down(tx, version, linked, named.kind)
            version = await checked_version(tx)
            found = await self._seater.seat_at_once(tx, version, request, candidates, self._clock.now())
            if found is None:
                return None
            return await write_down(tx, version, found, version.settings.sessions.kind)

        async def thoroughly(tx: SessionTransaction) -> Session:
            version = await checked_version(tx)
            now = self._clock.now()
            found = await self._seater.seat_or_start(tx, organisation, version, request, candidates, now)
            return await write_down(tx, version, found, version.settings.sessions.kind)

        session = await self._store.write(at_once)
        return session if session is not None else await self._store.write(thoroughly)

    async def _worth_probing(self, organisation: OrganisationId, request: SessionRequest) -> bool:
        """Whether anything can follow from measuring: not for a version that is not there, or that the group never fits.

        Nobody is refused by it, so it does not matter if the version changes just now. Costs a read only where the
        version is not known to take the group.
        """
        users = len(request.players)
        known = self._known_versions.find(organisation, request.application, request.version)
        if users <= 1 or (known is not None and not never_fits(known, users)):
            return True

        async def unit(tx: SessionTransaction) -> Version | None:
            return await tx.applications.find_version(organisation, request.application, request.version)

        version = await self._store.read(unit)
        return version is not None and version.deployable and not never_fits(version, users)

    async def _seat_quickly(
        self, organisation: OrganisationId, request: SessionRequest, candidates: Candidates
    ) -> Session | None:
        """The usual case in a single statement: free seats at the best location, for a version that is known.

        `None` proves nothing: the seats may be gone, or others just be taking some, or the version have changed. The
        ways that `create` goes then read everything afresh.
        """
        version = self._known_versions.find(organisation, request.application, request.version)
        if version is None or request.deployment_id is not None or request.webhook_url:
            return None
        known, now = version, self._clock.now()
        choice = self._seater.choice(known, candidates)
        if len(choice.best) != 1:
            return None  # Where several are as good, which one it was is known only afterwards.
        nodes, explanation = choice.names(choice.best), explain_at_once(choice, choice.best[0], now)

        async def unit(tx: SessionTransaction) -> Session | None:
            session = self._session(organisation, known, request, known.settings.sessions.kind, now, explanation)
            return await tx.sessions.insert_seated(session, known, nodes, wanted_tags(request))

        return await self._store.write_single(unit)

    def _session(
        self,
        organisation: OrganisationId,
        version: Version,
        request: SessionRequest,
        kind: SessionKind,
        now: Instant,
        explanation: Explanation | None = None,
    ) -> Session:
        """A session that occupies its seats as soon as there is a deployment."""
        return Session(
            session_id=new_session_id(self._rng),
            organisation=organisation,
            version_id=version.id,
            application_name=version.application_name,
            version_name=version.name,
            kind=kind,
            status=SessionStatus.INITIALIZING,
            deployment_id=None,
            seats=seats_needed(kind, len(request.players)),
            users=request.players,
            selectors=request.selectors,
            wish=request.wish,
            webhook_url=request.webhook_url,
            error=None,
            retention_minutes=version.settings.sessions.session_max_duration,
            created_at=now,
            explanation=explanation,
        )

    async def placement(self, organisation: OrganisationId, text: str) -> tuple[SessionId, Explanation | None]:
        """Why a session is where it is, as of when it was placed; `None` for one of an earlier release.

        Raises as `find`.
        """
        session_id = checked_session_id(text)

        async def unit(tx: SessionTransaction) -> tuple[Explanation | None] | None:
            return await tx.sessions.explanation(organisation, session_id)

        found = await self._store.read(unit)
        if found is None:
            raise _unknown(session_id)
        return session_id, None if found[0] is None else expanded(found[0])

    async def find(self, organisation: OrganisationId, text: str) -> SeatedSession:
        """A session and its deployment; `Invalid` for a malformed id, `NotFound` once it has vanished."""
        session_id = checked_session_id(text)

        async def unit(tx: SessionTransaction) -> SeatedSession | None:
            return await tx.sessions.find(organisation, session_id)

        seated = await self._store.read_single(unit)
        if seated is None:
            raise _unknown(session_id)
        return seated

    async def delete(self, organisation: OrganisationId, text: str) -> SessionId:
        """End a session: its seats are free at once, and it vanishes within moments. `Gone` when it is ending already."""
        session_id = checked_session_id(text)

        async def unit(tx: SessionTransaction) -> None:
            session = await _locked(tx, organisation, session_id)
            if session is None:
                raise _unknown(session_id)
            if session.ended_at is not None:
                raise Gone(f"Session {session_id} is already terminated")
            await self._end(tx, session, self._clock.now())

        await self._store.write(unit)
        return session_id

    async def _end(self, tx: SessionTransaction, session: Session, now: Instant) -> None:
        if session.status.linked and session.deployment_id is not None:
            await tx.deployments.give_back(session.deployment_id, session.seats, 1, now)
        status = move_session(session.status, SessionStatus.TERMINATING)
        bound_to = session.deployment_id if session.status.linked else None
        ended = replace(session, status=status, deployment_id=bound_to, seats=0, ended_at=now, due_at=now)
        await tx.sessions.save(ended)
        tx.wake(SESSION, session.session_id)

    async def add_users(self, organisation: OrganisationId, text: str, ips: Sequence[str]) -> tuple[Player, ...]:
        """Add players; all users afterwards. `Unsatisfiable` when a linked Seat session's deployment has no room for
        all of them: nobody is added then.
        """
        newcomers = located(tuple(Player(ip) for ip in ips), self._geography)

        async def change(tx: SessionTransaction, session: Session) -> Session:
            users = session.users + newcomers
            if len(users) > HIGHEST_USERS:
                raise Invalid({"ip_list": f"a session has at most {HIGHEST_USERS} users"})
            seats = session.seats
            if session.status.linked and session.deployment_id is not None and session.kind is SessionKind.SEAT:
                if not await tx.deployments.add_seats(session.deployment_id, len(newcomers)):
                    raise Unsatisfiable(
                        f"Deployment {session.deployment_id} has not enough free sockets for {len(newcomers)} more"
                    )
                seats += len(newcomers)
            return replace(session, users=users, seats=seats)

        return (await self._change(organisation, text, change)).users

    async def remove_users(self, organisation: OrganisationId, text: str, ips: Sequence[str]) -> tuple[Player, ...]:
        """Remove one user per listed address, ignoring addresses that are not there; the users who remain."""

        async def change(tx: SessionTransaction, session: Session) -> Session:
            users = list(session.users)
            for ip in ips:
                position = next((index for index, user in enumerate(users) if user.ip == ip), None)
                if position is not None:
                    del users[position]
            freed = len(session.users) - len(users)
            seats = session.seats
            if freed and session.status.linked and session.deployment_id and session.kind is SessionKind.SEAT:
                await tx.deployments.give_back(session.deployment_id, freed, 0, self._clock.now())
                seats -= freed
            return replace(session, users=tuple(users), seats=seats)

        return (await self._change(organisation, text, change)).users

    async def _change(
        self,
        organisation: OrganisationId,
        text: str,
        change: Callable[[SessionTransaction, Session], Awaitable[Session]],
    ) -> Session:
        session_id = checked_session_id(text)

        async def unit(tx: SessionTransaction) -> Session:
            session = await _locked(tx, organisation, session_id)
            if session is None:
                raise _unknown(session_id)
            if session.ended_at is not None:
                raise Gone(f"Session {session_id} is terminating")
            changed = await change(tx, session)
            await tx.sessions.save(changed)
            return changed

        return await self._store.write(unit)

    async def page(self, organisation: OrganisationId, request: PageRequest) -> Page[SeatedSession]:
        """Active sessions, newest first."""

        async def unit(tx: SessionTransaction) -> Page[SeatedSession]:
            return await tx.sessions.page(organisation, request)

        return await self._store.scan(unit)

    async def bulk_stop(self, organisation: OrganisationId, filters: Sequence[Filter]) -> list[SessionId]:
        """End every session that passes all filters; their ids. In steps of `BULK_PER_UNIT`, so that nobody waits long."""
        if not filters:
            raise Invalid({"filters": "at least one filter is required, so that a mistake cannot delete everything"})
        prepared = [(entry, bulk_values(entry)) for entry in filters]

        stopped: list[SessionId] = []
        last = SessionId("")
        while True:

            async def look(tx: SessionTransaction, last: SessionId = last) -> Sequence[SeatedSession]:
                return await tx.sessions.active_after(organisation, last, BULK_PER_UNIT)

            page = await self._store.scan(look)
            batch = [
                seated.session.session_id
                for seated in page
                if all(agrees(_values(seated, entry.field), wanted, entry.filter_type) for entry, wanted in prepared)
            ]

            chosen = set(batch)
            deployments = [
                seated.deployment.request_id
                for seated in page
                if seated.deployment is not None and seated.session.session_id in chosen
            ]

            async def unit(
                tx: SessionTransaction, batch: list[SessionId] = batch, deployments: list[DeploymentId] = deployments
            ) -> list[SessionId]:
                # All at once and in their own order: in that of the sessions, two of us would wait for each other.
                await tx.deployments.lock_many(deployments)
                ended: list[SessionId] = []
                for session_id in batch:
                    session = await _locked(tx, organisation, session_id)
                    if session is not None and session.ended_at is None:
                        await self._end(tx, session, self._clock.now())
                        ended.append(session_id)
                return ended

            if batch:
                stopped += await self._store.write(unit)
            if len(page) < BULK_PER_UNIT:
                break
            last = page[-1].session.session_id
        return stopped


def _settled(session: Session, seating: Seating) -> Session:
    linked = seating.deployment is not None
    return replace(
        session,
        status=seating.status,
        deployment_id=seating.deployment.request_id if seating.deployment is not None else None,
        seats=session.seats if linked else 0,
        error=seating.error,
        explanation=seating.explanation,
        due_at=next_look(seating.status, session.created_at, session.retention_minutes),
    )


async def _named_deployment(
    tx: SessionTransaction, organisation: OrganisationId, deployment_id: DeploymentId
) -> Deployment:
    deployment = await tx.deployments.find(organisation, deployment_id)
    if deployment is None:
        raise Invalid({"deployment_request_id": f"no deployment '{deployment_id}' is known"})
    return deployment


async def _link_to(
    tx: SessionTransaction, deployment: Deployment, version: Version, request: SessionRequest, now: Instant
) -> Seating:
    if deployment.version_id != version.id:
        raise Conflict(f"Deployment {deployment.request_id} runs another application or version")
    if not deployment.accepting:
        raise Conflict(f"Deployment {deployment.request_id} takes no sessions: it is ending or not joinable")
    seats = seats_needed(deployment.kind, len(request.players))
    taken = await tx.deployments.take_seats(deployment.request_id, seats)
    if taken is None:
        raise Conflict(f"Deployment {deployment.request_id} has not enough free sockets for {seats} more")
    status = SessionStatus.READY if taken.ready else SessionStatus.WAITING
    return Seating(status, taken, explanation=explain_named(now))


async def _locked(tx: SessionTransaction, organisation: OrganisationId, session_id: SessionId) -> Session | None:
    """The session, held, and before it its deployment: everybody takes the two in this order, so nobody deadlocks."""
    seated = await tx.sessions.find(organisation, session_id)
    if seated is None:
        return None
    if seated.deployment is not None:
        await tx.deployments.lock(seated.deployment.request_id)
    return await tx.sessions.lock(organisation, session_id)


def _check_version(version: Version | None, request: SessionRequest) -> Version:
    if version is None:
        if request.version is None:
            raise Invalid({"app_name": f"application '{request.application}' is unknown or has no active version"})
        wanted = f"there is no application '{request.application}' with a version '{request.version}'"
        raise Invalid({"version_name": wanted})
    if not version.deployable:
        raise Invalid({"version_name": f"'{version.name}' or its application is not active; activate it first"})
    if request.deployment_id is None and version.settings.sessions.kind is SessionKind.DEFAULT:
        raise Invalid(
            {
                "version_name": f"'{version.name}' has no sessions (kind Default); give it a session_config of kind Seat or"
                " Match, or name a deployment with deployment_request_id"
            }
        )
    return version


def checked_session_id(text: str) -> SessionId:
    """The canonical form of a session id; `Invalid` when it cannot be one."""
    session_id = parse_session_id(text)
    if session_id is None:
        raise Invalid({"session_id": "12 hexadecimal digits and -S, such as 950dd2eaff09-S"})
    return session_id


def _values(seated: SeatedSession, field: str) -> frozenset[str]:
    match field:
        case "session_id":
            return frozenset({folded(seated.session.session_id)})
        case "request_id":
            linked = seated.session.status.linked and seated.session.deployment_id
            return frozenset({folded(linked)}) if linked else frozenset()
        case _:
            tags = seated.deployment.tags if seated.session.status.linked and seated.deployment else ()
            return frozenset(tag.name for tag in tags)


def _unknown(session_id: SessionId) -> NotFound:
    return NotFound(f"Session {session_id} not found")
