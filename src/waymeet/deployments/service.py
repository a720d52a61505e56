"""Deployments: start, look, stop, mark, and ask about game servers."""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import replace

from waymeet.deployments import tags as tag_rules
from waymeet.deployments.candidates import Choice, no_room
from waymeet.deployments.changes import StatusChanges
from waymeet.deployments.finding import CandidateFinder
from waymeet.deployments.ports import DeploymentStore, DeploymentTransaction
from waymeet.deployments.starting import DeploymentStarter
from waymeet.deployments.types import (
    Deployment,
    DeploymentQuery,
    DeploymentRequest,
    LinkedSession,
    StopResult,
    Tag,
)
from waymeet.locations.service import LocationService
from waymeet.model.errors import Forbidden, Gone, Invalid, NotFound, Unauthenticated, Unsatisfiable
from waymeet.model.filters import Filter, agrees, folded
from waymeet.model.ids import DeploymentId, OrganisationId, parse_deployment_id
from waymeet.model.instant import Clock
from waymeet.model.node_messages import QuestionKind, ServerLogs
from waymeet.model.paging import Page, PageRequest
from waymeet.model.servers import Reading
from waymeet.model.states import DeploymentStatus
from waymeet.placement.explanation import Explanation

BULK_STOP_FIELDS = frozenset({"request_id", "deployment_tags"})
BULK_PER_UNIT = 50


