"""Giving a client's sockets back."""

from types import TracebackType
from typing import Self

from waymeet.client.calling.connection import Awaiting, Blocking
from waymeet.client.calling.operation import Group


class Closing(Group[Blocking]):
    """A client to be used in a `with` statement, or closed by hand."""

    def close(self) -> None:
        """Give the sockets back. Safe to repeat; no call may follow."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClosing(Group[Awaiting]):
    """A client to be used in an `async with` statement, or closed by hand."""

    async def close(self) -> None:
        """Give the sockets back. Safe to repeat; no call may follow."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
