"""Nodes come and go, say what they see, and answer questions about their servers."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Protocol

from waymeet.locations.hello import check_answer, check_hello, check_load
from waymeet.locations.ports import Follower, LocationStore, LocationTransaction
from waymeet.locations.types import Inquiry, NodeProfile
from waymeet.model.errors import NotFound, Unavailable
from waymeet.model.ids import NodeName, new_hex_token
from waymeet.model.instant import Clock, after
from waymeet.model.node_messages import Answer, Hello, Question, QuestionKind

NODES = "nodes"
"""Bell: a node came, went or changed."""
NODE = "node"
"""Bell with a node's name as key: what the node is to do has changed."""
ANSWERS = "answers"
"""Bell with a question's id as key."""

HEARTBEAT_SECONDS = 5.0
SILENCE_SECONDS = 3.5 * HEARTBEAT_SECONDS
"""A connected node without a sign of life for this long gets no new deployments until it speaks again."""
REMEMBERED_SECONDS = 24 * 3600.0
"""A node that has been away for longer comes back as a new one."""
ANSWER_SECONDS = 3.0
_ANSWER_POLL_SECONDS = 0.5


class Bells(Protocol):
    """Where this process hears that something changed."""

    def listen(self, topic: str, listener: Callable[[str | None], None]) -> Callable[[], None]: ...


