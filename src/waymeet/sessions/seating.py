"""Seating a group: take free sockets of a running server, or have a new one started (contract 2.1, placement)."""

from collections.abc import Sequence
from dataclasses import dataclass

from waymeet.applications.types import Version
from waymeet.deployments.candidates import Candidates
from waymeet.deployments.service import no_room
from waymeet.deployments.starting import DeploymentStarter
from waymeet.deployments.types import DeploymentContext, DeploymentRequest
from waymeet.locations.types import Node
from waymeet.model.ids import NodeName, OrganisationId
from waymeet.model.instant import Instant, after
from waymeet.model.node_messages import Role
from waymeet.model.states import SessionKind, SessionStatus
from waymeet.placement.ranking import RankedPlace, site_of_best, within_range
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


class Seater:
    """Finds seats inside the caller's unit of work.

    Two units, because PostgreSQL keeps a row locked even when a closer look shows that it is full: `seat_at_once` may
    come out of its search with such a row in hand and nothing to show for it. `seat_or_start` therefore is a transaction
    of its own, which gets in line first, holding nothing. Waiting in line with a row in hand is half a deadlock.
    """

    def __init__(self, starter: DeploymentStarter, placement_range_ms: float, away_seconds: float) -> None:
        self._starter = starter
        self._placement_range_ms = placement_range_ms
        self._away_seconds = away_seconds

    async def seat_at_once(
        self,
        tx: SessionTransaction,
        version: Version,
        request: SessionRequest,
        candidates: Candidates,
    ) -> Seating | None:
        """Free seats at the best location, or the reason why there can never be any; `None`: look more thoroughly."""
        kind = version.settings.sessions.kind
        seats = seats_needed(kind, len(request.players))
        # The best location is always near enough: its servers are preferred to starting one anywhere.
        site = candidates.best_site
        if not site:
            return _unprocessable(no_room(candidates, version.settings.docker_image))
        tags = wanted_tags(request)
        taken = await tx.deployments.take_in_roomiest(version.id, kind, site, seats, tags, wait=False)
        if taken is None:
            # Perhaps there is room, and others are just taking some of it.
            taken = await tx.deployments.take_in_roomiest(version.id, kind, site, seats, tags, wait=True)
        return None if taken is None else _linked(taken)

    async def seat_or_start(
        self,
        tx: SessionTransaction,
        organisation: OrganisationId,
        version: Version,
        request: SessionRequest,
        candidates: Candidates,
        now: Instant,
    ) -> Seating:
        """Take seats for the group wherever there are some, or write down a new deployment for it.

        One at a time per version. Free seats are taken before anything is started; what is started begins with this
        session linked. So a crash or a rival at any moment neither over-seats a server nor starts one for nothing.
        """
        await tx.deployments.lock_starts(version.id)
        settings = version.settings.sessions
        seats, tags = seats_needed(settings.kind, len(request.players)), wanted_tags(request)
        rooms = await tx.locations.rooms()
        with_room = [node for node in candidates.fleet.nodes if node.name in rooms]
        near = self._near(version, candidates, with_room)
        if deployment := await _seat_in_running(tx, version, near, seats, tags):
            return _linked(deployment)
        if settings.kind is SessionKind.SEAT and seats > settings.sockets:
            return _unprocessable(
                f"{seats} users never fit on a deployment with {settings.sockets} sockets; split the group"
            )
        if not settings.autodeploy:
            return _unprocessable(
                "no running deployment of this version that is joinable, in an allowed place and carries the selectors' "
                "tags has enough free sockets, and autodeploy is off"
            )
        started = await self._starter.start_at_best(
            tx,
            organisation=organisation,
            version=version,
            request=_deployment_request(version, request, tags),
            candidates=candidates,
            now=now,
            first_session_seats=seats,
        )
        if started is not None:
            return _linked(started.context)
        if self._may_come_back(version, candidates, now):
            return Seating(SessionStatus.SEEKING)
        return Seating(SessionStatus.ERROR, error=no_room(candidates, version.settings.docker_image))

    def _may_come_back(self, version: Version, candidates: Candidates, now: Instant) -> bool:
        """Whether an allowed node that could start the server is away, but not for so long that it counts as lost.

        Nodes are away for moments when they or the control plane restart; a group that asks just then can wait.
        """
        recently = after(now, -self._away_seconds)
        settings = version.settings
        nodes = (candidates.fleet.by_name[entry.key] for entry in candidates.ranking)
        return any(
            not node.connected
            and node.last_seen_at >= recently
            and node.capacity > node.in_use
            and Role.SERVER in node.profile.roles
            and node.profile.runs(settings.docker_repository, settings.docker_image)
            for node in nodes
        )

    def _near(self, version: Version, candidates: Candidates, nodes: Sequence[Node]) -> Sequence[RankedPlace]:
        if not version.settings.sessions.autodeploy or self._placement_range_ms <= 0:
            return candidates.ranking
        startable = candidates.startable(nodes, version.settings)
        return within_range(candidates.ranking, startable, self._placement_range_ms)


async def _seat_in_running(
    tx: SessionTransaction, version: Version, near: Sequence[RankedPlace], seats: int, tags: Sequence[str]
) -> DeploymentContext | None:
    kind = version.settings.sessions.kind
    for _ in range(ATTEMPTS):
        with_room = set(await tx.deployments.nodes_with_room(version.id, kind, seats, tags))
        site = [NodeName(key) for key in site_of_best([entry for entry in near if entry.key in with_room])]
        if not site:
            return None
        if taken := await tx.deployments.take_in_roomiest(version.id, kind, site, seats, tags, wait=True):
            return taken
    return None


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


def _linked(deployment: DeploymentContext) -> Seating:
    return Seating(SessionStatus.READY if deployment.ready else SessionStatus.WAITING, deployment)


def _unprocessable(reason: str) -> Seating:
    return Seating(SessionStatus.UNPROCESSABLE, error=reason)
