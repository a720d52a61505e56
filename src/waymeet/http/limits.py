"""Every number that bounds what a client may make the server do, in one settings value."""

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType
from typing import Literal


class RateClass(StrEnum):
    """What a call counts against (contract 1.9)."""

    CREATE_DEPLOYMENT = "create_deployment"
    DEPLOYMENT_STATUS = "deployment_status"
    DEPLOYMENT_LIST = "deployment_list"
    OTHER = "other"


DEFAULT_RATES = MappingProxyType(
    {
        RateClass.CREATE_DEPLOYMENT: 40.0,
        RateClass.DEPLOYMENT_STATUS: 100.0,
        RateClass.DEPLOYMENT_LIST: 50.0,
        RateClass.OTHER: 1000.0,
    }
)
"""Calls per second and organisation. At least what contract 1.9 documents; a class that is missing is unlimited."""

IPNetwork = IPv4Network | IPv6Network
ForwardingHeader = Literal["x-forwarded-for", "forwarded"]


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds of one HTTP application; the defaults suit a server on the open internet."""

    body_bytes: int = 256 * 1024
    rates: dict[RateClass, float] = field(default_factory=lambda: dict(DEFAULT_RATES))
    """Calls per second and organisation for each class; 0 or missing means unlimited."""
    burst_seconds: float = 2.0
    """How many seconds' worth of calls an organisation that was idle may make at once."""
    failures_per_second: float = 50.0
    """Failed authentications per source address; 0 means unlimited."""
    tracked_keys: int = 10_000
    """How many organisations, and how many source addresses, are remembered by the rate limits."""
    trusted_proxies: tuple[IPNetwork, ...] = ()
    """Peers whose forwarding header is believed."""
    forwarding_header: ForwardingHeader = "x-forwarded-for"
    """The one header that the trusted proxies write. The other is ignored: a proxy passes on what it does not know."""
    check_seconds: float = 2.0
    """How long one readiness check may take before it counts as failed."""
