"""Work in a process of its own, which goes on until somebody wants its result."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


class Worker:
    """Calls `work(until, *arguments)`, which says `until.begin()` once it is under way and returns what it found when
    `until.is_time()`.
    """

    def __init__(self, work: Callable[..., Any], *arguments: object) -> None:
        self._end, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=_run, args=(theirs, work, arguments), daemon=True)
        self._process.start()
        assert self._end.recv() == "begun"

    def finish(self) -> Any:
        """Its result."""
        self._end.send("enough")
        result = self._end.recv()
        self._process.join()
        return result


class Until:
    def __init__(self, end: Connection) -> None:
        self._end = end

    def begin(self) -> None:
        self._end.send("begun")

    def is_time(self) -> bool:
        return self._end.poll()


def _run(end: Connection, work: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    end.send(work(Until(end), *arguments))
