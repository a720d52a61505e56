"""The set of connections: bounded, fair, and rid of what is broken."""

import asyncio

import pytest

from waymeet.store.connections import Connections

pytestmark = pytest.mark.anyio


class FakeConnection:
    def __init__(self) -> None:
        self.closed = False
        self.in_transaction = False

    def is_closed(self) -> bool:
        return self.closed

    def is_in_transaction(self) -> bool:
        return self.in_transaction

    def terminate(self) -> None:
        self.closed = True

    async def close(self) -> None:
        self.closed = True


async def connect() -> FakeConnection:
    return FakeConnection()


async def test_who_waited_longest_is_served_before_whoever_comes_now() -> None:
    connections = Connections(connect, 1, 20)
    first = await connections.take()
    waiting = asyncio.create_task(connections.take())
    await asyncio.sleep(0)
    connections.give_back(first)
    newcomer = asyncio.create_task(connections.take())
    assert await waiting is first
    assert not newcomer.done()
    connections.give_back(first)
    assert await newcomer is first


async def test_waiting_ends_with_a_timeout_and_leaves_the_place_to_others() -> None:
    connections = Connections(connect, 1, 0.01)
    held = await connections.take()
    with pytest.raises(TimeoutError):
        await connections.take()
    connections.give_back(held)
    assert await connections.take() is held


async def test_a_cancelled_wait_costs_nobody_a_place() -> None:
    connections = Connections(connect, 1, 20)
    held = await connections.take()
    waiting = asyncio.create_task(connections.take())
    await asyncio.sleep(0)
    connections.give_back(held)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await connections.take() is held


async def test_what_is_broken_or_in_the_middle_of_something_is_not_used_again() -> None:
    connections = Connections(connect, 2, 20)
    broken, busy = await connections.take(), await connections.take()
    broken.closed, busy.in_transaction = True, True
    connections.give_back(broken)
    connections.give_back(busy)
    assert busy.closed
    assert await connections.take() not in (broken, busy)


async def test_a_failed_connection_gives_its_place_back() -> None:
    async def fail() -> FakeConnection:
        raise OSError("refused")

    connections = Connections(fail, 1, 20)
    for _ in range(3):
        with pytest.raises(OSError, match="refused"):
            await connections.take()
