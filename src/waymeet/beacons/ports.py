"""What this domain needs of others."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from waymeet.locations.types import Node


class Nodes(Protocol):
    """The nodes as of a moment ago."""

    @property
    def nodes(self) -> Sequence[Node]: ...

    def on_refresh(self, listener: Callable[[], None]) -> None:
        """Have `listener` called whenever they were read again."""


class Prober(Protocol):
    async def probe(self, endpoints: Sequence[tuple[str, int]]) -> Collection[tuple[str, int]]:
        """Those of the UDP endpoints that answered; returns within some seconds."""

    async def close(self) -> None: ...
