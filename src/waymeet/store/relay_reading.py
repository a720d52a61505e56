"""Rows of relay sessions as sessions; and what is left of those that nobody can read."""

from collections.abc import Callable, Mapping, Sequence
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

import msgspec

from waymeet.model.ids import NodeName, OrganisationId, SessionId
from waymeet.model.instant import Instant
from waymeet.model.relays import HIGHEST_TOKEN, RelayLoad
from waymeet.model.states import RelayStatus
from waymeet.relays.types import NOWHERE, RelayEndpoint, RelaySession, RelayUser, SalvagedSession, UnreadableSessions
from waymeet.store.documents import reader
from waymeet.store.engine import Row

_FAULTS = (msgspec.MsgspecError, ValueError, TypeError, OverflowError)
_HIGHEST_PORT = 65535

_decode_users = msgspec.json.Decoder(tuple[RelayUser, ...]).decode
_decode_revoked = msgspec.json.Decoder(tuple[int, ...]).decode
_decode_endpoint = reader(RelayEndpoint)
_decode_load = msgspec.json.Decoder(RelayLoad).decode


def read_sessions(rows: Sequence[Row]) -> list[RelaySession]:
    """The rows as sessions. Raises `UnreadableSessions`, which names all of them, when any cannot be read."""
    sessions: list[RelaySession] = []
    unreadable: dict[SessionId, str] = {}
    for row in rows:
        found = salvage(row)
        if found.fault is None:
            sessions.append(found.session)
        else:
            unreadable[found.session.session_id] = found.fault
    if unreadable:
        raise UnreadableSessions(unreadable)
    return sessions


def read_session(row: Row | None) -> RelaySession | None:
    """The row as a session, if there is one and it is not all nulls. Raises as `read_sessions` does."""
    return None if row is None or row["session_id"] is None else read_sessions([row])[0]


def read_load(text: str | None) -> RelayLoad | None:
    """What a relay last said about itself; `None` also where that cannot be read: the next heartbeat brings it anew."""
    try:
        return None if text is None else _decode_load(text)
    except _FAULTS:
        return None


def salvage(row: Row) -> SalvagedSession:
    """As much of a row as can be read, and where it cannot."""
    members: dict[str, Any] = {}
    faults: list[str] = []
    for member, (column, read, missing) in _MEMBERS.items():
        try:
            members[member] = read(row[column])
        except _FAULTS as error:
            members[member] = missing
            faults.append(f"{column}: {error}")
    return SalvagedSession(RelaySession(**members), "; ".join(faults) or None)


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("not a number from 0 on")
    return value


def _token(value: Any) -> int:
    if not 1 <= _whole(value) <= HIGHEST_TOKEN:
        raise ValueError(f"not between 1 and {HIGHEST_TOKEN}")
    return value  # type: ignore[no-any-return]


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("not a text")
    return value


def _users(text: Any) -> tuple[RelayUser, ...]:
    users = _decode_users(text)
    for index, user in enumerate(users):
        if not 1 <= user.token <= HIGHEST_TOKEN:
            raise ValueError(f"the token of user {index} is not between 1 and {HIGHEST_TOKEN}")
        try:
            inet_pton(AF_INET6 if ":" in user.address else AF_INET, user.address)
        except (OSError, ValueError):
            raise ValueError(f"the address of user {index} is none") from None
    return users


def _endpoint(text: Any) -> RelayEndpoint:
    endpoint = _decode_endpoint(text)
    for port in (endpoint.ports.server_port, endpoint.ports.client_port):
        if not 0 <= port <= _HIGHEST_PORT:
            raise ValueError("no port has this number")
    return endpoint


def _status(text: Any) -> RelayStatus:
    try:
        return RelayStatus(text)
    except ValueError:
        # Whatever stands there is not for a log.
        raise ValueError("no status") from None


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


# What stands in a member's column, how it is read, and what stands for it where that fails.
_MEMBERS: Mapping[str, tuple[str, Callable[[Any], Any], Any]] = {
    "session_id": ("session_id", SessionId, None),
    "organisation": ("organisation_id", OrganisationId, None),
    "node_name": ("node_name", NodeName, None),
    "status": ("status", _status, RelayStatus.ERROR),
    "token": ("token", _token, 0),
    "users": ("users", _users, ()),
    "revoked": ("revoked", _decode_revoked, ()),
    "owner": ("owner", _optional(_token), None),
    "endpoint": ("endpoint", _endpoint, NOWHERE),
    "host_name": ("host_name", _text, ""),
    "webhook_url": ("webhook_url", _optional(_text), None),
    "error": ("error", _optional(_text), None),
    "change": ("change_number", _whole, 0),
    "created_at": ("created_at", _whole, Instant(0)),
    "ended_at": ("ended_at", _optional(_whole), None),
    "due_at": ("due_at", _optional(_whole), None),
}
