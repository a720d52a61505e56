"""Numbers about the domains for Prometheus: what there is, by state. `waymeet.http.metrics` counts the requests.

They are read from the store by the `Census` when somebody asks, not kept by whoever changes something: so they are right
after a crash too, and every replica shows the same. Labels are states from closed sets; names of applications or nodes
are never labels.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class RelayCounts:
    """What all relays have and have counted. Traffic and drops are as the nodes said in their last heartbeats."""

    sessions: Mapping[str, int] = field(default_factory=dict)
    connected: int = 0
    places: int = 0
    bindings: int = 0
    packets: Mapping[str, int] = field(default_factory=dict)
    """By direction, as seen from the relay: received, sent."""
    bytes: Mapping[str, int] = field(default_factory=dict)
    drops: Mapping[str, int] = field(default_factory=dict)
    """By reason, out of the closed set."""
    set_aside: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """How many there were of everything at one moment."""

    deployments: Mapping[str, int] = field(default_factory=dict)
    sessions: Mapping[str, int] = field(default_factory=dict)
    lobbies: Mapping[str, int] = field(default_factory=dict)
    rooms: Mapping[str, int] = field(default_factory=dict)
    webhooks: Mapping[str, int] = field(default_factory=dict)
    relays: RelayCounts = field(default_factory=RelayCounts)
    nodes_connected: int = 0
    nodes_known: int = 0
    places_used: int = 0
    places: int = 0


class DomainMetrics(Collector):
    """The latest counts, in the form that Prometheus reads."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.geo_age_seconds: int | None = None
        """How old the geo data is; `None` without any."""

    def describe(self) -> Iterator[Metric]:
        """Nothing, so that a registry does not collect just to learn the names."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """One family for each noun."""
        counts = self.counts
        yield _by_status("waymeet_deployments", "Deployments that are remembered, by status", counts.deployments)
        yield _by_status("waymeet_sessions", "Sessions that are remembered, by status", counts.sessions)
        yield _by_status("waymeet_lobbies", "Lobbies, by status", counts.lobbies)
        yield _by_status("waymeet_rooms", "Rooms in lobbies, by whether they are started", counts.rooms)
        yield _by_status("waymeet_webhook_deliveries", "Webhook deliveries that are remembered", counts.webhooks)
        yield from _relays(counts.relays)
        yield GaugeMetricFamily("waymeet_nodes_connected", "Nodes with a live connection", counts.nodes_connected)
        yield GaugeMetricFamily("waymeet_nodes_known", "Nodes that have ever joined", counts.nodes_known)
        yield GaugeMetricFamily("waymeet_places_used", "Deployments that hold a place on a node", counts.places_used)
        yield GaugeMetricFamily("waymeet_places", "Deployments that all connected nodes take together", counts.places)
        age = self.geo_age_seconds
        yield GaugeMetricFamily("waymeet_geo_data_present", "Whether geo data is open: 1 or 0", int(age is not None))
        if age is not None:
            yield GaugeMetricFamily("waymeet_geo_data_age_seconds", "Since the oldest geo data in use was built", age)


@dataclass(frozen=True, slots=True)
class BeaconCounts:
    """Beacons as this process sees them: it checks each by itself."""

    known: int = 0
    listed: int = 0
    delistings: int = 0


class BeaconMetrics(Collector):
    """What `counts` says at the moment of asking, in the form that Prometheus reads."""

    def __init__(self, counts: Callable[[], BeaconCounts]) -> None:
        self._counts = counts

    def describe(self) -> Iterator[Metric]:
        """Nothing, so that a registry does not collect just to learn the names."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Two gauges and a counter."""
        counts = self._counts()
        yield GaugeMetricFamily("waymeet_beacons_known", "Beacons of nodes that are or just were there", counts.known)
        yield GaugeMetricFamily("waymeet_beacons_listed", "Beacons that answer this process", counts.listed)
        yield CounterMetricFamily(
            "waymeet_beacons_delisted", "How often a beacon stopped answering since the start", counts.delistings
        )


def _relays(counts: RelayCounts) -> Iterator[Metric]:
    yield _by_status("waymeet_relay_sessions", "Relay sessions that are remembered, by status", counts.sessions)
    yield CounterMetricFamily(
        "waymeet_relay_sessions_set_aside", "Relay sessions that could not be read or acted on", counts.set_aside
    )
    yield GaugeMetricFamily("waymeet_relays_connected", "Relays of connected nodes", counts.connected)
    yield GaugeMetricFamily("waymeet_relay_places", "Sessions that all connected relays take together", counts.places)
    yield GaugeMetricFamily(
        "waymeet_relay_bindings", "Addresses of hosts and clients that are bound to connected relays", counts.bindings
    )
    for name, documentation, label, numbers in (
        ("waymeet_relay_packets", "Datagrams that relays received and sent", "direction", counts.packets),
        ("waymeet_relay_bytes", "Bytes of these datagrams", "direction", counts.bytes),
        ("waymeet_relay_dropped_packets", "Datagrams that relays dropped, by reason", "reason", counts.drops),
    ):
        family = CounterMetricFamily(name, documentation, labels=(label,))
        for value, count in sorted(numbers.items()):
            family.add_metric((value,), count)
        yield family


def _by_status(name: str, documentation: str, counts: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation, labels=("status",))
    for status, count in sorted(counts.items()):
        family.add_metric((status.lower(),), count)
    return family
