"""Whole stories of the listed clients (contract 3.14), on both databases."""

import socket
import time
from typing import Any

import pytest

from tests.gate import Gate
from tests.polling import eventually
from tests.system.contract.hooks import Hooks
from tests.system.contract.shapes import ERROR, METRICS, SESSION, STATUS, STOPPED, assert_fits
from tests.system.contract.studio import PLAYER, Studio, ask, ids, seats, without_sessions

pytestmark = pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True, scope="session")


def test_unity_plugin_stops_until_it_is_gone(studio: Studio) -> None:
    """Exactly 200 on the first DELETE, then again every so often until 410 (contract 3.5)."""
    request_id = studio.run(studio.game(**without_sessions()))["request_id"]
    path = f"/v1/stop/{request_id}"
    first = studio.api.delete(path)
    assert_fits(first, STOPPED)
    assert first["message"] == f"{request_id} - Delete request will be processed soon"
    assert first["deployment_summary"]["request_id"] == request_id
    codes: list[int] = []

    def gone() -> bool:
        answer = studio.api.call("DELETE", path)
        codes.append(answer.status_code)
        assert set(answer.json()) == {"message"}
        return answer.status_code == 410

    eventually(gone)
    assert set(codes[:-1]) <= {202}
    assert studio.api.call("DELETE", path).status_code == 410
    ended = studio.status(request_id)
    assert_fits(ended, STATUS)
    assert (ended["current_status"], ended["running"], ended["error"]) == ("Status.TERMINATED", False, False)
    assert ended["last_status"] == "Status.TERMINATING"
    assert ended["removal_time"] >= ended["start_time"]
    assert request_id not in ids(studio.running())


def test_stop_of_a_starting_server_is_202(studio: Studio) -> None:
    request_id = studio.deploy(studio.game(arguments="--deaf", **without_sessions()))
    assert studio.status(request_id)["running"] is False
    answer = studio.api.call("DELETE", f"/v1/stop/{request_id}")
    assert answer.status_code == 202
    assert set(answer.json()) == {"message"}
    studio.wait_for(request_id, "TERMINATED")


def test_unity_plugin_watches_a_deployment(studio: Studio) -> None:
    """POST, then the status until READY; an answer with a member `message` would be taken for a failure."""
    app = studio.game(**without_sessions())
    users = [{"user_type": "ip_address", "user_data": {"ip_address": PLAYER}}]
    answer = studio.api.call("POST", "/v2/deployments", {"application": app, "version": "1.0", "users": users})
    assert answer.status_code == 202
    assert list(answer.json()) == ["request_id"]
    seen: list[Any] = []

    def ready() -> bool:
        seen.append(studio.status(answer.json()["request_id"]))
        return bool(seen[-1]["current_status"] == "Status.READY")

    eventually(ready)
    for status in seen:
        assert_fits(status, STATUS)
        assert status["current_status"][:7] == "Status."
        assert status["running"] is (status["current_status"] == "Status.READY")
        assert (status["public_ip"] != "") >= status["running"]
    assert [entry["start_time"] for entry in seen] == sorted(entry["start_time"] for entry in seen)


