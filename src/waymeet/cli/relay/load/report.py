"""What a load test found, for people and for programs."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from waymeet.cli.relay.load.plan import LoadPlan
from waymeet.cli.relay.load.tally import Tally, percentiles

PLAIN_WIDTH = 200
"""Whoever reads this with a program wants whole lines."""


@dataclass
class Report:
    """As far as the test has come."""

    plan: LoadPlan
    ready: int = 0
    """Sessions that could be played in."""
    ready_ms: list[float] = field(default_factory=list)
    states: dict[str, int] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    relay: dict[str, Any] | None = None
    """What the relays counted; `None` when they were not asked."""
    failures: Counter[str] = field(default_factory=Counter)
    interrupted: bool = False

    def judge(self) -> list[str]:
        """Why the test has failed; empty when it has not."""
        tally, plan = self.tally, self.plan
        found = [f"{count} x {failure}" if count > 1 else failure for failure, count in sorted(self.failures.items())]
        if missing := plan.sessions - self.ready:
            found.append(f"{missing} of {plan.sessions} sessions could not be played in")
        if shut_out := sum(count for state, count in self.states.items() if not state.endswith(" valid")):
            found.append(f"{shut_out} of {sum(self.states.values())} hosts and clients were not let in")
        wrong = {"misdelivered": tally.misdelivered, "damaged": tally.damaged}
        found += [f"{count} datagrams were {what}" for what, count in wrong.items() if count]
        if self.ready and not tally.received:
            found.append("nothing came back" if tally.sent else "nothing was sent")
        elif tally.lost_percent > plan.most_lost:
            found.append(f"{tally.lost_percent:.2f} % were lost, which is above --max-loss {plan.most_lost:g}")
        return found

    def as_json(self) -> str:
        """One JSON object."""
        tally, plan = self.tally, self.plan
        names = ("sent", "reached_host", "received", "lost", "duplicated", "reordered", "misdelivered", "damaged")
        datagrams = {name: getattr(tally, name) for name in (*names, "foreign", "unsent")}
        return json.dumps(
            {
                "sessions": {
                    "wanted": plan.sessions,
                    "ready": self.ready,
                    "ready_ms": percentiles(self.ready_ms),
                },
                "players": self.states,
                "datagrams": datagrams | {"lost_percent": round(tally.lost_percent, 4)},
                "round_trip_ms": percentiles(tally.trips),
                "rate": {"wanted": plan.rate * plan.clients * plan.sessions, "reached": round(self.rate, 1)},
                "seconds": round(self.seconds, 3),
                "latest_ms": round(tally.latest_ms, 3),
                "relay": self.relay,
                "interrupted": self.interrupted,
                "failures": self.judge(),
            }
        )

    @property
    def rate(self) -> float:
        """Datagrams per second that all clients sent together."""
        return self.tally.sent / self.seconds if self.seconds else 0.0

    def show(self) -> None:
        """A table, and what failed."""
        tally, plan = self.tally, self.plan
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_row("sessions", f"{self.ready} of {plan.sessions} ready{_times(self.ready_ms, ' after')}")
        table.add_row("players", ", ".join(f"{count} {state}" for state, count in self.states.items()) or "none")
        table.add_row(
            "sent",
            f"{tally.sent} in {self.seconds:.1f} s: {self.rate:.0f}/s of {plan.rate * plan.clients * plan.sessions:.0f}/s"
            f" wanted, the latest {tally.latest_ms:.1f} ms late"
            + (f", {tally.unsent} kept back" if tally.unsent else ""),
        )
        table.add_row("received", f"{tally.received}; {tally.reached_host} had reached their hosts")
        table.add_row("lost", f"{tally.lost} ({tally.lost_percent:.2f} %)")
        odd = {name: getattr(tally, name) for name in ("duplicated", "reordered", "misdelivered", "damaged", "foreign")}
        table.add_row("odd", ", ".join(f"{count} {name}" for name, count in odd.items()))
        table.add_row("round trip", _times(tally.trips).strip() or "none")
        if self.relay is not None:
            drops = ", ".join(f"{count} {reason}" for reason, count in self.relay["drops"].items()) or "nothing dropped"
            table.add_row("relay", f"{self.relay['received_packets']} in, {self.relay['sent_packets']} out; {drops}")
        console = Console()
        if not console.is_terminal:
            console.width = PLAIN_WIDTH
        console.print(table, highlight=False)
        for failure in self.judge():
            console.print(f"[red]✗[/] {failure}", highlight=False)


def _times(milliseconds: Any, before: str = "") -> str:
    found = percentiles(milliseconds)
    if found is None:
        return ""
    return f"{before} " + ", ".join(f"{name} {value:.1f} ms" for name, value in found.items())
