"""Session and deployment webhooks as a backend receives them (contract 2.1 and 3.4)."""

import time
from typing import Any

import pytest

from tests.gate import Gate
from tests.polling import eventually
from tests.system.contract.hooks import Hooks
from tests.system.contract.shapes import SESSION, STATUS, assert_fits
from tests.system.contract.studio import PLAYER, Studio, ids, seats, without_sessions
from waymeet.client import Session, Webhook, WebhookRejected


def of_session(session: Any) -> Any:
    """A session without what changes while one looks."""
    return {name: value for name, value in session.items() if name != "elapsed"}


@pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True)
def test_ready_sends_the_union_of_both_shapes(studio: Studio, hooks: Hooks) -> None:
    """Everything that a read answers, and the id of the deployment beside it; once."""
    app = studio.game()
    url = hooks.url(f"{app}/session?room=1")
    session = studio.play(app, webhook_url=url)
    ((headers, told),) = hooks.wait_for(f"{app}/session?room=1")
    assert headers["content-type"] == "application/json"
    assert_fits(told, SESSION)
    assert of_session(told) == of_session(session)
    assert (told["status"], told["ready"], told["linked"]) == ("Ready", True, True)
    assert told["deployment_request_id"] == told["deployment"]["request_id"]
    assert told["webhook_url"] == url
    # Also when it is seated at once, on a server that runs.
    again = studio.session(studio.seat(app, webhook_url=hooks.url(f"{app}/again")))
    assert again["status"] == "Ready"
    ((_, told),) = hooks.wait_for(f"{app}/again")
    assert of_session(told) == of_session(again)
    assert len(hooks.at(f"{app}/session?room=1")) == 1


def test_unprocessable(studio: Studio, hooks: Hooks) -> None:
    app = studio.game(session_config=seats(2, autodeploy=False))
    session = studio.session(studio.seat(app, webhook_url=hooks.url(f"{app}/session")))
    ((_, told),) = hooks.wait_for(f"{app}/session")
    assert_fits(told, SESSION)
    assert of_session(told) == of_session(session)
    assert (told["status"], told["ready"], told["linked"], told["deployment"]) == ("Unprocessable", False, False, None)
    assert told["error"]


def test_error(studio: Studio, hooks: Hooks) -> None:
    app = studio.game(docker_image="waymeet/echo", arguments="--nonsense 1")
    session = studio.wait_for_session(studio.seat(app, webhook_url=hooks.url(f"{app}/session")), "Error")
    ((_, told),) = hooks.wait_for(f"{app}/session")
    assert_fits(told, SESSION)
    assert (told["status"], told["ready"], told["error"]) == ("Error", False, session["error"])


def test_not_on_waiting_and_not_on_the_way_out(studio: Studio, hooks: Hooks, gate: Gate) -> None:
    app = studio.game(arguments=gate.ready)
    session_id = studio.seat(app, webhook_url=hooks.url(f"{app}/session"))
    assert studio.session(session_id)["status"] == "Waiting"
    gate.open()
    studio.wait_for_session(session_id, "Ready")
    hooks.wait_for(f"{app}/session")
    studio.api.delete(f"/v1/session/{session_id}")
    # What would have been told before is told before this one.
    other = studio.seat(app, webhook_url=hooks.url(f"{app}/other"))
    hooks.wait_for(f"{app}/other")
    assert [told["status"] for _, told in hooks.at(f"{app}/session")] == ["Ready"]
    assert studio.session(other)["ready"] is True


def test_deployments_tell_of_ready_and_error(studio: Studio, hooks: Hooks) -> None:
    """v1 has one URL for both; a v1 deployment says nothing at its end."""
    app = studio.game(**without_sessions())
    good = studio.run(app, webhook_url=hooks.url(f"{app}/good"))
    ((_, told),) = hooks.wait_for(f"{app}/good")
    assert_fits(told, STATUS)
    assert told | {"elapsed_time": 0} == good | {"elapsed_time": 0}
    studio.version(app, "2.0", docker_image="waymeet/echo", arguments="--nonsense 1", **without_sessions())
    bad = studio.deploy(app, version_name="2.0", webhook_url=hooks.url(f"{app}/bad"))
    ((_, told),) = hooks.wait_for(f"{app}/bad")
    assert_fits(told, STATUS)
    assert (told["request_id"], told["current_status"], told["error"]) == (bad, "Status.ERROR", True)
    assert told["error_detail"]
    studio.stop(good["request_id"])
    assert len(hooks.at(f"{app}/good")) == 1


def test_refused_ones_are_sent_again_and_replayed(studio: Studio, hooks: Hooks) -> None:
    """Signed afresh, with the same id, until any 2xx; the record says how it went."""
    app = studio.game(**without_sessions())
    hooks.status = 503
    try:
        studio.run(app, webhook_url=hooks.url(f"{app}/hook"))
        hooks.wait_for(f"{app}/hook")
    finally:
        hooks.status = 204
    hooks.wait_for(f"{app}/hook", 2)

    def delivered() -> Any:
        (found,) = studio.api.get("/v1/webhooks/deliveries")["data"]
        return found if found["status"] == "delivered" else None

    delivery = eventually(delivered)
    assert [attempt["status_code"] for attempt in delivery["attempt_log"]] == [503, 204]
    studio.api.post(f"/v1/webhooks/deliveries/{delivery['id']}:replay", {})
    received = hooks.wait_for(f"{app}/hook", 3)
    identities = [headers["webhook-id"] for headers, _ in received]
    assert identities[0] == identities[1] != identities[2]
    assert received[0][1] == received[1][1] == received[2][1]


def test_signature(studio: Studio, hooks: Hooks) -> None:
    webhook = Webhook(studio.api.get("/v1/webhooks/secret")["secret"])
    app = studio.game()
    session = studio.play(app, webhook_url=hooks.url(f"{app}/session"))
    ((headers, _),) = hooks.wait_for(f"{app}/session")
    (body,) = hooks.bodies(f"{app}/session")
    assert webhook.verify(headers, body, time.time()).read(Session).session_id == session["session_id"]
    with pytest.raises(WebhookRejected):
        webhook.verify(headers, body + b" ", time.time())


def test_an_unreachable_backend_delays_nobody(studio: Studio, hooks: Hooks) -> None:
    app = studio.game(session_config=seats(50))
    for _ in range(5):
        studio.seat(app, webhook_url="http://127.0.0.1:9/nobody-listens")
    studio.play(app, webhook_url=hooks.url(f"{app}/session"))
    hooks.wait_for(f"{app}/session")
    assert len(ids(studio.running())) == 1


@pytest.mark.parametrize(
    "url",
    ["example.org", "ftp://example.org/", "//example.org", "http://", "http:///path", "http://exa mple.org/", "javascript:1",
     "http://user:password@example.org/", "http://example.org:0/", "http://example.org:70000/", "x" * 3000, "http://[::1/"],
)  # fmt: skip
def test_no_url_that_could_be_called(studio: Studio, url: str) -> None:
    app = studio.game()
    for path in ("/v1/session", "/v1/deploy"):
        found = studio.api.refused(400, "POST", path, {"app_name": app, "ip_list": [PLAYER], "webhook_url": url})
        assert "webhook_url" in found["errors"]
    assert studio.running() == []