def test_nakama(studio: Studio, hooks: Hooks) -> None:
    """Looks the version up, deploys with three webhooks, keeps its list by pages, stops."""
    app = studio.game(**without_sessions())
    assert studio.api.get(f"/v1/app/{app}")["name"] == app
    assert studio.api.get(f"/v1/app/{app}/version/1.0")["ports"][0]["name"] == "game"
    body = {
        "application": app,
        "version": "1.0",
        "require_cached_locations": False,
        "users": [{"user_type": "geo_coordinates", "user_data": {"latitude": 48.85, "longitude": 2.35}}],
        "environment_variables": [{"key": "NAKAMA", "value": "yes", "is_hidden": False}],
        "tags": ["nakama"],
        **{f"webhook_on_{event}": {"url": hooks.url(f"{app}/{event}")} for event in ("ready", "error", "terminated")},
    }
    started = [studio.api.post("/v2/deployments", body, 202)["request_id"] for _ in range(3)]
    # Starting ones are listed: Nakama forgets what is missing.
    assert set(ids(studio.running())) == set(started)
    for _, told in hooks.wait_for(f"{app}/ready", 3):
        assert_fits(told, STATUS)
        assert told["request_id"] in started
        assert (told["current_status"], told["running"], told["error"]) == ("Status.READY", True, False)
        assert told["ports"]["game"]["external"] > 0
        assert told["public_ip"]
        assert told["location"]["city"] == "Paris"
    found, number = [], 1
    while True:
        page = studio.api.get("/v1/deployments", page=number, limit=2)
        found += [entry["request_id"] for entry in page["data"] if entry["status"] != "Status.ERROR"]
        if not page["pagination"]["has_next"]:
            break
        number = page["pagination"]["next_page_number"]
    assert sorted(found) == sorted(started)
    assert ask(studio.status(started[0]))["environment"]["NAKAMA"] == "yes"
    for request_id in started:
        assert studio.api.call("DELETE", f"/v1/stop/{request_id}").status_code in (200, 202)
    for _, told in hooks.wait_for(f"{app}/terminated", 3):
        assert (told["current_status"], told["running"]) == ("Status.TERMINATED", False)
    assert hooks.at(f"{app}/error") == []
    assert studio.running() == []


def test_bevygap(studio: Studio) -> None:
    """Seats a player, asks every 200 ms until ready, and later deletes until the session is acknowledged as gone."""
    app = studio.game(session_config=seats(2))
    created = studio.api.post("/v1/session", {"app_name": app, "version_name": "1.0", "ip_list": [PLAYER]})
    session_id = created["session_id"]
    seen: list[Any] = []

    def ready() -> bool:
        seen.append(studio.session(session_id))
        return bool(seen[-1]["ready"])

    eventually(ready, every=0.2)
    for session in seen:
        assert_fits(session, SESSION)
        assert session["ready"] is (session["status"] == "Ready")
    deployment = seen[-1]["deployment"]
    # The first of the ports is where its players go.
    assert next(iter(deployment["ports"].values()))["external"] > 0
    assert type(deployment["sockets"]) is int
    # Inside: the server reads its context, where `sockets` must be a number.
    environment = ask(deployment)["environment"]
    context = studio.api.call(
        "GET",
        environment["ARBITRIUM_CONTEXT_URL"].removeprefix(studio.api.url),
        headers={"Authorization": environment["ARBITRIUM_CONTEXT_TOKEN"]},
    ).json()
    assert (context["sockets"], context["sockets_usage"]) == (2, 1)
    # A free seat on a ready server: ready at the first look.
    second = studio.session(studio.seat(app))
    assert (second["ready"], second["deployment"]["request_id"]) == (True, deployment["request_id"])
    assert studio.api.call("DELETE", f"/v1/session/{session_id}").status_code == 200
    codes: list[int] = []

    def acknowledged() -> bool:
        codes.append(studio.api.call("DELETE", f"/v1/session/{session_id}").status_code)
        return codes[-1] == 404

    eventually(acknowledged)
    assert set(codes) <= {404, 410}
    assert studio.api.call("GET", f"/v1/session/{session_id}").status_code == 404
    assert studio.session(second["session_id"])["ready"] is True


def test_sessions_end_with_their_server(studio: Studio) -> None:
    app = studio.game()
    session = studio.play(app)
    request_id = session["deployment"]["request_id"]
    studio.api.delete(f"/v1/stop/{request_id}")
    studio.wait_for(request_id, "TERMINATED")
    ended = studio.session(session["session_id"])
    assert_fits(ended, SESSION)
    assert (ended["status"], ended["ready"], ended["user_count"]) == ("Terminated", False, 1)
    assert studio.api.get("/v1/sessions")["data"] == []
    # It has ended already, so there is nothing to delete.
    assert studio.api.call("DELETE", f"/v1/session/{session['session_id']}").status_code == 410
    users = f"/v1/session/{session['session_id']}/users"
    studio.api.refused(410, "PUT", users, {"ip_list": [PLAYER]})
    studio.api.refused(410, "DELETE", users, {"ip_list": [PLAYER]})
    assert studio.api.get(users)["session_users"] == session["session_users"]
    # The next player gets a server of their own.
    assert studio.play(app)["deployment"]["request_id"] != request_id


