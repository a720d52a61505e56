"""Rows of nodes, and of the questions asked of them."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from waymeet.locations.types import Node, NodeProfile
from waymeet.model.ids import NodeName
from waymeet.model.instant import Instant
from waymeet.model.node_messages import Answer, Question, QuestionKind
from waymeet.store.documents import to_text
from waymeet.store.engine import Connection, Row
from waymeet.store.statement import Statement

_NODES = Statement("SELECT name, profile, capacity, in_use, connected, last_seen_at FROM node ORDER BY name")
_NODE = Statement("SELECT name, profile, capacity, in_use, connected, last_seen_at FROM node WHERE name = $1")
_CONNECT = Statement(
    """
    INSERT INTO node (name, profile, capacity, in_use, connected, connection_token, connected_at, last_seen_at)
    VALUES ($1, $2, $3, 0, TRUE, $4, $5, $5)
    ON CONFLICT (name) DO UPDATE SET profile = excluded.profile, capacity = excluded.capacity, connected = TRUE,
        connection_token = excluded.connection_token, connected_at = excluded.connected_at,
        last_seen_at = excluded.last_seen_at
    """
)
_SEEN = Statement(
    "UPDATE node SET last_seen_at = $3, load = $4, connected = TRUE WHERE name = $1 AND connection_token = $2"
)
_DISCONNECT = Statement(
    "UPDATE node SET connected = FALSE, connection_token = NULL, last_seen_at = $3"
    " WHERE name = $1 AND connection_token = $2"
)
_SILENT = Statement("SELECT name FROM node WHERE connected AND last_seen_at < $1")
_MARK_SILENT = Statement("UPDATE node SET connected = FALSE WHERE name = $1 AND connected AND last_seen_at < $2")
_ROOMS = Statement("SELECT name, capacity - in_use AS room FROM node WHERE connected AND in_use < capacity")
_RESERVE = Statement("UPDATE node SET in_use = in_use + 1 WHERE name = $1 AND connected AND in_use < capacity")
_RELEASE = Statement("UPDATE node SET in_use = in_use - 1 WHERE name = $1 AND in_use > 0")
_ASK = Statement(
    "INSERT INTO node_question (id, node_name, kind, server_key, addresses, asked_at) VALUES ($1, $2, $3, $4, $5, $6)"
)
_QUESTIONS = Statement(
    "SELECT id, kind, server_key, addresses FROM node_question WHERE node_name = $1 AND answer IS NULL"
    " ORDER BY asked_at LIMIT 100"
)
_ANSWER = Statement("UPDATE node_question SET answer = $2 WHERE id = $1 AND answer IS NULL")
_READ_ANSWER = Statement("SELECT answer FROM node_question WHERE id = $1 AND answer IS NOT NULL")
_DROP_QUESTION = Statement("DELETE FROM node_question WHERE id = $1")
_ANY_OLD_QUESTION = Statement("SELECT 1 FROM node_question WHERE asked_at < $1 LIMIT 1")
_UNSEEN = """
    NOT connected AND in_use = 0 AND last_seen_at < $1
    AND NOT EXISTS (SELECT 1 FROM deployment WHERE deployment.node_name = node.name)
    AND NOT EXISTS (SELECT 1 FROM relay_session WHERE relay_session.node_name = node.name)
    """
_FORGETTABLE = Statement(f"SELECT name FROM node WHERE {_UNSEEN} ORDER BY name")
_FORGET = Statement(f"DELETE FROM node WHERE {_UNSEEN} AND name = $2")
_DROP_OLD_QUESTIONS = Statement("DELETE FROM node_question WHERE asked_at < $1")

_profile = msgspec.json.Decoder(NodeProfile)
_answer = msgspec.json.Decoder(Answer)
_addresses = msgspec.json.Decoder(tuple[str, ...])


class LocationRows:
    """`locations.ports.LocationRows` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def nodes(self) -> Sequence[Node]:
        return [_node(row) for row in await self._connection.fetch(_NODES)]

    async def node(self, name: NodeName) -> Node | None:
        row = await self._connection.fetch_one(_NODE, name)
        return None if row is None else _node(row)

    async def connect(self, name: NodeName, profile: NodeProfile, capacity: int, token: str, now: Instant) -> None:
        await self._connection.execute(_CONNECT, name, to_text(profile), capacity, token, now)

    async def seen(self, name: NodeName, token: str, load: float | None, now: Instant) -> bool:
        return await self._connection.execute(_SEEN, name, token, now, load) == 1

    async def disconnect(self, name: NodeName, token: str, now: Instant) -> bool:
        return await self._connection.execute(_DISCONNECT, name, token, now) == 1

    async def silent_since(self, before: Instant) -> Sequence[NodeName]:
        return [NodeName(row["name"]) for row in await self._connection.fetch(_SILENT, before)]

    async def mark_silent(self, name: NodeName, before: Instant) -> bool:
        return await self._connection.execute(_MARK_SILENT, name, before) == 1

    async def rooms(self) -> Mapping[NodeName, int]:
        return {NodeName(row["name"]): row["room"] for row in await self._connection.fetch(_ROOMS)}

    async def reserve(self, name: NodeName) -> bool:
        return await self._connection.execute(_RESERVE, name) == 1

    async def release(self, name: NodeName) -> None:
        await self._connection.execute(_RELEASE, name)

    async def ask(self, question: Question, node: NodeName, now: Instant) -> None:
        addresses = to_text(question.addresses) if question.addresses else None
        await self._connection.execute(_ASK, question.id, node, question.kind.value, question.key, addresses, now)

    async def questions(self, node: NodeName) -> Sequence[Question]:
        rows = await self._connection.fetch(_QUESTIONS, node)
        return [
            Question(
                row["id"], QuestionKind(row["kind"]), row["server_key"], _addresses.decode(row["addresses"] or "[]")
            )
            for row in rows
        ]

    async def answer(self, answer: Answer) -> bool:
        return await self._connection.execute(_ANSWER, answer.id, to_text(answer)) == 1

    async def take_answers(self, question_ids: Collection[str]) -> Sequence[Answer]:
        rows = [await self._connection.fetch_one(_READ_ANSWER, question_id) for question_id in question_ids]
        answers = [_answer.decode(row["answer"]) for row in rows if row is not None]
        await self.drop_questions([answer.id for answer in answers])
        return answers

    async def drop_questions(self, question_ids: Collection[str]) -> None:
        for question_id in question_ids:
            await self._connection.execute(_DROP_QUESTION, question_id)

    async def any_question_before(self, before: Instant) -> bool:
        return await self._connection.fetch_one(_ANY_OLD_QUESTION, before) is not None

    async def forgettable(self, before: Instant) -> Sequence[NodeName]:
        return [NodeName(row["name"]) for row in await self._connection.fetch(_FORGETTABLE, before)]

    async def forget(self, name: NodeName, before: Instant) -> bool:
        return await self._connection.execute(_FORGET, before, name) == 1

    async def drop_questions_before(self, before: Instant) -> int:
        return await self._connection.execute(_DROP_OLD_QUESTIONS, before)


def _node(row: Row) -> Node:
    return Node(
        name=NodeName(row["name"]),
        profile=_profile.decode(row["profile"]),
        capacity=row["capacity"],
        in_use=row["in_use"],
        connected=bool(row["connected"]),
        last_seen_at=Instant(row["last_seen_at"]),
    )
