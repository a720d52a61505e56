"""Things looked at all the while, in threads of their own, whatever a test does meanwhile."""

import random
import threading
from collections import defaultdict
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.system.installation import Installation
from tests.system.players import is_answered
from tests.system.processes import Process


class Background:
    """Calls `step` again and again until the end of the `with` block, which raises what `step` raised."""

    def __init__(self, step: Callable[[], None], *, pause_seconds: float = 0.02) -> None:
        self._step = step
        self._pause_seconds = pause_seconds
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self._step()
                self._over.wait(self._pause_seconds)
        except BaseException as error:
            self._error = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error


class Census:
    """Every game server that was ever seen, by deployment. Fails when a deployment has two at a time."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self.seen: dict[str, set[Process]] = defaultdict(set)

    def take(self) -> None:
        for request_id, process in self._installation.game_servers().items():
            self.seen[request_id].add(process)


class Players:
    """Somebody on every server given, who expects each datagram to come back."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.addresses: list[tuple[str, int]] = []
        self.answers = 0

    def ask(self) -> None:
        for host, port in self.addresses:
            payload = self._rng.randbytes(16)
            assert is_answered(host, port, payload), f"the server at {host}:{port} fell silent"
            self.answers += 1
