"""The v2 API, as far as clients of v1 use it: one call."""

from typing import Any

from waymeet.http.endpoint import Endpoint
from waymeet.http.v1.services import Services
from waymeet.http.v2.deployments import DeploymentEndpoints


def endpoints(services: Services) -> list[Endpoint[Any, Any]]:
    """Every row of the v2 route table."""
    return DeploymentEndpoints(services.deployments, services.check_url).table()
