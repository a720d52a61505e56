"""Request ids, log lines, metrics, health."""

import asyncio
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
import structlog

from tests.http.conftest import Running, running
from tests.http.table import KEY
from waymeet.http.limits import HttpLimits
from waymeet.logs import REQUEST_ID, configure_logs


class TestRequestIds:
    @pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 64])
    def test_a_fit_one_is_kept(self, client: httpx.Client, given: str) -> None:
        response = client.get("/v1/session/x", headers={"x-request-id": given})
        assert response.headers["x-request-id"] == given
        assert response.json()["request_id"] == given

    @pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", "<x>", "a/b", "é"])
    def test_an_unfit_one_is_replaced(self, client: httpx.Client, given: str) -> None:
        made = client.get("/v1/session/x", headers=[(b"x-request-id", given.encode())]).headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{16}", made)

    def test_every_answer_has_one(self, client: httpx.Client) -> None:
        paths = ("/v1/session/x", "/v1/nowhere", "/v1/fail/bug", "/v1/fail/rate", "/healthz", "/docs", "/metrics")
        answers = [client.get(path) for path in paths] + [client.put("/v1/pages"), client.delete("/v1/lobbies/x")]
        ids = {answer.headers["x-request-id"] for answer in answers}
        assert len(ids) == len(answers)


def counted(client: httpx.Client, **labels: str) -> float:
    total = 0.0
    for line in client.get("/metrics").text.splitlines():
        if line.startswith("waymeet_http_requests_total{"):
            found = dict(re.findall(r'(\w+)="([^"]*)"', line))
            if labels.items() <= found.items():
                total += float(line.rsplit(" ", 1)[1])
    return total


class TestMetrics:
    def test_requests_are_counted_by_route(self, client: httpx.Client) -> None:
        route = "/v1/session/{session_id}"
        before = counted(client, route=route, method="GET", status="2xx")
        for index in range(3):
            client.get(f"/v1/session/{index}")
        assert counted(client, route=route, method="GET", status="2xx") == before + 3

    def test_numbers_that_take_an_effort_are_made_when_somebody_asks(self) -> None:
        asked: list[str] = []

        async def make() -> None:
            asked.append("metrics")

        with running(before_metrics=make) as server, server.client() as client:
            client.get("/healthz")
            assert asked == []
            for _ in range(2):
                assert client.get("/metrics").status_code == 200
        assert len(asked) == 2

    def test_no_label_comes_from_a_request(self, client: httpx.Client) -> None:
        for index in range(50):
            client.get(f"/v1/made-up/{index}")
            client.request(f"VERB{index}"[:4], f"/v1/session/made-up-{index}")
        assert "made-up" not in client.get("/metrics").text
        assert counted(client, route="unmatched", status="4xx") >= 50

    def test_failures_are_counted_too(self, client: httpx.Client) -> None:
        before = counted(client, route="/v1/fail/{name}", status="5xx")
        client.get("/v1/fail/bug")
        assert counted(client, route="/v1/fail/{name}", status="5xx") == before + 1

    def test_durations_are_a_histogram(self, client: httpx.Client) -> None:
        client.get("/v1/pages")
        text = client.get("/metrics").text
        buckets = re.findall(r'duration_seconds_bucket\{le="([^"]+)",method="GET",route="/v1/pages"\} ([0-9.]+)', text)
        values = [float(value) for _, value in buckets]
        assert buckets[-1][0] == "+Inf"
        assert values == sorted(values)
        assert values[-1] == counted(client, route="/v1/pages")

    def test_what_is_under_way_goes_back_to_nothing(self, client: httpx.Client) -> None:
        client.get("/v1/fail/bug")
        # The request for the metrics is itself under way.
        assert "waymeet_http_requests_in_flight 1.0" in client.get("/metrics").text


