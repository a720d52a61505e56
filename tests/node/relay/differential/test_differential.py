"""The native core and the one in Python take the same decisions, step by step, whatever happens and whenever it does.

`RELAY_STEPS=10000000 pytest tests/node/relay/differential` lives other lives, as many as that takes; `RELAY_SEED=17` a
certain one. The parser of frames meets its noise here, too: short, long, mutated and random datagrams are a part of every
life.
"""

import os
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.relay.differential.comparison import LIFE, Cores, Difference, shrink
from tests.node.relay.differential.native import build
from tests.node.relay.differential.reference import CHANGED, FORWARDED, LOST, REFUSALS, Reading, Reference, brief
from tests.node.relay.differential.steps import REASONS, U16
from waymeet.node.relay.reasons import DropReason, State
from waymeet.node.relay.verdicts import Answer, Drop, Refuse

SEEDS = range(20)
OUTSIDE = {DropReason.FOREIGN_WORKER, DropReason.SEND_BUFFER_FULL, DropReason.SEND_FAILED}
"""Reasons that no core gives: it is told of them."""


@pytest.fixture(scope="session")
def program() -> Path:
    return build()


@pytest.fixture
def cores(program: Path) -> Iterator[Cores]:
    cores = Cores(program)
    yield cores
    cores.close()


def seeds() -> Iterator[int]:
    if seed := os.environ.get("RELAY_SEED"):
        return iter([int(seed)])
    if steps := os.environ.get("RELAY_STEPS"):
        return (secrets.randbits(48) for _ in range(-(-int(steps) // LIFE)))
    return iter(SEEDS)


@pytest.mark.slow
@pytest.mark.timeout(0)  # As long as RELAY_STEPS says.
def test_both_cores_take_the_same_decisions(cores: Cores) -> None:
    seen: Counter[bytes] = Counter()
    for seed in seeds():
        seen += cores.compare(seed)
    print(f"{seen.total()} steps")
    if "RELAY_SEED" not in os.environ:
        assert_everything_happened(seen)


def assert_everything_happened(seen: Counter[bytes]) -> None:
    """Every verdict, reason and refusal came about, and not by a single accident."""
    verdicts: list[Answer | Refuse | Drop] = [
        *(Answer(state) for state in (State.VALID, State.SESSION_TIMEOUT, State.ERROR)),
        *(Drop(reason) for reason in REASONS if reason not in OUTSIDE),
        Refuse(State.CHECKING, DropReason.UNKNOWN_SESSION),
        Refuse(State.CHECKING, DropReason.UNKNOWN_USER),
        Refuse(State.INVALID, DropReason.UNKNOWN_SESSION),
        Refuse(State.INVALID, DropReason.UNKNOWN_USER),
        Refuse(State.INVALID, DropReason.FOREIGN_ADDRESS),
        Refuse(State.INVALID, DropReason.ROLE_REFUSED),
        Refuse(State.SESSION_TIMEOUT, DropReason.HOST_TIMED_OUT),
    ]
    expected = {
        **{f"forwarded from port {port}": bytes((FORWARDED, port)) for port in range(2)},
        **{repr(verdict): brief(verdict)[U16.size :] for verdict in verdicts},
        **{f"lost: {reason}": bytes((LOST, REASONS.index(reason))) for reason in OUTSIDE},
        **{refusal.value: bytes((CHANGED, number)) for number, refusal in enumerate(REFUSALS, 1)},
    }
    assert {name: seen[kind] for name, kind in expected.items() if seen[kind] < 10} == {}


class Patient(Reference):
    """A core with a mistake: its host times out a nanosecond late."""

    def _begin(self, now: int, step: Reading) -> bytes:
        done = super()._begin(now, step)
        rules = self._core._rules
        object.__setattr__(rules, "owner_timeout", rules.owner_timeout + 1)
        return done


@pytest.mark.slow
def test_a_mistake_of_one_nanosecond_is_found_and_shown(program: Path) -> None:
    cores = Cores(program, Patient)
    try:
        with pytest.raises(Difference) as found:
            for seed in SEEDS:
                cores.compare(seed)
    finally:
        cores.close()
    lines = str(found.value).splitlines()
    # A relay, a session, its host who speaks, and whoever finds that it is gone or not; and the lines around these steps.
    assert len(lines) < 12, str(found.value)
    assert "Again: RELAY_SEED=" in lines[-1]


def test_shrinking_leaves_what_matters() -> None:
    steps = [bytes([number]) for number in range(100)]
    needed = {b"\x11", b"\x12", b"\x40"}
    assert shrink(steps, needed.issubset) == [b"\x00", *sorted(needed), b"\x63"]
