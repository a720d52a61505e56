"""What a relay knows of one session and of one user in it."""

from dataclasses import dataclass

from waymeet.node.relay.rates import Bucket
from waymeet.node.relay.reasons import DropReason, State
from waymeet.node.relay.rules import RelayRules
from waymeet.node.relay.statistics import Counters, SessionStatistics
from waymeet.node.relay.verdicts import Address, Drop, Refuse

HIGHEST_CONNECTION = 2**31 - 1
"""Some transports extend the sign to 64 bits and another turns the number into an IP address."""


@dataclass(frozen=True, slots=True)
class WantedUser:
    """A user that the control plane wants let in."""

    token: int
    ip: bytes | None = None
    """The address that it was registered with, packed; looked at only where the rules enforce it."""


@dataclass(frozen=True, slots=True)
class WantedSession:
    """A session with everybody who may use it."""

    token: int
    users: tuple[WantedUser, ...]
    """One that is named twice counts once."""
    host: int | None = None
    """The only user who may host; `None`: whoever comes first."""


class Binding:
    """Where a peer spoke from last, and when."""

    __slots__ = ("address", "last_seen")

    def __init__(self, address: Address, last_seen: int) -> None:
        self.address = address
        self.last_seen = last_seen


class User:
    """A user of one session. The same number in another session is somebody else."""

    __slots__ = (
        "client", "connection", "connection_since", "next_refusal", "rebinds", "received_bytes", "received_packets",
        "registered_ip", "sent", "session", "token",
    )  # fmt: skip

    def __init__(self, session: "Session", wanted: WantedUser) -> None:
        self.session = session
        self.token = wanted.token
        self.registered_ip = wanted.ip
        self.client: Binding | None = None
        """Its address on the client port."""
        self.connection: int | None = None
        """What the host knows it by."""
        self.connection_since = 0
        self.sent = Bucket()
        """What it sends, in either role."""
        self.received_packets = Bucket()
        """What it is sent as a client."""
        self.received_bytes = Bucket()
        self.rebinds = Bucket()
        self.next_refusal = 0

    def live_client(self, rules: RelayRules, now: int) -> Binding | None:
        """Its address on the client port, unless it has been silent for so long that the address may be somebody else's."""
        client = self.client
        if client is None or now - client.last_seen >= rules.client_idle_timeout:
            return None
        return client

    def refuse(self, state: State, reason: DropReason, interval: int, now: int) -> Refuse | Drop:
        """Tell the user so, unless it was told something like it a moment ago: one that sends DATA sends it many times a
        second.
        """
        if now < self.next_refusal:
            return Drop(reason)
        self.next_refusal = now + interval
        return Refuse(state, reason)


class Session:
    """A session. Connection ids are looked up in here, so that none leads out of it."""

    __slots__ = (
        "connections", "counters", "created", "failures", "had_host", "host", "host_binding", "host_bytes", "host_packets",
        "host_rebinds", "issued", "last_seen", "packets", "pinned_host", "sent_bytes", "token", "users",
    )  # fmt: skip

    def __init__(self, token: int, pinned_host: int | None, now: int) -> None:
        self.token = token
        self.pinned_host = pinned_host
        """The only user who may host, where the creator named one."""
        self.users: dict[int, User] = {}
        self.connections: dict[int, User] = {}
        self.issued = 0
        """The connection ids are 1, 2, 3, ...; never 0, which Mirror refuses and which Netcode uses for the host itself."""
        self.host: User | None = None
        """The last host; it has timed out when it has been silent for long."""
        self.host_binding: Binding | None = None
        self.had_host = False
        """There has been one, so that its absence is a timeout."""
        self.created = now
        self.last_seen: int | None = None
        self.failures = Bucket()
        self.packets = Bucket()
        self.sent_bytes = Bucket()
        self.host_rebinds = Bucket()
        self.host_packets = Bucket()
        self.host_bytes = Bucket()
        self.counters = Counters()

    def live_host(self, rules: RelayRules, now: int) -> Binding | None:
        """Where the host is, unless there is none or it has timed out."""
        host = self.host_binding
        if host is None or now - host.last_seen > rules.owner_timeout:
            return None
        return host

    def has_silent_host(self, rules: RelayRules, now: int) -> bool:
        """Whether its host has timed out, and nobody hosts in its place."""
        return self.host is not None and self.live_host(rules, now) is None

    def unseat_host(self) -> None:
        """Whoever hosts does no longer; to the others it looks like a timeout."""
        self.host = self.host_binding = None

    def connect(self, user: User, now: int) -> bool:
        """Give the user a connection id of its own, unless the session has used them all."""
        if self.issued == HIGHEST_CONNECTION:
            return False
        self.issued += 1
        user.connection = self.issued
        user.connection_since = now
        self.connections[self.issued] = user
        return True

    def disconnect(self, user: User) -> None:
        """Take the user's connection id back. Nobody will ever have it again."""
        if user.connection is not None:
            del self.connections[user.connection]
            user.connection = None

    def is_idle(self, rules: RelayRules, now: int) -> bool:
        if self.last_seen is None:
            return now - self.created >= rules.session_unused_timeout
        return now - self.last_seen >= rules.session_idle_timeout

    def statistics(self, rules: RelayRules, now: int) -> SessionStatistics:
        return SessionStatistics(
            token=self.token,
            users=len(self.users),
            clients=sum(user.live_client(rules, now) is not None for user in self.users.values()),
            has_host=self.live_host(rules, now) is not None,
            age=now - self.created,
            silent_for=None if self.last_seen is None else now - self.last_seen,
            idle=self.is_idle(rules, now),
            counters=self.counters,
        )
