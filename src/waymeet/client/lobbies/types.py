"""What the server says about lobby services (contract 2.22)."""

from enum import StrEnum

from waymeet.client.calling.wire import Answer


class LobbyStatus(StrEnum):
    """Where a lobby service stands. A newer server may use further words."""

    CREATED = "Created"
    DEPLOYING = "Deploying"
    RELEASED = "Released"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"
    ERROR = "Error"


class Lobby(Answer, frozen=True, kw_only=True):
    """A lobby service: a name, and once it is released a URL under which players gather without a token."""

    name: str
    url: str = ""
    """Where players find it, for `LobbyService`; "" whenever it does not answer."""
    status: str = ""
    """A `LobbyStatus` word."""
    error: str | None = None
    """Why it could not be deployed."""

    @property
    def is_released(self) -> bool:
        """Whether players can use it."""
        return bool(self.url)
