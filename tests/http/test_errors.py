"""Every error as an answer (contract 1.4 and 1.5)."""

import httpx
import pytest

from waymeet.http.errors import STATUS_OF, status_of
from waymeet.model import errors
from waymeet.model.errors import WaymeetError


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("invalid", 400, {"message": "ip_list.0: is not an address", "errors": {"ip_list.0": "is not an address"}}),
        ("unauthenticated", 401, {"message": "who are you?"}),
        ("forbidden", 403, {"message": "not you"}),
        ("missing", 404, {"message": "Session 950dd2eaff09-S not found"}),
        ("conflict", 409, {"message": "taken"}),
        ("gone", 410, {"message": "was here"}),
        ("unsatisfiable", 422, {"message": "no room"}),
        ("image", 424, {"message": "no such image"}),
        ("rate", 429, {"message": "slow down"}),
        ("unavailable", 503, {"message": "the store does not answer"}),
        ("unmapped", 500, {"message": "nobody mapped me"}),
    ],
)
def test_status_and_body(client: httpx.Client, name: str, status: int, body: dict[str, object]) -> None:
    response = client.get(f"/v1/fail/{name}")
    assert (response.status_code, response.json()) == (status, body)
    assert response.headers["content-type"] == "application/json"


def test_retry_after_is_whole_seconds_and_at_least_one(client: httpx.Client) -> None:
    assert client.get("/v1/fail/rate").headers["retry-after"] == "2"
    assert client.get("/v1/fail/unavailable").headers["retry-after"] == "1"


def test_a_bug_is_a_500_that_tells_nothing_but_where_to_look(client: httpx.Client) -> None:
    response = client.get("/v1/fail/bug", headers={"x-request-id": "find-me"})
    assert response.status_code == 500
    assert "find-me" in response.json()["message"]
    assert "hunter2" not in response.text
    assert "Traceback" not in response.text


def test_every_error_of_the_model_has_a_status() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, WaymeetError)]
    assert {kind for kind in kinds if kind is not WaymeetError} == set(STATUS_OF)


def test_a_subclass_answers_like_its_parent() -> None:
    class SessionUnknown(errors.NotFound):
        pass

    assert status_of(SessionUnknown("x")) == 404
