"""What holds for all endpoints (contract 1)."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.system.contract.api import Api, bare_call
from tests.system.contract.shapes import ERROR, FIELD_ERRORS, ONLY_PAGE, PAGINATION, assert_fits
from tests.system.contract.studio import PLAYER, Server, Studio, new_version, without_sessions
from waymeet.cli.app import app as commands

UNKNOWN_KEY = "3f0e7c1a-5b1d-4c8e-9a67-2f6d1b0c9e11"


def key_of(studio: Studio) -> str:
    assert studio.api.authorization is not None
    return studio.api.authorization.removeprefix("token ")


class TestRouting:
    def test_slashes_at_the_start_are_one(self, studio: Studio) -> None:
        assert studio.api.get("//v1/apps") == studio.api.get("/v1/apps") == studio.api.get("////v1/apps")
        assert studio.api.post("//v1/app", {"name": "slashed", "is_active": True, "image": ""})["name"] == "slashed"

    def test_trailing_slash_is_for_the_location_list_only(self, studio: Studio) -> None:
        app = studio.game()
        assert studio.api.get(f"/v1/locations/?app={app}&version=1.0") == studio.api.get("/v1/locations")
        for path in ("/v1/apps/", "/v1/sessions/", f"/v1/app/{app}/", "/v1/deployments/"):
            assert_fits(studio.api.refused(404, "GET", path), ERROR)

    def test_percent_encoded_verb(self, studio: Studio) -> None:
        before = studio.api.get("/v1/webhooks/secret")
        assert studio.api.post("/v1/webhooks/secret%3Arotate", {}) != before
        assert studio.api.post("/v1/webhooks/secret%3arotate", {}) != before

    def test_percent_encoded_segments(self, studio: Studio) -> None:
        studio.api.post("/v1/app", {"name": "two words", "is_active": True, "image": ""})
        assert studio.api.get("/v1/app/two%20words")["name"] == "two words"
        assert studio.api.get("/v1/app/%74wo%20words")["name"] == "two words"
        # A plus is a plus in a path.
        studio.api.refused(404, "GET", "/v1/app/two+words")

    @pytest.mark.parametrize(
        "path", ["/", "/v1", "/v1/", "/V1/apps", "/v1/Apps", "/v1/nothing", "/v1/app", "/v3/deploy"]
    )
    def test_unknown_path_or_method(self, studio: Studio, path: str) -> None:
        status = 405 if path == "/v1/app" else 404
        assert_fits(studio.api.refused(status, "GET", path), ERROR)

    def test_wrong_method_says_which_are_right(self, studio: Studio) -> None:
        response = studio.api.call("PUT", "/v1/session/950dd2eaff09-S")
        assert response.status_code == 405
        assert response.headers["allow"] == "DELETE, GET, HEAD"
        assert_fits(response.json(), ERROR)
        for method, path in (
            ("POST", "/v1/apps"),
            ("PATCH", "/v1/sessions"),
            ("OPTIONS", "/v1/session"),
            ("TRACE", "/v1/app"),
        ):
            assert_fits(studio.api.refused(405, method, path), ERROR)
        assert bare_call(studio.server.url, "BREW", "/v1/session", {})[0] == 400

    def test_head_is_get_without_the_body(self, studio: Studio) -> None:
        got, head = studio.api.call("GET", "/v1/apps"), studio.api.call("HEAD", "/v1/apps")
        assert head.status_code == 200
        assert head.headers["content-length"] == got.headers["content-length"]
        assert head.headers["content-type"] == got.headers["content-type"]


class TestAuthentication:
    @pytest.mark.parametrize(
        "form", ["{}", "token {}", "Token {}", "TOKEN {}", "token    {}", "  token {}  ", "token\t{}", " {} "]
    )
    def test_accepted_forms(self, server: Server, studio: Studio, form: str) -> None:
        header = {"Authorization": form.format(key_of(studio))}
        assert bare_call(server.url, "GET", "/v1/sessions", header)[0] == 200

    @pytest.mark.parametrize(
        "form",
        [
            None,
            "",
            "   ",
            "token",
            "token ",
            "Bearer {}",
            "bearer {}",
            "Basic {}",
            "token {} more",
            "token: {}",
            "{} {}",
        ],
    )
    def test_refused_forms(self, server: Server, studio: Studio, form: str | None) -> None:
        header = {} if form is None else {"Authorization": form.format(key_of(studio), key_of(studio))}
        for method, path in (("GET", "/v1/sessions"), ("GET", "/v1/apps"), ("POST", "/v1/session")):
            assert bare_call(server.url, method, path, header)[0] == 401

    def test_header_name_in_any_letter_case(self, server: Server, studio: Studio) -> None:
        with server.caller(None) as caller:
            for name in ("authorization", "AUTHORIZATION", "Authorization"):
                assert caller.call("GET", "/v1/apps", headers={name: f"token {key_of(studio)}"}).status_code == 200

    def test_unknown_key_is_403_where_that_is_listed_and_401_elsewhere(self, server: Server) -> None:
        with server.caller(f"token {UNKNOWN_KEY}") as caller:
            for method, path in (("GET", "/v1/apps"), ("DELETE", "/v1/stop/57f84a8e1298")):
                assert_fits(caller.refused(403, method, path), ERROR)
            for method, path in (
                ("GET", "/v1/sessions"),
                ("POST", "/v1/session"),
                ("GET", "/v1/session/950dd2eaff09-S"),
                ("GET", "/v1/locations"),
                ("GET", "/v1/locations/beacons"),
                ("POST", "/v1/app"),
                ("GET", "/v1/status/57f84a8e1298"),
                ("POST", "/v1/deploy"),
            ):
                assert_fits(caller.refused(401, method, path), ERROR)

    def test_revoked_key_is_unknown(self, server: Server, studio: Studio) -> None:
        place = ["--organisation", studio.organisation, "--data", str(server.installation.data)]
        key = server.token(studio.organisation)
        listed = CliRunner().invoke(commands, ["token", "list", *place]).stdout.splitlines()
        # Nobody has used it yet, so that no memory of it stands between.
        token_id = listed[-1].split()[0]
        assert CliRunner().invoke(commands, ["token", "revoke", token_id, *place]).exit_code == 0
        with server.caller(f"token {key}") as caller:
            caller.refused(401, "GET", "/v1/sessions")
        studio.api.get("/v1/sessions")

    def test_key_of_another_scope_is_refused(self, server: Server, studio: Studio) -> None:
        for scope in ("node", "relay"):
            with server.caller(f"token {server.token(studio.organisation, scope)}") as caller:
                for method, path in (("GET", "/v1/sessions"), ("POST", "/v1/session"), ("POST", "/v2/deployments")):
                    assert "scope" in caller.refused(403, method, path)["message"]

    def test_credentials_come_before_everything_else(self, server: Server) -> None:
        with server.caller(None) as caller:
            caller.refused(401, "POST", "/v1/session", content=b"{broken")
            caller.refused(401, "GET", "/v1/sessions?page=x")
            caller.refused(401, "GET", "/v1/session/malformed")


class TestBodies:
    @pytest.mark.parametrize(
        "content_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "text/plain", ""]
    )
    def test_content_type_does_not_matter(self, studio: Studio, content_type: str) -> None:
        body = b'{"name": "any-type", "is_active": true, "image": ""}'
        answer = studio.api.call("POST", "/v1/app", content=body, headers={"Content-Type": content_type})
        assert answer.status_code == 200

    def test_empty_body_where_none_is_needed(self, studio: Studio) -> None:
        assert studio.api.call("POST", "/v1/wizard/init-quick-start").status_code == 204
        app = studio.game()
        assert studio.api.call("PATCH", f"/v1/app/{app}").json()["name"] == app
        assert studio.api.call("DELETE", f"/v1/app/{app}").status_code == 200

    def test_body_on_get_is_ignored(self, studio: Studio) -> None:
        for content in (b'{"type": "standard", "page": "x"}', b"{broken", b"\xff"):
            assert len(studio.api.call("GET", "/v1/locations", content=content).json()["locations"]) == 3

    def test_body_on_a_delete_that_needs_none_is_ignored(self, studio: Studio) -> None:
        session_id = studio.seat(studio.game())
        assert studio.api.call("DELETE", f"/v1/session/{session_id}", content=b"{broken").status_code == 200

    def test_unknown_members_are_ignored(self, studio: Studio) -> None:
        app = studio.game(max_user_count=5, unknown={"deep": [1]})
        studio.seat(app, max_user_count=3, unknown=[1])
        studio.api.patch(f"/v1/app/{app}/version/1.0", {"nonsense": True})

    def test_blanks_mean_absent(self, studio: Studio) -> None:
        """As the Unreal kit sends them."""
        app = studio.game()
        blank: dict[str, Any] = {
            "app_name": app,
            "version_name": "",
            "deployment_request_id": "",
            "geo_ip_list": [],
            "location": None,
            "city": "",
            "country": "",
            "continent": "",
            "region": "",
            "administrative_division": "",
            "selectors": [],
            "webhook_url": "",
            "filters": [],
            "skip_telemetry": None,
        }
        for ip_list in (
            {"ip_list": [PLAYER]},
            {"geo_ip_list": [{"ip": PLAYER, "latitude": 1, "longitude": 2.5}], "ip_list": []},
        ):
            created = studio.api.post("/v1/session", blank | ip_list)
            assert created["version"] == "1.0"
            assert created["webhook_url"] is None
            assert created["selectors"] == []
        nulls = {member: None for member in blank if member != "app_name"}
        studio.api.post("/v1/session", nulls | {"app_name": app, "ip_list": [PLAYER]})
        deployed = studio.api.post(
            "/v1/deploy",
            {"app_name": app, "version_name": "", "ip_list": [PLAYER], "geo_ip_list": [], "tags": None, "env_vars": None,
             "container_log_storage": None, "command": "", "arguments": "", "webhook_url": "",
             "telemetry_profile_uuid_list": []},
        )  # fmt: skip
        assert deployed["request_version"] == "1.0"
        # Required members cannot be blank.
        blanks: tuple[Any, ...] = (None, "", [])
        for missing in blanks:
            assert (
                "app_name"
                in studio.api.refused(400, "POST", "/v1/session", {"app_name": missing, "ip_list": [PLAYER]})["errors"]
            )

    def test_decimal_strings_are_integers(self, studio: Studio) -> None:
        app = studio.game(
            req_cpu="128", req_memory="256", time_to_deploy="60",
            ports=[{"port": "7777", "protocol": "UDP", "name": "game"}],
            session_config={"kind": "Seat", "sockets": "3", "autodeploy": True, "empty_ttl": "5"},
        )  # fmt: skip
        version = studio.api.get(f"/v1/app/{app}/version/1.0")
        assert (version["req_cpu"], version["time_to_deploy"], version["ports"][0]["port"]) == (128, 60, 7777)
        assert version["session_config"]["sockets"] == 3
        for wrong in ("12x", "1.5", " 128", "", "0x80", True, 128.5, [128], {"value": 128}):
            assert "req_cpu" in studio.api.refused(
                400, "POST", f"/v1/app/{app}/version", new_version("2.0", req_cpu=wrong)
            )["errors"]  # fmt: skip

    def test_field_mask_is_ignored(self, studio: Studio) -> None:
        answer = studio.api.call("GET", "/v1/apps", headers={"X-Fields": "{applications{name}}"})
        assert answer.json()["total_count"] == 0

    def test_no_cookies_no_entity_tags(self, studio: Studio) -> None:
        headers = studio.api.call("GET", "/v1/apps").headers
        assert not {"set-cookie", "etag", "server"} & set(headers)


class TestErrors:
    def test_field_errors_name_the_path(self, studio: Studio) -> None:
        app = studio.game()
        found = studio.api.refused(
            400, "POST", "/v1/session", {"app_name": app, "geo_ip_list": [{"ip": PLAYER, "latitude": 1}]}
        )
        assert_fits(found, FIELD_ERRORS)
        assert found["message"].startswith("Input payload validation failed")
        assert found["errors"] == {"geo_ip_list.0.longitude": "'longitude' is a required property"}
        assert "geo_ip_list.0.longitude" in found["message"]

    def test_v2_errors_have_details(self, studio: Studio) -> None:
        found = studio.api.refused(400, "POST", "/v2/deployments", {"application": "a", "version": "1"})
        assert set(found) == {"message", "details"}
        assert "users" in found["details"]

    def test_request_id_is_given_back_or_made(self, studio: Studio) -> None:
        own = studio.api.call("GET", "/v1/apps", headers={"X-Request-Id": "from-the-proxy.1"})
        assert own.headers["x-request-id"] == "from-the-proxy.1"
        made = [studio.api.call("GET", "/v1/nothing").headers["x-request-id"] for _ in range(2)]
        assert made[0] != made[1]
        assert all(re.fullmatch("[0-9a-f]{16}", one) for one in made)
        for refused in ("x" * 65, "with space", "new;line", ""):
            assert (
                studio.api.call("GET", "/v1/apps", headers={"X-Request-Id": refused}).headers["x-request-id"] != refused
            )

    def test_too_long_a_body(self, studio: Studio) -> None:
        answer = studio.api.call("POST", "/v1/session", content=b" " * 2_000_000)
        assert answer.status_code == 413
        assert "1048576 bytes" in answer.json()["message"]


def lists(studio: Studio) -> dict[str, tuple[str, str]]:
    """Every paged list with three elements: its path by name, and the member that holds the elements."""
    app = studio.game()
    for name in ("2.0", "3.0"):
        studio.version(app, name)
    for _ in range(2):
        studio.game()
    # Ready, so that lists do not change between two looks.
    for number in range(3):
        studio.play(app, selectors=[{"tag": f"room-{number}"}])
    request_id = studio.running()[0]["request_id"]
    for number in range(2):
        studio.api.post(f"/v1/deployments/{request_id}/tags", {"name": f"more-{number}"})
    return {
        "sessions": ("/v1/sessions", "data"),
        "deployments": ("/v1/deployments", "data"),
        "applications": ("/v1/apps", "applications"),
        "versions": (f"/v1/app/{app}/versions", "versions"),
        "tags": (f"/v1/deployments/{request_id}/tags", "tags"),
        "locations": ("/v1/locations", "locations"),
    }


class TestPaging:
    def test_walks_bounds_and_bad_values(self, studio: Studio) -> None:
        for name, (path, member) in lists(studio).items():
            self._walk(studio.api, path, member)
            self._past_the_end(studio.api, path, member)
            self._bad_values(studio.api, path)
            if name not in ("locations", "tags"):
                assert studio.api.get(path)["pagination"] == ONLY_PAGE

    def _walk(self, api: Api, path: str, member: str) -> None:
        """As Nakama does: while `has_next`, go to `next_page_number`."""
        whole = api.get(path, page=1, limit=100)
        assert len(whole[member]) == whole["total_count"] == 3, path
        number, walked = 1, []
        while True:
            answer = api.get(path, page=number, limit=2)
            pagination = answer["pagination"]
            assert_fits(pagination, PAGINATION)
            assert (pagination["number"], pagination["paginator"]["num_pages"]) == (number, 2)
            assert answer["total_count"] == 3
            assert pagination["has_previous"] is (number > 1)
            assert pagination["previous_page_number"] == (number - 1 or None)
            walked += answer[member]
            if not pagination["has_next"]:
                assert pagination["next_page_number"] is None
                break
            number = pagination["next_page_number"]
        assert walked == whole[member], path

    def _past_the_end(self, api: Api, path: str, member: str) -> None:
        for number in (3, 2_147_483_647, 10**30):
            answer = api.get(path, page=number, limit=2)
            assert answer[member] == []
            assert answer["pagination"]["has_next"] is False
            assert answer["pagination"]["next_page_number"] is None
            assert answer["pagination"]["has_previous"] is True
            assert answer["total_count"] == 3

    def _bad_values(self, api: Api, path: str) -> None:
        for name in ("page", "limit"):
            for value in ("0", "-1", "x", "1.5", "1e1", "", "%00", "１", "1&page=1&limit=1", "%ff"):
                found = api.refused(400, "GET", f"{path}?{name}={value}")
                assert_fits(found, FIELD_ERRORS)
        assert len(api.get(path, limit=10**20)["pagination"]) == 6

    def test_ten_on_a_page_and_a_hundred_at_most(self, studio: Studio) -> None:
        app = studio.game(session_config={"kind": "Seat", "sockets": 200, "autodeploy": False})
        for _ in range(101):
            studio.seat(app)
        default = studio.api.get("/v1/sessions")
        assert (len(default["data"]), default["total_count"]) == (10, 101)
        assert default["pagination"]["paginator"]["num_pages"] == 11
        most = studio.api.get("/v1/sessions", limit=1000)
        assert len(most["data"]) == 100
        assert most["pagination"]["next_page_number"] == 2

    def test_empty_list_has_one_page(self, studio: Studio) -> None:
        for path in ("/v1/sessions", "/v1/deployments", "/v1/apps"):
            answer = studio.api.get(path)
            assert answer["pagination"] == ONLY_PAGE
            assert answer["total_count"] == 0


def test_timestamps_are_utc_and_now(studio: Studio) -> None:
    before = datetime.now(UTC)
    app = studio.game(**without_sessions())
    after = datetime.now(UTC)
    written = studio.api.get(f"/v1/app/{app}")["create_time"]
    moment = datetime.strptime(written, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
    # A minute on both sides, should somebody set the clock.
    assert before - timedelta(minutes=1) < moment < after + timedelta(minutes=1)
