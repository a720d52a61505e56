"""Writing down why a group was placed where it is."""

from collections.abc import Sequence

from msgspec import Raw
from msgspec.json import Decoder
from msgspec.structs import replace

from waymeet.deployments.candidates import Candidates, Choice
from waymeet.geo.distance import unit_vector
from waymeet.model.instant import Instant
from waymeet.model.location import Location
from waymeet.placement.explanation import (
    EXCLUDED,
    PLAYERS,
    RANKED,
    RANKED_AT_ONCE,
    Explanation,
    Inputs,
    Rule,
    Weighed,
    weighed,
)
from waymeet.placement.group import Group
from waymeet.placement.limits import Limits
from waymeet.placement.members import Member

LONGEST_REASON = 200
NO_SEATS = "no server there had free seats, and none could be started"
NOTHING_STARTED = "no node there had room for the server"
NO_FREE_SEATS = "no server there had free seats"


def explain_at_once(choice: Choice, site: int, now: Instant) -> Explanation:
    """The group got seats at the location of least cost, or at one as good. What is written down can be `expanded`."""
    candidates = choice.candidates
    group, fleet = candidates.group, candidates.fleet
    rule = _rule_of_best(choice, site)
    if candidates.filtered or len(group.members) > PLAYERS:
        return _explanation(choice, now, rule, site, NO_FREE_SEATS, RANKED_AT_ONCE)
    members: Sequence[Member] = group.members
    documents, chosen, not_ranked = fleet.documents, site, 0
    if len(fleet.sites) > RANKED:
        kept = [position for _, position in group.leading(RANKED_AT_ONCE, candidates.sites, candidates.tie)]
        if site not in kept:
            kept[-1] = site
        members = [_measured_within(each, kept) for each in members]
        documents = Raw(b"[" + b",".join([fleet.sites[position].document for position in kept]) + b"]")
        chosen, not_ranked = kept.index(site), len(fleet.sites) - len(kept)
    limits = choice.limits
    return Explanation(
        now,
        rule,
        (),
        chosen,
        not_ranked,
        tuple(candidates.counted),
        0,
        candidates.unknown,
        (),
        0,
        choice.range_ms or None,
        limits.optimal_ms,
        limits.rejected_ms,
        limits.cap_ms,
        Inputs(tuple(members), documents),
    )


def _measured_within(member: Member, sites: Sequence[int]) -> Member:
    if not member.measured:
        return member
    measured = {position: member.measured[site] for position, site in enumerate(sites) if site in member.measured}
    return member._replace(measured=measured)


def expanded(explanation: Explanation) -> Explanation:
    """The explanation with its ranking, where only the inputs were written down."""
    inputs = explanation.inputs
    if inputs is None or explanation.chosen is None:
        return explanation
    documents = _documents(inputs.sites)
    vectors = [unit_vector(_location(document).coordinates) for document in documents]
    group = Group(vectors, inputs.members)
    limits = Limits(explanation.optimal_ms, explanation.rejected_ms, explanation.cap_ms)
    # Of several that cost the same, the chosen one was the first.
    ranked = group.leading(RANKED, range(len(documents)), lambda site: (int(site != explanation.chosen), f"{site:03}"))
    passing = NO_FREE_SEATS if explanation.rule is not Rule.PACKING else None
    ranking, chosen = _ranking(group, ranked, documents, limits, explanation.chosen, passing, None)
    return replace(explanation, inputs=None, ranking=ranking, chosen=chosen)


def explain_seats(choice: Choice, site: int, now: Instant) -> Explanation:
    """The group got seats on a running server, after others had been looked for."""
    best = choice.best
    if site in best:
        rule = _rule_of_best(choice, site)
    elif not choice.candidates.group.members:
        rule = Rule.ROOM
    else:
        rule = Rule.RANGE
    return _explanation(choice, now, rule, site, NO_FREE_SEATS, RANKED)


def explain_start(choice: Choice, site: int, now: Instant) -> Explanation:
    """A server was started for the group."""
    best = choice.best
    rule = _rule_of_best(choice, site) if best and best[0] == site else Rule.CAPACITY
    if not choice.candidates.group.members:
        rule = Rule.ROOM
    return _explanation(choice, now, rule, site, NOTHING_STARTED, RANKED)


def explain_named(now: Instant) -> Explanation:
    """The request named the deployment."""
    return Explanation(now, Rule.NAMED)


def explain_nothing(choice: Choice, now: Instant) -> Explanation:
    """Nothing took the group, for now or for good."""
    if not choice.candidates.sites:
        rule = Rule.FILTERS if choice.candidates.filtered else Rule.NONE
    elif choice.limits.cap_ms is not None:
        rule = Rule.CAPS
    elif not choice.best:
        rule = Rule.REJECTED
    else:
        rule = Rule.NONE
    return _explanation(choice, now, rule, None, NO_SEATS, RANKED)


