"""Deployments: running game servers (contract 3.4 to 3.6)."""

from collections.abc import Callable, Sequence

from waymeet.client.applications.version_types import Variable
from waymeet.client.calling.address import path
from waymeet.client.calling.operation import ConnectionT, Group, listing, operation
from waymeet.client.calling.paging import Page, page_of
from waymeet.client.calling.plan import Plan
from waymeet.client.calling.retry import ONCE, Retry
from waymeet.client.calling.waiting import poll, poll_status
from waymeet.client.calling.wire import Answer, Body, answer, member
from waymeet.client.deployments.placement import Placement
from waymeet.client.deployments.query import DeploymentQuery
from waymeet.client.deployments.types import (
    ContainerLogs,
    Deployed,
    Deployment,
    DeploymentStatus,
    DeploymentSummary,
    Metrics,
    Stopping,
)
from waymeet.client.errors import DeploymentFailed, NotFound
from waymeet.client.sessions.filters import Coordinates, Filter, LocatedPlayer

_FAILED = frozenset({DeploymentStatus.ERROR, DeploymentStatus.TERMINATING, DeploymentStatus.TERMINATED})


class _Deploy(Body, frozen=True, kw_only=True):
    app_name: str
    version_name: str | None = None
    ip_list: Sequence[str] = ()
    geo_ip_list: Sequence[LocatedPlayer] = ()
    env_vars: Sequence[Variable] = ()
    skip_telemetry: bool = False
    location: Coordinates | None = None
    webhook_url: str | None = None
    tags: Sequence[str] = ()
    filters: Sequence[Filter] = ()
    ap_sort_strategy: str | None = None
    command: str | None = None
    arguments: str | None = None


class _AddressOfUser(Body, frozen=True, kw_only=True):
    ip_address: str


class _User(Body, frozen=True, kw_only=True):
    user_type: str
    user_data: _AddressOfUser | Coordinates


class _Hook(Body, frozen=True, kw_only=True):
    url: str


class _DeployV2(Body, frozen=True, kw_only=True):
    application: str
    version: str
    users: Sequence[_User]
    require_cached_locations: bool = False
    environment_variables: Sequence[Variable] = ()
    tags: Sequence[str] = ()
    webhook_on_ready: _Hook | None = None
    webhook_on_error: _Hook | None = None
    webhook_on_terminated: _Hook | None = None


class _Filters(Body, frozen=True, kw_only=True):
    filters: Sequence[Filter]


class _Joinable(Body, frozen=True, kw_only=True):
    is_joinable_by_session: bool


class _StoppedDeployment(Answer, frozen=True, kw_only=True):
    request_id: str


