"""Everything about a relay that an operator may choose, with defaults that suit games. Times are nanoseconds."""

from dataclasses import dataclass, field

from waymeet.node.relay.rates import NANOSECONDS, Rate, rate

SECOND = NANOSECONDS
MINUTE = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Capacity:
    """How large the tables may grow."""

    sessions: int = 100_000
    users: int = 400_000
    """Of all sessions together."""
    users_per_session: int = 1_000
    sources: int = 32_768
    """Strangers' IP addresses that are remembered; the longest unseen are forgotten first."""
    departed: int = 16_384
    """Revoked pairs of tokens that are remembered, so that those who used them are not taken for people who guess."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may pass.

    "Stranger" is whoever does not speak from the address that its tokens are bound to: a new player, one whose address
    changed, or an intruder. Established connections never suffer from the limits on strangers.
    """

    source_packets: Rate = rate(20_000, 20_000)
    """Datagrams from one stranger's IP address (IPv6: /64 network)."""
    source_failures: Rate = rate(30, 60)
    """Wrong tokens from one IP address; beyond this it is muted. Less than `session_failures`, so that a single address
    cannot use up a session's budget."""
    mute: int = 5 * SECOND
    session_failures: Rate = rate(50, 100)
    """Wrong tokens for one session; beyond this, its strangers are ignored."""
    answer_interval: int = SECOND // 2
    """At most one refusal is sent to one IP address, or one known user, in this time."""
    stranger_answers: Rate = rate(200, 200)
    """Refusals sent to strangers, all together."""
    rebinds: Rate = rate(10, 10)
    """Changes of address of one user in one role."""
    fresh_connection_interval: int = 30 * SECOND
    """A client that comes back from another address after `client_idle_timeout` is given a fresh connection id, at most
    once in this time."""
    departed_memory: int = MINUTE
    """For how long a revoked pair of tokens is not taken for a guess."""
    user_packets: Rate = rate(20_000, 20_000)
    """Datagrams from one user."""
    session_packets: Rate = rate(50_000, 50_000)
    session_bytes: Rate = rate(25_000_000, 25_000_000)
    """Forwarded in one session."""
    host_packets: Rate = rate(20_000, 20_000)
    host_bytes: Rate = rate(12_500_000, 12_500_000)
    """To one host."""
    client_packets: Rate = rate(4_000, 4_000)
    client_bytes: Rate = rate(2_500_000, 2_500_000)
    """To one client."""


@dataclass(frozen=True, slots=True)
class RelayRules:
    """Timers (each above 0), sizes of tables, and limits."""

    owner_timeout: int = 30 * SECOND
    """A host that is silent for longer has timed out; pings are answered with SessionTimeout until one returns. More than
    10 s, or a host that loads a large scene loses its LiteNetLib clients."""
    client_idle_timeout: int = 30 * SECOND
    """A client that is silent for so long is sent nothing more until it speaks again."""
    session_idle_timeout: int = 10 * MINUTE
    """A session without a valid frame for so long is reported as idle."""
    session_unused_timeout: int = 30 * MINUTE
    """A session that never had a valid frame is reported as idle after so long."""
    enforce_source_ip: bool = False
    """Let a user speak only from the IP address that it was registered with. Breaks players behind carrier-grade NAT, on
    VPNs and on the move."""
    answer_strangers: bool = True
    """Answer unknown tokens with Invalid, at a limited rate. Off: keep silent, which costs KCP clients nothing but a hint on
    screen."""
    capacity: Capacity = field(default_factory=Capacity)
    limits: Limits = field(default_factory=Limits)
