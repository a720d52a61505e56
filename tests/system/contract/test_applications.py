"""Applications, versions, access lists and locations (contract 3.1 to 3.3, 3.7, 3.11)."""

from typing import Any

import pytest

from tests.system.contract.shapes import (
    APPLICATION,
    FIELD_ERRORS,
    LOCATIONS,
    ONLY_PAGE,
    VERSION,
    VERSION_SAVED,
    WHITELIST_ENTRY,
    assert_fits,
    one_of,
)
from tests.system.contract.studio import PLAYER, Studio, ids, new_version, seats

COMPLETE: dict[str, Any] = {
    "name": "complete",
    "is_active": True,
    "docker_repository": "registry.example.org",
    "docker_image": "test/game",
    "docker_tag": "2025.07.01",
    "private_username": "robot",
    "private_token": "hush-registry-token",
    "req_cpu": 512,
    "req_memory": 1024,
    "req_video": 0,
    "max_duration": 60,
    "time_to_deploy": 120,
    "termination_grace_period_seconds": 7,
    "restart_policy": "on_failure",
    "verify_image": False,
    "force_cache": True,
    "cache_min_hour": 3,
    "cache_max_hour": 23,
    "enable_all_locations": True,
    "use_telemetry": False,
    "inject_context_env": True,
    "whitelisting_active": True,
    "session_config": {
        "kind": "Match",
        "sockets": 5,
        "autodeploy": True,
        "empty_ttl": 10,
        "session_max_duration": 90,
    },
    "ports": [
        {"port": 7777, "protocol": "UDP", "to_check": True, "tls_upgrade": False, "name": "game"},
        {"port": 80, "protocol": "HTTP", "to_check": False, "tls_upgrade": True, "name": "web"},
        {"port": 0, "protocol": "TCP/UDP", "to_check": True, "tls_upgrade": False, "name": "Voice Chat"},
        {"port": 9000, "protocol": "WSS", "to_check": True, "tls_upgrade": False, "name": ""},
    ],
    "probe": {"optimal_ping": 60, "rejected_ping": 180},
    "envs": [{"key": "MODE", "value": "ranked", "is_secret": False, "is_hidden": False}],
    "endpoint_storage": "logs",
    "command": None,
    "arguments": "--map forest",
}


