"""Following a room as it changes, over however many connections that takes."""

import random
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import msgspec

from waymeet.client.calling import wire
from waymeet.client.calling.connection import Connection, error_of
from waymeet.client.calling.events import MEDIA_TYPE, Event, EventReader
from waymeet.client.calling.plan import Call, Emission, NextPart, Opening, Pause, StreamPlan, StreamStep, Transmission
from waymeet.client.errors import (
    ApiError,
    ClientError,
    NotFound,
    RateLimited,
    ServerError,
    UnexpectedAnswer,
    Unreachable,
)
from waymeet.client.lobbies.room_types import Room

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 10.0
_GROWTH = 1.5
_LOBBY, _CLOSED = "lobby", "closed"
"""Kinds of events; others are none of ours."""
_SPREAD = 0.5
"""Those who lost a server all at once come back one by one."""
SILENCE_SECONDS = 45.0
"""Three of the heartbeats that Waymeet sends."""


@dataclass
class _Progress:
    """What is known across connections."""

    last_id: str = ""
    connected: bool = False
    pause: float = FIRST_PAUSE_SECONDS
    lost_since: float | None = None


def follow_room(connection: Connection, path: str, patience: float, rng: random.Random) -> StreamPlan[Room]:
    """The plan of following the stream at `path`: each version of the room, until its end."""
    call = Call("GET", path, wire.nothing)
    progress = _Progress()
    while True:
        trouble: ClientError | None = None
        wait = 0.0
        try:
            if (yield from _one_connection(connection, call, progress)):
                return
        except NotFound:
            if progress.connected:
                # The room ended while we were away.
                return
            raise
        except (Unreachable, RateLimited, ServerError) as problem:
            trouble = problem
            wait = (problem.retry_after or 0.0) if isinstance(problem, ApiError) else 0.0
        if trouble is not None:
            now = connection.monotonic()
            progress.lost_since = now if progress.lost_since is None else progress.lost_since
            if now + wait - progress.lost_since >= patience:
                raise trouble
        yield Pause(max(wait, progress.pause) * (1 + _SPREAD * rng.random()))
        progress.pause = min(progress.pause * _GROWTH, LONGEST_PAUSE_SECONDS)


def _one_connection(
    connection: Connection, call: Call[None], progress: _Progress
) -> Generator[StreamStep[Room], Any, bool]:
    """Follow for as long as one connection lasts; whether the room has ended."""
    response: httpx.Response = yield Opening(_request(connection, call, progress.last_id), SILENCE_SECONDS)
    if not response.is_success:
        raise error_of(call, response)
    media_type = response.headers.get("content-type", "")
    if not media_type.startswith(MEDIA_TYPE):
        raise UnexpectedAnswer(f"{call} answered with {media_type or 'something'} in place of {MEDIA_TYPE}")
    progress.connected = True
    reader = EventReader()
    heard = False
    while (part := (yield NextPart())) is not None:
        heard = True
        progress.lost_since = None
        for event in reader.read(part):
            progress.last_id = reader.last_id
            if event.kind == _CLOSED:
                return True
            if event.kind == _LOBBY:
                yield Emission(_room(call, event))
        asked_for = FIRST_PAUSE_SECONDS if reader.retry_seconds is None else reader.retry_seconds
        progress.pause = min(asked_for, LONGEST_PAUSE_SECONDS)
    if not heard:
        raise Unreachable(f"{call} ended before it said anything")
    return False


def _request(connection: Connection, call: Call[None], last_id: str) -> Transmission:
    sent = connection.transmission(call)
    # Compressed streams come in lumps.
    headers = {**sent.headers, "Accept": MEDIA_TYPE, "Accept-Encoding": "identity", "Cache-Control": "no-store"}
    if last_id:
        headers["Last-Event-ID"] = last_id
    return replace(sent, headers=headers)


def _room(call: Call[None], event: Event) -> Room:
    try:
        return wire.read(event.data, Room)
    except msgspec.DecodeError as problem:
        raise UnexpectedAnswer(f"{call} sent an event that does not read as a lobby ({problem})") from problem