class TestHealth:
    def test_alive(self, served: Running) -> None:
        with served.client(key=None) as client:
            assert client.get("/healthz").json() == {"status": "ok"}

    def test_ready_without_checks(self, served: Running) -> None:
        with served.client(key=None) as client:
            assert client.get("/readyz").json() == {"ready": True, "checks": {}}

    def test_one_bad_check_is_enough(self) -> None:
        missing: list[str | None] = ["no node is connected"]

        async def store() -> str | None:
            return None

        async def nodes() -> str | None:
            return missing[0]

        async def broken() -> str | None:
            if missing[0]:
                raise RuntimeError("secret detail")
            return None

        async def stuck() -> str | None:
            if missing[0]:
                await asyncio.sleep(3600)
            return None

        checks = {"store": store, "nodes": nodes, "broken": broken, "stuck": stuck}
        with running(checks=checks, limits=HttpLimits(check_seconds=0.05)) as server, server.client(None) as client:
            bad = client.get("/readyz")
            assert bad.status_code == 503
            assert bad.json()["ready"] is False
            assert bad.json()["checks"]["store"] == "ok"
            assert bad.json()["checks"]["nodes"] == "no node is connected"
            assert "secret" not in bad.text
            assert "0.05 s" in bad.json()["checks"]["stuck"]
            assert client.get("/healthz").status_code == 200
            missing[0] = None
            assert client.get("/readyz").json() == {"ready": True, "checks": dict.fromkeys(checks, "ok")}

    def test_a_notice_is_told_and_does_not_decide(self) -> None:
        async def fine() -> str | None:
            return None

        async def old() -> str | None:
            return "the data is old"

        with running(checks={"store": fine}, notices={"geo": old}) as server, server.client(None) as client:
            told = client.get("/readyz")
            assert (told.status_code, told.json()) == (
                200,
                {"ready": True, "checks": {"store": "ok", "geo": "the data is old"}},
            )


@pytest.fixture
def restored_logs() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    root.handlers, root.level = handlers, level


@pytest.mark.usefixtures("restored_logs")
class TestLogs:
    def test_lines_are_objects_and_carry_the_request_id(self) -> None:
        output = io.StringIO()
        configure_logs("json", "info", output)
        token = REQUEST_ID.set("r-1")
        structlog.get_logger("ours").info("seated", players=4)
        logging.getLogger("library").warning("careful %d", 7)
        structlog.get_logger("ours").debug("too much")
        REQUEST_ID.reset(token)
        structlog.get_logger("ours").error("later")
        ours, library, later = [json.loads(line) for line in output.getvalue().splitlines()]
        assert (ours["event"], ours["players"], ours["level"], ours["request_id"]) == ("seated", 4, "info", "r-1")
        assert (library["event"], library["logger"], library["request_id"]) == ("careful 7", "library", "r-1")
        assert "request_id" not in later

    @pytest.mark.parametrize("form", ["json", "console"])
    def test_traces_do_not_show_variables(self, form: str) -> None:
        output = io.StringIO()
        configure_logs("json" if form == "json" else "console", "info", output)
        api_key = "hunter2-" * 2
        with suppress(ZeroDivisionError):
            try:
                assert api_key
                _ = 1 / 0
            except ZeroDivisionError:
                structlog.get_logger("ours").exception("failed")
                raise
        assert "ZeroDivisionError" in output.getvalue()
        assert "hunter2" not in output.getvalue()

    def test_one_line_for_each_request_without_secrets(self) -> None:
        output = io.StringIO()
        configure_logs("json", "info", output)
        with running(access_log=True) as server, server.client() as client:
            client.get("/v1/session/x?page=secret-query", headers={"x-request-id": "find-me"})
            client.get("/v1/fail/bug", headers={"x-request-id": "broken"})
        lines = [json.loads(line) for line in output.getvalue().splitlines()]
        line = next(one for one in lines if one.get("request_id") == "find-me")
        assert line["route"] == "/v1/session/{session_id}"
        assert (line["status"], line["method"], line["path"]) == (200, "GET", "/v1/session/x")
        trace = next(one for one in lines if one["event"] == "a request failed")
        assert trace["request_id"] == "broken"
        assert "RuntimeError" in trace["exception"]
        assert KEY not in output.getvalue()
        assert "secret-query" not in output.getvalue()

    def test_no_line_when_it_is_off(self) -> None:
        output = io.StringIO()
        configure_logs("json", "info", output)
        with running() as server, server.client() as client:
            client.get("/v1/session/x")
        assert '"event": "request"' not in output.getvalue()


def test_lifespan_surrounds_all_requests() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        events.append("up")
        yield
        events.append("down")

    with running(lifespan=lifespan) as server, server.client() as client:
        assert events == ["up"]
        client.get("/v1/session/x")
    assert events == ["up", "down"]