class TestApplications:
    def test_life(self, studio: Studio) -> None:
        new = {"name": "arena", "is_active": True, "image": "", "is_telemetry_agent_active": True}
        created = studio.api.post("/v1/app", new)
        assert_fits(created, APPLICATION)
        assert created == new | {"create_time": created["create_time"], "last_updated": created["create_time"]}
        assert studio.api.get("/v1/app/arena") == created
        changed = studio.api.patch("/v1/app/arena", {"is_active": False, "image": "cGljdHVyZQ=="})
        assert_fits(changed, APPLICATION)
        assert (changed["is_active"], changed["image"], changed["name"]) == (False, "cGljdHVyZQ==", "arena")
        assert changed["last_updated"] > changed["create_time"] == created["create_time"]
        renamed = studio.api.patch("/v1/app/arena", {"name": "arena-two"})
        assert renamed["name"] == "arena-two"
        studio.api.refused(404, "GET", "/v1/app/arena")
        assert studio.api.delete("/v1/app/arena-two") == {}
        studio.api.refused(404, "GET", "/v1/app/arena-two")
        studio.api.refused(404, "DELETE", "/v1/app/arena-two")
        studio.api.refused(404, "PATCH", "/v1/app/arena-two", {"is_active": True})
        # The name is free again.
        studio.api.post("/v1/app", new | {"name": "arena-two"})

    def test_list(self, studio: Studio) -> None:
        games = [studio.game() for _ in range(3)]
        listed = studio.api.get("/v1/apps")
        assert_fits(listed, {"applications": [APPLICATION], "total_count": int, "pagination": one_of(ONLY_PAGE)})
        assert sorted(ids(listed["applications"], "name")) == sorted(games)
        assert listed["total_count"] == 3
        studio.api.delete(f"/v1/app/{games[0]}")
        assert studio.api.get("/v1/apps")["total_count"] == 2

    def test_taken_name(self, studio: Studio) -> None:
        first, second = studio.game(), studio.game()
        assert (
            first
            in studio.api.refused(409, "POST", "/v1/app", {"name": first, "is_active": True, "image": ""})["message"]
        )
        studio.api.refused(409, "PATCH", f"/v1/app/{second}", {"name": first})
        assert studio.api.get("/v1/apps")["total_count"] == 2

    @pytest.mark.parametrize("name", ["a", "x" * 64, "Arena 51.2_final", "a~b+c"])
    def test_good_names(self, studio: Studio, name: str) -> None:
        assert studio.api.post("/v1/app", {"name": name, "is_active": True, "image": ""})["name"] == name

    @pytest.mark.parametrize(
        "name", ["", "x" * 65, " a", "a ", "a/b", "ä", "a\nb", "a:b", "a?b", "a%b", ".", "..", "..a"]
    )
    def test_bad_names(self, studio: Studio, name: str) -> None:
        found = studio.api.refused(400, "POST", "/v1/app", {"name": name, "is_active": True, "image": ""})
        assert "name" in found["errors"]
        assert studio.api.get("/v1/apps")["total_count"] == 0

    def test_required_members(self, studio: Studio) -> None:
        for body, missing in (({"is_active": True, "image": ""}, "name"), ({"name": "a", "image": ""}, "is_active")):
            assert missing in studio.api.refused(400, "POST", "/v1/app", body)["errors"]

    def test_deletion_takes_the_versions_along(self, studio: Studio) -> None:
        app = studio.game()
        request_id = studio.run(app)["request_id"]
        studio.api.delete(f"/v1/app/{app}")
        studio.api.refused(404, "GET", f"/v1/app/{app}/version/1.0")
        studio.api.refused(404, "GET", f"/v1/app/{app}/versions")
        studio.api.refused(400, "POST", "/v1/session", {"app_name": app, "ip_list": [PLAYER]})
        # Its deployments run on.
        assert studio.status(request_id)["running"] is True
        # A new one of the same name starts from nothing.
        studio.api.post("/v1/app", {"name": app, "is_active": True, "image": ""})
        assert studio.api.get(f"/v1/app/{app}/versions")["versions"] == []


