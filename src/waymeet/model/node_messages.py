"""What a node and the control plane say to each other over the node's WebSocket, as JSON objects tagged by `type`.

    node -> control plane                      control plane -> node
    Hello        first, exactly once           Welcome    answer to Hello, or the socket closes with a reason
    SeenPart     before a long SeenFull        WantedPart before a long WantedFull: what does not fit that message
    SeenFull     after Welcome                 WantedFull after Welcome: everything (else), with a revision
    SeenDelta    whenever something changed    WantedDelta: what changed since the revision before
    Heartbeat    every few seconds             Question   logs or readings of one server
    Answer       to a Question

and with a node that has a relay:

    RelaysApplied after each of these          RelaysPart before a long RelaysFull: what does not fit that message
    RelaysIdle   whom nobody uses any more     RelaysFull after WantedFull: everything (else) that its relay is to serve
    RelaysHostless   whose host fell silent
                                               RelaysDelta what changed since the change before

Both directions are level-triggered: after a lost connection either side starts again from its full state. A report that
says ENDED is repeated in every SeenFull until its key is neither wanted nor remembered, so none is lost with a socket.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from waymeet.model.latency import ProbeResult
from waymeet.model.location import Location
from waymeet.model.relays import RelayCounters, RelayLoad, RelayPorts, RelaySpec
from waymeet.model.servers import Reading, ServerReport, ServerSpec

PROTOCOL = 1


class Role(StrEnum):
    """What a node offers."""

    SERVER = "server"
    RELAY = "relay"
    BEACON = "beacon"


@dataclass(frozen=True, slots=True)
class BeaconPorts:
    """Where a node's beacon answers, on the node's address: 1 to 59999 (contract 2.14)."""

    udp_port: int
    tcp_port: int


@dataclass(frozen=True, slots=True)
class Hello:
    """Who the node is and what it can do."""

    protocol: int
    name: str
    roles: tuple[Role, ...]
    driver: str
    address: str
    """What the node hands out as `public_ip`."""
    location: Location
    capacity: int
    tags: dict[str, str] = field(default_factory=dict)
    region: str | None = None
    images: tuple[str, ...] | None = None
    """Images that the driver can run; `None` means any (it pulls them)."""
    version: str = ""
    beacon: BeaconPorts | None = None
    """Only with the role `beacon`."""
    probes: bool = False
    """Whether the node can measure round-trip times to players (`QuestionKind.PROBE`)."""
    relay: RelayPorts | None = None
    """Only with the role `relay`, and once its ports are open."""
    relay_capacity: int = 0
    """Relay sessions at most."""


@dataclass(frozen=True, slots=True)
class SeenPart:
    """The beginning of a full report that is too long for one message. More of it follows, a `SeenFull` at last."""

    reports: tuple[ServerReport, ...]


@dataclass(frozen=True, slots=True)
class SeenFull:
    """Every server that the node has, or remembers as ended, but those of the `SeenPart`s just before."""

    reports: tuple[ServerReport, ...]


@dataclass(frozen=True, slots=True)
class SeenDelta:
    """Servers whose report changed."""

    reports: tuple[ServerReport, ...]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Still here. `load` is the machine's one-minute load average per core."""

    load: float | None = None
    relay: RelayLoad | None = None
    """Only of a node with a relay."""


@dataclass(frozen=True, slots=True)
class ServerLogs:
    """What a server printed, oldest first, capped by the node; `crash` is the tail before the last bad end."""

    text: str
    crash: str | None = None
    exit_code: int | None = None
    message: str | None = None
    restart_count: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to the `Question` with the same id: one of `logs`, `readings`, `probes` and `relay`, or `error`."""

    id: str
    logs: ServerLogs | None = None
    readings: tuple[Reading, ...] | None = None
    probes: tuple[ProbeResult, ...] | None = None
    relay: RelayCounters | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Welcome:
    """The control plane accepts the node; it sends a heartbeat every `heartbeat_seconds`."""

    heartbeat_seconds: float


@dataclass(frozen=True, slots=True)
class WantedPart:
    """The beginning of a full set that is too long for one message. More of it follows, a `WantedFull` at last; until
    then the node does nothing about it.
    """

    servers: tuple[ServerSpec, ...]


@dataclass(frozen=True, slots=True)
class WantedFull:
    """With the `WantedPart`s just before, every server that the node is to run. Whatever else it runs, it stops."""

    revision: int
    servers: tuple[ServerSpec, ...]


@dataclass(frozen=True, slots=True)
class WantedDelta:
    """Changes since the revision before: servers to run from now on, keys to run no more."""

    revision: int
    servers: tuple[ServerSpec, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RelaysPart:
    """The beginning of a full set of relay sessions that is too long for one message. More of it follows, a `RelaysFull`
    at last.
    """

    sessions: tuple[RelaySpec, ...]


@dataclass(frozen=True, slots=True)
class RelaysFull:
    """With the `RelaysPart`s just before, every relay session that the node is to serve, as of `change` or later.

    Tokens of any other session are dead once the node has applied this.
    """

    change: int
    sessions: tuple[RelaySpec, ...]


@dataclass(frozen=True, slots=True)
class RelaysDelta:
    """Sessions as they are from now on, and keys of those that ended: everything between the change before and `change`."""

    change: int
    sessions: tuple[RelaySpec, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RelaysApplied:
    """Everything up to `change` is in force: who is let in gets through, who is shut out does not."""

    change: int
    refused: tuple[str, ...] = ()
    """Keys of sessions that the relay does not serve, of those that it was just told about: it has no room for them."""


@dataclass(frozen=True, slots=True)
class RelaysIdle:
    """Relay sessions without a valid frame for so long that they end (relay wire, 5.7). Repeated until they are gone."""

    keys: tuple[str, ...]


class QuestionKind(StrEnum):
    LOGS = "logs"
    READINGS = "readings"
    PROBE = "probe"
    RELAY = "relay"
    """What the relay counted for the relay session `key`."""


@dataclass(frozen=True, slots=True)
class Question:
    """Asks for a server's logs or readings; answered at once, also when the server is unknown (`error`).

    Or for round-trip times to players' `addresses`: answered within the node's time budget, with one result for each
    address. A node that knows an older release answers `error`.
    """

    id: str
    kind: QuestionKind
    key: str
    """The server's key; empty for probes."""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RelaysHostless:
    """Relay sessions whose host has fallen silent since this was last said on this connection: beyond the owner timeout."""

    keys: tuple[str, ...]


FromNode = Hello | SeenPart | SeenFull | SeenDelta | Heartbeat | Answer | RelaysApplied | RelaysIdle | RelaysHostless
ToNode = Welcome | WantedPart | WantedFull | WantedDelta | Question | RelaysPart | RelaysFull | RelaysDelta
