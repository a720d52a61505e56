"""How the tour ends when the story does not go as told: said plainly, cleaned up, exit code 1."""

import io
import socket
from collections.abc import Callable, Iterator

import pytest
from rich.console import Console

from tests.client.fake_server import Asked, FakeServer, Scripted, running_server
from waymeet.cli.demo import demo, guide
from waymeet.client import Client
from waymeet.clock import SystemClock
from waymeet.model.instant import Instant

PLACE = {"city": "Montreal", "country": "Canada", "latitude": 45.5, "longitude": -73.56}
APPLICATION = "demo-abc123"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running_server() as fake:
        yield fake


class Script:
    """A server where all goes well until players are seated. `leave` answers the deletion of the application, `session`
    and `placement` what is asked of the session.
    """

    def __init__(
        self,
        seat: Callable[[], Scripted] | None = None,
        *,
        leave: Scripted | None = None,
        session: Scripted | None = None,
        placement: Scripted | None = None,
    ) -> None:
        self._seat = seat or (lambda: Scripted(422, {"message": "no capacity"}))
        self._leave = leave or Scripted(200, {})
        failed = {"session_id": "4be09c1d77a2-S", "status": "Error", "error": "image not found"}
        self._session = session or Scripted(200, failed)
        self._placement = placement or Scripted(404, {"message": "unknown path"})

    def __call__(self, asked: Asked) -> Scripted:
        match asked.method, asked.path:
            case "POST", "/v1/wizard/init-quick-start":
                return Scripted(204)
            case "GET", "/v1/locations":
                return Scripted(200, {"locations": [PLACE]})
            case "POST", "/v1/app":
                return Scripted(200, {"name": APPLICATION})
            case "POST", "/v1/app/demo-abc123/version":
                return Scripted(200, {"success": True, "version": {"name": "1.0"}})
            case "POST", "/v1/session":
                return self._seat()
            case "GET", "/v1/session/4be09c1d77a2-S":
                return self._session
            case "GET", "/v1/session/4be09c1d77a2-S/placement":
                return self._placement
            case "GET", "/v1/deployments":
                return Scripted(200, {"data": [{"request_id": "57f84a8e1298"}]})
            case "GET", "/v1/status/57f84a8e1298":
                return Scripted(200, {"request_id": "57f84a8e1298", "current_status": "Status.TERMINATED"})
            case "DELETE", "/v1/app/demo-abc123":
                return self._leave
            case "DELETE", _:
                return Scripted(404, {"message": "no such thing"})
            case _:
                return Scripted(404, {"message": "unknown path"})


def tell(server: FakeServer, clock: SystemClock | None = None) -> tuple[int, str]:
    written = io.StringIO()
    with Client(server.url, "secret") as client:
        code = guide(client, Console(file=written, width=500, highlight=False), clock or SystemClock(), APPLICATION)
    return code, written.getvalue()


def deleted(server: FakeServer) -> list[str]:
    return [asked.path for asked in server.asked if asked.method == "DELETE"]


def test_what_was_made_is_taken_away_when_a_step_fails(server: FakeServer) -> None:
    server.decide = Script()
    code, text = tell(server)
    assert code == 1
    assert "no capacity" in text
    assert deleted(server) == ["/v1/stop/57f84a8e1298", "/v1/app/demo-abc123"]


def test_a_session_that_fails_is_explained_and_deleted(server: FakeServer) -> None:
    server.decide = Script(lambda: Scripted(200, {"session_id": "4be09c1d77a2-S"}))
    code, text = tell(server)
    assert code == 1
    assert "image not found" in text
    assert "waymeet/echo" in text
    assert deleted(server) == ["/v1/session/4be09c1d77a2-S", "/v1/stop/57f84a8e1298", "/v1/app/demo-abc123"]


