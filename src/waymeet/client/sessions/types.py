"""What the server says about sessions (contract 2.1 to 2.9)."""

from enum import StrEnum

from waymeet.client.calling.wire import Answer
from waymeet.client.deployments.types import DeploymentContext
from waymeet.client.sessions.filters import RecordedSelector


class SessionStatus(StrEnum):
    """Where a session stands. A newer server may use further words."""

    INITIALIZING = "Initializing"
    SEEKING = "Seeking"
    WAITING = "Waiting"
    READY = "Ready"
    ERROR = "Error"
    UNPROCESSABLE = "Unprocessable"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"


class SessionUser(Answer, frozen=True, kw_only=True):
    """A player of a session; coordinates in degrees when they are known."""

    ip: str
    latitude: float | None = None
    longitude: float | None = None


class CreatedSession(Answer, frozen=True, kw_only=True):
    """A session as it was accepted. Its fate is not decided yet: wait for it, or read it again."""

    session_id: str
    custom_id: str | None = None
    app: str = ""
    version: str = ""
    deployment_request_id: str | None = None
    selectors: tuple[RecordedSelector, ...] = ()
    webhook_url: str | None = None


class Session(Answer, frozen=True, kw_only=True):
    """A group of players and the deployment that they play on. `elapsed` in seconds since creation."""

    session_id: str
    status: str
    """A `SessionStatus` word."""
    ready: bool = False
    """The deployment is up: players may connect."""
    linked: bool = False
    kind: str = ""
    user_count: int = 0
    app_version: int = 0
    """A number that the server gave to the version, not its name."""
    create_time: str = ""
    elapsed: int = 0
    error: str | None = None
    """Why the session is `Error` or `Unprocessable`."""
    session_users: tuple[SessionUser, ...] = ()
    session_ips: tuple[SessionUser, ...] = ()
    deployment: DeploymentContext | None = None
    deployment_request_id: str | None = None
    custom_id: str | None = None
    webhook_url: str | None = None


class SessionSummary(Answer, frozen=True, kw_only=True):
    """A session as the list shows it."""

    session_id: str
    status: str = ""
    ready: bool = False
    linked: bool = False
    kind: str = ""
    user_count: int = 0
    deployment_request_id: str | None = None
    custom_id: str | None = None
    webhook_url: str | None = None


class DeletedSession(Answer, frozen=True, kw_only=True):
    """The answer to a delete."""

    message: str = ""
    session_id: str = ""
    custom_id: str | None = None
