"""Reports that touch many sessions are applied in portions, and all of them in the end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from tests.world import World
from waymeet.deployments import observation
from waymeet.deployments.observation import Observation
from waymeet.deployments.ports import DeploymentTransaction
from waymeet.model.servers import PortMapping, PortProtocol, ServerPhase, ServerReport
from waymeet.model.states import DeploymentStatus, SessionStatus

pytestmark = pytest.mark.anyio

Result = TypeVar("Result")


class Counting:
    """The world's store, which notes how many servers became ready in each unit."""

    def __init__(self, world: World, moved: list[int]) -> None:
        self.world = world
        self.moved = moved
        self.read = world.store.read
        self.scan = world.store.scan

    async def write(self, unit: Callable[[DeploymentTransaction], Awaitable[Result]]) -> Result:
        result = await self.world.store.write(unit)
        ready = sum(deployment.ready for deployment in await self.world.every_deployment())
        self.moved.append(ready - sum(self.moved))
        return result


async def test_a_batch_is_cut_where_its_sessions_are_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observation, "SESSIONS_PER_UNIT", 5)
    node = await world.node("a")
    await world.version(sockets=4)
    sessions = [await world.seat(1) for _ in range(16)]
    deployments = await world.every_deployment()
    assert [deployment.session_count for deployment in deployments] == [4] * 4
    moved: list[int] = []
    reports = [
        ServerReport(
            deployment.request_id, ServerPhase.READY, "192.0.2.1", (PortMapping("game", 1, 1, PortProtocol.UDP),)
        )
        for deployment in deployments
    ]
    await Observation(Counting(world, moved), world.changes, world.clock).observe(node, reports)
    assert moved == [2, 2]
    seated = await asyncio.gather(*(world.look(session) for session in sessions))
    assert {entry.session.status for entry in seated} == {SessionStatus.READY}
    assert {deployment.status for deployment in await world.every_deployment()} == {DeploymentStatus.READY}
    await world.check_invariants()