def seated_in_montreal(placement: Scripted) -> Script:
    """A story in which the first party is seated, on a server without a port to play on."""
    deployment = {"request_id": "57f84a8e1298", "status": "Status.READY", "ready": True, "location": PLACE}
    session = {"session_id": "4be09c1d77a2-S", "status": "Ready", "ready": True, "linked": True}
    return Script(
        lambda: Scripted(200, {"session_id": "4be09c1d77a2-S"}),
        session=Scripted(200, session | {"deployment": deployment}),
        placement=placement,
    )


def test_tells_why_the_group_is_where_it_is(server: FakeServer) -> None:
    toronto = {"location": PLACE | {"city": "Toronto"}, "worst_ms": 9.5, "passed_over": "no room there"}
    cost = {"ip": "198.51.100.1", "ms": 17.25, "origin": "measured", "uncertainty_ms": 1.0}
    montreal = {"location": PLACE, "chosen": True, "worst_ms": 17.25, "costs": [cost]}
    server.decide = seated_in_montreal(
        Scripted(200, {"rule": "capacity", "reason": "The best that had room.", "ranking": [toronto, montreal]})
    )
    _, text = tell(server)
    assert "The best that had room." in text
    assert "Toronto: 9.5 ms at worst" in text and "not taken: no room there" in text
    assert "Montreal: 17.2 ms at worst (198.51.100.1 17.2 ms, measured)" in text
    assert "Montreal was chosen: 17.2 ms" in text


def test_an_explanation_of_another_place_is_not_accepted(server: FakeServer) -> None:
    elsewhere = {"location": PLACE | {"city": "Toronto"}, "chosen": True}
    for ranking, complaint in (([elsewhere], "speaks of Toronto"), ([], "nobody wrote down why")):
        server.decide = seated_in_montreal(Scripted(200, {"rule": "nearest", "reason": "", "ranking": ranking}))
        code, text = tell(server)
        assert code == 1
        assert complaint in text


def test_a_server_that_explains_nothing_only_leaves_the_step_out(server: FakeServer) -> None:
    server.decide = seated_in_montreal(Scripted(404, {"message": "unknown path"}))
    _, text = tell(server)
    assert "keeps no record of why" in text
    assert "the server is ready without its port" in text  # The story went on.


def test_ctrl_c_cleans_up_as_well(server: FakeServer) -> None:
    class Interrupting(SystemClock):
        def monotonic(self) -> float:
            raise KeyboardInterrupt

        def now(self) -> Instant:
            raise AssertionError("no webhook arrives in this story")

    server.decide = Script(lambda: Scripted(200, {"session_id": "4be09c1d77a2-S"}))
    code, text = tell(server, Interrupting())
    assert code == 1
    assert "interrupted" in text
    assert deleted(server)[-1] == "/v1/app/demo-abc123"


def test_what_could_not_be_taken_away_is_named(server: FakeServer) -> None:
    server.decide = Script(leave=Scripted(500, {"message": "disk full"}))
    code, text = tell(server)
    assert code == 1
    assert "application demo-abc123 may be left" in text
    assert "disk full" in text


def test_a_refused_token_makes_nothing_and_says_where_to_find_one(server: FakeServer) -> None:
    server.decide = lambda _: Scripted(401, {"message": "unknown key"})
    code, text = tell(server)
    assert code == 1
    assert "WAYMEET_TOKEN" in text
    assert len(server.asked) == 1


def test_a_server_without_places_is_told_so(server: FakeServer) -> None:
    server.decide = lambda asked: Scripted(204) if asked.method == "POST" else Scripted(200, {"locations": []})
    code, text = tell(server)
    assert code == 1
    assert "waymeet node" in text
    assert deleted(server) == []


def test_nobody_there_is_told_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        assert demo(f"http://127.0.0.1:{reserved.getsockname()[1]}", "secret") == 1
    told = capsys.readouterr().out
    assert "waymeet up" in told
    assert "\x1b" not in told, "no escape sequences without a terminal"


def test_what_is_no_url_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo("localhost:8080", "secret") == 1
    assert "write it whole" in capsys.readouterr().out
