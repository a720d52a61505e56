"""What can go wrong with a call, as types.

ClientError
 +- ApiError            the server answered with an error status
 |   +- BadRequest          400, with `errors` by field
 |   +- Unauthorized        401
 |   +- Forbidden           403
 |   +- NotFound            404
 |   +- Conflict            409
 |   +- Gone                410
 |   +- Unprocessable       422
 |   +- ImageUnavailable    424
 |   +- RateLimited         429, with `retry_after`
 |   +- ServerError         500 and above
 |       +- Unavailable         503, with `retry_after`
 +- UnexpectedAnswer    a success that does not read as the contract says
 +- Unreachable         no answer at all
 +- SessionFailed       a session that was waited for can no longer become ready
 +- DeploymentFailed    likewise a deployment
 +- RelaySessionFailed  likewise a relay session
 +- LobbyFailed         likewise a lobby service
 +- RoomFailed          a room that was waited for does not let the player play
 +- RelayRefused        a relay that does not let a peer in (`waymeet.client.relays.peers`)
 +- StillWaiting        the time given to a wait is over
 +- WebhookRejected     a webhook that is not what it claims to be
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from waymeet.client.deployments.types import Deployment
    from waymeet.client.lobbies.room_types import Room
    from waymeet.client.lobbies.types import Lobby
    from waymeet.client.relays.types import RelaySession
    from waymeet.client.sessions.types import Session


class ClientError(Exception):
    """Base of everything that a call raises on its own account. `message` is one line for a person."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ApiError(ClientError):
    """The server answered with an error status. Raised as itself only for a status without a class of its own."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        call: str,
        request_id: str | None = None,
        errors: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.call = call
        """Method and path, such as `GET /v1/session/950dd2eaff09-S`."""
        self.request_id = request_id
        """What the server's `X-Request-Id` header said: quote it when you ask its operator."""
        self.errors = dict(errors or {})
        """Field path (dots for nesting, `users.0.ip`) to what is wrong with it; mostly with a 400 (contract 1.4)."""
        self.retry_after = retry_after
        """Seconds after which the server wants to be asked again, when it said so; mostly with 429 and 503."""

    def __str__(self) -> str:
        return f"{self.call} answered {self.status}: {self.message}"


class BadRequest(ApiError):
    """400: a field is missing, ill-typed or out of its limits; see `errors`."""


class Unauthorized(ApiError):
    """401: no token, or one that the server does not accept."""


class Forbidden(ApiError):
    """403: the token is unknown, revoked, or may not do this."""


class NotFound(ApiError):
    """404: no such object, or none that this token may see."""


class Conflict(ApiError):
    """409: the object's state forbids the call, or the name is taken."""


class Gone(ApiError):
    """410: the object is remembered but already terminated."""


class Unprocessable(ApiError):
    """422: well-formed, but there is no room or no such place."""


class ImageUnavailable(ApiError):
    """424: the container image cannot be pulled."""


class RateLimited(ApiError):
    """429: too many calls; come back after `retry_after` seconds."""


class ServerError(ApiError):
    """500 and above: the server failed. A call that changes something may or may not have been carried out."""


class Unavailable(ServerError):
    """503: the server cannot answer just now; nothing is half-done, a repetition is safe."""


class UnexpectedAnswer(ClientError):
    """An answer that does not read as the contract says: another program at this URL, or a much older server."""


class Unreachable(ClientError):
    """No answer: nothing listens there, the name does not resolve, or the time was up.

    A call that changes something may still have been carried out when the connection broke after it was sent.
    """


class SessionFailed(ClientError):
    """The session ended in Error, Unprocessable, Terminating or Terminated; `message` is the server's reason."""

    def __init__(self, session: "Session") -> None:
        reason = session.error or "the server gave no reason"
        super().__init__(f"session {session.session_id} is {session.status}: {reason}")
        self.session = session


class RelaySessionFailed(ClientError):
    """The relay session ended in ERROR or TERMINATING; `message` is the server's reason."""

    def __init__(self, session: "RelaySession") -> None:
        reason = session.error or "the server gave no reason"
        super().__init__(f"relay session {session.session_id} is {session.status}: {reason}")
        self.session = session


class LobbyFailed(ClientError):
    """The lobby service could not be deployed, or nobody is deploying it; `message` is the server's reason."""

    def __init__(self, lobby: "Lobby") -> None:
        reason = lobby.error or "it is not being deployed"
        super().__init__(f"lobby {lobby.name} is {lobby.status}: {reason}")
        self.lobby = lobby


class RoomFailed(ClientError):
    """The room could not be started, or the player is not in it; `message` says which."""

    def __init__(self, room: "Room", reason: str) -> None:
        super().__init__(f"lobby {room.lobby_id} ({room.name!r}): {reason}")
        self.room = room


class DeploymentFailed(ClientError):
    """The deployment ended in ERROR, TERMINATING or TERMINATED; `message` is the server's reason."""

    def __init__(self, deployment: "Deployment") -> None:
        reason = deployment.error_detail or "the server gave no reason"
        super().__init__(f"deployment {deployment.request_id} is {deployment.status}: {reason}")
        self.deployment = deployment


class StillWaiting(ClientError, TimeoutError):
    """The time given to a wait is over; nothing was changed, and waiting again is fine."""


class WebhookRejected(ClientError):
    """The webhook is unsigned, signed with another secret, altered, or too old: answer 401 and do nothing with it."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Unprocessable,
    424: ImageUnavailable,
    429: RateLimited,
    503: Unavailable,
}


def class_for(status: int) -> type[ApiError]:
    """The class that stands for an HTTP error status."""
    return _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)
