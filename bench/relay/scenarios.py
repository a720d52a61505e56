"""What is measured, and what is asked of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.relay.generator import Plan

SESSIONS = 1_000
"""That every relay has, of which a plan uses so many as it has flows."""
BARE, NATIVE, COTURN, NGINX, NODE, PYTHON = "bare", "native", "coturn", "nginx", "node", "python"
EVERYBODY = (BARE, NATIVE, COTURN, NGINX, NODE, PYTHON)
KNOW_SESSIONS = (NATIVE, COTURN, NODE, PYTHON)


@dataclass(frozen=True, slots=True)
class Offer:
    """A slice of each round."""

    contender: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Scenario:
    """Slices that are compared, and so follow each other directly; in each round in another order."""

    name: str
    text: str
    offers: Mapping[str, Offer]

    def beside(self, contenders: Sequence[str]) -> "Scenario":
        """The same with these, who are offered what the native relay is."""
        ours = self.offers.get(NATIVE)
        if ours is None:
            return self
        return replace(self, offers={**self.offers, **{name: Offer(name, ours.plan) for name in contenders}})


def _same_for(contenders: tuple[str, ...], plan: Plan) -> Mapping[str, Offer]:
    return {name: Offer(name, plan) for name in contenders}


SCENARIOS = (
    Scenario("64", "64 B, 100 sessions, closed loop of 256", _same_for(EVERYBODY, Plan(64, 64))),
    Scenario("1200", "1200 B, 100 sessions, closed loop of 256", _same_for(EVERYBODY, Plan(1200, 1200))),
    Scenario(
        "mixed",
        "40 to 240 B, 1,000 sessions, both directions, closed loop of 256",
        _same_for(KNOW_SESSIONS, Plan(40, 240, flows=1_000, senders="both")),
    ),
    Scenario(
        "runs",
        "200 B, 100 sessions, closed loop of 256: one by one, and four of a peer back to back",
        {"singles": Offer(NATIVE, Plan(200, 200)), "runs": Offer(NATIVE, Plan(200, 200, together=4))},
    ),
    Scenario("100k", "200 B, 100 sessions, 100,000/s", _same_for(EVERYBODY, Plan(200, 200, in_flight=0, rate=100_000))),
    Scenario("20k", "200 B, 100 sessions, 20,000/s", _same_for(EVERYBODY, Plan(200, 200, in_flight=0, rate=20_000))),
)
