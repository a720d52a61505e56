"""A relay's side of the conversation, played by hand: it hears and confirms when the test says so, or in the background."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.world import FRANKFURT, ORGANISATION, World
from waymeet.model.filters import Filter
from waymeet.model.ids import NodeName
from waymeet.model.location import Location
from waymeet.model.relays import RelayPorts, RelaySpec
from waymeet.relays.bells import RELAY
from waymeet.relays.types import RelayRequest, RelaySession

PORTS = RelayPorts(32000, 32001)


class HandRelay:
    """What a node with a relay knows, and how far."""

    def __init__(self, world: World, name: NodeName) -> None:
        self._world = world
        self.name = name
        self.serves: dict[str, RelaySpec] = {}
        self.through = 0

    @classmethod
    async def joined(
        cls, world: World, name: str = "relay", location: Location = FRANKFURT, capacity: int = 100
    ) -> "HandRelay":
        relay = cls(world, await world.node(name, location, relay=PORTS, relay_capacity=capacity))
        await relay.start_again()
        return relay

    async def start_again(self) -> None:
        """Hear everything, as after a new connection, and confirm it."""
        self.through = await self._world.relay_serving.last_change(self.name)
        self.serves = {}
        async for batch in self._world.relay_serving.wanted(self.name):
            self.serves |= {spec.key: spec for spec in batch}
        await self.confirm()

    async def hear(self) -> bool:
        """Hear what changed, without confirming; false when only everything anew would do."""
        while True:
            changes = await self._world.relay_serving.changes(self.name, self.through)
            if not changes.complete:
                return False
            if changes.through == self.through:
                return True
            self.serves |= {spec.key: spec for spec in changes.sessions}
            for key in changes.removed:
                self.serves.pop(key, None)
            self.through = changes.through

    async def confirm(self) -> None:
        await self._world.relay_serving.applied(self.name, self.through)

    async def catch_up(self) -> None:
        assert await self.hear()
        await self.confirm()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Confirms whatever comes, for as long as the block lasts."""
        rung = asyncio.Event()
        silence = self._world.store.bells.listen(RELAY, lambda _key: rung.set())

        async def work() -> None:
            while True:
                rung.clear()
                await self.catch_up()
                await rung.wait()

        working = asyncio.create_task(work())
        try:
            yield
        finally:
            silence()
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


async def create(
    world: World, *addresses: str, filters: Sequence[Filter] = (), webhook_url: str | None = None
) -> RelaySession:
    request = RelayRequest(addresses=addresses or ("203.0.113.7",), filters=tuple(filters), webhook_url=webhook_url)
    return await world.relays.create(ORGANISATION, request)


async def look(world: World, session: RelaySession) -> RelaySession:
    return await world.relays.find(ORGANISATION, session.session_id)


async def ready(world: World, relay: HandRelay, *addresses: str, webhook_url: str | None = None) -> RelaySession:
    """A session that its relay has confirmed."""
    session = await create(world, *addresses, webhook_url=webhook_url)
    await relay.catch_up()
    return await look(world, session)
