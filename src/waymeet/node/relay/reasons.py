"""What a relay says and counts, as closed sets: what labels a metric must not grow with what strangers send."""

from enum import IntEnum, StrEnum

from waymeet.model.relays import DropReason

__all__ = ["DropReason", "Port", "Refusal", "State"]


class Port(StrEnum):
    """The two UDP ports of a relay. The port that a datagram arrives on is the role of its sender."""

    SERVER = "server"
    """Hosts talk to this one."""
    CLIENT = "client"
    """Everybody else talks to this one."""


class State(IntEnum):
    """What a peer is told about itself: the second byte of a state frame.

    The wire's 0 (Disconnected) is missing on purpose: LiteNetLib clients stop for good when they see it.
    """

    CHECKING = 1
    """The relay has not yet been told which sessions there are; ask again."""
    VALID = 2
    """The pair of tokens is good."""
    INVALID = 3
    """Unknown session, unknown or revoked user, or a role that somebody else has. The same for all of them."""
    SESSION_TIMEOUT = 4
    """The session had a host, which has been silent for longer than the owner timeout, or was revoked."""
    ERROR = 5
    """The relay is about to go away."""


class Refusal(StrEnum):
    """Why a change was not made; then none of it was."""

    TOO_MANY_SESSIONS = "too_many_sessions"
    TOO_MANY_USERS = "too_many_users"
    TOO_MANY_USERS_IN_SESSION = "too_many_users_in_session"
    UNKNOWN_SESSION = "unknown_session"
    """A user was to join a session that the relay does not have."""