class TestVersions:
    def test_life(self, studio: Studio) -> None:
        app = studio.game()
        saved = studio.api.post(f"/v1/app/{app}/version", COMPLETE)
        assert_fits(saved, VERSION_SAVED)
        version = saved["version"]
        times = {"create_time": version["create_time"], "last_updated": version["create_time"]}
        assert version == COMPLETE | {"private_token": "", "caching_percent": 0.0} | times
        path = f"/v1/app/{app}/version/complete"
        # Bare, without `success`.
        assert studio.api.get(path) == version
        changed = studio.api.patch(path, {"req_cpu": 1024, "session_config": {"sockets": 7}, "arguments": None})
        assert_fits(changed, VERSION_SAVED)
        assert changed["version"] == version | {
            "req_cpu": 1024,
            "session_config": version["session_config"] | {"sockets": 7},
            "arguments": None,
            "last_updated": changed["version"]["last_updated"],
        }
        assert studio.api.patch(path, {"name": "renamed"})["version"]["name"] == "renamed"
        studio.api.refused(404, "GET", path)
        deleted = studio.api.delete(f"/v1/app/{app}/version/renamed")
        assert_fits(deleted, {"success": one_of(True), "message": str})
        for method in ("GET", "PATCH", "DELETE"):
            studio.api.refused(404, method, f"/v1/app/{app}/version/renamed", {} if method == "PATCH" else None)

    def test_defaults(self, studio: Studio) -> None:
        app = studio.game()
        least = {
            "name": "least",
            "docker_repository": "r",
            "docker_image": "i",
            "docker_tag": "t",
            "req_cpu": 100,
            "req_memory": 100,
        }
        version = studio.api.post(f"/v1/app/{app}/version", least)["version"]
        assert_fits(version, VERSION)
        expected: dict[str, Any] = {
            "is_active": True, "max_duration": 1440, "verify_image": False, "whitelisting_active": False,
            "session_config": None, "ports": [], "envs": [], "probe": None, "private_username": None,
            "private_token": None, "req_video": 0, "command": None, "arguments": None, "endpoint_storage": None,
        }  # fmt: skip
        assert version == version | least | expected
        for member in least:
            without = {name: value for name, value in least.items() if name != member}
            assert member in studio.api.refused(400, "POST", f"/v1/app/{app}/version", without)["errors"]

    def test_defaults_of_ports_and_sessions(self, studio: Studio) -> None:
        app = studio.game()
        version = studio.version(
            app, "2.0", ports=[{"port": 1, "protocol": "TCP"}], session_config={"kind": "Seat", "sockets": 1}
        )
        assert version["ports"] == [{"port": 1, "protocol": "TCP", "to_check": True, "tls_upgrade": False, "name": ""}]
        assert version["session_config"] == {
            "kind": "Seat", "sockets": 1, "autodeploy": False, "empty_ttl": None, "session_max_duration": 60
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("member", "wrong", "path"),
        [
            ("name", "x" * 65, "name"),
            ("name", "a/b", "name"),
            ("req_cpu", 99, "req_cpu"),
            ("req_memory", 99, "req_memory"),
            ("req_memory", 257, "req_memory"),
            ("req_video", -1, "req_video"),
            ("max_duration", -2, "max_duration"),
            ("max_duration", 1441, "max_duration"),
            ("time_to_deploy", 14, "time_to_deploy"),
            ("termination_grace_period_seconds", 4, "termination_grace_period_seconds"),
            ("termination_grace_period_seconds", 3601, "termination_grace_period_seconds"),
            ("restart_policy", "sometimes", "restart_policy"),
            ("cache_min_hour", 24, "cache_min_hour"),
            ("cache_max_hour", -1, "cache_max_hour"),
            ("session_config", {"kind": "Chair", "sockets": 1}, "session_config.kind"),
            ("session_config", {"kind": "Seat", "sockets": 0}, "session_config.sockets"),
            ("session_config", {"kind": "Seat"}, "session_config.sockets"),
            ("session_config", {"sockets": 1}, "session_config.kind"),
            ("session_config", seats(1, empty_ttl=0), "session_config.empty_ttl"),
            ("session_config", seats(1, session_max_duration=59), "session_config.session_max_duration"),
            ("session_config", "Seat", "session_config"),
            ("ports", [{"port": 60000, "protocol": "UDP"}], "ports.0.port"),
            ("ports", [{"port": -1, "protocol": "UDP"}], "ports.0.port"),
            ("ports", [{"port": 1, "protocol": "SCTP"}], "ports.0.protocol"),
            ("ports", [{"port": 0, "protocol": "UDP"}], "ports.0.name"),
            ("ports", [{"port": 1, "protocol": "UDP", "tls_upgrade": True}], "ports.0.tls_upgrade"),
            (
                "ports",
                [{"port": 1, "protocol": "UDP", "name": "a"}, {"port": 2, "protocol": "UDP", "name": "a"}],
                "ports.1.name",
            ),
            ("ports", [{"protocol": "UDP"}], "ports.0.port"),
            ("ports", [{"port": 1}], "ports.0.protocol"),
            ("ports", {"port": 1}, "ports"),
            ("probe", {"optimal_ping": 60}, "probe.rejected_ping"),
            ("probe", {"optimal_ping": 0, "rejected_ping": 1}, "probe.optimal_ping"),
            ("envs", [{"value": "x"}], "envs.0.key"),
            ("envs", [{"key": "", "value": "x"}], "envs.0.key"),
            ("envs", [{"key": "A=B", "value": "x"}], "envs.0.key"),
            ("is_active", "yes", "is_active"),
        ],
    )
    def test_limits(self, studio: Studio, member: str, wrong: Any, path: str) -> None:
        app = studio.game()
        body = new_version("2.0") | {member: wrong}
        found = studio.api.refused(400, "POST", f"/v1/app/{app}/version", body)
        assert_fits(found, FIELD_ERRORS)
        assert path in found["errors"], found
        assert path in found["message"]
        if member != "session_config" or not isinstance(wrong, dict) or len(wrong) > 1:
            assert path in studio.api.refused(400, "PATCH", f"/v1/app/{app}/version/1.0", {member: wrong})["errors"]
        assert ids(studio.api.get(f"/v1/app/{app}/versions")["versions"], "name") == ["1.0"]

    def test_all_that_is_wrong_at_once(self, studio: Studio) -> None:
        app = studio.game()
        body = new_version("2.0", req_cpu=1, time_to_deploy=1, ports=[{"port": 99999, "protocol": "UDP"}])
        assert set(studio.api.refused(400, "POST", f"/v1/app/{app}/version", body)["errors"]) == {
            "req_cpu", "time_to_deploy", "ports.0.port"
        }  # fmt: skip

    def test_taken_and_unknown(self, studio: Studio) -> None:
        app = studio.game()
        studio.api.refused(409, "POST", f"/v1/app/{app}/version", new_version())
        studio.api.refused(404, "POST", "/v1/app/nobody/version", new_version())
        studio.api.refused(404, "GET", "/v1/app/nobody/versions")
        studio.api.refused(404, "GET", f"/v1/app/{app}/version/nothing")
        studio.version(app, "2.0")
        studio.api.refused(409, "PATCH", f"/v1/app/{app}/version/2.0", {"name": "1.0"})

    def test_image_that_cannot_be_had(self, studio: Studio) -> None:
        app = studio.game()
        body = new_version("2.0", docker_image="nobody/knows", verify_image=True)
        assert "nobody/knows" in studio.api.refused(424, "POST", f"/v1/app/{app}/version", body)["message"]
        studio.api.refused(
            424, "PATCH", f"/v1/app/{app}/version/1.0", {"docker_image": "nobody/knows", "verify_image": True}
        )
        assert studio.api.get(f"/v1/app/{app}/version/1.0")["docker_image"] == "test/game"
        studio.version(app, "3.0", verify_image=True)

    def test_list(self, studio: Studio) -> None:
        app = studio.game()
        studio.version(app, "2.0")
        listed = studio.api.get(f"/v1/app/{app}/versions")
        assert_fits(listed, {"versions": [VERSION], "total_count": int, "pagination": one_of(ONLY_PAGE)})
        assert sorted(ids(listed["versions"], "name")) == ["1.0", "2.0"]
        assert listed["total_count"] == 2

    def test_upsert_as_a_fork_of_the_unity_plugin_does_it(self, studio: Studio) -> None:
        """PATCH and, whatever came of it, POST: the second is a conflict, and nothing is lost (contract 1.4)."""
        app = studio.game()
        assert (
            studio.api.patch(f"/v1/app/{app}/version/1.0", new_version(docker_tag="v8"))["version"]["docker_tag"]
            == "v8"
        )
        studio.api.refused(409, "POST", f"/v1/app/{app}/version", new_version(docker_tag="v9"))
        assert studio.api.get(f"/v1/app/{app}/version/1.0")["docker_tag"] == "v8"

    def test_inactive_ones_start_nothing(self, studio: Studio) -> None:
        app = studio.game()
        session = {"app_name": app, "version_name": "1.0", "ip_list": [PLAYER]}
        v2 = {
            "application": app,
            "version": "1.0",
            "users": [{"user_type": "ip_address", "user_data": {"ip_address": PLAYER}}],
        }
        for switch in (f"/v1/app/{app}/version/1.0", f"/v1/app/{app}"):
            studio.api.patch(switch, {"is_active": False})
            studio.api.refused(400, "POST", "/v1/session", session)
            studio.api.refused(400, "POST", "/v1/session", {"app_name": app, "ip_list": [PLAYER]})
            studio.api.refused(400, "POST", "/v1/deploy", session)
            studio.api.refused(400, "POST", "/v2/deployments", v2)
            studio.api.patch(switch, {"is_active": True})
        assert studio.running() == []
        studio.api.post("/v1/session", session)

    def test_newest_active_version_is_the_default(self, studio: Studio) -> None:
        app = studio.game()
        studio.version(app, "0.5")
        studio.version(app, "0.7", is_active=False)
        assert studio.api.post("/v1/session", {"app_name": app, "ip_list": [PLAYER]})["version"] == "0.5"
        assert studio.api.post("/v1/deploy", {"app_name": app, "ip_list": [PLAYER]})["request_version"] == "0.5"

    def test_running_deployments_keep_their_version(self, studio: Studio) -> None:
        app = studio.game()
        session = studio.play(app)
        studio.api.delete(f"/v1/app/{app}/version/1.0")
        assert studio.session(session["session_id"])["ready"] is True
        assert studio.status(session["deployment"]["request_id"])["app_version"] == "1.0"
        studio.api.delete(f"/v1/session/{session['session_id']}")

    def test_secrets_are_never_shown(self, studio: Studio) -> None:
        """The caller checks every answer of this server from here on for these words."""
        studio.api.secrets |= {"hush-variable", "hush-hidden", "hush-registry", "hush-deploy"}
        app = studio.game(
            private_username="robot",
            private_token="hush-registry",
            envs=[
                {"key": "SECRET", "value": "hush-variable", "is_secret": True},
                {"key": "HIDDEN", "value": "hush-hidden", "is_hidden": True},
                {"key": "OPEN", "value": "seen", "is_secret": False},
            ],
        )
        path = f"/v1/app/{app}/version/1.0"
        version = studio.api.get(path)
        assert [(entry["value"], entry["is_secret"], entry["is_hidden"]) for entry in version["envs"]] == [
            ("", True, True), ("", True, True), ("seen", False, False)
        ]  # fmt: skip
        hidden = [{"key": "SECRET_TOO", "value": "hush-deploy", "is_hidden": True}]
        request_id = studio.run(app, env_vars=hidden)["request_id"]
        session = studio.play(app, deployment_request_id=request_id)
        # Sent back as it was shown, it keeps its value.
        assert (
            studio.api.patch(path, {"envs": version["envs"], "private_token": ""})["version"]["envs"] == version["envs"]
        )
        for shown in (
            f"/v1/app/{app}/versions",
            f"/v1/status/{request_id}",
            "/v1/deployments",
            f"/v1/session/{session['session_id']}",
            f"/v1/deployment/{request_id}/container-logs",
            f"/v1/metrics/deployment/{request_id}",
            "/v1/webhooks/deliveries",
        ):
            studio.api.get(shown)
        stopped = studio.api.delete(f"/v1/stop/{request_id}")
        assert stopped["deployment_summary"]["request_id"] == request_id
        # To make it visible needs the value: otherwise whoever may change a version could read its secrets.
        open_now = [entry | {"is_secret": False, "is_hidden": False} for entry in version["envs"]]
        studio.api.refused(400, "PATCH", path, {"envs": open_now})


