"""The native core, in a process of its own."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.conftest import missing
from tests.node.relay.differential.reference import REFUSALS
from tests.node.relay.differential.steps import REASONS, U32
from waymeet.node.relay.reasons import State

REPOSITORY = Path(__file__).parents[4]


def build() -> Path:
    """The program in `relay/judge`, made anew if it is not the latest. Skips where it cannot be made.

    It checks for overflow, as the core in a node does not.
    """
    toolchain = subprocess.run(
        [REPOSITORY / "tools" / "find-toolchain"], check=False, capture_output=True, text=True, cwd=REPOSITORY
    )
    if toolchain.returncode:
        missing("cargo", f"the native core cannot be built: {toolchain.stderr.strip()}")
    cargo = shutil.which("cargo")
    assert cargo is not None
    built = subprocess.run(
        [cargo, "build", "--locked", "--profile", "proof", "--package", "relay-judge",
         "--message-format", "json-render-diagnostics"],
        check=True, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY,
    )  # fmt: skip
    messages = map(json.loads, built.stdout.splitlines())
    return Path(next(message["executable"] for message in messages if message.get("executable")))


class NativeDied(Exception):
    """The core panicked, which it must never do."""


class NativeCore:
    """Takes steps while its caller does something else: one `begin`, one `outcomes`, in turn."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | {"RUST_BACKTRACE": "1"},
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._steps, self._outcomes = self._process.stdin, self._process.stdout
        names = [self._outcomes.readline().decode().split() for _ in range(3)]
        assert names == [list(REASONS), [state.name.lower() for state in State], list(REFUSALS)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def begin(self, steps: Iterable[bytes]) -> None:
        """Let it take these steps."""
        batch = b"".join(steps)
        self._steps.write(U32.pack(len(batch)) + batch)
        self._steps.flush()

    def outcomes(self) -> bytes:
        """What came of the steps that were begun, one after the other. Raises `NativeDied`."""
        length = self._outcomes.read(U32.size)
        if not length:
            _, said = self._process.communicate()
            raise NativeDied(said.decode(errors="replace"))
        return self._outcomes.read(*U32.unpack(length))
