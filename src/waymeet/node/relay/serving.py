"""What the control plane says of a node's relay, made true in the order in which it is said."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NoReturn

from waymeet.model.node_messages import (
    Answer,
    Question,
    RelaysApplied,
    RelaysDelta,
    RelaysFull,
    RelaysHostless,
    RelaysIdle,
    RelaysPart,
)
from waymeet.model.relays import HIGHEST_TOKEN, RelayLoad, RelayPorts, RelaySpec
from waymeet.node.relay.engine import Refused, RelayEngine

log = logging.getLogger(__name__)

WAITING_MESSAGES = 64
"""What may wait for the relay; while more comes, nothing is read from the control plane."""
LOOK_SECONDS = 5.0
LOOKS_PER_REPEAT = 6
KEYS_PER_MESSAGE = 1_000

Said = RelaysPart | RelaysFull | RelaysDelta


class Relay:
    """A node's relay. It relays on with what it knows while nobody talks to the node, and is brought level afterwards."""

    def __init__(
        self,
        engine: RelayEngine,
        capacity: int,
        look_seconds: float = LOOK_SECONDS,
        looks_per_repeat: int = LOOKS_PER_REPEAT,
    ) -> None:
        self.capacity = capacity
        """Relay sessions at most."""
        self.look_seconds = look_seconds
        """Between two looks for sessions that nobody uses, or whose host is silent."""
        self.looks_per_repeat = looks_per_repeat
        """After so many looks, silent hosts are reported again."""
        self._engine = engine
        self._tokens: dict[str, int] = {}
        """Session tokens by key."""
        self._keys: dict[int, str] = {}
        """Which key a token belongs to now: it may go from one session, which ended, to another."""

    @property
    def ports(self) -> RelayPorts:
        return self._engine.ports

    async def replace(self, sessions: Sequence[RelaySpec]) -> Sequence[str]:
        """Serve exactly these sessions; the keys of those without room, or that no relay can serve. Repeatable."""
        sessions, unfit = _fit(sessions)
        refused = await asyncio.to_thread(self._engine.replace, sessions)
        self._tokens = {spec.key: spec.token for spec in sessions}
        self._keys = {spec.token: spec.key for spec in sessions}
        return [*self._told(refused), *unfit]

    async def apply(self, sessions: Sequence[RelaySpec], removed: Sequence[str]) -> Sequence[str]:
        """Serve these sessions as they are now, and those of the keys `removed` no longer; the keys of those for which there
        is no room, or that no relay can serve. Repeatable.
        """
        sessions, unfit = _fit(sessions)
        ended = [self._tokens.pop(key) for key in removed if key in self._tokens]
        ended = [token for token in ended if self._keys.get(token) in removed]
        refused = await asyncio.to_thread(self._engine.apply, sessions, ended)
        for token in ended:
            del self._keys[token]
        for spec in sessions:
            self._tokens[spec.key] = spec.token
            self._keys[spec.token] = spec.key
        return [*self._told(refused), *unfit]

    async def answer(self, question: Question) -> Answer:
        """What was counted for the session that is asked about."""
        token = self._tokens.get(question.key)
        counters = None if token is None else await asyncio.to_thread(self._engine.counters, token)
        if counters is None:
            return Answer(question.id, error=f"no relay session {question.key!r} on this node")
        return Answer(question.id, relay=counters)

    async def load(self) -> RelayLoad:
        return await asyncio.to_thread(self._engine.load)

    async def idle(self) -> Sequence[str]:
        """Keys of sessions that nobody has used for so long that they should end."""
        tokens = await asyncio.to_thread(self._engine.idle)
        return [self._keys[token] for token in tokens if token in self._keys]

    async def hostless(self) -> Sequence[str]:
        """Keys of sessions whose host has been silent for longer than the owner timeout."""
        tokens = await asyncio.to_thread(self._engine.silent_hosts)
        return [self._keys[token] for token in tokens if token in self._keys]

    def drain(self) -> None:
        """Tell whoever pings that the relay is about to go away. Traffic still flows."""
        self._engine.drain()

    def close(self) -> None:
        self._engine.close()

    def _told(self, refused: Sequence[Refused]) -> Sequence[str]:
        if refused:
            log.error("the relay has no room for %d sessions that it should serve: %s", len(refused), refused[0].reason)
        return [self._keys[each.token] for each in refused]


def _fit(sessions: Sequence[RelaySpec]) -> tuple[list[RelaySpec], list[str]]:
    """Those that a relay can serve, and the keys of the others: one of these must not keep the relay from all of them."""
    fit: list[RelaySpec] = []
    unfit: list[str] = []
    for spec in sessions:
        tokens = (
            spec.token,
            *(member.token for member in spec.members),
            *(() if spec.owner is None else (spec.owner,)),
        )
        if all(1 <= token <= HIGHEST_TOKEN for token in tokens):
            fit.append(spec)
        else:
            log.error(
                "relay session %s cannot be served: it has a token that is not between 1 and %d",
                spec.key,
                HIGHEST_TOKEN,
            )
            unfit.append(spec.key)
    return fit, unfit


class RelayConversation:
    """What is said about the relay on one connection. What came before a lost connection is no part of what the next one
    says, and the relay itself outlives them.
    """

    def __init__(
        self, relay: Relay, send: Callable[[RelaysApplied | RelaysIdle | RelaysHostless], Awaitable[None]]
    ) -> None:
        self._relay = relay
        self._send = send
        self._said: asyncio.Queue[Said] = asyncio.Queue(WAITING_MESSAGES)

    async def hear(self, message: Said) -> None:
        """Take a message; returns as soon as there is room for it."""
        await self._said.put(message)

    async def obey(self) -> NoReturn:
        """Make true what is heard and say so, until cancelled. Raises `Unavailable` when the relay does not answer: a new
        connection then begins with everything anew.
        """
        beginning: list[RelaySpec] = []
        while True:
            match await self._said.get():
                case RelaysPart(sessions):
                    beginning += sessions
                case RelaysFull(change, sessions):
                    refused = await self._relay.replace([*beginning, *sessions])
                    beginning = []
                    await self._send(RelaysApplied(change, tuple(refused)))
                case RelaysDelta(change, sessions, removed):
                    refused = await self._relay.apply(sessions, removed)
                    await self._send(RelaysApplied(change, tuple(refused)))

    async def report(self) -> NoReturn:
        """Say which sessions nobody uses, again and again until they are gone, and which hosts have fallen silent: at once,
        and now and then again, since it may have been said too early to count. Raises as `obey` does.
        """
        hostless: frozenset[str] = frozenset()
        looks = itertools.cycle(range(self._relay.looks_per_repeat))
        while True:
            if next(looks) == 0:
                hostless = frozenset()
            await asyncio.sleep(self._relay.look_seconds)
            for keys in _parts(await self._relay.idle()):
                await self._send(RelaysIdle(keys))
            before, hostless = hostless, frozenset(await self._relay.hostless())
            for keys in _parts(sorted(hostless - before)):
                await self._send(RelaysHostless(keys))


def _parts(keys: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(keys), KEYS_PER_MESSAGE):
        yield tuple(keys[start : start + KEYS_PER_MESSAGE])
