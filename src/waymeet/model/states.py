"""The states of deployments, sessions, relay sessions and lobbies, and the only table of moves between them."""

from collections.abc import Mapping
from enum import StrEnum

from waymeet.model.errors import ForbiddenTransition


class DeploymentStatus(StrEnum):
    """Written on the wire as `Status.READY` and so on (contract 3.4)."""

    INITIALIZING = "INITIALIZING"
    SEEKING = "SEEKING"
    SEEKED = "SEEKED"
    SCANNING = "SCANNING"
    DEPLOYING = "DEPLOYING"
    READY = "READY"
    TERMINATING = "TERMINATING"
    TERMINATED = "TERMINATED"
    ERROR = "ERROR"

    @property
    def wire(self) -> str:
        return f"Status.{self.value}"

    @property
    def starting(self) -> bool:
        return self in _STARTING

    @property
    def ended(self) -> bool:
        """No server runs any more, and none will."""
        return self in (DeploymentStatus.TERMINATED, DeploymentStatus.ERROR)


_STARTING = frozenset(
    {
        DeploymentStatus.INITIALIZING,
        DeploymentStatus.SEEKING,
        DeploymentStatus.SEEKED,
        DeploymentStatus.SCANNING,
        DeploymentStatus.DEPLOYING,
    }
)

_D = DeploymentStatus
DEPLOYMENT_MOVES: Mapping[DeploymentStatus, frozenset[DeploymentStatus]] = {
    _D.INITIALIZING: frozenset(
        {_D.SEEKING, _D.SEEKED, _D.DEPLOYING, _D.READY, _D.TERMINATING, _D.TERMINATED, _D.ERROR}
    ),
    _D.SEEKING: frozenset({_D.SEEKED, _D.DEPLOYING, _D.TERMINATING, _D.TERMINATED, _D.ERROR}),
    _D.SEEKED: frozenset({_D.SCANNING, _D.DEPLOYING, _D.READY, _D.TERMINATING, _D.TERMINATED, _D.ERROR}),
    _D.SCANNING: frozenset({_D.DEPLOYING, _D.READY, _D.TERMINATING, _D.TERMINATED, _D.ERROR}),
    _D.DEPLOYING: frozenset({_D.READY, _D.TERMINATING, _D.TERMINATED, _D.ERROR}),
    # Back to DEPLOYING: the server crashed and its restart policy starts it again.
    _D.READY: frozenset({_D.DEPLOYING, _D.TERMINATING, _D.TERMINATED, _D.ERROR}),
    _D.TERMINATING: frozenset({_D.TERMINATED, _D.ERROR}),
    # A failed deployment is removed by a stop, like any other (contract 3.5).
    _D.ERROR: frozenset({_D.TERMINATING, _D.TERMINATED}),
    _D.TERMINATED: frozenset(),
}


class SessionStatus(StrEnum):
    """Written on the wire as they are, without a prefix (contract 2.1 and 4.1 row 2)."""

    INITIALIZING = "Initializing"
    SEEKING = "Seeking"
    WAITING = "Waiting"
    READY = "Ready"
    ERROR = "Error"
    UNPROCESSABLE = "Unprocessable"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"

    @property
    def linked(self) -> bool:
        """Bound to a deployment, and therefore counted against its sockets."""
        return self in (SessionStatus.WAITING, SessionStatus.READY)


_S = SessionStatus
SESSION_MOVES: Mapping[SessionStatus, frozenset[SessionStatus]] = {
    _S.INITIALIZING: frozenset({_S.SEEKING, _S.WAITING, _S.READY, _S.ERROR, _S.UNPROCESSABLE, _S.TERMINATING}),
    _S.SEEKING: frozenset({_S.WAITING, _S.READY, _S.ERROR, _S.UNPROCESSABLE, _S.TERMINATING}),
    _S.WAITING: frozenset({_S.READY, _S.ERROR, _S.TERMINATING, _S.TERMINATED}),
    # Back to Waiting: the deployment's server crashed and is being started again.
    _S.READY: frozenset({_S.WAITING, _S.ERROR, _S.TERMINATING, _S.TERMINATED}),
    _S.ERROR: frozenset({_S.TERMINATING}),
    _S.UNPROCESSABLE: frozenset({_S.TERMINATING}),
    _S.TERMINATING: frozenset(),
    _S.TERMINATED: frozenset({_S.TERMINATING}),
}


