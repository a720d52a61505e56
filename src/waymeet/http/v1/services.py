"""What the v1 endpoints stand on."""

from collections.abc import Callable
from dataclasses import dataclass

from waymeet.applications.service import ApplicationService
from waymeet.beacons.service import BeaconService
from waymeet.deployments.service import DeploymentService
from waymeet.http.v1.ip_lookup import Geography
from waymeet.latencies.service import LatencyService
from waymeet.lobbies.service import LobbyService
from waymeet.locations.directory import Directory
from waymeet.model.instant import Clock
from waymeet.relays.service import RelayService
from waymeet.sessions.service import SessionService
from waymeet.webhooks.service import WebhookService


@dataclass(frozen=True, slots=True)
class Services:
    """The domains behind the endpoints, as the composition root made them."""

    applications: ApplicationService
    deployments: DeploymentService
    sessions: SessionService
    relays: RelayService
    directory: Directory
    beacons: BeaconService
    geography: Geography
    latencies: LatencyService
    lobbies: LobbyService
    webhooks: WebhookService
    clock: Clock
    check_url: Callable[[str], None]
    """Raises `Invalid` for a webhook URL that will not be called."""