class TestWhitelist:
    def test_life(self, studio: Studio) -> None:
        path = f"/v1/app/{studio.game(whitelisting_active=True)}/version/1.0/whitelist"
        assert studio.api.get(path) == {"whitelist_entries": []}
        saved = studio.api.post(path, {"cidr": "203.0.113.0/24", "label": "office", "is_active": False})
        assert_fits(saved, {"success": one_of(True), "whitelist_entry": WHITELIST_ENTRY})
        entry = saved["whitelist_entry"]
        assert entry == {"id": entry["id"], "cidr": "203.0.113.0/24", "label": "office", "is_active": False}
        other = studio.api.post(path, {"cidr": "2001:db8::/32"})["whitelist_entry"]
        assert (other["label"], other["is_active"]) == ("", True)
        assert studio.api.get(path) == {"whitelist_entries": [entry, other]}
        assert studio.api.get(f"{path}/{entry['id']}") == entry
        assert studio.api.delete(f"{path}/{entry['id']}") == saved
        for method in ("GET", "DELETE"):
            studio.api.refused(404, method, f"{path}/{entry['id']}")
        assert studio.api.get(path) == {"whitelist_entries": [other]}

    @pytest.mark.parametrize(
        "cidr", ["", "all", "203.0.113.0/33", "203.0.113.7/24", "10.0.0", "::1/129", "10.0.0.0/8/8"]
    )
    def test_no_network(self, studio: Studio, cidr: str) -> None:
        path = f"/v1/app/{studio.game(whitelisting_active=True)}/version/1.0/whitelist"
        assert "cidr" in studio.api.refused(400, "POST", path, {"cidr": cidr})["errors"]
        assert studio.api.get(path) == {"whitelist_entries": []}

    def test_unknown_version(self, studio: Studio) -> None:
        path = f"/v1/app/{studio.game()}/version/9.9/whitelist"
        studio.api.refused(404, "GET", path)
        studio.api.refused(404, "POST", path, {"cidr": "10.0.0.0/8"})
        studio.api.refused(404, "GET", f"{path}/1")