class RelayStatus(StrEnum):
    """Written on the wire as they are, in capitals (contract 2.15)."""

    INITIALIZING = "INITIALIZING"
    SEEKING = "SEEKING"
    READY = "READY"
    ERROR = "ERROR"
    TERMINATING = "TERMINATING"


_R = RelayStatus
RELAY_MOVES: Mapping[RelayStatus, frozenset[RelayStatus]] = {
    _R.INITIALIZING: frozenset({_R.SEEKING, _R.READY, _R.ERROR, _R.TERMINATING}),
    _R.SEEKING: frozenset({_R.INITIALIZING, _R.READY, _R.ERROR, _R.TERMINATING}),
    _R.READY: frozenset({_R.ERROR, _R.TERMINATING}),
    _R.ERROR: frozenset({_R.TERMINATING}),
    _R.TERMINATING: frozenset(),
}


class LobbyStatus(StrEnum):
    """Written on the wire as they are (contract 2.22)."""

    CREATED = "Created"
    DEPLOYING = "Deploying"
    RELEASED = "Released"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"
    ERROR = "Error"

    @property
    def serving(self) -> bool:
        """Whether its service answers. While it is being deployed too: that is how we see that it does."""
        return self in (LobbyStatus.DEPLOYING, LobbyStatus.RELEASED)


_L = LobbyStatus
LOBBY_MOVES: Mapping[LobbyStatus, frozenset[LobbyStatus]] = {
    _L.CREATED: frozenset({_L.DEPLOYING}),
    _L.DEPLOYING: frozenset({_L.RELEASED, _L.TERMINATING, _L.ERROR}),
    # Back to Deploying: the server has another public URL than before.
    _L.RELEASED: frozenset({_L.DEPLOYING, _L.TERMINATING}),
    _L.TERMINATING: frozenset({_L.TERMINATED}),
    _L.TERMINATED: frozenset({_L.DEPLOYING}),
    _L.ERROR: frozenset({_L.DEPLOYING, _L.TERMINATED}),
}


class SessionKind(StrEnum):
    """What occupies a socket of a deployment (contract 2.1)."""

    DEFAULT = "Default"
    SEAT = "Seat"
    MATCH = "Match"


def move_deployment(current: DeploymentStatus, target: DeploymentStatus) -> DeploymentStatus:
    """`target`, when the table allows the move; `ForbiddenTransition` otherwise."""
    if target not in DEPLOYMENT_MOVES[current]:
        raise ForbiddenTransition("deployment", current, target)
    return target


def move_session(current: SessionStatus, target: SessionStatus) -> SessionStatus:
    """`target`, when the table allows the move; `ForbiddenTransition` otherwise."""
    if target not in SESSION_MOVES[current]:
        raise ForbiddenTransition("session", current, target)
    return target


def move_relay(current: RelayStatus, target: RelayStatus) -> RelayStatus:
    """`target`, when the table allows the move; `ForbiddenTransition` otherwise."""
    if target not in RELAY_MOVES[current]:
        raise ForbiddenTransition("relay session", current, target)
    return target


def move_lobby(current: LobbyStatus, target: LobbyStatus) -> LobbyStatus:
    """`target`, when the table allows the move; `ForbiddenTransition` otherwise."""
    if target not in LOBBY_MOVES[current]:
        raise ForbiddenTransition("lobby", current, target)
    return target
