"""Relay sessions as the control plane and the nodes speak of them."""

from dataclasses import dataclass, field
from enum import StrEnum

from waymeet.model.instant import Instant

HIGHEST_TOKEN = 2**32 - 1
"""Tokens are unsigned 32-bit numbers on the wire; 0 is never one (relay wire, sections 2 and 6)."""
HIGHEST_ISSUED_TOKEN = 2**31 - 1
"""Some clients keep tokens in signed fields, so only 31 bits are ever issued (contract 2.15)."""


class DropReason(StrEnum):
    """Why a relay dropped a datagram: the closed set under which every relay counts."""

    TOO_SHORT = "too_short"
    """Fewer than 9 bytes."""
    TOO_LONG = "too_long"
    """More than 1200 bytes."""
    UNKNOWN_TYPE = "unknown_type"
    """Neither PING nor DATA."""
    UNANSWERABLE_SOURCE = "unanswerable_source"
    """Sent from port 0, which cannot be answered."""
    SOURCE_RATE = "source_rate"
    """More from this IP address, outside of established connections, than one address may send."""
    SOURCE_MUTED = "source_muted"
    """This IP address guessed tokens and is not listened to for a while, established connections excepted."""
    SESSION_FAILURES = "session_failures"
    """Somebody guesses tokens of this session; until that ends, established connections alone are served."""
    UNKNOWN_SESSION = "unknown_session"
    UNKNOWN_USER = "unknown_user"
    """The session is there, the user is not (or no longer)."""
    FOREIGN_ADDRESS = "foreign_address"
    """The user was registered with another IP address, and the relay enforces those."""
    ROLE_REFUSED = "role_refused"
    """On the server port, but somebody else is the host."""
    REBIND_RATE = "rebind_rate"
    """The user's address changes more often than it may."""
    USER_RATE = "user_rate"
    SESSION_RATE = "session_rate"
    DESTINATION_RATE = "destination_rate"
    """More datagrams or bytes than one address may be sent."""
    EMPTY_PAYLOAD = "empty_payload"
    """DATA without a payload: keeps the connection alive, and a host must not see it."""
    NO_HOST = "no_host"
    HOST_TIMED_OUT = "host_timed_out"
    """The host has been silent for longer than the owner timeout, or was revoked."""
    UNKNOWN_CONNECTION = "unknown_connection"
    """The host names a connection id that its session does not have."""
    CLIENT_IDLE = "client_idle"
    """The client has been silent for so long that its address may be somebody else's by now."""
    CONNECTIONS_EXHAUSTED = "connections_exhausted"
    FOREIGN_WORKER = "foreign_worker"
    """Came to a worker thread that does not have its session, in one bundle with datagrams of another session."""
    SEND_BUFFER_FULL = "send_buffer_full"
    SEND_FAILED = "send_failed"
    """The operating system refused to send it."""


@dataclass(frozen=True, slots=True)
class RelayPorts:
    """The two UDP ports of a node's relay: one for hosts, one for everybody else."""

    server_port: int
    client_port: int


@dataclass(frozen=True, slots=True)
class RelayMember:
    """A user that a relay lets in: the token, and the address it was issued for (enforced only where the operator asks)."""

    token: int
    address: str


@dataclass(frozen=True, slots=True)
class RelaySpec:
    """One relay session that a node is to serve."""

    key: str
    """The relay session's id."""
    token: int
    members: tuple[RelayMember, ...]
    owner: int | None = None
    """The only member's token that may be host; `None`: whoever comes first (relay wire, 5.6)."""


@dataclass(frozen=True, slots=True)
class RelayCounters:
    """What a relay counted since the session (or, for totals, the relay) was there. Counters only grow."""

    received_packets: int = 0
    received_bytes: int = 0
    sent_packets: int = 0
    sent_bytes: int = 0
    drops: dict[str, int] = field(default_factory=dict)
    """By reason, one of `DropReason`; those that have not occurred may be left out."""
    last_seen_at: Instant | None = None
    """The last valid frame."""


@dataclass(frozen=True, slots=True)
class RelayLoad:
    """A relay as a whole."""

    sessions: int
    bindings: int
    """Addresses that are bound now, hosts and clients."""
    counters: RelayCounters
