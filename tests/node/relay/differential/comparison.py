"""Both cores side by side, and the shortest way to a difference between them."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.node.relay.differential.described import describe_outcome, describe_step
from tests.node.relay.differential.lives import write_life
from tests.node.relay.differential.native import NativeCore, NativeDied
from tests.node.relay.differential.reference import CHANGED, FORWARDED, REPLACED, TOTALS, Reference
from tests.node.relay.differential.steps import U16

BATCH = 5_000
"""Steps that go through the pipe together: the native core takes them while the other one does."""
LIFE = 20_000
"""Steps in one life."""

Outcomes = tuple[list[bytes], list[bytes]]


class Difference(AssertionError):
    """The two cores disagree. The message tells how to see it again."""


class Cores:
    """The native core and the one in Python."""

    def __init__(self, program: Path, reference: Callable[[], Reference] = Reference) -> None:
        self._program = program
        self._reference = reference
        self._native = NativeCore(program)

    def close(self) -> None:
        self._native.__exit__(None, None, None)

    def compare(self, seed: int, length: int = LIFE) -> Counter[bytes]:
        """Live one life in both; what came of how many steps: verdicts without what was forwarded, and the like.

        Raises `Difference`.
        """
        life = write_life(seed, length)
        seen: Counter[bytes] = Counter()
        reference = self._reference()
        for start in range(0, len(life), BATCH):
            batch = life[start : start + BATCH]
            self._native.begin(batch)
            try:
                ours = reference.take(batch)
                theirs = self._native.outcomes()
            except Exception:
                self._explain(seed, life, start + len(batch))
                raise
            if b"".join(ours) != theirs:
                self._explain(seed, life, start + len(batch))
            seen.update(map(_kind, ours))
        return seen

    def _explain(self, seed: int, life: Sequence[bytes], until: int) -> None:
        number = self._first_difference(life[:until])
        if number is None:
            raise Difference(f"seed {seed}: a difference before step {until} that does not come again")
        steps = shrink(life[: number + 1], lambda steps: self._first_difference(steps) is not None)
        python, native = self._live(steps)
        lines = [f"seed {seed}, step {number}. {len(steps)} steps are enough:"]
        lines += [f"  {describe_step(step)}" for step in steps]
        lines.append(f"native: {describe_outcome(native[-1])}")
        lines.append(f"python: {describe_outcome(python[-1])}")
        lines.append(f"Again: RELAY_SEED={seed} pytest tests/node/relay/differential")
        raise Difference("\n".join(lines))

    def _first_difference(self, steps: Sequence[bytes]) -> int | None:
        python, native = self._live(steps)
        pairs = enumerate(zip(python, native, strict=True))
        return next((number for number, (ours, theirs) in pairs if ours != theirs), None)

    def _live(self, steps: Sequence[bytes]) -> Outcomes:
        """Each step by itself, so that what ends a core ends it where it happened."""
        python, native = [], []
        reference = self._reference()
        with NativeCore(self._program) as core:
            for step in steps:
                try:
                    python += reference.take([step])
                except Exception as error:
                    python.append(repr(error).encode())
                core.begin([step])
                try:
                    native.append(core.outcomes())
                except NativeDied as died:
                    native.append(str(died).encode())
                if python[-1] != native[-1]:
                    break
        return python, native


def shrink(steps: Sequence[bytes], is_bad: Callable[[Sequence[bytes]], bool]) -> list[bytes]:
    """As few of the steps as are enough. The first stays, with which a life begins, and so does the last, which shows it."""
    first, *between, last = steps
    part = len(between)
    while part := (part + 1) // 2 if part > 1 else 0:
        place = 0
        while place < len(between):
            left = between[:place] + between[place + part :]
            if is_bad([first, *left, last]):
                between = left
            else:
                place += part
    return [first, *between, last]


def _kind(outcome: bytes) -> bytes:
    """An outcome without what differs from one datagram, session or moment to the next."""
    kind = outcome[U16.size]
    if kind in (FORWARDED, CHANGED):
        return outcome[2:4]
    return outcome[2:3] if REPLACED <= kind <= TOTALS else outcome[2:5]
