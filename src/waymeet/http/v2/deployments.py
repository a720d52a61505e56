"""The v2 call that starts a deployment (contract 3.4). The rules live in `waymeet.deployments`."""

from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta, Struct

from waymeet.accounts.types import Scope
from waymeet.applications.rules import HIGHEST_UNITS
from waymeet.deployments.service import DeploymentService
from waymeet.deployments.types import DeploymentRequest, DeploymentWebhooks, Player
from waymeet.http.call import Call
from waymeet.http.endpoint import Endpoint
from waymeet.http.errors import invalid_input
from waymeet.http.limits import RateClass
from waymeet.http.v1.deployments import HIGHEST_TAGS, HIGHEST_VARIABLES, VariableBody, distinct_tags
from waymeet.http.v1.objects import HIGHEST_ADDRESSES, Name, Point, canonical_ip
from waymeet.http.v2.errors import DEPLOY_ERRORS
from waymeet.model.errors import Invalid, NotFound
from waymeet.model.location import Coordinates

Units = Annotated[int, Meta(ge=100, le=HIGHEST_UNITS)]


class Address(Struct, frozen=True):
    ip_address: str


class AddressUser(Struct, frozen=True, tag_field="user_type", tag="ip_address"):
    """A player by address."""

    user_data: Address


class PlaceUser(Struct, frozen=True, tag_field="user_type", tag="geo_coordinates"):
    """A player by place on the map."""

    user_data: Point


class Hook(Struct, frozen=True):
    url: Annotated[str, Meta(max_length=2048)] | None = None


class Resources(Struct, frozen=True):
    """What the game server gets instead of what its version asks for."""

    cpu_units: Annotated[Units, Meta(description="1024 is one whole.")] | None = None
    memory_mib: Units | None = None


class DeployToPlayers(Struct, frozen=True, kw_only=True):
    application: Name
    version: Name
    users: Annotated[list[AddressUser | PlaceUser], Meta(min_length=1, max_length=HIGHEST_ADDRESSES)]
    require_cached_locations: bool = False
    environment_variables: Annotated[list[VariableBody], Meta(max_length=HIGHEST_VARIABLES)] | None = None
    tags: Annotated[list[str], Meta(max_length=HIGHEST_TAGS)] | None = None
    webhook_on_ready: Hook | None = None
    webhook_on_error: Hook | None = None
    webhook_on_terminated: Hook | None = None
    resources: Resources | None = None


class DeploymentAccepted(Struct, frozen=True):
    request_id: str


class DeploymentEndpoints:
    """Deploy, with a webhook for each event."""

    def __init__(self, service: DeploymentService, check_url: Callable[[str], None]) -> None:
        self._service = service
        self._check_url = check_url

    async def deploy_to_players(self, call: Call[DeployToPlayers, None]) -> DeploymentAccepted:
        request = self._request(call.body)
        try:
            deployment = await self._service.deploy(call.caller.organisation, request)
        except NotFound as error:
            # The body names it, and this call documents no 404.
            raise invalid_input({"version": error.message}) from None
        except Invalid as error:
            raise invalid_input({_MEMBERS.get(path, path): text for path, text in error.fields.items()}) from None
        return DeploymentAccepted(deployment.request_id)

    def _request(self, body: DeployToPlayers) -> DeploymentRequest:
        resources = body.resources or Resources()
        return DeploymentRequest(
            application=body.application,
            version=body.version,
            players=tuple(_player(user, f"users.{index}.user_data") for index, user in enumerate(body.users)),
            environment={entry.key: entry.value for entry in body.environment_variables or ()},
            tags=distinct_tags(body.tags),
            webhooks=DeploymentWebhooks(
                ready=self._url(body.webhook_on_ready, "webhook_on_ready"),
                error=self._url(body.webhook_on_error, "webhook_on_error"),
                terminated=self._url(body.webhook_on_terminated, "webhook_on_terminated"),
            ),
            cpu_units=resources.cpu_units,
            memory_mb=resources.memory_mib,
        )

    def _url(self, hook: Hook | None, member: str) -> str | None:
        if hook is None or hook.url is None:
            return None
        try:
            self._check_url(hook.url)
        except Invalid as error:
            raise invalid_input({f"{member}.url": "; ".join(error.fields.values())}) from None
        return hook.url

    def table(self) -> list[Endpoint[Any, Any]]:
        """The row of the route table."""
        return [
            Endpoint(
                method="POST", path="/v2/deployments", handler=self.deploy_to_players,
                summary="Start a deployment for players, with a webhook for each event",
                contract="3.4", tag="Deployments", body=DeployToPlayers, answers={202: DeploymentAccepted},
                errors=(422,), scope=Scope.API, rate=RateClass.CREATE_DEPLOYMENT, error_form=DEPLOY_ERRORS,
            )
        ]  # fmt: skip


_MEMBERS = {"app_name": "application", "version_name": "version"}
"""Members of the v1 call, for which the rules have words, and what they are called here."""


def _player(user: AddressUser | PlaceUser, path: str) -> Player:
    if isinstance(user, AddressUser):
        return Player(canonical_ip(user.user_data.ip_address, f"{path}.ip_address"))
    return Player("", Coordinates(user.user_data.latitude, user.user_data.longitude))