class DeploymentService:
    """Owns the rules for deployments. Writes what is wanted; nodes and loops make it true."""

    def __init__(
        self,
        store: DeploymentStore,
        starter: DeploymentStarter,
        changes: StatusChanges,
        finder: CandidateFinder,
        locations: LocationService,
        clock: Clock,
    ) -> None:
        self._store = store
        self._starter = starter
        self._changes = changes
        self._finder = finder
        self._locations = locations
        self._clock = clock

    async def deploy(self, organisation: OrganisationId, request: DeploymentRequest) -> Deployment:
        """Write a new deployment on the best node for the players, and return it still INITIALIZING.

        Raises `Invalid` for an inactive version, `NotFound` for an unknown one, `Unsatisfiable` when no allowed
        location has room now or can run the image; nothing is written then.
        """
        candidates = await self._finder.find(
            organisation, request.players, request.location, request.filters, measured=not request.skip_telemetry
        )
        request = replace(request, players=candidates.players)

        async def unit(tx: DeploymentTransaction) -> Deployment:
            version = await tx.applications.find_version(organisation, request.application, request.version)
            if version is None:
                if request.version is None:
                    raise NotFound(f"Application {request.application} is unknown or has no active version")
                raise NotFound(f"Application {request.application} has no version {request.version}, or is unknown")
            if not version.deployable:
                raise Invalid({"version_name": f"'{version.name}' or its application is not active; activate it first"})
            choice = Choice(candidates, version.settings.limits())
            deployment = await self._starter.start_at_best(
                tx,
                organisation=organisation,
                version=version,
                request=request,
                choice=choice,
                now=self._clock.now(),
            )
            if deployment is None:
                raise Unsatisfiable(no_room(choice, version.settings.docker_image))
            return deployment

        return await self._store.write(unit)

    async def find(self, organisation: OrganisationId, text: str) -> tuple[Deployment, Sequence[LinkedSession]]:
        """A deployment, ended or not, and the sessions linked to it."""
        request_id = _known_form(text)

        async def unit(tx: DeploymentTransaction) -> tuple[Deployment, Sequence[LinkedSession]] | None:
            deployment = await tx.deployments.find(organisation, request_id)
            if deployment is None:
                return None
            return deployment, await tx.sessions.linked_to(request_id)

        found = await self._store.read(unit)
        if found is None:
            raise _unknown(text)
        return found

    async def placement(self, organisation: OrganisationId, text: str) -> tuple[DeploymentId, Explanation | None]:
        """Why a deployment is where it is, as of when it was started; `None` for one of an earlier release."""
        request_id = _known_form(text)

        async def unit(tx: DeploymentTransaction) -> tuple[Explanation | None] | None:
            return await tx.deployments.explanation(organisation, request_id)

        found = await self._store.read(unit)
        if found is None:
            raise _unknown(text)
        return request_id, found[0]

    async def stop(self, organisation: OrganisationId, text: str) -> StopResult:
        """Want a deployment no more. Repeatable; `Gone` once it is terminated (contract 3.5)."""
        return await self._stop(text, _owned_by(organisation))

    async def stop_self(self, text: str, access_point_id: str, token: str) -> StopResult:
        """As `stop`, called from inside the deployment with its own token (contract 3.9)."""

        def permitted(deployment: Deployment) -> bool:
            settings = deployment.settings
            if str(settings.access_point_id) != access_point_id or not _same(settings.delete_token, token):
                raise Forbidden("this delete token does not belong to the deployment")
            return True

        return await self._stop(text, permitted)

    async def _stop(self, text: str, permitted: Callable[[Deployment], bool]) -> StopResult:
        request_id = _known_form(text)

        async def unit(tx: DeploymentTransaction) -> StopResult:
            deployment = await tx.deployments.lock(request_id)
            if deployment is None or not permitted(deployment):
                raise _unknown(text)
            if deployment.status is DeploymentStatus.TERMINATED:
                raise Gone(f"Deployment {request_id} is already terminated")
            if not deployment.wanted:
                return StopResult(deployment, first=False)
            settled = deployment.status in (DeploymentStatus.READY, DeploymentStatus.ERROR)
            return StopResult(await self._changes.stop(tx, deployment, self._clock.now()), first=settled)

        return await self._store.write(unit)

    async def page(
        self, organisation: OrganisationId, query: DeploymentQuery, request: PageRequest
    ) -> Page[Deployment]:
        """Deployments that are not terminated, starting ones included."""

        async def unit(tx: DeploymentTransaction) -> Page[Deployment]:
            return await tx.deployments.page(organisation, query, request)

        return await self._store.scan(unit)

    async def bulk_stop(self, organisation: OrganisationId, filters: Sequence[Filter]) -> list[DeploymentId]:
        """Stop every deployment that passes all filters; their ids."""
        if not filters:
            raise Invalid({"filters": "at least one filter is required, so that a mistake cannot stop everything"})
        prepared = [(entry, bulk_values(entry)) for entry in filters]

        chosen: list[DeploymentId] = []
        last = DeploymentId("")
        while True:

            async def look(tx: DeploymentTransaction, last: DeploymentId = last) -> Sequence[Deployment]:
                return await tx.deployments.active_after(organisation, last, BULK_PER_UNIT)

            page = await self._store.scan(look)
            batch = [
                deployment.request_id
                for deployment in page
                if deployment.wanted
                and all(
                    agrees(_values(deployment, entry.field), wanted, entry.filter_type) for entry, wanted in prepared
                )
            ]

            async def unit(tx: DeploymentTransaction, batch: list[DeploymentId] = batch) -> None:
                for deployment in await tx.deployments.lock_many(batch):
                    if deployment.wanted and deployment.status is not DeploymentStatus.TERMINATED:
                        await self._changes.stop(tx, deployment, self._clock.now())

            if batch:
                await self._store.write(unit)
            chosen += batch
            if len(page) < BULK_PER_UNIT:
                break
            last = page[-1].request_id
        return chosen

    async def set_joinable(self, organisation: OrganisationId, text: str, joinable: bool) -> Deployment:
        """Allow or forbid new sessions on a deployment; those already linked are not affected."""
        return await self._change(
            text, _owned_by(organisation), lambda deployment: replace(deployment, joinable=joinable)
        )

    async def add_tag(self, organisation: OrganisationId, text: str, name: str) -> Tag:
        """Put a tag on a deployment; placement sees it at once, the running server's environment never."""
        return await self._add_tag(text, _owned_by(organisation), name)

    async def add_own_tag(self, text: str, security_number: str, token: str, name: str) -> Tag:
        """As `add_tag`, called from inside the deployment with its context token (contract 3.8)."""
        return await self._add_tag(text, _holds_context_token(security_number, token), name)

    async def rename_tag(self, organisation: OrganisationId, text: str, name: str, new_name: str) -> Tag:
        """Give a tag another name."""
        now = self._clock.now()
        tag_rules.check_tag(new_name)
        changed = await self._change(
            text,
            _owned_by(organisation),
            lambda each: replace(each, tags=tag_rules.renamed(each.tags, name, new_name, now)),
        )
        return tag_rules.find(changed.tags, new_name)

    async def remove_tag(self, organisation: OrganisationId, text: str, name: str) -> None:
        """Take a tag off a deployment."""
        await self._change(
            text, _owned_by(organisation), lambda each: replace(each, tags=tag_rules.removed(each.tags, name))
        )

    async def remove_own_tag(self, text: str, security_number: str, token: str, name: str) -> None:
        """As `remove_tag`, called from inside the deployment with its context token."""
        await self._change(
            text,
            _holds_context_token(security_number, token),
            lambda each: replace(each, tags=tag_rules.removed(each.tags, name)),
        )

    async def _add_tag(self, text: str, permitted: Callable[[Deployment], bool], name: str) -> Tag:
        now = self._clock.now()
        tag_rules.check_tag(name)
        changed = await self._change(
            text, permitted, lambda each: replace(each, tags=tag_rules.added(each.tags, name, now))
        )
        return tag_rules.find(changed.tags, name)

    async def _change(
        self,
        text: str,
        permitted: Callable[[Deployment], bool],
        change: Callable[[Deployment], Deployment],
    ) -> Deployment:
        request_id = _known_form(text)

        async def unit(tx: DeploymentTransaction) -> Deployment:
            deployment = await tx.deployments.lock(request_id)
            if deployment is None or not permitted(deployment) or deployment.status.ended:
                raise _unknown(text)
            changed = change(deployment)
            await tx.deployments.save(changed)
            return changed

        return await self._store.write(unit)

    async def context(self, text: str, security_number: str, token: str) -> Deployment:
        """A deployment as its own server may see it, given its context token (contract 3.8)."""
        request_id = _known_form(text)

        async def unit(tx: DeploymentTransaction) -> Deployment | None:
            return await tx.deployments.find_any(request_id)

        deployment = await self._store.read(unit)
        if deployment is None or not _holds_context_token(security_number, token)(deployment):
            raise _unknown(text)
        return deployment

    async def logs(self, organisation: OrganisationId, text: str) -> tuple[Deployment, ServerLogs]:
        """What the game server printed: asked of the node while it runs, the crash record afterwards."""
        deployment, _ = await self.find(organisation, text)
        if deployment.ended_at is not None:
            crash = deployment.crash
            if crash is None:
                return deployment, ServerLogs("")
            return deployment, ServerLogs("", crash.log, crash.exit_code, crash.message, crash.restart_count)
        answer = await self._locations.ask(deployment.node_name, QuestionKind.LOGS, deployment.request_id)
        return deployment, answer.logs or ServerLogs("")

    async def readings(self, organisation: OrganisationId, text: str) -> Sequence[Reading]:
        """What the game server used, oldest first; kept by its node while it runs, empty afterwards."""
        deployment, _ = await self.find(organisation, text)
        if deployment.ended_at is not None:
            return ()
        answer = await self._locations.ask(deployment.node_name, QuestionKind.READINGS, deployment.request_id)
        return answer.readings or ()


def bulk_values(entry: Filter) -> list[str]:
    """The values of a bulk stop's filter: ids in any letter case, tags exactly as they are (contract 2.2)."""
    return list(entry.values) if entry.field == "deployment_tags" else [folded(value) for value in entry.values]


def _values(deployment: Deployment, field: str) -> frozenset[str]:
    if field == "request_id":
        return frozenset({deployment.request_id})
    return frozenset(tag.name for tag in deployment.tags)


def _owned_by(organisation: OrganisationId) -> Callable[[Deployment], bool]:
    return lambda deployment: deployment.organisation == organisation


def _holds_context_token(security_number: str, token: str) -> Callable[[Deployment], bool]:
    def permitted(deployment: Deployment) -> bool:
        settings = deployment.settings
        if str(settings.security_number) != security_number:
            return False
        if not _same(settings.context_token, token):
            raise Unauthenticated("this context token does not belong to the deployment")
        return True

    return permitted


def _known_form(text: str) -> DeploymentId:
    request_id = parse_deployment_id(text)
    if request_id is None:
        raise _unknown(text)
    return request_id


def _unknown(text: str) -> NotFound:
    return NotFound(f"Deployment {text[:64]} not found")


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())
