"""What the server says about relay sessions (contract 2.15 to 2.21)."""

from collections.abc import Mapping
from enum import StrEnum

from waymeet.client.calling.wire import Answer


class RelayStatus(StrEnum):
    """Where a relay session stands. A newer server may use further words."""

    INITIALIZING = "INITIALIZING"
    SEEKING = "SEEKING"
    READY = "READY"
    ERROR = "ERROR"
    TERMINATING = "TERMINATING"


class RelayPort(Answer, frozen=True, kw_only=True):
    """A UDP port of a relay. `link` is `host:port`."""

    port: int
    protocol: str = "UDP"
    link: str = ""


class RelayPortPair(Answer, frozen=True, kw_only=True):
    """The player who hosts the game talks to `server`, everybody else to `client`."""

    server: RelayPort
    client: RelayPort


class RelayAddress(Answer, frozen=True, kw_only=True):
    """Where a relay answers. Without a domain of its own, `host` is the address too."""

    ip: str
    host: str = ""
    ports: RelayPortPair


class RelayUser(Answer, frozen=True, kw_only=True):
    """A user of a relay session; coordinates in degrees when they are known."""

    ip_address: str
    authorization_token: int
    """The user's own secret number: whoever has it can take the user's place."""
    latitude: float | None = None
    longitude: float | None = None


class RelaySession(Answer, frozen=True, kw_only=True):
    """Players, and the relay through which they reach each other.

    Everything needed to connect is there once it is `ready`, and nothing of it before.
    """

    session_id: str
    status: str = ""
    """A `RelayStatus` word."""
    ready: bool = False
    linked: bool = False
    authorization_token: int | None = None
    """The secret number of the session, which all of its users share."""
    error: str | None = None
    """Why the session is `ERROR`."""
    session_users: tuple[RelayUser, ...] = ()
    """In the order in which they were given."""
    relay: RelayAddress | None = None
    webhook_url: str | None = None


class AuthorizedUser(Answer, frozen=True, kw_only=True):
    """A relay session, and the one user who was let in just now."""

    session_id: str
    status: str = ""
    ready: bool = False
    linked: bool = False
    authorization_token: int | None = None
    error: str | None = None
    session_user: RelayUser
    relay: RelayAddress | None = None
    webhook_url: str | None = None


class RelayStatistics(Answer, frozen=True, kw_only=True):
    """What a relay counted for a session since it has had it. Received is what players sent to the relay."""

    session_id: str
    received_packets: int = 0
    received_bytes: int = 0
    sent_packets: int = 0
    sent_bytes: int = 0
    drops: Mapping[str, int] = {}
    """Datagrams that were not forwarded, by reason."""
    last_seen: str | None = None
    """When the last valid datagram came: UTC as `YYYY-MM-DD HH:MM:SS.ffffff`; `None` when none did."""