class Deployments(Group[ConnectionT]):
    """`client.deployments`: running game servers."""

    @operation
    def deploy(
        self,
        application: str,
        version: str | None = None,
        *,
        ips: Sequence[str] = (),
        players: Sequence[LocatedPlayer] = (),
        location: Coordinates | None = None,
        filters: Sequence[Filter] = (),
        variables: Sequence[Variable] = (),
        tags: Sequence[str] = (),
        webhook_url: str | None = None,
        skip_telemetry: bool = False,
        sort_strategy: str | None = None,
        command: str | None = None,
        arguments: str | None = None,
    ) -> Plan[Deployed]:
        """The deployment as accepted, by the v1 call. Follow with `wait_until_ready`.

        Players come as `ips` or, with known coordinates, as `players`, never both. `Unprocessable` when nothing has
        room. Not repeated by itself: two calls start two game servers.
        """
        body = _Deploy(
            app_name=application,
            version_name=version,
            ip_list=ips,
            geo_ip_list=players,
            env_vars=variables,
            skip_telemetry=skip_telemetry,
            location=location,
            webhook_url=webhook_url,
            tags=tags,
            filters=filters,
            ap_sort_strategy=sort_strategy,
            command=command,
            arguments=arguments,
        )
        return self._post("/v1/deploy", answer(Deployed), body)

    @operation
    def deploy_v2(
        self,
        application: str,
        version: str,
        *,
        ips: Sequence[str] = (),
        coordinates: Sequence[Coordinates] = (),
        variables: Sequence[Variable] = (),
        tags: Sequence[str] = (),
        require_cached_locations: bool = False,
        webhook_on_ready: str | None = None,
        webhook_on_error: str | None = None,
        webhook_on_terminated: str | None = None,
    ) -> Plan[str]:
        """The new deployment's request id, by the v2 call. At least one player, by address or by coordinates.

        Not repeated by itself: two calls start two game servers.
        """
        users = [
            *(_User(user_type="ip_address", user_data=_AddressOfUser(ip_address=ip)) for ip in ips),
            *(_User(user_type="geo_coordinates", user_data=point) for point in coordinates),
        ]
        body = _DeployV2(
            application=application,
            version=version,
            users=users,
            require_cached_locations=require_cached_locations,
            environment_variables=variables,
            tags=tags,
            webhook_on_ready=_hook(webhook_on_ready),
            webhook_on_error=_hook(webhook_on_error),
            webhook_on_terminated=_hook(webhook_on_terminated),
        )
        return self._post("/v2/deployments", member("request_id", str), body)

    @operation
    def get(self, request_id: str) -> Plan[Deployment]:
        """The deployment's status; answered for some time after its end as well. `NotFound` when it is unknown."""
        return self._status(request_id)

    @operation
    def placement(self, request_id: str) -> Plan[Placement]:
        """Why the deployment is where it is, as of when it was asked for. `NotFound` when it is unknown or long over."""
        return self._get(path("v1", "deployments", request_id, "placement"), answer(Placement))

    @operation
    def wait_until_ready(
        self, request_id: str, timeout: float = 60.0, *, on_change: Callable[[Deployment], None] | None = None
    ) -> Plan[Deployment]:
        """The deployment once its game server is up, with address and ports.

        Asks every 0.2 s at first, later every 2 s. `on_change` is called with the deployment whenever its status has
        changed. `DeploymentFailed` as soon as it cannot become ready any more, `StillWaiting` after `timeout`
        seconds.
        """
        return poll_status(
            self._connection,
            lambda: self._status(request_id, ONCE),
            lambda deployment: deployment.running and deployment.status == DeploymentStatus.READY,
            lambda deployment: DeploymentFailed(deployment) if deployment.status in _FAILED else None,
            timeout,
            f"readiness of deployment {request_id}",
            on_change,
        )

    @operation
    def stop(self, request_id: str, *, store_logs: bool | str | None = None) -> Plan[Stopping]:
        """Ask for the end of a deployment; it ends a moment later. `Gone` when it has ended already.

        `store_logs` keeps its logs, at the storage of that name when it is a text. Safe to repeat.
        """
        query = {} if store_logs is None else {"container_log_storage": _switch(store_logs)}
        return self._delete(path("v1", "stop", request_id), answer(Stopping), query)

    @operation
    def wait_until_stopped(self, request_id: str, timeout: float = 60.0) -> Plan[Deployment | None]:
        """The deployment once its game server has ended, `None` when the server does not know it any more.

        Only watches: call `stop` before. `StillWaiting` after `timeout` seconds.
        """

        def status() -> Plan[Deployment | None]:
            try:
                return (yield from self._status(request_id, ONCE))
            except NotFound:
                return None

        def stopped(deployment: Deployment | None) -> bool:
            return deployment is None or deployment.status == DeploymentStatus.TERMINATED

        return poll(self._connection, status, stopped, timeout, f"the end of deployment {request_id}")

    @operation
    def page(
        self, number: int = 1, limit: int = 10, *, query: DeploymentQuery | None = None
    ) -> Plan[Page[DeploymentSummary]]:
        """One page of the deployments that have not ended, starting ones included."""
        return self._page(number, limit, query)

    @listing
    def each(
        self, limit: int = 100, *, query: DeploymentQuery | None = None
    ) -> Callable[[int], Plan[Page[DeploymentSummary]]]:
        """Every deployment that has not ended, starting ones included, fetched `limit` at a time.

        Pages are cut anew for each request: what starts or ends meanwhile may make an item appear twice or not at all.
        """
        return lambda number: self._page(number, limit, query)

    @operation
    def bulk_stop(self, filters: Sequence[Filter]) -> Plan[tuple[str, ...]]:
        """Stop every deployment that passes all filters (`request_id`, `deployment_tags`); their request ids."""
        return self._post("/v1/deployments/bulk-stop", _read_stopped, _Filters(filters=filters))

    @operation
    def set_joinable(self, request_id: str, is_joinable: bool) -> Plan[bool]:
        """Open or close the deployment for new sessions; those on it stay. Returns what holds now."""
        return self._patch(
            path("v1", "deployments", request_id),
            member("is_joinable_by_session", bool),
            _Joinable(is_joinable_by_session=is_joinable),
        )

    @operation
    def container_logs(self, request_id: str) -> Plan[ContainerLogs]:
        """What the game server printed, while it runs; afterwards only when logs are stored."""
        return self._get(path("v1", "deployment", request_id, "container-logs"), answer(ContainerLogs))

    @operation
    def metrics(
        self,
        request_id: str,
        *,
        start_time: str | None = None,
        end_time: str | None = None,
        steps: str | None = None,
        raw: bool | None = None,
    ) -> Plan[Metrics]:
        """What the game server used between two UTC times (`YYYY-MM-DD HH:MM:SS`), one reading per step (`30s`, `1m`,
        `1h`).

        `Unprocessable` for a range that makes no sense.
        """
        given = {"start_time": start_time, "end_time": end_time, "steps": steps}
        query = {name: value for name, value in given.items() if value is not None}
        if raw is not None:
            query["raw"] = _switch(raw)
        return self._get(path("v1", "metrics", "deployment", request_id), answer(Metrics), query)

    def _status(self, request_id: str, retry: Retry | None = None) -> Plan[Deployment]:
        return self._get(path("v1", "status", request_id), answer(Deployment), retry=retry)

    def _page(self, number: int, limit: int, query: DeploymentQuery | None) -> Plan[Page[DeploymentSummary]]:
        parameters = {"page": str(number), "limit": str(limit)}
        if query is not None:
            parameters["query"] = query.as_text()
        return self._get("/v1/deployments", page_of(DeploymentSummary, "data"), parameters)


_read_stopped_entries = member("processable", tuple[_StoppedDeployment, ...])


def _read_stopped(content: bytes) -> tuple[str, ...]:
    return tuple(entry.request_id for entry in _read_stopped_entries(content))


def _hook(url: str | None) -> _Hook | None:
    return None if url is None else _Hook(url=url)


def _switch(value: bool | str) -> str:
    return value if isinstance(value, str) else str(value).lower()
