"""`kill -9` of anything at any moment, under a stream of calls: promises 1 and 2."""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.polling import eventually
from tests.system.games import GAME, play, register, running_deployments, session_if_known
from tests.system.installation import Installation, Program, node_table
from tests.system.players import address_of
from tests.system.processes import Role
from tests.system.watching import Background, Census, Players
from waymeet.client import ApiError, Client, ClientError, DeploymentStatus, ServerError, SessionStatus

SOCKETS = 4
CLIENTS = 3
LONGEST_MOMENT_SECONDS = 0.7
SETTLED_SECONDS = 200.0

VICTIMS = (
    Role.CONTROL_PLANE,
    Role.NODES,
    Role.GAME_SERVER,
    Role.KEEPER,
    Role.CONTROL_PLANE,
    Role.SUPERVISOR,
    Role.GAME_SERVER,
    Role.NODES,
)

SETTLED = {SessionStatus.READY, SessionStatus.ERROR, SessionStatus.UNPROCESSABLE, SessionStatus.TERMINATED}


@dataclass
class Record:
    """What was acknowledged to one client, and therefore has to be so."""

    sessions: dict[str, int] = field(default_factory=dict)
    """Users by session."""
    deleted: set[str] = field(default_factory=set)
    deployments: set[str] = field(default_factory=set)
    stopped: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    """Asked to end, and no answer came: ended or not, both are right."""
    unexpected: list[ApiError] = field(default_factory=list)


class Caller:
    """One client that makes calls one after the other, and remembers the answers."""

    def __init__(self, client: Client, rng: random.Random) -> None:
        self._client = client
        self._rng = rng
        self.record = Record()

    def call(self) -> None:
        """One random call. That no answer comes, or a 503, is part of the storm."""
        act = self._rng.choice([self.seat, self.seat, self.seat, self.delete, self.deploy, self.stop])
        try:
            act()
        except ServerError as error:
            if error.status != 503:
                self.record.unexpected.append(error)
        except ApiError as error:
            # 404 and 410: something in the storm ended it first. 422: every place is taken.
            if error.status not in (404, 410, 422):
                self.record.unexpected.append(error)
        except ClientError:
            pass

    def seat(self) -> None:
        users = self._rng.randint(1, 3)
        ips = [f"203.0.113.{number}" for number in range(1, users + 1)]
        created = self._client.sessions.create(GAME, "1.0", ips=ips)
        self.record.sessions[created.session_id] = users

    def delete(self) -> None:
        alive = sorted(self.record.sessions.keys() - self.record.deleted - self.record.unsure)
        if alive:
            session_id = self._rng.choice(alive)
            self.record.unsure.add(session_id)
            self._client.sessions.delete(session_id)
            self.record.deleted.add(session_id)

    def deploy(self) -> None:
        if len(self.record.deployments - self.record.stopped) < 2:
            self.record.deployments.add(self._client.deployments.deploy(GAME, "1.0").request_id)

    def stop(self) -> None:
        alive = sorted(self.record.deployments - self.record.stopped)
        if alive:
            request_id = self._rng.choice(alive)
            self.record.unsure.add(request_id)
            self._client.deployments.stop(request_id)
            self.record.stopped.add(request_id)


