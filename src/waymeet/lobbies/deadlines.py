"""When a room is due to be looked at, and whether it has to end then (lobby service, 6)."""

from waymeet.lobbies.types import LobbyRules, Room, RoomOutline
from waymeet.model.instant import Instant, after

NOTED_SECONDS = 20.0
"""So late, at most, does the store know that a request named a room: its idle time ends that much later."""


def due(room: Room, rules: LobbyRules) -> Instant:
    """The earliest of its deadlines."""
    deadlines = [_oldest(room, rules), *_joining(room)]
    if not room.is_started:
        deadlines.append(_idle(room, rules))
    return min(deadlines)


def is_over(room: Room | RoomOutline, rules: LobbyRules, now: Instant) -> bool:
    """Whether it is too old, or nobody has asked for it for too long before it was started."""
    return _oldest(room, rules) <= now or (not room.is_started and _idle(room, rules) <= now)


def _oldest(room: Room | RoomOutline, rules: LobbyRules) -> Instant:
    return after(room.created_at, rules.longest_hours * 3600)


def _idle(room: Room | RoomOutline, rules: LobbyRules) -> Instant:
    return after(room.active_at, rules.idle_minutes * 60 + NOTED_SECONDS)


def _joining(room: Room) -> list[Instant]:
    return [member.joining_until for member in room.members if member.joining_until is not None]
