"""Seating a group: take free sockets of a running server, or have a new one started (contract 2.1, placement)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from waymeet.applications.types import Version
from waymeet.deployments.candidates import Candidates, Choice, can_start, no_room
from waymeet.deployments.explaining import explain_at_once, explain_nothing, explain_seats
from waymeet.deployments.starting import DeploymentStarter
from waymeet.deployments.types import DeploymentContext, DeploymentRequest
from waymeet.model.ids import OrganisationId
from waymeet.model.instant import Instant, after
from waymeet.model.node_messages import Role
from waymeet.model.states import SessionKind, SessionStatus
from waymeet.placement.explanation import Explanation
from waymeet.placement.limits import LatencyStep, caps_after
from waymeet.sessions.ports import SessionTransaction
from waymeet.sessions.types import SessionRequest, seats_needed

ATTEMPTS = 50
"""How often to look again when others took the seats between looking and taking. Each lost round means that somebody
else was seated, so the number bounds waiting, not correctness."""


@dataclass(frozen=True, slots=True)
class Seating:
    """Where a group ended up: linked to a deployment, or not, with the reason."""

    status: SessionStatus
    deployment: DeploymentContext | None = None
    error: str | None = None
    explanation: Explanation | None = None


class Seater:
    """Finds seats inside the caller's unit of work.

    Two units, because PostgreSQL keeps a row locked even when a closer look shows that it is full: `seat_at_once` may
    come out of its search with such a row in hand and nothing to show for it. `seat_or_start` therefore is a transaction
    of its own, which gets in line first, holding nothing. Waiting in line with a row in hand is half a deadlock.
    """

    def __init__(
        self,
        starter: DeploymentStarter,
        placement_range_ms: float,
        away_seconds: float,
        latency_steps: Sequence[LatencyStep] = (),
    ) -> None:
        self._starter = starter
        self._placement_range_ms = placement_range_ms
        self._away_seconds = away_seconds
        self._latency_steps = latency_steps

    def choice(self, version: Version, candidates: Candidates, waited_seconds: float = 0.0) -> Choice:
        """What the group may have now, having waited for so long.

        A step of the latency caps that no allowed location meets is passed over: waiting would not help.
        """
        range_ms = self._placement_range_ms if version.settings.sessions.autodeploy else 0.0
        for cap in caps_after(self._latency_steps, waited_seconds):
            choice = Choice(candidates, version.settings.limits(cap), range_ms)
            if choice.best:
                return choice
        return Choice(candidates, version.settings.limits(), range_ms)

    async def seat_at_once(
        self,
        tx: SessionTransaction,
        version: Version,
        request: SessionRequest,
        candidates: Candidates,
        now: Instant,
    ) -> Seating | None:
        """Free seats at the best location, or the reason why there can never be any; `None`: look more thoroughly."""
        kind = version.settings.sessions.kind
        seats = seats_needed(kind, len(request.players))
        # The best location is always near enough: its servers are preferred to starting one anywhere.
        choice = self.choice(version, candidates)
        if not choice.best:
            reason = no_room(choice, version.settings.docker_image)
            return _unprocessable(reason, explain_nothing(choice, now))
        nodes = choice.names(choice.best)
        tags = wanted_tags(request)
        taken = await tx.deployments.take_in_roomiest(version.id, kind, nodes, seats, tags, wait=False)
        if taken is None:
            # Perhaps there is room, and others are just taking some of it.
            taken = await tx.deployments.take_in_roomiest(version.id, kind, nodes, seats, tags, wait=True)
        if taken is None:
            return None
        return _linked(taken, explain_at_once(choice, _site_of(taken, choice.best, candidates), now))

    async def seat_or_start(
        self,
        tx: SessionTransaction,
        organisation: OrganisationId,
        version: Version,
        request: SessionRequest,
        candidates: Candidates,
        now: Instant,
        waited_seconds: float = 0.0,
    ) -> Seating:
        """Take seats for the group wherever there are some, or write down a new deployment for it.

        One at a time per version. Free seats are taken before anything is started; what is started begins with this
        session linked. So a crash or a rival at any moment neither over-seats a server nor starts one for nothing.
        """
        await tx.deployments.lock_starts(version.id)
        settings = version.settings.sessions
        seats, tags = seats_needed(settings.kind, len(request.players)), wanted_tags(request)
        rooms = await tx.locations.rooms()
        choice = self.choice(version, candidates, waited_seconds)
        startable = {
            node.name for node in candidates.fleet.nodes if node.name in rooms and can_start(node, version.settings)
        }
        seated = await _seat_in_running(tx, version, choice, startable, seats, tags)
        if seated is not None:
            deployment, site = seated
            return _linked(deployment, explain_seats(choice, site, now))
        if never_fits(version, len(request.players)):
            return _unprocessable(
                f"{seats} users never fit on a deployment with {settings.sockets} sockets; split the group",
                explain_nothing(choice, now),
            )
        capped = choice.limits.cap_ms is not None
        if not settings.autodeploy and not capped:
            return _unprocessable(
                "no running deployment of this version that is joinable, in an allowed place and carries the selectors' "
                "tags has enough free sockets, and autodeploy is off",
                explain_nothing(choice, now),
            )
        started = settings.autodeploy and await self._starter.start_at_best(
            tx,
            organisation=organisation,
            version=version,
            request=_deployment_request(version, request, tags),
            choice=choice,
            now=now,
            first_session_seats=seats,
        )
        if started:
            return _linked(started.context, started.explanation)
        explanation = explain_nothing(choice, now)
        if capped or self._may_come_back(version, choice, now):
            return Seating(SessionStatus.SEEKING, explanation=explanation)
        reason = no_room(choice, version.settings.docker_image)
        return Seating(SessionStatus.ERROR, error=reason, explanation=explanation)

    def _may_come_back(self, version: Version, choice: Choice, now: Instant) -> bool:
        """Whether an allowed node that could start the server is away, but not for so long that it counts as lost.

        Nodes are away for moments when they or the control plane restart; a group that asks just then can wait.
        """
        recently = after(now, -self._away_seconds)
        settings = version.settings
        names = {node.name for node in choice.candidates.fleet.nodes if not node.connected}
        nodes = (node for _, node in choice.nodes_in_order(names))
        return any(
            not node.connected
            and node.last_seen_at >= recently
            and node.capacity > node.in_use
            and Role.SERVER in node.profile.roles
            and node.profile.runs(settings.docker_repository, settings.docker_image)
            for node in nodes
        )


async def _seat_in_running(
    tx: SessionTransaction,
    version: Version,
    choice: Choice,
    startable: Collection[str],
    seats: int,
    tags: Sequence[str],
) -> tuple[DeploymentContext, int] | None:
    """Seats on the best running server that is near enough, and the location where it is."""
    kind, autodeploy = version.settings.sessions.kind, version.settings.sessions.autodeploy
    for _ in range(ATTEMPTS):
        with_room = set(await tx.deployments.nodes_with_room(version.id, kind, seats, tags))
        sites = choice.with_seats(with_room, startable if autodeploy else None)
        if not sites:
            return None
        nodes = choice.names(sites)
        if taken := await tx.deployments.take_in_roomiest(version.id, kind, nodes, seats, tags, wait=True):
            return taken, _site_of(taken, sites, choice.candidates)
    return None


def _site_of(deployment: DeploymentContext, sites: Sequence[int], candidates: Candidates) -> int:
    """Which of some locations a deployment is at; the first when its node has moved since."""
    if len(sites) == 1:
        return sites[0]
    site = candidates.fleet.by_location.get(deployment.location)
    return site if site is not None and site in sites else sites[0]


def never_fits(version: Version, users: int) -> bool:
    """Whether a server that is started for the version now would be too small for so many users, even empty."""
    settings = version.settings.sessions
    return settings.kind is SessionKind.SEAT and seats_needed(settings.kind, users) > settings.sockets


def wanted_tags(request: SessionRequest) -> list[str]:
    """Tags that a deployment must carry to take the group."""
    return [selector.tag for selector in request.selectors if not selector.tag_only]


def _deployment_request(version: Version, request: SessionRequest, tags: Sequence[str]) -> DeploymentRequest:
    return DeploymentRequest(
        application=version.application_name,
        version=version.name,
        players=request.players,
        location=request.wish.location,
        filters=request.wish.filters,
        environment={entry.env.key: entry.env.value for entry in request.selectors if entry.env is not None},
        tags=tuple(tags),
    )


def _linked(deployment: DeploymentContext, explanation: Explanation | None) -> Seating:
    status = SessionStatus.READY if deployment.ready else SessionStatus.WAITING
    return Seating(status, deployment, explanation=explanation)


def _unprocessable(reason: str, explanation: Explanation) -> Seating:
    return Seating(SessionStatus.UNPROCESSABLE, error=reason, explanation=explanation)
