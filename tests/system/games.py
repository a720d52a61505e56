"""Games to play in tests: versions of the echo program, and sessions on them."""

from tests.polling import eventually
from waymeet.client import (
    Client,
    Conflict,
    Deployment,
    DeploymentStatus,
    Gone,
    NewVersion,
    NotFound,
    Port,
    Session,
    SessionConfig,
    SessionKind,
    Variable,
)

GAME = "arena"


def register(
    client: Client,
    version: str = "1.0",
    *,
    sockets: int = 4,
    restart_policy: str = "never",
    arguments: str | None = None,
) -> str:
    """A version of the game `arena`, each of whose servers seats `sockets` users; its name. Repeatable."""
    try:
        client.applications.create(GAME)
    except Conflict:
        pass
    new = NewVersion(
        name=version,
        docker_repository="local",
        docker_image="waymeet/echo",
        docker_tag=version,
        req_cpu=128,
        req_memory=128,
        restart_policy=restart_policy,
        arguments=arguments,
        envs=[Variable(key="WHO", value="system-test")],
        ports=[Port(port=7777, protocol="TCP/UDP", name="game")],
        session_config=SessionConfig(kind=SessionKind.SEAT, sockets=sockets, autodeploy=True, empty_ttl=60),
    )
    try:
        client.versions.create(GAME, new)
    except Conflict:
        pass
    return version


def seat(client: Client, version: str = "1.0", *, users: int = 1, webhook_url: str | None = None) -> str:
    """A new session; its id. It is not ready yet."""
    ips = [f"203.0.113.{number}" for number in range(1, users + 1)]
    return client.sessions.create(GAME, version, ips=ips, webhook_url=webhook_url).session_id


def play(client: Client, version: str = "1.0", *, users: int = 1) -> Session:
    """A session that is ready."""
    return client.sessions.wait_until_ready(seat(client, version, users=users))


def deployment_of(session: Session) -> str:
    """The request id of the deployment that a session is linked to."""
    assert session.deployment is not None, session
    return session.deployment.request_id


def session_if_known(client: Client, session_id: str) -> Session | None:
    """The session, or `None` when the server does not know it (any more)."""
    try:
        return client.sessions.get(session_id)
    except (NotFound, Gone):
        return None


def wait_for_status(client: Client, request_id: str, status: DeploymentStatus) -> Deployment:
    """The deployment, once it has this status."""
    found: list[Deployment] = []

    def so() -> bool:
        found.append(client.deployments.get(request_id))
        return found[-1].status == status

    eventually(so)
    return found[-1]


def wait_for_output(client: Client, request_id: str, text: str) -> str:
    """What the deployment's server has printed, once that contains `text`: it may be ready a moment earlier."""

    def printed() -> str:
        logs = client.deployments.container_logs(request_id).logs
        return logs if text in logs else ""

    return eventually(printed)


def running_deployments(client: Client) -> list[Deployment]:
    """The status of every deployment that has not ended, each read by itself."""
    return [client.deployments.get(summary.request_id) for summary in client.deployments.each()]
