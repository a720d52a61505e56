import socket

import pytest

from tests.client.either import Either, either_client
from tests.client.fake_server import FakeServer, Scripted
from waymeet import client as api
from waymeet.client import ApiError, BadRequest, RateLimited, UnexpectedAnswer, Unreachable

CLASSES = {
    400: api.BadRequest,
    401: api.Unauthorized,
    403: api.Forbidden,
    404: api.NotFound,
    405: api.ApiError,
    409: api.Conflict,
    410: api.Gone,
    422: api.Unprocessable,
    424: api.ImageUnavailable,
    429: api.RateLimited,
    500: api.ServerError,
    503: api.Unavailable,
}


@pytest.mark.parametrize("status", CLASSES)
def test_each_status_raises_its_class_with_the_servers_message(status: int, client: Either, server: FakeServer) -> None:
    server.script(
        Scripted(status, {"message": "Session 950dd2eaff09-S not found"}, {"X-Request-Id": "r-17", "Retry-After": "99"})
    )
    with pytest.raises(ApiError) as caught:
        client(lambda c: c.sessions.create("arena", ips=["203.0.113.7"]))
    error = caught.value
    assert type(error) is CLASSES[status]
    assert (error.status, error.message, error.request_id) == (status, "Session 950dd2eaff09-S not found", "r-17")
    assert str(error) == f"POST /v1/session answered {status}: Session 950dd2eaff09-S not found"


def test_a_bad_request_tells_the_fields(client: Either, server: FakeServer) -> None:
    errors = {"ip_list": "'ip_list' is a required property", "users.0.ip": "not an address"}
    server.script(Scripted(400, {"message": "Input payload validation failed", "errors": errors}))
    with pytest.raises(BadRequest) as caught:
        client(lambda c: c.sessions.add_users("950dd2eaff09-S", []))
    assert caught.value.errors == errors


def test_a_rate_limit_tells_when_to_come_back(client: Either, server: FakeServer) -> None:
    server.script(Scripted(429, {"message": "slow down"}, {"Retry-After": "7"}))
    with pytest.raises(RateLimited) as caught:
        client(lambda c: c.deployments.deploy("arena"))
    assert caught.value.retry_after == 7


@pytest.mark.parametrize("body", [b"<h1>Bad gateway</h1>", b'["not", "an", "object"]', b'{"message": 5}', b"\xff\xfe"])
def test_an_error_body_of_another_kind_is_still_an_api_error(body: bytes, client: Either, server: FakeServer) -> None:
    server.script(Scripted(502, body, {"Content-Type": "text/html"}))
    with pytest.raises(api.ServerError) as caught:
        client(lambda c: c.sessions.page())
    assert caught.value.message


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"status": "Ready"}', b'{"session_id": 5, "status": "x"}', b"", b"\xff"]
)
def test_a_success_that_does_not_read_is_an_unexpected_answer(body: bytes, client: Either, server: FakeServer) -> None:
    server.script(Scripted(200, body))
    with pytest.raises(UnexpectedAnswer, match="GET /v1/session/950dd2eaff09-S answered 200"):
        client(lambda c: c.sessions.get("950dd2eaff09-S"))


def test_a_redirect_is_not_followed_with_the_token(client: Either, server: FakeServer) -> None:
    server.script(Scripted(302, b"", {"Location": "http://elsewhere.example.org/"}))
    with pytest.raises(UnexpectedAnswer, match="redirected to http://elsewhere"):
        client(lambda c: c.sessions.page())
    assert len(server.asked) == 1


def test_nobody_listening_is_unreachable(kind: str) -> None:
    with socket.socket() as reserved:
        # Bound and never listening: nobody else can take the port meanwhile.
        reserved.bind(("127.0.0.1", 0))
        with either_client(kind, f"http://127.0.0.1:{reserved.getsockname()[1]}") as client:
            with pytest.raises(Unreachable, match="no answer to GET http://127"):
                client(lambda c: c.sessions.page())
            assert client(lambda c: c.is_alive()) is False


def test_a_server_that_never_answers_is_unreachable_after_the_timeout(kind: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        either_client(kind, f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05) as client,
        pytest.raises(Unreachable),
    ):
        client(lambda c: c.sessions.page())
