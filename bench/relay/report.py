"""The tables: goals first, then every contender's own figures."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.relay.ratios import Figure, Goal, Slice, Spread, ratios, spread
from bench.relay.scenarios import BARE, COTURN, NATIVE, NGINX, NODE, PYTHON, SCENARIOS, Scenario

Found = Mapping[str, Mapping[str, Sequence[Slice]]]
"""Slices in the order of the rounds, by scenario and by what was offered."""


@dataclass(frozen=True, slots=True)
class Row:
    text: str
    figure: str
    goal: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident bytes of a relay without and with so many sessions."""

    before: int
    after: int
    sessions: int

    @property
    def per_session(self) -> float:
        return (self.after - self.before) / self.sessions


def rate(each: Slice) -> float:
    return each.rate


def frugality(each: Slice) -> float:
    """Datagrams per nanosecond of CPU time: what the relay would do in a core of its own, however fast datagrams came."""
    return 1 / each.cost if each.cost else 0.0


def latency(each: Slice) -> float:
    return float(each.latency_50)


def late(each: Slice) -> float:
    return float(each.latency_99)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A goal for the median of ratios between two offers of one scenario."""

    text: str
    scenario: str
    one: str
    other: str
    figure: Figure
    goal: Goal | None = None

    def row(self, found: Found) -> Row | None:
        slices = found.get(self.scenario, {})
        if not slices.get(self.one) or not slices.get(self.other):
            return None
        return judged(self.text, spread(ratios(slices[self.one], slices[self.other], self.figure)), self.goal)


def at_least(bound: float) -> Goal:
    return Goal(f">= {bound:g}", bound, is_floor=True)


def at_most(bound: float) -> Goal:
    return Goal(f"<= {bound:g}", bound, is_floor=False)


COMPARISONS = (
    Comparison("packets/s, of bare, 64 B", "64", NATIVE, BARE, rate, at_least(0.85)),
    Comparison("the same per CPU second", "64", NATIVE, BARE, frugality, at_least(0.85)),
    Comparison("packets/s, of bare, 1200 B", "1200", NATIVE, BARE, rate, at_least(0.85)),
    Comparison("the same per CPU second", "1200", NATIVE, BARE, frugality, at_least(0.85)),
    Comparison("packets/s, of coturn, 64 B", "64", NATIVE, COTURN, rate, at_least(1.25)),
    Comparison("the same per CPU second", "64", NATIVE, COTURN, frugality, at_least(1.3)),
    Comparison("packets/s, of coturn, 1200 B", "1200", NATIVE, COTURN, rate, at_least(1.15)),
    Comparison("the same per CPU second", "1200", NATIVE, COTURN, frugality),
    Comparison("packets/s, of coturn, mixed", "mixed", NATIVE, COTURN, rate),
    Comparison("the same per CPU second", "mixed", NATIVE, COTURN, frugality),
    Comparison("packets/s, of nginx, 64 B", "64", NATIVE, NGINX, rate, at_least(1.0)),
    Comparison("packets/s, of nginx, 1200 B", "1200", NATIVE, NGINX, rate, at_least(1.0)),
    Comparison("packets/s, of node, 64 B", "64", NATIVE, NODE, rate, at_least(3.5)),
    Comparison("the same for bare, the floor", "64", BARE, NODE, rate),
    Comparison("runs of four back to back, of own singles", "runs", "runs", "singles", rate, at_least(2.5)),
    Comparison("one-way p50 at 20,000/s, of bare", "20k", NATIVE, BARE, latency, at_most(1.15)),
    Comparison("python: packets/s, of native, 64 B", "64", PYTHON, NATIVE, rate),
    Comparison("python: packets/s, of coturn, 64 B", "64", PYTHON, COTURN, rate),
    Comparison("python: packets/s, of node, 64 B", "64", PYTHON, NODE, rate),
)


def judged(text: str, found: Spread, goal: Goal | None) -> Row:
    if goal is None:
        return Row(text, str(found))
    return Row(text, str(found), goal.text, goal.verdict(found.median))


def builds_compared(builds: Sequence[str]) -> list[Comparison]:
    """Other builds of the native relay, of the one that is measured."""
    return [
        Comparison(
            f"{build}: packets per CPU second, of native, {scenario.name}", scenario.name, build, NATIVE, frugality
        )
        for build in builds
        for scenario in SCENARIOS
    ]


def goals(found: Found, memory: Mapping[str, Memory], builds: Sequence[str] = ()) -> list[Row]:
    comparisons = [*COMPARISONS, *builds_compared(builds)]
    rows = [row for row in (comparison.row(found) for comparison in comparisons) if row is not None]
    rows += loss(found)
    for name, taken in memory.items():
        goal = at_most(1024) if name == NATIVE else None
        figure = f"{taken.per_session:.0f} ({taken.before / 1e6:.0f} to {taken.after / 1e6:.0f} MB)"
        rows.append(
            Row(
                f"resident bytes a session: {name}",
                figure,
                goal.text if goal else "",
                goal.verdict(taken.per_session) if goal else "",
            )
        )
    wrong = wrong_of(found)
    verdict = at_most(0).verdict(sum(wrong))
    rows.append(Row("misdelivered, malformed, reordered", ", ".join(map(str, wrong)), "0", verdict))
    return rows


def loss(found: Found) -> Iterable[Row]:
    for name, slices in found.get("100k", {}).items():
        lost, sent = sum(each.lost for each in slices), sum(each.sent for each in slices)
        slipped = sum(each.slipped for each in slices)
        late = f"; {slipped} not offered" if slipped else ""
        goal = at_most(0) if name == NATIVE else None
        yield Row(
            f"lost at 100,000/s: {name}",
            f"{lost} of {sent}{late}",
            "0" if goal else "",
            goal.verdict(lost) if goal else "",
        )


def wrong_of(found: Found) -> tuple[int, int, int]:
    """Misdelivered, malformed and reordered datagrams of all slices, whoever's they are."""
    slices = [each for offers in found.values() for offered in offers.values() for each in offered]
    return (
        sum(each.misdelivered for each in slices),
        sum(each.malformed for each in slices),
        sum(each.reordered for each in slices),
    )


def print_goals(rows: Iterable[Row]) -> None:
    print("\n| | | goal | |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row.text} | {row.figure} | {row.goal} | {row.verdict} |")


def print_figures(scenarios: Sequence[Scenario], found: Found) -> None:
    print(
        "\n| | k/s | us of CPU | core | of bare: k/s | per CPU s | p50 us | p99 us |\n|---|---|---|---|---|---|---|---|"
    )
    for scenario in scenarios:
        print(f"| **{scenario.text}** |")
        for name in scenario.offers:
            print(_figures(name, scenario, found[scenario.name]))


def _figures(name: str, scenario: Scenario, found: Mapping[str, Sequence[Slice]]) -> str:
    slices = found[name]

    def median(figure: Callable[[Slice], float]) -> float:
        return statistics.median(map(figure, slices))

    cells = [name, str(spread([each.rate / 1000 for each in slices]))]
    cells += [f"{median(lambda each: each.cost) / 1000:.2f}", f"{median(lambda each: each.busy):.2f}"]
    if found.get(BARE) and name != BARE and scenario.offers[name].plan.in_flight:
        cells += [str(spread(ratios(slices, found[BARE], figure))) for figure in (rate, frugality)]
    else:
        cells += ["", ""]
    if not scenario.offers[name].plan.in_flight:
        cells += [f"{median(figure) / 1000:.1f}" for figure in (latency, late)]
    return "| " + " | ".join(cells) + " |"