def test_nothing_acknowledged_is_lost_and_nothing_runs_twice(tmp_path: Path, database_url: str) -> None:
    rng = random.Random(750_2025)
    nodes = [node_table("montreal", "127.0.0.2", capacity=8), node_table("paris", "127.0.0.3", capacity=8)]
    with Installation(tmp_path, nodes=nodes, database_url=database_url) as installation:
        program = installation.up()
        register(installation.client, sockets=SOCKETS)
        # A game that nobody stops, and whose processes nobody kills: it must not notice anything.
        register(installation.client, "undisturbed", sockets=SOCKETS)
        undisturbed = play(installation.client, "undisturbed")
        calm = installation.only(Role.GAME_SERVER)
        players = Players(random.Random(1))
        players.addresses.append(address_of(undisturbed))
        census = Census(installation)
        callers = [Caller(installation.connect(), random.Random(number)) for number in range(CLIENTS)]
        streams = [Background(caller.call, pause_seconds=0.03) for caller in callers]
        with Background(census.take), Background(players.ask), streams[0], streams[1], streams[2]:
            for role in VICTIMS:
                # Not to wait for something: the moment is what the test is about.
                time.sleep(rng.uniform(0, LONGEST_MOMENT_SECONDS))
                program = strike(installation, program, role, spare=calm.request_id, rng=rng)
        eventually(lambda: not unsettled(installation.client, callers), seconds=SETTLED_SECONDS, every=0.2)
        for caller in callers:
            assert not caller.record.unexpected
            check_record(installation.client, caller.record)
        check_sums(installation)
        assert players.answers > 0
        assert calm in installation.processes(Role.GAME_SERVER)
        for request_id, seen in census.seen.items():
            assert len(seen) == 1, f"{request_id} was started more than once: {seen}"


def strike(
    installation: Installation, program: Program, role: Role, *, spare: str | None, rng: random.Random
) -> Program:
    """Kill one process of this role, if there is one to be had, and wait until the installation is whole again."""
    found = [process for process in installation.processes(role) if spare is None or process.request_id != spare]
    if found:
        rng.choice(sorted(found, key=lambda process: process.number)).kill()
    if role is Role.SUPERVISOR:
        program.wait()
        return installation.up()
    if role in (Role.CONTROL_PLANE, Role.NODES):
        for needed in (Role.CONTROL_PLANE, Role.NODES):
            installation.only(needed)
        installation.wait_until_ready(program)
    return program


def unsettled(client: Client, callers: list[Caller]) -> list[str]:
    """What is still on its way."""
    moving = [
        f"{deployment.request_id} is {deployment.status}"
        for deployment in running_deployments(client)
        if deployment.status not in (DeploymentStatus.READY, DeploymentStatus.ERROR)
    ]
    for caller in callers:
        for session_id in caller.record.sessions:
            session = session_if_known(client, session_id)
            # A deleted session can still be seen on its way out, for a moment.
            if session is not None and session.status not in SETTLED:
                moving.append(f"{session_id} is {session.status}")
    return moving


def check_record(client: Client, record: Record) -> None:
    """Every acknowledged object is there, and what was acknowledged as ended is not."""
    for session_id, users in record.sessions.items():
        session = session_if_known(client, session_id)
        if session is None:
            assert session_id in record.unsure, f"{session_id} was acknowledged, never deleted, and is unknown"
        else:
            assert session_id not in record.deleted, f"{session_id} was deleted, and is {session.status}"
            assert session.status in SETTLED
            assert len(session.session_users) == users
    for request_id in record.deployments:
        deployment = client.deployments.get(request_id)
        allowed = {DeploymentStatus.READY, DeploymentStatus.ERROR}
        if request_id in record.unsure:
            allowed.add(DeploymentStatus.TERMINATED)
        if request_id in record.stopped:
            allowed = {DeploymentStatus.TERMINATED, DeploymentStatus.ERROR}
        assert deployment.status in allowed, f"{request_id} is {deployment.status}"


def check_sums(installation: Installation) -> None:
    """No deployment is over-seated, each count is the sum of what it counts, and what runs is what is wanted."""
    running = running_deployments(installation.client)
    for deployment in running:
        linked = sum(session.user_count for session in deployment.sessions if session.linked)
        assert deployment.sockets_usage == linked, deployment
        assert deployment.sockets is not None
        assert linked <= deployment.sockets, f"over-seated: {deployment}"
    ready = {deployment.request_id for deployment in running if deployment.status == DeploymentStatus.READY}
    eventually(lambda: set(installation.game_servers()) == ready)