class LocationService:
    """Owns the rules for nodes: who may join, who is alive, how to ask one."""

    def __init__(
        self,
        store: LocationStore,
        bells: Bells,
        clock: Clock,
        rng: random.Random,
        followers: Sequence[Follower] = (),
    ) -> None:
        self._followers = followers
        self._store = store
        self._bells = bells
        self._clock = clock
        self._rng = rng

    async def join(self, hello: Hello) -> str:
        """Accept a node's new socket; the connection token that proves this socket from now on.

        An older socket of the same node is replaced. Raises `Invalid` for a hello that makes no sense.
        """
        check_hello(hello)
        token = new_hex_token(self._rng)
        profile = NodeProfile(
            roles=hello.roles,
            driver=hello.driver,
            address=hello.address,
            location=hello.location,
            tags=hello.tags,
            region=hello.region,
            images=hello.images,
            version=hello.version,
            beacon=hello.beacon,
            probes=hello.probes,
            relay=hello.relay,
        )

        async def unit(tx: LocationTransaction) -> None:
            now = since = self._clock.now()
            known = await tx.locations.node(NodeName(hello.name))
            if known is not None and known.last_seen_at >= after(now, -REMEMBERED_SECONDS):
                since = known.profile.known_since
            mine = replace(profile, known_since=since)
            await tx.locations.connect(NodeName(hello.name), mine, hello.capacity, token, now)
            # Whoever finds the node finds all that it has.
            for follower in self._followers:
                await follower.node_joined(tx, hello)
            tx.wake(NODES, hello.name)
            tx.wake(NODE, hello.name)

        await self._store.write(unit)
        return token

    async def heartbeat(self, name: NodeName, token: str, load: float | None) -> bool:
        """Record a sign of life; false when another socket has replaced this one. Raises `Invalid` for a load that no
        machine has.
        """
        check_load(load)

        async def unit(tx: LocationTransaction) -> bool:
            return await tx.locations.seen(name, token, load, self._clock.now())

        return await self._store.write(unit)

    async def leave(self, name: NodeName, token: str) -> None:
        """Record that a node's socket is gone. Its servers keep running; the node gets nothing new meanwhile."""

        async def unit(tx: LocationTransaction) -> None:
            if await tx.locations.disconnect(name, token, self._clock.now()):
                tx.wake(NODES, name)

        await self._store.write(unit)

    async def mark_silent_nodes(self) -> None:
        """Stop counting on connected nodes that have said nothing for `SILENCE_SECONDS`. Repeatable."""
        before = after(self._clock.now(), -SILENCE_SECONDS)

        async def look(tx: LocationTransaction) -> list[NodeName]:
            return list(await tx.locations.silent_since(before))

        silent = await self._store.read(look)
        if not silent:
            return

        async def unit(tx: LocationTransaction) -> None:
            for name in silent:
                if await tx.locations.mark_silent(name, before):
                    tx.wake(NODES, name)

        await self._store.write(unit)

    async def ask(self, node: NodeName, kind: QuestionKind, key: str) -> Answer:
        """Ask a node about one of its servers, and wait at most `ANSWER_SECONDS`.

        Raises `Unavailable` when the node does not answer in time, `NotFound` when it does not know the server.
        """
        async with aclosing(self.ask_each([Inquiry(node, kind, key)], ANSWER_SECONDS)) as answers:
            async for ((_, answer),) in answers:
                if answer.error is not None:
                    raise NotFound(answer.error)
                return answer
        raise Unavailable(f"node '{node}' does not answer now; try again when it is connected", retry_after=5)

    async def ask_each(
        self, inquiries: Sequence[Inquiry], seconds: float
    ) -> AsyncGenerator[Sequence[tuple[Inquiry, Answer]], None]:
        """Ask several nodes at once; their answers as they come in, until all are there or `seconds` have passed.

        Questions travel as rows, all written in one transaction, so each reaches its node through whichever replica holds
        the socket. Who does not answer in time is missing, and the question is forgotten. Close it when done (`aclosing`).
        """
        open_ = {new_hex_token(self._rng): inquiry for inquiry in inquiries}
        rung: set[str] = set()
        heard = asyncio.Event()

        def hear(key: str | None) -> None:
            if key is None or key in open_:
                rung.update(open_ if key is None else (key,))
                heard.set()

        async def put(tx: LocationTransaction) -> None:
            now = self._clock.now()
            for question_id, inquiry in open_.items():
                question = Question(question_id, inquiry.kind, inquiry.key, inquiry.addresses)
                await tx.locations.ask(question, inquiry.node, now)
                tx.wake(NODE, inquiry.node)

        async def take(tx: LocationTransaction) -> Sequence[Answer]:
            return await tx.locations.take_answers(sorted(asked))

        async def drop(tx: LocationTransaction) -> None:
            await tx.locations.drop_questions(sorted(open_))

        silence = self._bells.listen(ANSWERS, hear)
        try:
            await self._store.write(put)
            deadline = self._clock.monotonic() + seconds
            while open_ and (left := deadline - self._clock.monotonic()) > 0:
                try:
                    async with asyncio.timeout(min(left, _ANSWER_POLL_SECONDS)):
                        await heard.wait()
                except TimeoutError:
                    rung.update(open_)
                heard.clear()
                asked, rung = rung & open_.keys(), set()
                if asked and (answers := await self._store.write(take)):
                    yield [(open_.pop(answer.id), answer) for answer in answers]
        finally:
            silence()
            if open_:
                # Should that fail: they are forgotten with time (`drop_stale_questions`).
                with suppress(Unavailable):
                    await self._store.write(drop)

    async def record_answer(self, answer: Answer) -> None:
        """Hand a node's answer to whoever asked; one that nobody waits for any more is dropped. Raises `Invalid` for
        one that no question of ours can have.
        """
        check_answer(answer)

        async def unit(tx: LocationTransaction) -> None:
            if await tx.locations.answer(answer):
                tx.wake(ANSWERS, answer.id)

        await self._store.write(unit)

    async def open_questions(self, node: NodeName) -> list[Question]:
        """Questions to the node that wait for an answer."""

        async def unit(tx: LocationTransaction) -> list[Question]:
            return list(await tx.locations.questions(node))

        return await self._store.read(unit)

    async def drop_stale_questions(self) -> None:
        """Forget questions whose asker crashed before it took the answer."""
        before = after(self._clock.now(), -60)

        async def look(tx: LocationTransaction) -> bool:
            return await tx.locations.any_question_before(before)

        # An idle server does not write.
        if not await self._store.read(look):
            return

        async def unit(tx: LocationTransaction) -> None:
            await tx.locations.drop_questions_before(before)

        await self._store.write(unit)

    async def forget_unseen_nodes(self, hours: float) -> list[NodeName]:
        """Forget nodes that nobody has seen for so long and on which nothing is; their names. Repeatable.

        One that comes back after that is a new node.
        """
        before = after(self._clock.now(), -hours * 3600)

        async def look(tx: LocationTransaction) -> list[NodeName]:
            return list(await tx.locations.forgettable(before))

        forgotten = []
        for name in await self._store.read(look):

            async def unit(tx: LocationTransaction, name: NodeName = name) -> bool:
                found = await tx.locations.forget(name, before)
                if found:
                    tx.wake(NODES, name)
                return found

            if await self._store.write(unit):
                forgotten.append(name)
        return forgotten