class TestLocations:
    def test_all_on_one_page(self, studio: Studio) -> None:
        listed = studio.api.get("/v1/locations")
        assert_fits(listed, LOCATIONS)
        assert sorted(ids(listed["locations"], "city")) == ["Frankfurt", "Montreal", "Paris"]
        assert (listed["total_count"], listed["messages"], listed["pagination"]) == (3, [], ONLY_PAGE)
        assert all(location["tags"] == [] for location in listed["locations"])
        montreal = next(one for one in listed["locations"] if one["city"] == "Montreal")
        assert montreal == {
            "city": "Montreal", "country": "Canada", "continent": "North America", "administrative_division": "Quebec",
            "timezone": "Eastern Time", "latitude": 45.5, "longitude": -73.56, "type": "standard", "tags": [],
        }  # fmt: skip

    def test_with_tags(self, studio: Studio) -> None:
        listed = studio.api.get("/v1/locations", tags="true")
        assert_fits(listed, LOCATIONS)
        assert {location["city"]: location["tags"] for location in listed["locations"]} == {
            "Montreal": [{"key": "size", "value": "large"}, {"key": "tier", "value": "gold"}],
            "Frankfurt": [{"key": "tier", "value": "silver"}],
            "Paris": [],
        }

    def test_only_with_room_for_a_version(self, studio: Studio) -> None:
        app = studio.game()
        assert studio.api.get("/v1/locations", app=app, version="1.0")["total_count"] == 3
        assert studio.api.get("/v1/locations", app=app)["total_count"] == 3
        studio.version(app, "2.0", docker_image="nobody/knows")
        nowhere = studio.api.get("/v1/locations", app=app, version="2.0")
        assert (nowhere["locations"], nowhere["total_count"]) == ([], 0)
        assert len(nowhere["messages"]) == 1
        assert "app" in studio.api.refused(400, "GET", "/v1/locations?app=nobody")["errors"]
        studio.api.refused(400, "GET", f"/v1/locations?app={app}&version=9")

    def test_type(self, studio: Studio) -> None:
        assert studio.api.get("/v1/locations", type="standard")["total_count"] == 3
        assert studio.api.get("/v1/locations", type="edge")["total_count"] == 0


def test_sign_in_of_the_unity_plugin(studio: Studio) -> None:
    for body in ({"source": "unity"}, {"source": ""}, {}):
        assert studio.api.post("/v1/wizard/init-quick-start", body, 204) is None
    studio.api.refused(400, "POST", "/v1/wizard/init-quick-start", {"source": 5})
