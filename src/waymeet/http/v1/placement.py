"""Why sessions and deployments are where they are. An extension: the contract has nothing of the kind."""

from typing import Any

import msgspec
from msgspec import Struct

from waymeet.deployments.service import DeploymentService
from waymeet.http.call import Call
from waymeet.http.endpoint import Endpoint
from waymeet.http.v1.objects import LocationBody
from waymeet.model.instant import Instant, v1_timestamp
from waymeet.model.latency import Latency
from waymeet.placement.explanation import Explanation, Rule, Weighed, latencies_of
from waymeet.sessions.service import SessionService

NOT_RECORDED = "not_recorded"

REASONS = {
    Rule.NEAREST: "The location that costs the worst-served player least, then all players on average.",
    Rule.PACKING: "Several locations are within the version's optimal_ping, which makes them equally good: the fullest "
    "running server there was filled.",
    Rule.RANGE: "A running server with free seats, near enough to the best location to be preferred to starting one.",
    Rule.CAPACITY: "The best location that could take the group; those that cost less had no room.",
    Rule.REJECTED: "The version's rejected_ping rules out locations that would cost less, or every one.",
    Rule.CAPS: "No location within the latency that is allowed so far has taken the group; it goes on seeking.",
    Rule.ROOM: "No player's place is known: the location with most room, then by name.",
    Rule.NAMED: "The request named the deployment with deployment_request_id; no locations were compared.",
    Rule.FILTERS: "The request's filters rule out every location.",
    Rule.NONE: "No allowed location could take the group.",
}
NO_REASON = "It was placed by an earlier release, which did not write down why."


class CostBody(Struct, frozen=True):
    """One player's round trip; `origin` is `measured`, `reported` or `estimated`."""

    ip: str
    ms: float
    origin: str
    uncertainty_ms: float


class RankedLocation(Struct, frozen=True):
    location: LocationBody
    chosen: bool
    worst_ms: float
    mean_ms: float
    costs: list[CostBody]
    passed_over: str | None


class ExcludedLocation(Struct, frozen=True):
    location: LocationBody
    reason: str


class LimitsBody(Struct, frozen=True):
    range_ms: float | None
    optimal_ms: float | None
    rejected_ms: float | None
    cap_ms: float | None


class PlacementBody(Struct, frozen=True):
    """As of `decided_at`; what has become of players or locations since does not show."""

    rule: str
    reason: str
    decided_at: str | None
    ranking: list[RankedLocation]
    not_ranked: int
    more_players: int
    unknown_players: int
    excluded: list[ExcludedLocation]
    more_excluded: int
    limits: LimitsBody


class SessionPlacement(PlacementBody, frozen=True):
    session_id: str


class DeploymentPlacement(PlacementBody, frozen=True):
    request_id: str


class PlacementEndpoints:
    """The two explanations."""

    def __init__(self, sessions: SessionService, deployments: DeploymentService) -> None:
        self._sessions = sessions
        self._deployments = deployments

    async def session_placement(self, call: Call[None, None]) -> SessionPlacement:
        session_id, found = await self._sessions.placement(call.caller.organisation, call.path["session_id"])
        return SessionPlacement(**_members(found), session_id=session_id)

    async def deployment_placement(self, call: Call[None, None]) -> DeploymentPlacement:
        request_id, found = await self._deployments.placement(call.caller.organisation, call.path["request_id"])
        return DeploymentPlacement(**_members(found), request_id=request_id)

    def table(self) -> list[Endpoint[Any, Any]]:
        """The rows of the route table."""
        return [
            Endpoint(
                method="GET", path="/v1/session/{session_id}/placement", handler=self.session_placement,
                summary="Why a session is where it is", contract="", tag="Sessions",
                answers={200: SessionPlacement}, errors=(400, 404),
            ),
            Endpoint(
                method="GET", path="/v1/deployments/{request_id}/placement", handler=self.deployment_placement,
                summary="Why a deployment is where it is", contract="", tag="Deployments",
                answers={200: DeploymentPlacement}, errors=(404,),
            ),
        ]  # fmt: skip


def _members(found: Explanation | None) -> dict[str, Any]:
    explanation = found or Explanation(decided_at=Instant(0), rule=Rule.NONE)
    return {
        "rule": NOT_RECORDED if found is None else explanation.rule.value,
        "reason": NO_REASON if found is None else REASONS[explanation.rule],
        "decided_at": None if found is None else v1_timestamp(explanation.decided_at),
        "ranking": [
            _ranked(entry, explanation, chosen=position == explanation.chosen)
            for position, entry in enumerate(explanation.ranking)
        ],
        "not_ranked": explanation.not_ranked,
        "more_players": explanation.more_players,
        "unknown_players": explanation.unknown_players,
        "excluded": [ExcludedLocation(_location(location), reason) for location, reason in explanation.excluded],
        "more_excluded": explanation.more_excluded,
        "limits": LimitsBody(explanation.range_ms, explanation.optimal_ms, explanation.rejected_ms, explanation.cap_ms),
    }


def _ranked(entry: Weighed, explanation: Explanation, *, chosen: bool) -> RankedLocation:
    return RankedLocation(
        location=_location(entry.location),
        chosen=chosen,
        worst_ms=entry.worst / 10,
        mean_ms=entry.mean / 10,
        costs=[_cost(ip, cost) for ip, cost in zip(explanation.players, latencies_of(entry), strict=True)],
        passed_over=entry.passed_over,
    )


def _cost(ip: str, cost: Latency) -> CostBody:
    return CostBody(ip, cost.ms, cost.origin.value, cost.uncertainty_ms)


_location = msgspec.json.Decoder(LocationBody).decode
