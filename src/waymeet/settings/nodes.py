"""Settings of nodes, and of what nodes may run."""

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, field

from waymeet.model.location import Location
from waymeet.model.node_messages import Role
from waymeet.settings.forms import HIGHEST_PORT, NODE_NAME, Section, parse_ports

ECHO_IMAGE = "waymeet/echo"


class RelaySettings(Section, frozen=True, kw_only=True):
    """A node's relay; see docs/operating.md."""

    server_port: Annotated[
        Annotated[int, Meta(ge=1, le=HIGHEST_PORT)] | None,
        Meta(description="UDP port for hosts; absent = a free one, the same again after a restart"),
    ] = None
    client_port: Annotated[
        Annotated[int, Meta(ge=1, le=HIGHEST_PORT)] | None,
        Meta(description="UDP port for clients; absent = a free one, the same again after a restart"),
    ] = None
    engine: Annotated[
        Literal["auto", "native", "python"],
        Meta(
            description="`native` needs less processor time and must have been built; `python` always "
            "works; `auto` = `native` where it was built"
        ),
    ] = "auto"
    workers: Annotated[
        int,
        Meta(ge=1, le=64, description="Threads that move datagrams; more than one need Linux and the native engine"),
    ] = 1
    spin_microseconds: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="How long such a thread looks for more before it sleeps: players gain microseconds, and each "
            "thread uses a whole core; needs the native engine",
        ),
    ] = 0
    capacity: Annotated[int, Meta(ge=0, le=100_000, description="Relay sessions at most")] = 10_000
    enforce_source_ip: Annotated[
        bool,
        Meta(
            description="Let a user speak only from the IP address that it was registered with; shuts out players behind "
            "carrier-grade NAT, on VPNs and on the move"
        ),
    ] = False
    answer_strangers: Annotated[
        bool,
        Meta(
            description="Tell those with wrong tokens so, at a limited rate; `false` = silence, without a hint on screen"
        ),
    ] = True
    owner_timeout_seconds: Annotated[
        float,
        Meta(
            ge=10.5,
            le=3600,
            description="A host that is silent for longer counts as gone, until it returns; scenes that take long to load "
            "silence hosts for 10 seconds",
        ),
    ] = 30.0
    client_idle_seconds: Annotated[
        float,
        Meta(ge=1, le=3600, description="A client that is silent for so long is sent nothing until it speaks again"),
    ] = 30.0
    session_idle_minutes: Annotated[
        float, Meta(ge=0.1, le=10_080, description="A session in which nobody spoke for so long is ended")
    ] = 10.0
    session_unused_minutes: Annotated[
        float, Meta(ge=0.1, le=10_080, description="A session in which nobody ever spoke is ended after so long")
    ] = 30.0

    def __post_init__(self) -> None:
        if self.server_port is not None and self.server_port == self.client_port:
            raise ValueError("client_port: must differ from server_port; the port tells hosts and clients apart")
        for name, needs_native in (("workers", self.workers > 1), ("spin_microseconds", self.spin_microseconds > 0)):
            if self.engine == "python" and needs_native:
                raise ValueError(f'{name}: needs engine "native" or "auto", not "python"; or leave it out')


class BeaconSettings(Section, frozen=True, kw_only=True):
    """Ports of a node's beacon."""

    udp_port: Annotated[
        Annotated[int, Meta(ge=1, le=59999)] | None,
        Meta(description="UDP echo port; absent = a free one, the same again after a restart"),
    ] = None
    tcp_port: Annotated[
        Annotated[int, Meta(ge=1, le=59999)] | None,
        Meta(description="TCP echo port; absent = a free one, the same again after a restart"),
    ] = None


