"""What this domain needs of the store."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeVar

from waymeet.locations.types import Node, NodeProfile
from waymeet.model.ids import NodeName
from waymeet.model.instant import Instant
from waymeet.model.node_messages import Answer, Hello, Question

Result = TypeVar("Result")


class LocationRows(Protocol):
    """Nodes, and the questions asked of them."""

    async def nodes(self) -> Sequence[Node]:
        """Every node ever seen, by name."""

    async def node(self, name: NodeName) -> Node | None: ...

    async def connect(self, name: NodeName, profile: NodeProfile, capacity: int, token: str, now: Instant) -> None:
        """Record that the holder of `token` has the node's socket now; whoever had it before is replaced."""

    async def seen(self, name: NodeName, token: str, load: float | None, now: Instant) -> bool:
        """Record a sign of life; false when another socket has taken the node's place."""

    async def disconnect(self, name: NodeName, token: str, now: Instant) -> bool:
        """Record that the socket is gone; false when another one has taken its place already."""

    async def silent_since(self, before: Instant) -> Sequence[NodeName]:
        """Nodes still marked connected whose last sign of life is older than `before`."""

    async def mark_silent(self, name: NodeName, before: Instant) -> bool:
        """Mark a node as not connected unless it gave a sign of life meanwhile."""

    async def rooms(self) -> Mapping[NodeName, int]:
        """How many more deployments each connected node takes now; full ones are left out."""

    async def reserve(self, name: NodeName) -> bool:
        """Take one place on a connected node; false when it is full or gone."""

    async def release(self, name: NodeName) -> None:
        """Give one place back."""

    async def ask(self, question: Question, node: NodeName, now: Instant) -> None: ...

    async def questions(self, node: NodeName) -> Sequence[Question]:
        """Questions to the node that nobody has answered yet, oldest first."""

    async def answer(self, answer: Answer) -> bool:
        """Record an answer; false when nobody waits for it any more."""

    async def take_answers(self, question_ids: Collection[str]) -> Sequence[Answer]:
        """Those of the answers that are there; taking one forgets its question."""

    async def drop_questions(self, question_ids: Collection[str]) -> None: ...

    async def any_question_before(self, before: Instant) -> bool:
        """Whether `drop_questions_before` would find anything."""

    async def forgettable(self, before: Instant) -> Sequence[NodeName]:
        """Nodes that are not connected, have given no sign of life since `before`, and hold no deployment and no relay
        session, ended ones that are still remembered included.
        """

    async def forget(self, name: NodeName, before: Instant) -> bool:
        """Forget a node, provided that it is still one of those."""

    async def drop_questions_before(self, before: Instant) -> int:
        """Forget questions whose asker is long gone."""


class LocationTransaction(Protocol):
    @property
    def locations(self) -> LocationRows: ...

    def wake(self, topic: str, key: str | None = None) -> None: ...


class Follower(Protocol):
    """Told of every node that joins, inside the transaction that makes it known."""

    async def node_joined(self, tx: LocationTransaction, hello: Hello) -> None: ...


class LocationStore(Protocol):
    async def write(self, unit: Callable[[LocationTransaction], Awaitable[Result]]) -> Result: ...

    async def read(self, unit: Callable[[LocationTransaction], Awaitable[Result]]) -> Result: ...