def _rule_of_best(choice: Choice, site: int) -> Rule:
    candidates = choice.candidates
    if not candidates.group.members:
        return Rule.ROOM
    if len(choice.best) > 1:
        return Rule.PACKING
    if choice.limits.rejected_ms is not None and not candidates.filtered and candidates.group.best() == site:
        return Rule.NEAREST
    if choice.limits.rejected_ms is not None:
        nearest = candidates.group.leading(1, candidates.sites, candidates.tie)[0][1]
        return Rule.NEAREST if nearest == site else Rule.REJECTED
    return Rule.NEAREST


def _explanation(
    choice: Choice, now: Instant, rule: Rule, chosen: int | None, cheaper: str, highest: int
) -> Explanation:
    candidates, limits = choice.candidates, choice.limits
    group = candidates.group
    sites = candidates.sites
    ranked = group.leading(highest, sites, candidates.tie) if sites else []
    if chosen is not None and all(site != chosen for _, site in ranked):
        del ranked[highest - 1 :]
        ranked.append((group.worst_ms(chosen), chosen))
    listed = _listed(candidates, chosen if chosen is not None or not ranked else ranked[0][1])
    documents = [site.document for site in candidates.fleet.sites]
    why = None if rule is Rule.PACKING else cheaper
    ranking, position = _ranking(group, ranked, documents, limits, chosen, why, listed)
    counted = candidates.counted
    excluded, more_excluded = _excluded(candidates)
    return Explanation(
        decided_at=now,
        rule=rule,
        ranking=ranking,
        chosen=position,
        not_ranked=len(sites) - len(ranking),
        players=tuple(counted) if listed is None else tuple(counted[player] for player in listed),
        more_players=0 if listed is None else len(counted) - len(listed),
        unknown_players=candidates.unknown,
        excluded=excluded,
        more_excluded=more_excluded,
        range_ms=choice.range_ms or None,
        optimal_ms=limits.optimal_ms,
        rejected_ms=limits.rejected_ms,
        cap_ms=limits.cap_ms,
    )


def _listed(candidates: Candidates, site: int | None) -> list[int] | None:
    """Which players' costs are listed; `None`: all."""
    if len(candidates.counted) <= PLAYERS or site is None:
        return None
    costs = candidates.group.costs_ms(site)
    worst_first = sorted(range(len(costs)), key=lambda player: (-costs[player], player))
    return sorted(worst_first[:PLAYERS])


def _ranking(
    group: Group,
    ranked: Sequence[tuple[float, int]],
    documents: Sequence[Raw],
    limits: Limits,
    chosen: int | None,
    cheaper: str | None,
    listed: Sequence[int] | None,
) -> tuple[tuple[Weighed, ...], int | None]:
    """The ranking as it is written down, and the position of the chosen location in it.

    `cheaper` says why locations that cost less were not chosen, `listed` whose costs are shown; `None`: everybody's.
    """
    ranking: list[Weighed] = []
    position = None
    for worst, site in ranked:
        if site == chosen:
            position = len(ranking)
        passed_over = None
        if site != chosen:
            passed_over = _beyond_limits(group, limits, site, worst) or (cheaper if position is None else None)
        latencies = group.latencies(site)
        mean = sum([latency.ms for latency in latencies]) / len(latencies) if latencies else 0.0
        shown = latencies if listed is None else [latencies[player] for player in listed]
        ranking.append(weighed(documents[site], worst, mean, shown, passed_over))
    return tuple(ranking), position


def _beyond_limits(group: Group, limits: Limits, site: int, worst_ms: float) -> str | None:
    if limits.highest_ms is None or worst_ms <= limits.highest_ms:
        return None
    if limits.rejected_ms is not None and group.exceeds(site, limits.rejected_ms):
        return f"costs a player more than the version's rejected_ping of {limits.rejected_ms:g} ms"
    if limits.cap_ms is not None and group.exceeds(site, limits.cap_ms):
        return f"costs a player more than the {limits.cap_ms:g} ms that are allowed so far"
    return None


def _excluded(candidates: Candidates) -> tuple[tuple[tuple[Raw, str], ...], int]:
    if not candidates.filtered:
        return (), 0
    passing = set(candidates.sites)
    reasons: dict[int, str] = {}
    for entry in candidates.excluded:
        site = candidates.fleet.positions[candidates.fleet.by_name[entry.key].place.site]
        if site not in passing:
            reasons.setdefault(site, entry.reason[:LONGEST_REASON])
    sites = candidates.fleet.sites
    shown = tuple((sites[site].document, reason) for site, reason in list(reasons.items())[:EXCLUDED])
    return shown, len(reasons) - len(shown)


_documents = Decoder(list[Raw]).decode
_location = Decoder(Location).decode
