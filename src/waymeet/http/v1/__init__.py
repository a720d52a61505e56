"""The v1 API: routes and wire types, one module for each noun. The rules live in the domains."""

from dataclasses import replace
from typing import Any

from waymeet.accounts.types import Scope
from waymeet.http.endpoint import Access, Endpoint
from waymeet.http.v1.applications import ApplicationEndpoints
from waymeet.http.v1.beacons import BeaconEndpoints
from waymeet.http.v1.container_logs import ContainerLogEndpoints
from waymeet.http.v1.context import ContextEndpoints
from waymeet.http.v1.deployment_tags import DeploymentTagEndpoints
from waymeet.http.v1.deployments import DeploymentEndpoints
from waymeet.http.v1.ip_lookup import IpLookupEndpoints
from waymeet.http.v1.latencies import LatencyEndpoints
from waymeet.http.v1.lobbies import LobbyEndpoints
from waymeet.http.v1.locations import LocationEndpoints
from waymeet.http.v1.metrics import MetricEndpoints
from waymeet.http.v1.placement import PlacementEndpoints
from waymeet.http.v1.relays import RelayEndpoints
from waymeet.http.v1.services import Services
from waymeet.http.v1.sessions import SessionEndpoints
from waymeet.http.v1.versions import VersionEndpoints
from waymeet.http.v1.webhooks import WebhookEndpoints
from waymeet.http.v1.whitelist import WhitelistEndpoints
from waymeet.http.v1.wizard import WizardEndpoints


def endpoints(services: Services) -> list[Endpoint[Any, Any]]:
    """Every row of the v1 route table. Those that ask for a key want one with the scope `api`, or `relay` for relays."""
    deployments, clock = services.deployments, services.clock
    rows = [
        *ApplicationEndpoints(services.applications).table(),
        *VersionEndpoints(services.applications).table(),
        *WhitelistEndpoints(services.applications).table(),
        *SessionEndpoints(services.sessions, clock, services.check_url).table(),
        *DeploymentEndpoints(deployments, clock, services.check_url).table(),
        *DeploymentTagEndpoints(deployments).table(),
        *ContainerLogEndpoints(deployments).table(),
        *MetricEndpoints(deployments).table(),
        *ContextEndpoints(deployments).table(),
        *LocationEndpoints(services.directory, services.applications).table(),
        *IpLookupEndpoints(services.geography).table(),
        *BeaconEndpoints(services.beacons).table(),
        *LatencyEndpoints(services.latencies, services.directory).table(),
        *PlacementEndpoints(services.sessions, deployments).table(),
        *LobbyEndpoints(services.lobbies).table(),
        *WizardEndpoints().table(),
        *WebhookEndpoints(services.webhooks).table(),
    ]
    # A token that only lets nodes join, or only reaches relays, lies on other machines than the backend's own.
    rows = [replace(row, scope=Scope.API) if row.access is Access.KEY else row for row in rows]
    return rows + RelayEndpoints(services.relays, services.check_url).table()
