"""Answers the control plane's questions about addresses beside everything else that is said on a connection."""

import asyncio
from collections.abc import Awaitable, Callable

from websockets.exceptions import ConnectionClosed

from waymeet.model.node_messages import Answer, Question
from waymeet.node.probing.prober import Prober

MOST_AT_ONCE = 32
"""Each takes the prober's whole time budget when players are silent."""


class ProbeQuestions:
    """The questions of one connection that are being answered."""

    def __init__(self, prober: Prober | None, send: Callable[[Answer], Awaitable[None]]) -> None:
        self._prober = prober
        self._send = send
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, question: Question) -> None:
        """Begin to answer; returns at once."""
        task = asyncio.create_task(self._answer(question, busy=len(self._tasks) >= MOST_AT_ONCE))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Answer no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, question: Question, *, busy: bool) -> None:
        if self._prober is None or not self._prober.able:
            answer = Answer(question.id, error="this node does not probe")
        elif busy:
            # Nothing was found out, not even that somebody is silent.
            answer = Answer(question.id, probes=())
        else:
            answer = Answer(question.id, probes=await self._prober.probe(question.addresses))
        try:
            await self._send(answer)
        except ConnectionClosed:
            pass  # Whoever listens on it notices, and connects again.
