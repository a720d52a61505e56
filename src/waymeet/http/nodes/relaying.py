"""What a node with a relay is told to serve: everything once, then changes in the order of their numbers."""

import asyncio
from typing import NoReturn

from starlette.websockets import WebSocket

from waymeet.http.nodes.frames import send
from waymeet.locations.hello import HIGHEST_RELAY_CAPACITY, check_relay_load
from waymeet.model.errors import Invalid
from waymeet.model.ids import NodeName
from waymeet.model.node_messages import (
    RelaysApplied,
    RelaysDelta,
    RelaysFull,
    RelaysHostless,
    RelaysIdle,
    RelaysPart,
)
from waymeet.model.relays import RelayLoad, RelaySpec
from waymeet.relays.bells import RELAY
from waymeet.relays.ports import Bells
from waymeet.relays.serving import RelayServing
from waymeet.wire import in_parts

POLL_SECONDS = 5.0
"""The safety net behind the relay's bell."""
HIGHEST_KEYS = HIGHEST_RELAY_CAPACITY
"""Sessions that one message names."""


class Relaying:
    """The part of one node's conversation that is about its relay.

    Holds nothing that another process could not read as well: the number of the last change that was sent, and the last
    load that was written down.
    """

    def __init__(self, socket: WebSocket, name: NodeName, serving: RelayServing, bells: Bells) -> None:
        self._socket = socket
        self._name = name
        self._serving = serving
        self._bells = bells
        self._rung = asyncio.Event()
        self._load: RelayLoad | None = None

    async def tell(self) -> NoReturn:
        """Tell until cancelled, or until sending fails."""
        silence = self._bells.listen(RELAY, self._hear)
        try:
            through = await self._tell_everything()
            while True:
                self._rung.clear()
                through = await self._tell_changes(through)
                try:
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._rung.wait()
                except TimeoutError:
                    pass
        finally:
            silence()

    async def listen(self, message: RelaysApplied | RelaysIdle | RelaysHostless) -> None:
        """Apply what the node says. Raises `Invalid` for what no node says."""
        match message:
            case RelaysApplied():
                _check_keys("refused", message.refused)
                await self._serving.refused(self._name, message.refused)
                await self._serving.applied(self._name, message.change)
            case RelaysIdle():
                _check_keys("keys", message.keys)
                await self._serving.idle(self._name, message.keys)
            case RelaysHostless():
                _check_keys("keys", message.keys)
                await self._serving.hosts_silent(self._name, message.keys)

    async def record(self, load: RelayLoad) -> None:
        """Write down what the relay says about itself. Raises `Invalid` for what no relay can have counted."""
        check_relay_load(load)
        if load != self._load:
            await self._serving.record_load(self._name, load)
            self._load = load

    def _hear(self, key: str | None) -> None:
        if key is None or key == self._name:
            self._rung.set()

    async def _tell_everything(self) -> int:
        # Read first: sessions that change while the others are read come once more, as changes after this number.
        through = await self._serving.last_change(self._name)
        last: tuple[RelaySpec, ...] = ()
        async for batch in self._serving.wanted(self._name):
            for part in in_parts(batch):
                if last:
                    await send(self._socket, RelaysPart(last))
                last = part
        await send(self._socket, RelaysFull(through, last))
        return through

    async def _tell_changes(self, through: int) -> int:
        while True:
            changes = await self._serving.changes(self._name, through)
            if not changes.complete:
                through = await self._tell_everything()
                continue
            if changes.through == through:
                return through
            *beginning, end = list(in_parts(changes.sessions)) or [()]
            for part in beginning:
                # Not yet everything up to the new number, so the old one is what the node confirms.
                await send(self._socket, RelaysDelta(through, part))
            through = changes.through
            await send(self._socket, RelaysDelta(through, end, changes.removed))


def _check_keys(path: str, keys: tuple[str, ...]) -> None:
    if len(keys) > HIGHEST_KEYS:
        raise Invalid({path: f"at most {HIGHEST_KEYS}"})