class ProbeSettings(Section, frozen=True, kw_only=True):
    """How a node measures round-trip times to players' addresses; see docs/operating.md."""

    enabled: Annotated[bool, Meta(description="Whether this node probes at all")] = True
    allow_private: Annotated[bool, Meta(description="Also probe addresses that are not on the internet")] = False
    budget_ms: Annotated[
        float, Meta(ge=10, le=5000, description="Time for one question; what has not answered by then is silent")
    ] = 250.0
    samples: Annotated[int, Meta(ge=1, le=10, description="Echo requests to each address")] = 3
    tcp_ports: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=HIGHEST_PORT)], ...],
        Meta(
            max_length=4,
            description="Where ICMP is silent, ports whose answer to a connection is timed, be it a refusal; `[]` = none",
        ),
    ] = (443, 80)
    per_second: Annotated[int, Meta(ge=1, le=10_000, description="Addresses probed per second at most")] = 100


LOCAL = Location(
    city="Local",
    country="Local",
    continent="Local",
    administrative_division="Local",
    timezone="UTC",
    latitude=0.0,
    longitude=0.0,
)
"""Where a node stands that does not say: a place that nobody takes for a real one."""


class NodeSettings(Section, frozen=True, kw_only=True):
    """A node that `waymeet up` or `waymeet node` runs on this machine. `up` without any runs one, named `local`."""

    name: Annotated[
        str,
        Meta(
            pattern=NODE_NAME,
            description="Unique among all nodes",
        ),
    ]
    address: Annotated[
        str, Meta(description="IP address that game servers bind and that players get as `public_ip`")
    ] = "127.0.0.1"
    roles: Annotated[
        tuple[Role, ...], Meta(min_length=1, max_length=3, description="What it offers: `server`, `relay`, `beacon`")
    ] = (Role.SERVER, Role.RELAY, Role.BEACON)
    driver: Annotated[
        Literal["process", "docker"],
        Meta(description="Run the listed `[programs]`, or containers"),
    ] = "process"
    capacity: Annotated[int, Meta(ge=0, le=10_000, description="Deployments at most")] = 20
    ports: Annotated[str, Meta(description="Ports that game servers may be given, the first and the last")] = (
        "30000-32767"
    )
    location: Annotated[
        Location,
        Meta(
            description="The place on the map: `city`, `country`, `continent`, `administrative_division`, `timezone`, "
            "`latitude`, `longitude`, all of them"
        ),
    ] = LOCAL
    region: Annotated[str | None, Meta(description="A name that groups nodes, for filters")] = None
    tags: Annotated[dict[str, str], Meta(max_length=50, description="Handed out as `location_tags`")] = field(
        default_factory=dict
    )
    relay: RelaySettings = RelaySettings()
    beacon: BeaconSettings = BeaconSettings()
    probe: ProbeSettings = ProbeSettings()

    def __post_init__(self) -> None:
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError:
            raise ValueError(f"address: expected an IP address, got {self.address!r}") from None
        if address.is_unspecified:
            raise ValueError(f"address: {self.address} is no address that a player can connect to; name the real one")
        if self.driver == "docker":
            raise ValueError('driver: "docker" is not part of this release yet; use "process" and list the [programs]')
        if len(set(self.roles)) != len(self.roles):
            raise ValueError("roles: each role at most once")
        if not -90 <= self.location.latitude <= 90:
            raise ValueError("location.latitude: must lie in -90..90 degrees")
        if not -180 <= self.location.longitude <= 180:
            raise ValueError("location.longitude: must lie in -180..180 degrees")
        try:
            parse_ports(self.ports)
        except ValueError as error:
            raise ValueError(f"ports: {error}") from None

    @property
    def port_range(self) -> range:
        """`ports` as numbers."""
        return parse_ports(self.ports)


class ProgramSettings(Section, frozen=True, kw_only=True):
    """A program that the `process` driver may run, keyed by the image that asks for it: `[programs."studio/arena"]`."""

    command: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            min_length=1,
            description="Executable and arguments; `{python}`, `{tag}` and `{port:NAME}` are filled in",
        ),
    ]
    allow_command: Annotated[
        bool,
        Meta(
            description="Let a version's or a deploy call's `command` run in its place: the right to run anything here"
        ),
    ] = False


BUILT_IN_PROGRAMS: Mapping[str, ProgramSettings] = {
    ECHO_IMAGE: ProgramSettings(command=("{python}", "-m", "waymeet.samples.echo"))
}