def test_stopping_server_takes_nobody(studio: Studio) -> None:
    app = studio.game(docker_image="waymeet/echo")
    first = studio.play(app)
    studio.api.delete(f"/v1/stop/{first['deployment']['request_id']}")
    second = studio.play(app)
    assert second["deployment"]["request_id"] != first["deployment"]["request_id"]


def test_crash_ends_the_deployment_and_tells_why(studio: Studio, hooks: Hooks) -> None:
    app = studio.game()
    session = studio.play(app, webhook_url=hooks.url(f"{app}/crash"))
    request_id = session["deployment"]["request_id"]
    _fall(studio, request_id)
    status = studio.wait_for(request_id, "ERROR")
    assert_fits(status, STATUS)
    assert (status["running"], status["error"], status["sessions"]) == (False, True, [])
    assert "3" in status["error_detail"]
    logs = studio.api.get(f"/v1/deployment/{request_id}/container-logs")
    assert "the game falls" in logs["crash_logs"]
    assert logs["crash_data"]["exit_code"] == 3
    assert studio.session(session["session_id"])["status"] == "Terminated"
    # It stays listed until it is removed, as an ordinary stop does.
    assert [entry["status"] for entry in studio.running()] == ["Status.ERROR"]
    assert studio.api.call("DELETE", f"/v1/stop/{request_id}").status_code == 200
    studio.wait_for(request_id, "TERMINATED")
    assert studio.running() == []


def test_crash_with_a_restart_policy_comes_back(studio: Studio, gate: Gate) -> None:
    gate.open()
    app = studio.game(restart_policy="always", arguments=gate.ready)
    session = studio.play(app)
    request_id = session["deployment"]["request_id"]
    before = studio.status(request_id)
    gate.close()
    _fall(studio, request_id)
    starting = studio.wait_for(request_id, "DEPLOYING")
    assert (starting["running"], starting["error"]) == (False, False)
    waiting = studio.session(session["session_id"])
    assert (waiting["status"], waiting["linked"], waiting["ready"]) == ("Waiting", True, False)
    gate.open()
    after = studio.wait_for(request_id, "READY")
    assert after["ports"] == before["ports"]
    again = studio.wait_for_session(session["session_id"], "Ready")
    assert again["deployment"]["request_id"] == request_id
    logs = studio.api.get(f"/v1/deployment/{request_id}/container-logs")
    assert logs["crash_data"]["restart_count"] == 1


def _fall(studio: Studio, request_id: str) -> None:
    status = studio.status(request_id)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as player:
        player.sendto(b"fall", (status["public_ip"], status["ports"]["game"]["external"]))


def test_metrics_come_with_time(studio: Studio) -> None:
    request_id = studio.run(studio.game())["request_id"]
    path = f"/v1/metrics/deployment/{request_id}"
    assert_fits(studio.api.get(path), METRICS)
    began = time.strftime("%Y-%m", time.gmtime())
    found = eventually(lambda: got if (got := studio.api.get(path, raw="true"))["mem"]["datasets"] else None)
    assert found is not None
    assert_fits(found, METRICS)
    memory = found["mem"]
    assert memory["labels"] == ["mem"]
    assert len(memory["datasets"]) == len(memory["timestamps"])
    assert memory["datasets"][-1] > 1_000_000
    assert began <= memory["timestamps"][-1][:7] <= time.strftime("%Y-%m", time.gmtime())
    past = studio.api.get(path, start_time="2021-07-14 14:17:37", end_time="2021-07-14 15:17:37")
    assert past["mem"]["datasets"] == []
    for query in (
        "start_time=yesterday",
        "end_time=14:17",
        "start_time=2025-01-02 00:00:00&end_time=2025-01-01 00:00:00",
        "steps=often",
        "steps=0s",
    ):
        assert_fits(studio.api.refused(422, "GET", f"{path}?{query}"), ERROR)
    for steps in ("30s", "1m", "1h"):
        studio.api.get(path, steps=steps)
