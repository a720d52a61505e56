"""Several nodes in one process: what `waymeet up` runs beside the control plane, and `waymeet node` elsewhere."""

import asyncio
import logging
import os
import random
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from enum import Enum
from typing import Any

from waymeet.drivers.base import Driver
from waymeet.drivers.process import BeaconAddress, Host, PortAllocator, ProcessDriver
from waymeet.model.errors import Invalid
from waymeet.model.instant import Clock
from waymeet.model.node_messages import BeaconPorts, Role
from waymeet.node.agent import Agent
from waymeet.node.beacon import open_beacon
from waymeet.node.definition import NodeDefinition
from waymeet.node.probing import Prober
from waymeet.node.reconnecting import Reconnecting
from waymeet.node.relay import Relay, open_relay

log = logging.getLogger(__name__)

STOP_GRACE_SECONDS = 8.0
"""What servers get when the node stops them, however long their own grace period."""
STOP_SECONDS = 11.0
"""After this the node exits whether or not its servers have ended; their keepers finish the job without it."""


class _Exit(Enum):
    STOP = "stop"
    DETACH = "detach"


def run_nodes(
    definitions: Sequence[NodeDefinition],
    *,
    clock: Clock,
    rng: random.Random,
    environment: Mapping[str, str],
    stop_servers: bool,
    stop_at_once: bool = False,
    supervised_fd: int | None = None,
) -> None:
    """Run nodes until SIGTERM or SIGINT, or until `supervised_fd` (the reading end of a pipe) comes to its end.

    With `stop_servers` a signal stops every game server first, within `STOP_SECONDS`; without, and always when the
    supervisor is gone, they run on and are found again by the next node with the same data directory. `stop_at_once`
    only stops what an earlier run left. `environment` is this process's own. Raises `Invalid` for an unknown driver, a
    port of a beacon or relay that is taken, or a relay's engine that cannot be had, `Unavailable` for a driver that cannot
    be used, or a relay that cannot run, here.
    """
    with (
        _beacons([] if stop_at_once else definitions, clock, rng) as beacons,
        _relays([] if stop_at_once else definitions, clock, rng) as relays,
        asyncio.Runner(loop_factory=_loop_factory()) as runner,
    ):
        runner.run(
            _host(definitions, beacons, relays, clock, rng, environment, stop_servers, stop_at_once, supervised_fd)
        )


@contextmanager
def _beacons(
    definitions: Sequence[NodeDefinition], clock: Clock, rng: random.Random
) -> Iterator[Mapping[str, BeaconPorts]]:
    """The beacons of the nodes that have one, answering until the block ends; their ports by node."""
    with ExitStack() as stack:
        ports: dict[str, BeaconPorts] = {}
        for definition in definitions:
            if Role.BEACON in definition.roles:
                beacon = open_beacon(
                    definition.name,
                    definition.address,
                    definition.beacon_ports,
                    directory=definition.data_directory,
                    avoid=definition.ports,
                    monotonic=clock.monotonic,
                    rng=rng,
                )
                stack.enter_context(closing(beacon))
                ports[definition.name] = beacon.ports
        yield ports


@contextmanager
def _relays(definitions: Sequence[NodeDefinition], clock: Clock, rng: random.Random) -> Iterator[Mapping[str, Relay]]:
    """The relays of the nodes that have one, open until the block ends, by node."""
    with ExitStack() as stack:
        relays: dict[str, Relay] = {}
        for definition in definitions:
            if Role.RELAY in definition.roles:
                relay = open_relay(
                    definition.name,
                    definition.address,
                    definition.relay_ports,
                    definition.relay_rules,
                    engine=definition.relay_engine,
                    directory=definition.data_directory,
                    avoid=definition.ports,
                    clock=clock,
                    rng=rng,
                )
                stack.enter_context(closing(relay))
                relays[definition.name] = relay
        yield relays


async def _host(
    definitions: Sequence[NodeDefinition],
    beacons: Mapping[str, BeaconPorts],
    relays: Mapping[str, Relay],
    clock: Clock,
    rng: random.Random,
    environment: Mapping[str, str],
    stop_servers: bool,
    stop_at_once: bool,
    supervised_fd: int | None,
) -> None:
    ports = PortAllocator(rng)
    agents = [
        Agent(
            definition,
            build_driver(definition, ports, clock, environment, beacons.get(definition.name)),
            clock=clock,
            reconnecting=Reconnecting(rng),
            beacon=beacons.get(definition.name),
            prober=None if definition.probing is None else Prober(definition.probing, clock, rng),
            relay=relays.get(definition.name),
        )
        for definition in definitions
    ]
    wish: asyncio.Queue[_Exit] = asyncio.Queue()
    _listen(wish, stop_servers, supervised_fd)
    if stop_at_once:
        wish.put_nowait(_Exit.STOP)
    running = [asyncio.create_task(agent.run(), name=f"node {agent.name}") for agent in agents]
    try:
        if await _next_wish(wish, running) is _Exit.STOP:
            log.info("stopping all game servers")
            for relay in relays.values():
                relay.drain()
            stopping = asyncio.gather(*(agent.stop_servers(STOP_GRACE_SECONDS) for agent in agents))
            late = asyncio.create_task(asyncio.sleep(STOP_SECONDS))
            # Asked twice, it still stops them in good order; only the loss of its supervisor makes it go at once.
            while await _next_wish(wish, [*running, stopping, late]) is _Exit.STOP:
                pass
            stopping.cancel()
            late.cancel()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def build_driver(
    definition: NodeDefinition,
    ports: PortAllocator,
    clock: Clock,
    environment: Mapping[str, str],
    beacon: BeaconPorts | None = None,
) -> Driver:
    """The driver that a definition names. Raises `Invalid` when there is none of that name."""
    if definition.driver != "process":
        raise Invalid({"driver": f'{definition.driver!r} is not available; use "process"'})
    return ProcessDriver(
        definition.data_directory / "servers",
        definition.programs,
        Host(
            definition.name,
            definition.address,
            beacon=None if beacon is None else BeaconAddress(definition.address, beacon.udp_port, beacon.tcp_port),
        ),
        ports,
        clock,
        environment=environment,
        port_range=definition.ports,
    )


async def _next_wish(wish: "asyncio.Queue[_Exit]", others: "Sequence[asyncio.Future[Any]]") -> _Exit | None:
    """The next wish, or `None` when one of `others` ended first; if that failed, its error."""
    getting = asyncio.ensure_future(wish.get())
    done, _ = await asyncio.wait([getting, *others], return_when=asyncio.FIRST_COMPLETED)
    if getting in done:
        return getting.result()
    getting.cancel()
    for ended in done:
        ended.result()
    return None


def _listen(wish: "asyncio.Queue[_Exit]", stop_servers: bool, supervised_fd: int | None) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, wish.put_nowait, _Exit.STOP if stop_servers else _Exit.DETACH)
    if supervised_fd is not None:
        os.set_blocking(supervised_fd, False)
        loop.add_reader(supervised_fd, _on_lifeline, supervised_fd, wish)


def _on_lifeline(supervised_fd: int, wish: "asyncio.Queue[_Exit]") -> None:
    if not os.read(supervised_fd, 1):
        asyncio.get_running_loop().remove_reader(supervised_fd)
        wish.put_nowait(_Exit.DETACH)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
