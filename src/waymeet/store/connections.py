"""A bounded set of PostgreSQL connections.

asyncpg's own pool makes a task, a timer and a proxy for every use; measured here, that costs more than a short query. This
one hands out the connection that was used last, or lets the caller stand in line.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

Connect = Callable[[], Awaitable[Any]]
"""Makes a new connection; raises what the driver raises when that fails."""


class Connections:
    """Up to `size` connections, made when they are needed."""

    def __init__(self, connect: Connect, size: int, wait_seconds: float) -> None:
        self._connect = connect
        self._size = size
        self._wait_seconds = wait_seconds
        self._free: list[Any] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._in_use = 0

    async def take(self) -> Any:
        """A connection of the caller's own until `give_back`. `TimeoutError` when none gets free in time."""
        if self._in_use >= self._size:
            await self._stand_in_line()  # Whoever is called has the place of the one who left.
        else:
            self._in_use += 1
        try:
            while self._free:
                connection = self._free.pop()
                if not connection.is_closed():
                    return connection
            return await self._connect()
        except BaseException:
            self._leave()
            raise

    def give_back(self, connection: Any) -> None:
        """Return a connection. One that is broken, or still in the middle of something, is thrown away."""
        if not connection.is_closed():
            if connection.is_in_transaction():
                connection.terminate()
            else:
                self._free.append(connection)
        self._leave()

    def throw_away(self, connection: Any) -> None:
        """Return a connection whose state nobody knows: its user was interrupted in the middle of a statement."""
        if not connection.is_closed():
            connection.terminate()
        self._leave()

    async def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._free:
            await self._free.pop().close()

    def terminate(self) -> None:
        """Drop the connections that nobody uses without a word to the server."""
        while self._free:
            self._free.pop().terminate()

    async def _stand_in_line(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._wait_seconds):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._leave()  # Our turn came, and we cannot use it.
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def _leave(self) -> None:
        """Hand the place to whoever has waited longest, or give it up."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._in_use -= 1
