"""Deployments (contract 3.4 to 3.6)."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.gate import Gate
from tests.polling import eventually
from tests.system.contract.hooks import Hooks
from tests.system.contract.shapes import (
    DEPLOYED,
    DEPLOYMENT_LIST,
    ERROR,
    FIELD_ERRORS,
    LOGS,
    METRICS,
    ONLY_PAGE,
    REQUEST_ID,
    STATUS,
    TAG,
    TAG_LIST,
    assert_fits,
)
from tests.system.contract.studio import PLAYER, Studio, ask, ids, seats, without_sessions

UNKNOWN = "000000000000"


class TestDeploy:
    def test_everything_that_can_be_asked(self, studio: Studio) -> None:
        app = studio.game(
            envs=[{"key": "FROM", "value": "version"}, {"key": "KEPT", "value": "version"}], **without_sessions()
        )
        body = {
            "app_name": app,
            "version_name": "1.0",
            "is_public_app": False,
            "ip_list": [PLAYER, "2001:db8::1"],
            "telemetry_profile_uuid_list": ["1b1d"],
            "env_vars": [
                {"key": "FROM", "value": "call", "is_hidden": False},
                {"key": "EMPTY", "value": "", "is_hidden": True},
            ],
            "skip_telemetry": True,
            "location": {"latitude": 45.5, "longitude": -73.6},
            "webhook_url": "http://127.0.0.1:9/",
            "tags": ["ranked", "big", "ranked"],
            "container_log_storage": {"enabled": True, "endpoint_storage": "logs"},
            "filters": [{"field": "continent", "values": ["North America", "Europe"], "filter_type": "any"}],
            "ap_sort_strategy": "weighted",
            "command": None,
            "arguments": "--from call",
        }
        deployed = studio.api.post("/v1/deploy", body)
        assert_fits(deployed, DEPLOYED)
        assert deployed == {
            "request_id": deployed["request_id"],
            "request_dns": deployed["request_dns"],
            "request_app": app,
            "request_version": "1.0",
            "request_user_count": 2,
            "city": "Montreal",
            "country": "Canada",
            "continent": "North America",
            "administrative_division": "Quebec",
            "tags": ["ranked", "big"],
            "filters": body["filters"],
            "container_log_storage": body["container_log_storage"],
        }
        status = studio.wait_for(deployed["request_id"], "READY")
        told = ask(status)
        # Later wins: the version's, then the call's.
        assert (told["environment"]["FROM"], told["environment"]["KEPT"], told["environment"]["EMPTY"]) == (
            "call",
            "version",
            "",
        )
        assert told["arguments"] == ["--from", "call"]
        assert (status["arguments"], status["command"]) == ("--from call", None)

    def test_least(self, studio: Studio) -> None:
        """A body as the Mirror hosting sends it: players, and an empty `geo_ip_list` beside them."""
        app = studio.game(**without_sessions())
        deployed = studio.api.post("/v1/deploy", {"app_name": app, "ip_list": [PLAYER], "geo_ip_list": []})
        assert_fits(deployed, DEPLOYED)
        assert (deployed["tags"], deployed["filters"], deployed["container_log_storage"]) == (
            [], [], {"enabled": False, "endpoint_storage": None}
        )  # fmt: skip
        assert studio.api.post("/v1/deploy", {"app_name": app})["request_user_count"] == 0

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"app_name": None}, "app_name"),
            ({"ip_list": ["x"]}, "ip_list.0"),
            ({"geo_ip_list": [{"ip": PLAYER, "latitude": 1, "longitude": 1}]}, "geo_ip_list"),
            ({"env_vars": [{"key": "A"}]}, "env_vars.0.value"),
            ({"env_vars": [{"key": "A=B", "value": "x"}]}, "env_vars.0.key"),
            ({"env_vars": {"A": "x"}}, "env_vars"),
            ({"tags": ["x" * 41]}, "tags.0"),
            ({"tags": [""]}, "tags.0"),
            ({"tags": "a"}, "tags"),
            ({"webhook_url": "gopher://x"}, "webhook_url"),
            ({"filters": [{"field": "planet", "values": ["x"], "filter_type": "any"}]}, "filters.0.field"),
            ({"container_log_storage": {"enabled": "x"}}, "container_log_storage.enabled"),
            ({"arguments": ["x"]}, "arguments"),
        ],
    )
    def test_bad_requests(self, studio: Studio, change: dict[str, Any], path: str) -> None:
        body = {"app_name": studio.game(), "version_name": "1.0", "ip_list": [PLAYER]} | change
        found = studio.api.refused(400, "POST", "/v1/deploy", body)
        assert_fits(found, FIELD_ERRORS)
        assert list(found["errors"]) == [path]
        assert studio.running() == []

    def test_unknown_and_impossible(self, studio: Studio) -> None:
        app = studio.game()
        assert_fits(studio.api.refused(404, "POST", "/v1/deploy", {"app_name": "nobody", "ip_list": [PLAYER]}), ERROR)
        studio.api.refused(404, "POST", "/v1/deploy", {"app_name": app, "version_name": "9", "ip_list": [PLAYER]})
        studio.version(app, "2.0", docker_image="nobody/knows")
        body = {"app_name": app, "version_name": "2.0", "ip_list": [PLAYER]}
        assert "nobody/knows" in studio.api.refused(422, "POST", "/v1/deploy", body)["message"]
        assert studio.running() == []


class TestDeployV2:
    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"application": None}, "application"),
            ({"version": None}, "version"),
            ({"version": "9.9"}, "version"),
            ({"application": "nobody"}, "version"),
            ({"users": []}, "users"),
            ({"users": None}, "users"),
            ({"users": [{"user_type": "telepathy", "user_data": {}}]}, "users.0.user_type"),
            (
                {"users": [{"user_type": "ip_address", "user_data": {"ip_address": "x"}}]},
                "users.0.user_data.ip_address",
            ),
            (
                {"users": [{"user_type": "geo_coordinates", "user_data": {"latitude": 1}}]},
                "users.0.user_data.longitude",
            ),
            ({"webhook_on_ready": {"url": "x"}}, "webhook_on_ready.url"),
            ({"resources": {"cpu_units": 1}}, "resources.cpu_units"),
        ],
    )
    def test_bad_requests(self, studio: Studio, change: dict[str, Any], path: str) -> None:
        users = [{"user_type": "ip_address", "user_data": {"ip_address": PLAYER}}]
        body = {"application": studio.game(), "version": "1.0", "users": users} | change
        found = studio.api.refused(400, "POST", "/v2/deployments", body)
        assert_fits(found, {"message": str, "details": dict})
        assert list(found["details"]) == [path], found

    def test_no_room(self, studio: Studio) -> None:
        app = studio.game(docker_image="nobody/knows")
        users = [{"user_type": "ip_address", "user_data": {"ip_address": PLAYER}}]
        found = studio.api.refused(
            422, "POST", "/v2/deployments", {"application": app, "version": "1.0", "users": users}
        )
        assert_fits(found, {"message": str, "request_id": str})

    def test_blank_webhooks_and_resources(self, studio: Studio) -> None:
        """Nakama always sends all three."""
        app = studio.game(**without_sessions())
        users = [{"user_type": "ip_address", "user_data": {"ip_address": PLAYER}}]
        body = {
            "application": app, "version": "1.0", "users": users, "tags": [], "environment_variables": [],
            "webhook_on_ready": {"url": ""}, "webhook_on_error": {"url": None}, "webhook_on_terminated": None,
            "resources": {"cpu_units": 512, "memory_mib": 1024},
        }  # fmt: skip
        request_id = studio.api.post("/v2/deployments", body, 202)["request_id"]
        environment = ask(studio.wait_for(request_id, "READY"))["environment"]
        assert environment["ARBITRIUM_DEPLOYMENT_VCPU_UNITS"] == "512"
        assert environment["ARBITRIUM_DEPLOYMENT_MEMORY_MB"] == "1024"


class TestStatus:
    def test_while_ready(self, studio: Studio) -> None:
        app = studio.game(session_config=seats(4), whitelisting_active=True, max_duration=30)
        request_id = studio.run(app, tags=["a"])["request_id"]
        session = studio.play(app, PLAYER, PLAYER, deployment_request_id=request_id)
        status = studio.status(request_id)
        assert_fits(status, STATUS)
        assert status == status | {
            "request_id": request_id,
            "app_name": app,
            "app_version": "1.0",
            "current_status": "Status.READY",
            "running": True,
            "whitelisting_active": True,
            "removal_time": None,
            "error": False,
            "error_detail": None,
            "tags": ["a"],
            "command": None,
            "arguments": None,
            "sockets": 4,
            "sockets_usage": 2,
            "max_duration": 30,
            "sessions": [
                {
                    "session_id": session["session_id"],
                    "status": "Ready",
                    "ready": True,
                    "linked": True,
                    "kind": "Seat",
                    "user_count": 2,
                }
            ],
        }
        assert session["deployment"]["whitelisting_active"] is True

    def test_without_sessions(self, studio: Studio) -> None:
        status = studio.run(studio.game(**without_sessions()))
        assert (status["sessions"], status["sockets"], status["sockets_usage"]) == ([], None, None)
        listed = studio.running()[0]
        assert (listed["sockets"], listed["sockets_usage"]) == (None, None)

    @pytest.mark.parametrize("request_id", [UNKNOWN, "x", "57F84A8E1298", "57f84a8e12980", "%20"])
    def test_unknown(self, studio: Studio, request_id: str) -> None:
        for method, path, body in (
            ("GET", f"/v1/status/{request_id}", None),
            ("DELETE", f"/v1/stop/{request_id}", None),
            ("PATCH", f"/v1/deployments/{request_id}", {"is_joinable_by_session": True}),
            ("GET", f"/v1/deployments/{request_id}/tags", None),
            ("POST", f"/v1/deployments/{request_id}/tags", {"name": "a"}),
            ("GET", f"/v1/deployments/{request_id}/tags/a", None),
            ("PATCH", f"/v1/deployments/{request_id}/tags/a", {"name": "b"}),
            ("DELETE", f"/v1/deployments/{request_id}/tags/a", None),
            ("GET", f"/v1/deployment/{request_id}/container-logs", None),
            ("GET", f"/v1/metrics/deployment/{request_id}", None),
        ):
            assert_fits(studio.api.refused(404, method, path, body), ERROR)

    def test_stop_with_log_storage(self, studio: Studio) -> None:
        app = studio.game(**without_sessions())
        for value in ("true", "false", "my-storage", ""):
            request_id = studio.run(app)["request_id"]
            assert studio.api.call("DELETE", f"/v1/stop/{request_id}?container_log_storage={value}").status_code == 200


class TestPorts:
    def test_every_protocol(self, studio: Studio) -> None:
        ports = [
            {"port": 7777, "protocol": "UDP", "name": "game"},
            {"port": 7778, "protocol": "TCP"},
            {"port": 0, "protocol": "TCP/UDP", "name": "Voice Chat"},
            {"port": 80, "protocol": "HTTP", "name": "web"},
            {"port": 81, "protocol": "HTTP", "name": "web-tls", "tls_upgrade": True},
            {"port": 443, "protocol": "HTTPS", "name": "secure"},
            {"port": 8080, "protocol": "WS", "name": "socket"},
            {"port": 8081, "protocol": "WS", "name": "socket-tls", "tls_upgrade": True},
            {"port": 8443, "protocol": "WSS", "name": "socket-secure"},
        ]
        status = studio.run(studio.game(ports=ports, **without_sessions()))
        assert_fits(status, STATUS)
        schemes = {
            "game": "", "7778": "", "Voice Chat": "", "web": "http://", "web-tls": "https://", "secure": "https://",
            "socket": "ws://", "socket-tls": "wss://", "socket-secure": "wss://",
        }  # fmt: skip
        assert list(status["ports"]) == list(schemes)
        for sent, (key, port) in zip(ports, status["ports"].items(), strict=True):
            assert port == {
                "external": port["external"],
                "internal": port["internal"],
                "protocol": sent["protocol"],
                "name": key,
                "tls_upgrade": sent.get("tls_upgrade", False),
                "link": f"{schemes[key]}{status['fqdn']}:{port['external']}",
                "proxy": 0,
            }
        assert len({port["external"] for port in status["ports"].values()}) == len(ports)

    def test_none(self, studio: Studio) -> None:
        status = studio.run(studio.game(ports=[], **without_sessions()))
        assert status["ports"] == {}


class TestReadiness:
    def test_waits_for_every_checked_port(self, studio: Studio, gate: Gate) -> None:
        app = studio.game(arguments=gate.ready, **without_sessions())
        request_id = studio.deploy(app)
        first = studio.status(request_id)
        assert_fits(first, STATUS)
        assert (first["running"], first["error"]) == (False, False)
        # Its process runs by then, and it is still not ready.
        starting = studio.wait_for(request_id, "DEPLOYING")
        assert (starting["running"], starting["error"], starting["error_detail"]) == (False, False, None)
        gate.open()
        seen: list[str] = []

        def ready() -> bool:
            seen.append(studio.status(request_id)["current_status"])
            return seen[-1] == "Status.READY"

        eventually(ready)
        assert set(seen[:-1]) <= {"Status.DEPLOYING"}

    def test_does_not_wait_for_unchecked_ports(self, studio: Studio) -> None:
        ports = [{"port": 7777, "protocol": "UDP", "name": "game", "to_check": False}]
        status = studio.run(studio.game(arguments="--deaf", ports=ports, **without_sessions()))
        assert status["ports"]["game"]["external"] > 0

    def test_one_that_never_binds_is_an_error_in_time(self, studio: Studio, hooks: Hooks) -> None:
        """`time_to_deploy` is at least 15 seconds, which all of them wait for together."""
        started = {}
        for one in ("UDP", "TCP", "TCP/UDP"):
            app = studio.game(
                arguments="--deaf", time_to_deploy=15, ports=[{"port": 7777, "protocol": one, "name": "game"}]
            )
            session_id = studio.seat(app, webhook_url=hooks.url(f"{app}/session"))
            started[app] = (session_id, studio.deploy(app, webhook_url=hooks.url(f"{app}/deployment")))
        for app, (session_id, request_id) in started.items():
            status = studio.wait_for(request_id, "ERROR")
            assert_fits(status, STATUS)
            assert (status["running"], status["error"]) == (False, True)
            assert "15" in status["error_detail"]
            # Which port, and what is wrong with it.
            assert "port game" in status["error_detail"]
            ((_, told),) = hooks.wait_for(f"{app}/deployment")
            assert (told["request_id"], told["current_status"], told["error"]) == (request_id, "Status.ERROR", True)
            session = studio.wait_for_session(session_id, "Error")
            assert session["error"]
            assert (session["linked"], session["ready"]) == (False, False)
            ((_, told),) = hooks.wait_for(f"{app}/session")
            assert (told["session_id"], told["status"], told["ready"]) == (session_id, "Error", False)
            assert told["error"] == session["error"]

    def test_ends_by_itself_before_it_was_ready(self, studio: Studio) -> None:
        app = studio.game(docker_image="waymeet/echo", arguments="--nonsense 1", **without_sessions())
        status = studio.wait_for(studio.deploy(app), "ERROR")
        assert status["error"] is True
        logs = studio.api.get(f"/v1/deployment/{status['request_id']}/container-logs")
        assert "unknown option --nonsense" in logs["crash_logs"]
        assert logs["crash_data"]["exit_code"] == 2

    def test_programs_placeholders(self, studio: Studio) -> None:
        """What the operator's command names is filled in; the version's arguments follow, split as a shell would."""
        app = studio.game(docker_image="test/filled", arguments="--name 'two words' $HOME", **without_sessions())
        status = studio.run(app)
        port = status["ports"]["game"]["internal"]
        assert ask(status)["arguments"] == ["tag=v7", str(port), status["public_ip"], "--name", "two words", "$HOME"]

    def test_command_of_the_version_is_not_run(self, studio: Studio) -> None:
        app = studio.game(command="/bin/sh -c 'sleep 60'", **without_sessions())
        status = studio.wait_for(studio.deploy(app), "ERROR")
        assert "command" in status["error_detail"]


class TestList:
    @staticmethod
    def query(
        studio: Studio, *filters: tuple[str, str, Any], order_by: list[dict[str, str]] | None = None
    ) -> list[str]:
        document = {
            "filters": [{"field": field, "operator": operator, "value": value} for field, operator, value in filters],
            "order_by": order_by or [],
        }
        return ids(studio.api.get("/v1/deployments", query=json.dumps(document))["data"])

    def test_shape(self, studio: Studio) -> None:
        app = studio.game()
        session = studio.play(app)
        deaf = studio.deploy(studio.game(arguments="--deaf"))
        listed = studio.api.get("/v1/deployments")
        assert_fits(listed, DEPLOYMENT_LIST)
        assert (listed["total_count"], listed["message"], listed["pagination"]) == (2, [], ONLY_PAGE)
        starting, ready = listed["data"]
        status = studio.status(session["deployment"]["request_id"])
        assert ready == {name: status.get(name, ready[name]) for name in ready} | {
            "ready": True,
            "status": "Status.READY",
            "is_joinable_by_session": True,
        }
        assert (starting["request_id"], starting["ready"]) == (deaf, False)

    def test_filters_and_order(self, studio: Studio) -> None:
        arena = studio.game(session_config=seats(4))
        studio.version(arena, "2.0", session_config=seats(8))
        quiz = studio.game(arguments="--deaf", **without_sessions())
        one = studio.run(arena, tags=["red", "big"])["request_id"]
        two = studio.run(arena, version_name="2.0", tags=["red big"])["request_id"]
        three = studio.deploy(quiz, tags=["blue"])
        studio.wait_for(three, "DEPLOYING")
        studio.play(arena, PLAYER, PLAYER, PLAYER, deployment_request_id=one)
        studio.api.patch(f"/v1/deployments/{two}", {"is_joinable_by_session": False})
        created_at = {entry["request_id"]: entry["start_time"] for entry in studio.running()}
        cases: list[tuple[tuple[str, str, Any], set[str]]] = [
            (("status", "eq", "ready"), {one, two}),
            (("status", "neq", "ready"), {three}),
            (("status", "in", ["ready", "deploying"]), {one, two, three}),
            (("status", "nin", ["ready"]), {three}),
            (("request_id", "eq", one), {one}),
            (("request_id", "in", [one, three, UNKNOWN]), {one, three}),
            (("request_id", "nin", [one, three]), {two}),
            (("tags", "eq", "red"), {one}),
            (("tags", "eq", "red big"), {two}),
            (("tags", "in", ["big", "blue"]), {one, three}),
            (("tags", "nin", ["big", "blue"]), {two}),
            (("tags", "neq", "red"), {two, three}),
            (("tags", "eq", "%"), set()),
            (("application", "eq", arena), {one, two}),
            (("application", "neq", arena), {three}),
            (("version", "eq", "2.0"), {two}),
            (("version", "in", ["1.0", "2.0"]), {one, two, three}),
            (("is_joinable_by_session", "eq", False), {two}),
            (("is_joinable_by_session", "neq", False), {one, three}),
            (("available_session_sockets", "gte", 1), {one, two}),
            (("available_session_sockets", "gt", 1), {two}),
            (("available_session_sockets", "lte", 1), {one, three}),
            (("available_session_sockets", "lt", 1), {three}),
            (("available_session_sockets", "eq", 8), {two}),
            (("available_session_sockets", "in", [1, 8]), {one, two}),
            (("created_at", "gt", "2021-01-01 00:00:00"), {one, two, three}),
            (("created_at", "lt", "2021-01-01T00:00:00Z"), set()),
            (("created_at", "gte", "2999-01-01"), set()),
        ]
        for condition, expected in cases:
            assert set(self.query(studio, condition)) == expected, condition
        both = (("application", "eq", arena), ("is_joinable_by_session", "eq", True))
        assert self.query(studio, *both) == [one]
        assert self.query(studio, order_by=[{"field": "created_at", "order": "asc"}]) == [one, two, three]
        assert self.query(studio, order_by=[{"field": "created_at", "order": "desc"}]) == [three, two, one]
        by_room = [{"field": "available_session_sockets", "order": "desc"}]
        assert self.query(studio, order_by=by_room) == [two, one, three]
        by_room[0]["order"] = "asc"
        assert self.query(studio, ("status", "eq", "ready"), order_by=by_room) == [one, two]
        page = studio.api.get("/v1/deployments", query='{"filters": []}', page=2, limit=2)
        assert (ids(page["data"]), page["total_count"]) == ([one], 3)
        assert set(created_at) == {one, two, three}

    @pytest.mark.parametrize(
        "query",
        [
            "x", "[]", '"x"', "5", '{"filters": {}}', '{"filters": ["x"]}', '{"filters": [{}]}',
            '{"filters": [{"field": "color", "operator": "eq", "value": "x"}]}',
            '{"filters": [{"field": "status", "operator": "like", "value": "x"}]}',
            '{"filters": [{"field": "status", "operator": "eq", "value": "asleep"}]}',
            '{"filters": [{"field": "status", "operator": "eq", "value": ["ready"]}]}',
            '{"filters": [{"field": "status", "operator": "in", "value": "ready"}]}',
            '{"filters": [{"field": "status", "operator": "in", "value": []}]}',
            '{"filters": [{"field": ["status"], "operator": "eq", "value": "ready"}]}',
            '{"filters": [{"field": "status", "operator": {"eq": 1}, "value": "ready"}]}',
            '{"filters": [{"field": "status", "operator": "eq"}]}',
            '{"filters": [{"field": "tags", "operator": "lt", "value": "a"}]}',
            '{"filters": [{"field": "created_at", "operator": "lt", "value": "soon"}]}',
            '{"filters": [{"field": "created_at", "operator": "lt", "value": 5}]}',
            '{"filters": [], "filters": [{"field": "status", "operator": "eq", "value": "ready"}]}',
            '{"filters": [{"field": "available_session_sockets", "operator": "lt", "value": "many"}]}',
            '{"filters": [{"field": "available_session_sockets", "operator": "lt", "value": 1e400}]}',
            '{"filters": [{"field": "available_session_sockets", "operator": "lt", "value": 99999999999999999999}]}',
            '{"filters": [{"field": "is_joinable_by_session", "operator": "eq", "value": "true"}]}',
            '{"filters": [{"field": "application", "operator": "eq", "value": "\\u0000"}]}',
            '{"filters": [{"field": "application", "operator": "eq", "value": "\\ud800"}]}',
            '{"order_by": [{"field": "name", "order": "asc"}]}',
            '{"order_by": [{"field": ["created_at"], "order": "asc"}]}',
            '{"order_by": [{"field": "created_at", "order": "up"}]}',
            '{"order_by": [{"field": "created_at", "order": ["asc"]}]}',
            '{"order_by": "created_at"}',
            '{"filters": ' + "[" * 5000,
            json.dumps({"filters": [{"field": "status", "operator": "eq", "value": "ready"}] * 17}),
            json.dumps({"filters": [{"field": "tags", "operator": "in", "value": ["x"] * 101}]}),
            "%ff",
        ],
    )  # fmt: skip
    def test_bad_queries(self, studio: Studio, query: str) -> None:
        encoded = query if query.startswith("%") else quote(query)
        found = studio.api.refused(400, "GET", f"/v1/deployments?query={encoded}")
        assert_fits(found, FIELD_ERRORS)
        assert any(path.startswith("query") for path in found["errors"])

    def test_empty_query_is_none(self, studio: Studio) -> None:
        for query in ("", "{}", '{"filters": null, "order_by": []}'):
            assert studio.api.get("/v1/deployments", query=query)["data"] == []


class TestBulkStop:
    def test_by_id_and_tags(self, studio: Studio) -> None:
        app = studio.game(**without_sessions())
        red = studio.run(app, tags=["red", "big"])["request_id"]
        blue = studio.run(app, tags=["blue"])["request_id"]
        starting = studio.deploy(studio.game(arguments="--deaf"), tags=["blue"])

        def stop(*filters: tuple[str, str, list[str]]) -> set[str]:
            body = {
                "filters": [{"field": field, "filter_type": kind, "values": values} for field, kind, values in filters]
            }
            answer = studio.api.post("/v1/deployments/bulk-stop", body)
            assert_fits(answer, {"processable": [{"request_id": REQUEST_ID}]})
            return set(ids(answer["processable"]))

        assert stop(("deployment_tags", "all", ["red", "blue"])) == set()
        assert stop(("request_id", "any", [UNKNOWN])) == set()
        assert stop(("deployment_tags", "any", ["blue"]), ("request_id", "not", [blue, starting])) == set()
        assert len(studio.running()) == 3
        assert stop(("deployment_tags", "any", ["big", "nothing"])) == {red}
        studio.wait_for(red, "TERMINATED")
        assert stop(("deployment_tags", "not", ["red"])) == {blue, starting}
        # Those that are ending are not stopped again.
        assert stop(("deployment_tags", "not", ["red"])) == set()
        eventually(lambda: not studio.running())

    @pytest.mark.parametrize(
        ("body", "path"),
        [
            # As the Unreal kit sends it.
            ({"request_ids": [UNKNOWN]}, "filters"),
            ({"filters": []}, "filters"),
            ({"filters": [{"field": "session_id", "values": ["x"], "filter_type": "any"}]}, "filters.0.field"),
            ({"filters": [{"field": "request_id", "values": [], "filter_type": "any"}]}, "filters.0.values"),
            ({"filters": [{"field": "request_id", "values": ["x"], "filter_type": "maybe"}]}, "filters.0.filter_type"),
        ],
    )
    def test_mistakes_stop_nothing(self, studio: Studio, body: Any, path: str) -> None:
        request_id = studio.run(studio.game())["request_id"]
        assert path in studio.api.refused(400, "POST", "/v1/deployments/bulk-stop", body)["errors"]
        assert studio.status(request_id)["running"] is True


class TestFlag:
    def test_only_this_one_can_change(self, studio: Studio) -> None:
        request_id = studio.run(studio.game())["request_id"]
        path = f"/v1/deployments/{request_id}"
        assert studio.api.patch(path, {"is_joinable_by_session": False, "tags": ["x"]}) == {
            "is_joinable_by_session": False
        }
        listed = studio.running()[0]
        assert (listed["is_joinable_by_session"], listed["tags"]) == (False, [])
        bodies: list[Any] = [
            {},
            {"is_joinable_by_session": "no"},
            {"is_joinable_by_session": None},
            {"is_joinable_by_session": 0},
            [],
        ]
        for body in bodies:
            assert_fits(studio.api.refused(400, "PATCH", path, body), FIELD_ERRORS)
        assert studio.running()[0]["is_joinable_by_session"] is False


class TestTags:
    def test_life(self, studio: Studio) -> None:
        request_id = studio.run(studio.game(), tags=["first"])["request_id"]
        path = f"/v1/deployments/{request_id}/tags"
        added = studio.api.post(path, {"name": "second tag/ü"})
        assert_fits(added, TAG)
        listed = studio.api.get(path)
        assert_fits(listed, TAG_LIST)
        assert ids(listed["tags"], "name") == ["first", "second tag/ü"]
        assert (listed["count"], listed["total_count"], listed["pagination"]) == (2, 2, ONLY_PAGE)
        one = f"{path}/{quote('second tag/ü', safe='')}"
        assert studio.api.get(one) == added
        renamed = studio.api.patch(one, {"name": "third"})
        assert_fits(renamed, TAG)
        assert (renamed["name"], renamed["create_time"]) == ("third", added["create_time"])
        assert renamed["last_updated"] > added["last_updated"]
        studio.api.refused(404, "GET", one)
        assert studio.status(request_id)["tags"] == ["first", "third"]
        studio.api.delete(f"{path}/third", status=204)
        for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
            assert_fits(studio.api.refused(404, method, f"{path}/third", body), ERROR)
        assert studio.status(request_id)["tags"] == ["first"]

    def test_duplicates_and_limits(self, studio: Studio) -> None:
        request_id = studio.run(studio.game(), tags=["first", "second"])["request_id"]
        path = f"/v1/deployments/{request_id}/tags"
        assert_fits(studio.api.refused(409, "POST", path, {"name": "first"}), ERROR)
        assert_fits(studio.api.refused(409, "PATCH", f"{path}/second", {"name": "first"}), ERROR)
        for name in ("", "x" * 41, None, 5, ["a"]):
            assert "name" in studio.api.refused(400, "POST", path, {"name": name})["errors"]
            assert "name" in studio.api.refused(400, "PATCH", f"{path}/second", {"name": name})["errors"]
        assert studio.api.post(path, {"name": "x" * 40})["name"] == "x" * 40
        assert studio.api.get(path)["count"] == 3


class TestLogs:
    def test_text_and_lines(self, studio: Studio) -> None:
        request_id = studio.run(studio.game())["request_id"]
        path = f"/v1/deployment/{request_id}/container-logs"
        # Printed before it was ready, but its keeper may not have read it by then.
        found = eventually(lambda: got if len((got := studio.api.get(path))["logs"].splitlines()) >= 2 else None)
        assert found is not None
        assert_fits(found, LOGS)
        assert found["logs"].splitlines()[:2] == ["the game begins", '"quoted" and ünïcode']
        assert (found["encoding"], found["crash_logs"], found["crash_data"], found["logs_link"]) == (
            "utf-8",
            None,
            None,
            None,
        )
        assert studio.api.get(path, format="text") == found
        lines = studio.api.get(path, format="ndjson")
        assert_fits(lines, LOGS)
        assert [json.loads(line)["log"] for line in lines["logs"].splitlines()] == found["logs"].splitlines()
        assert "format" in studio.api.refused(400, "GET", f"{path}?format=xml")["errors"]

    def test_after_the_end(self, studio: Studio) -> None:
        request_id = studio.run(studio.game())["request_id"]
        studio.stop(request_id)
        found = studio.api.get(f"/v1/deployment/{request_id}/container-logs")
        assert_fits(found, LOGS)
        assert found["logs"] == ""
        assert_fits(studio.api.get(f"/v1/metrics/deployment/{request_id}"), METRICS)
