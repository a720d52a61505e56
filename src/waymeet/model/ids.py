"""Identifiers as the contract shapes them (section 1.8). Chance comes in as `rng`."""

import random
import re
import uuid
from typing import NewType

OrganisationId = NewType("OrganisationId", str)
DeploymentId = NewType("DeploymentId", str)
SessionId = NewType("SessionId", str)
NodeName = NewType("NodeName", str)
LobbyId = NewType("LobbyId", str)
RoomId = NewType("RoomId", str)

_SESSION_ID = re.compile(r"[0-9a-f]{12}-s", re.IGNORECASE)
_DEPLOYMENT_ID = re.compile(r"[0-9a-f]{12}")


def new_deployment_id(rng: random.Random) -> DeploymentId:
    """Twelve lower-case hex digits, such as `57f84a8e1298`."""
    return DeploymentId(f"{rng.getrandbits(48):012x}")


def new_session_id(rng: random.Random) -> SessionId:
    """Twelve lower-case hex digits and `-S`, such as `950dd2eaff09-S`."""
    return SessionId(f"{rng.getrandbits(48):012x}-S")


def parse_session_id(text: str) -> SessionId | None:
    """The canonical form of a session id in any letter case, or `None` when `text` is not one."""
    if _SESSION_ID.fullmatch(text) is None:
        return None
    return SessionId(text[:12].lower() + "-S")


def parse_deployment_id(text: str) -> DeploymentId | None:
    """`text` as a deployment id, or `None` when it cannot be one."""
    return DeploymentId(text) if _DEPLOYMENT_ID.fullmatch(text) else None


def new_room_id(rng: random.Random) -> RoomId:
    """32 lower-case hex digits: nobody can guess a room that is not listed (lobby service, 7). `rng` has to be one
    for secrets.
    """
    return RoomId(f"{rng.getrandbits(128):032x}")


def new_secret(rng: random.Random) -> str:
    """A lower-case random UUID, the form of the hosted service's API keys."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def new_hex_token(rng: random.Random) -> str:
    """32 lower-case hex digits: context and self-stop tokens (contract 1.8)."""
    return f"{rng.getrandbits(128):032x}"
