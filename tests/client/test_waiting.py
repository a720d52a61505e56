from typing import Any

import pytest

from tests.client.either import Either
from tests.client.fake_server import FakeServer, Scripted
from waymeet.client import (
    DeploymentFailed,
    NotFound,
    RelaySessionFailed,
    SessionFailed,
    StillWaiting,
    Unauthorized,
    Unavailable,
)


def session(status: str, *, ready: bool = False, error: str | None = None) -> Scripted:
    return Scripted(200, {"session_id": "950dd2eaff09-S", "status": status, "ready": ready, "error": error})


def deployment(status: str, *, running: bool = False, error_detail: str | None = None) -> Scripted:
    body: dict[str, Any] = {"request_id": "57f84a8e1298", "current_status": f"Status.{status}", "running": running}
    return Scripted(200, body | {"error_detail": error_detail})


READY_SESSION = session("Ready", ready=True)


def test_a_session_is_returned_once_it_is_ready(client: Either, server: FakeServer) -> None:
    server.script(session("Seeking"), session("Waiting"), session("Waiting"), READY_SESSION)
    seen: list[str] = []
    ready = client(
        lambda c: c.sessions.wait_until_ready("950dd2eaff09-S", on_change=lambda each: seen.append(each.status))
    )
    assert ready.ready
    assert seen == ["Seeking", "Waiting", "Ready"]


def test_polling_grows_politer_and_stays_bounded(client: Either, server: FakeServer) -> None:
    server.script(*[session("Waiting")] * 12, READY_SESSION)
    client(lambda c: c.sessions.wait_until_ready("950dd2eaff09-S", timeout=600))
    pauses = client.clock.pauses
    assert pauses[0] == 0.2
    assert pauses == sorted(pauses)
    assert pauses[-1] == 2.0


@pytest.mark.parametrize("status", ["Error", "Unprocessable", "Terminating", "Terminated"])
def test_a_session_that_cannot_become_ready_raises_the_servers_reason(
    status: str, client: Either, server: FakeServer
) -> None:
    server.script(session("Waiting"), session(status, error="no capacity in Europe"))
    with pytest.raises(SessionFailed, match="no capacity in Europe") as caught:
        client(lambda c: c.sessions.wait_until_ready("950dd2eaff09-S"))
    assert caught.value.session.status == status


@pytest.mark.parametrize("status", ["ERROR", "TERMINATING"])
def test_a_relay_session_that_cannot_become_ready_raises_the_servers_reason(
    status: str, client: Either, server: FakeServer
) -> None:
    server.script(session("INITIALIZING"), session(status, error="the relay is away"))
    with pytest.raises(RelaySessionFailed, match="the relay is away") as caught:
        client(lambda c: c.relays.wait_until_ready("950dd2eaff09-S"))
    assert caught.value.session.status == status


def test_the_time_given_is_kept_and_the_state_is_read_once_more_at_its_end(client: Either, server: FakeServer) -> None:
    server.script(session("Waiting"))
    with pytest.raises(StillWaiting, match=r"within 3 s") as caught:
        client(lambda c: c.sessions.wait_until_ready("950dd2eaff09-S", timeout=3))
    assert isinstance(caught.value, TimeoutError)
    assert sum(client.clock.pauses) == pytest.approx(3)
    assert len(server.asked) == len(client.clock.pauses) + 1


def test_no_time_at_all_still_asks_once(client: Either, server: FakeServer) -> None:
    server.script(READY_SESSION)
    assert client(lambda c: c.sessions.wait_until_ready("950dd2eaff09-S", timeout=0)).ready


def test_a_server_away_for_a_moment_is_asked_again_after_what_it_asks_for(client: Either, server: FakeServer) -> None:
    server.script(
        Scripted(503, {"message": "starting"}, {"Retry-After": "5"}),
        Scripted(429, {"message": "slow down"}),
        READY_SESSION,
    )
    assert client(lambda c: c.sessions.wait_until_ready("950dd2eaff09-S")).ready
    assert client.clock.pauses[0] == 5


def test_a_server_that_stays_away_is_named_in_the_end(client: Either, server: FakeServer) -> None:
    server.script(Scripted(503, {"message": "starting"}))
    with pytest.raises(StillWaiting, match="starting") as caught:
        client(lambda c: c.sessions.wait_until_ready("950dd2eaff09-S", timeout=1))
    assert isinstance(caught.value.__cause__, Unavailable)


@pytest.mark.parametrize(("status", "error"), [(404, NotFound), (401, Unauthorized)])
def test_what_waiting_cannot_mend_is_raised_at_once(
    status: int, error: type[Exception], client: Either, server: FakeServer
) -> None:
    server.script(Scripted(status, {"message": "no"}))
    with pytest.raises(error):
        client(lambda c: c.sessions.wait_until_ready("950dd2eaff09-S"))
    assert len(server.asked) == 1


def test_a_deployment_is_returned_once_it_runs(client: Either, server: FakeServer) -> None:
    server.script(deployment("SEEKING"), deployment("DEPLOYING"), deployment("READY", running=True))
    seen: list[str] = []
    ready = client(
        lambda c: c.deployments.wait_until_ready("57f84a8e1298", on_change=lambda each: seen.append(each.status))
    )
    assert ready.running
    assert seen == ["SEEKING", "DEPLOYING", "READY"]


@pytest.mark.parametrize("status", ["ERROR", "TERMINATING", "TERMINATED"])
def test_a_deployment_that_cannot_become_ready_raises_the_servers_reason(
    status: str, client: Either, server: FakeServer
) -> None:
    server.script(deployment(status, error_detail="image not found"))
    with pytest.raises(DeploymentFailed, match="image not found"):
        client(lambda c: c.deployments.wait_until_ready("57f84a8e1298"))


@pytest.mark.parametrize(
    "last", [deployment("TERMINATED"), Scripted(404, {"message": "unknown"})], ids=["kept", "gone"]
)
def test_the_end_of_a_deployment_is_seen(last: Scripted, client: Either, server: FakeServer) -> None:
    server.script(deployment("READY", running=True), deployment("TERMINATING"), last)
    ended = client(lambda c: c.deployments.wait_until_stopped("57f84a8e1298"))
    assert ended is None or ended.status == "TERMINATED"
    assert len(server.asked) == 3


def test_a_server_is_waited_for_until_it_serves(client: Either, server: FakeServer) -> None:
    server.script(Scripted(503, {"status": "no node"}), Scripted(503, {}), Scripted(200, {}))
    client(lambda c: c.wait_until_serving(timeout=10))
    assert [sent.path for sent in server.asked] == ["/readyz"] * 3
    server.script(Scripted(503, {}))
    with pytest.raises(StillWaiting):
        client(lambda c: c.wait_until_serving(timeout=1))
