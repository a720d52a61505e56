"""Writing a new deployment: reserve a place on the best node that has one, and record what is wanted there."""

import random
from dataclasses import dataclass, replace

from waymeet.applications.types import Version
from waymeet.deployments.candidates import Choice, can_start
from waymeet.deployments.deadlines import Retention, next_due
from waymeet.deployments.environment import platform_environment
from waymeet.deployments.explaining import explain_start
from waymeet.deployments.ports import DeploymentTransaction
from waymeet.deployments.types import Deployment, DeploymentRequest, DeploymentSettings, Tag
from waymeet.locations.service import NODE
from waymeet.locations.types import Node
from waymeet.model.ids import NodeName, OrganisationId, new_deployment_id, new_hex_token
from waymeet.model.instant import Instant
from waymeet.model.servers import RegistryCredentials, ServerSpec
from waymeet.model.states import DeploymentStatus, SessionKind


@dataclass(frozen=True, slots=True)
class StartSettings:
    """What the operator decides about every deployment."""

    public_url: str
    fqdn_suffix: str = ""
    """Host names are `<request id>.<suffix>`; when empty, the node's address is handed out instead."""
    retention: Retention = Retention()


class DeploymentStarter:
    """Makes deployments inside the caller's unit of work; starts nothing itself."""

    def __init__(self, settings: StartSettings, rng: random.Random) -> None:
        self._settings = settings
        self._rng = rng

    async def start_at_best(
        self,
        tx: DeploymentTransaction,
        *,
        organisation: OrganisationId,
        version: Version,
        request: DeploymentRequest,
        choice: Choice,
        now: Instant,
        first_session_seats: int | None = None,
    ) -> Deployment | None:
        """Write the deployment, and why it is there, on the best node that takes one more; `None` when none does.

        With `first_session_seats` the deployment begins with one linked session that occupies so many seats, so nobody
        else can take them first. The commit tells the node.
        """
        rooms = await tx.locations.rooms()
        nodes = choice.candidates.fleet.nodes
        able = {node.name for node in nodes if node.name in rooms and can_start(node, version.settings)}
        for site, node in choice.nodes_in_order(able):
            if await tx.locations.reserve(node.name):
                deployment = self._deployment(organisation, version, request, node, now, first_session_seats)
                deployment = replace(deployment, explanation=explain_start(choice, site, now))
                await tx.deployments.insert(deployment)
                tx.wake(NODE, node.name)
                return deployment
        return None

    def _deployment(
        self,
        organisation: OrganisationId,
        version: Version,
        request: DeploymentRequest,
        node: Node,
        now: Instant,
        first_session_seats: int | None,
    ) -> Deployment:
        request_id = new_deployment_id(self._rng)
        chosen = version.settings
        settings = DeploymentSettings(
            context_token=new_hex_token(self._rng),
            security_number=self._rng.randint(1, 999),
            delete_token=new_hex_token(self._rng),
            access_point_id=self._rng.randint(1, 999),
            max_duration_minutes=chosen.max_duration,
            time_to_deploy_seconds=chosen.time_to_deploy,
            whitelisting_active=chosen.whitelisting_active,
            user_count=len(request.players),
            webhooks=request.webhooks,
            filters=request.filters,
            log_storage=request.log_storage,
        )
        location = node.profile.location
        sessions = chosen.sessions
        deployment = Deployment(
            request_id=request_id,
            organisation=organisation,
            version_id=version.id,
            application_name=version.application_name,
            version_name=version.name,
            node_name=NodeName(node.name),
            status=DeploymentStatus.INITIALIZING,
            last_status=None,
            wanted=True,
            joinable=True,
            kind=sessions.kind,
            sockets=None if sessions.kind is SessionKind.DEFAULT else sessions.sockets,
            sockets_used=first_session_seats or 0,
            session_count=0 if first_session_seats is None else 1,
            location=location,
            public_ip="",
            fqdn=self._fqdn(request_id, node),
            ports=None,
            server=ServerSpec(
                key=request_id,
                repository=chosen.docker_repository,
                image=chosen.docker_image,
                tag=chosen.docker_tag,
                ports=chosen.ports,
                platform_environment=platform_environment(
                    request_id, settings, location, request.tags, self._settings.public_url
                ),
                environment={**{entry.key: entry.value for entry in chosen.envs}, **request.environment},
                command=request.command or chosen.command,
                arguments=request.arguments or chosen.arguments,
                restart_policy=chosen.restart_policy,
                grace_seconds=chosen.termination_grace_period_seconds,
                cpu_units=request.cpu_units or chosen.req_cpu,
                memory_mb=request.memory_mb or chosen.req_memory,
                credentials=(
                    RegistryCredentials(chosen.private_username, chosen.private_token or "")
                    if chosen.private_username
                    else None
                ),
            ),
            settings=settings,
            tags=tuple(Tag(name, now, now) for name in dict.fromkeys(request.tags)),
            crash=None,
            error_detail=None,
            created_at=now,
            starting_since=now,
            empty_ttl_minutes=None if sessions.kind is SessionKind.DEFAULT else sessions.empty_ttl,
        )
        return replace(deployment, due_at=next_due(deployment, self._settings.retention))

    def _fqdn(self, request_id: str, node: Node) -> str:
        suffix = self._settings.fqdn_suffix
        return f"{request_id}.{suffix}" if suffix else node.profile.address
