"""The variables that the control plane gives a game server (contract 3.10)."""

import json
from dataclasses import asdict

from waymeet.deployments.types import DeploymentSettings
from waymeet.model.ids import DeploymentId
from waymeet.model.location import Location


def platform_environment(
    request_id: DeploymentId, settings: DeploymentSettings, location: Location, tags: tuple[str, ...], public_url: str
) -> dict[str, str]:
    """The ARBITRIUM variables that do not depend on the node; the node adds address, ports and host.

    Both URLs end with the integer and no slash: clients split them there.
    """
    return {
        "ARBITRIUM_REQUEST_ID": request_id,
        "ARBITRIUM_DELETE_URL": f"{public_url}/v1/self/stop/{request_id}/{settings.access_point_id}",
        "ARBITRIUM_DELETE_TOKEN": settings.delete_token,
        "ARBITRIUM_CONTEXT_URL": f"{public_url}/v1/context/{request_id}/{settings.security_number}",
        "ARBITRIUM_CONTEXT_TOKEN": settings.context_token,
        "ARBITRIUM_DEPLOYMENT_LOCATION": json.dumps(asdict(location)),
        "ARBITRIUM_DEPLOYMENT_TAGS": ",".join(tags),
    }
