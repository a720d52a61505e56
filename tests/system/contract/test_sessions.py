"""Sessions (contract 2.1 to 2.9)."""

import re
from typing import Any

import pytest

from tests.system.contract.shapes import (
    FIELD_ERRORS,
    SESSION,
    SESSION_CREATED,
    SESSION_DELETED,
    SESSION_ID,
    SESSION_LIST,
    USER,
    assert_fits,
)
from tests.system.contract.studio import PLAYER, Studio, ids, seats

SECOND = "198.51.100.23"
UNKNOWN = "000000000000-S"
UNKNOWN_DEPLOYMENT = "000000000000"


class TestCreate:
    def test_everything_that_can_be_asked(self, studio: Studio) -> None:
        """The example of contract 2.2."""
        app = studio.game()
        body = {
            "app_name": app,
            "version_name": "1.0",
            "ip_list": [PLAYER, SECOND],
            "filters": [{"field": "continent", "values": ["Europe"], "filter_type": "any"}],
            "selectors": [
                {"tag": "ranked"},
                {"tag": "map-a", "env": {"key": "MAP_ID", "value": "1"}},
                {"tag": "party-77", "tag_only": True},
            ],
            "webhook_url": "http://127.0.0.1:9/hooks/session",
            "skip_telemetry": True,
        }
        created = studio.api.post("/v1/session", body)
        assert_fits(created, SESSION_CREATED)
        assert created == {
            "session_id": created["session_id"],
            "custom_id": None,
            "app": app,
            "version": "1.0",
            "deployment_request_id": created["deployment_request_id"],
            "selectors": [
                {"tag": "ranked", "tag_only": False, "env": None},
                {"tag": "map-a", "tag_only": False, "env": {"key": "MAP_ID", "value": "1"}},
                {"tag": "party-77", "tag_only": True, "env": None},
            ],
            "webhook_url": "http://127.0.0.1:9/hooks/session",
        }
        ready = studio.wait_for_session(created["session_id"], "Ready")
        assert_fits(ready, SESSION)
        assert ready["deployment"]["tags"] == ["ranked", "map-a"]
        assert ready["deployment"]["location"]["continent"] == "Europe"
        assert ready["webhook_url"] == body["webhook_url"]

    def test_users_keep_their_order_and_may_share_an_address(self, studio: Studio) -> None:
        ips = [SECOND, PLAYER, SECOND, "2001:db8::7", "2001:DB8:0:0::7"]
        session = studio.session(studio.seat(studio.game(), *ips))
        shown = [user["ip"] for user in session["session_users"]]
        assert shown == [SECOND, PLAYER, SECOND, "2001:db8::7", "2001:db8::7"]
        assert session["session_ips"] == session["session_users"]
        assert session["user_count"] == 5

    def test_known_coordinates(self, studio: Studio) -> None:
        players = [
            {"ip": PLAYER, "latitude": 48.85, "longitude": 2.35},
            {"ip": SECOND, "latitude": -90, "longitude": 180},
        ]
        session_id = studio.seat(studio.game(), ip_list=(), geo_ip_list=players)
        assert studio.session(session_id)["session_users"] == players

    @pytest.mark.parametrize(
        "place",
        [
            {"location": {"latitude": 45.5, "longitude": -73.6}},
            {"city": "montreal "},
            {"filters": [{"field": "country", "values": ["Canada"], "filter_type": "all"}]},
        ],
    )
    def test_without_users(self, studio: Studio, place: dict[str, Any]) -> None:
        session = studio.session(studio.seat(studio.game(), ip_list=(), **place))
        assert (session["user_count"], session["session_users"], session["session_ips"]) == (0, [], [])
        assert session["deployment"]["location"]["city"] == "Montreal"
        assert session["deployment"]["sockets_usage"] == 0

    def test_nothing_to_place_by(self, studio: Studio) -> None:
        found = studio.api.refused(400, "POST", "/v1/session", {"app_name": studio.game(), "version_name": "1.0"})
        assert_fits(found, FIELD_ERRORS)
        for way_out in ("ip_list", "geo_ip_list", "location", "deployment_request_id"):
            assert way_out in found["message"]

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"app_name": None}, "app_name"),
            ({"app_name": 5}, "app_name"),
            ({"app_name": "nobody", "version_name": None}, "app_name"),
            ({"app_name": "nobody"}, "version_name"),
            ({"version_name": "9.9"}, "version_name"),
            ({"version_name": 1.0}, "version_name"),
            ({"ip_list": "203.0.113.7"}, "ip_list"),
            ({"ip_list": [PLAYER, "nowhere"]}, "ip_list.1"),
            ({"ip_list": ["203.0.113.256"]}, "ip_list.0"),
            ({"ip_list": ["203.0.113.7/32"]}, "ip_list.0"),
            ({"ip_list": ["fe80::1%eth0"]}, "ip_list.0"),
            ({"ip_list": [""]}, "ip_list.0"),
            ({"ip_list": [None]}, "ip_list.0"),
            ({"ip_list": [7]}, "ip_list.0"),
            ({"ip_list": [PLAYER] * 1001}, "ip_list"),
            ({"geo_ip_list": [{"ip": PLAYER, "latitude": 1, "longitude": 1}]}, "geo_ip_list"),
            (
                {"ip_list": None, "geo_ip_list": [{"ip": PLAYER, "latitude": 91, "longitude": 1}]},
                "geo_ip_list.0.latitude",
            ),
            (
                {"ip_list": None, "geo_ip_list": [{"ip": PLAYER, "latitude": 1, "longitude": -181}]},
                "geo_ip_list.0.longitude",
            ),
            ({"ip_list": None, "geo_ip_list": [{"ip": PLAYER, "latitude": 1}]}, "geo_ip_list.0.longitude"),
            ({"ip_list": None, "geo_ip_list": [{"ip": "x", "latitude": 1, "longitude": 1}]}, "geo_ip_list.0.ip"),
            ({"location": {"latitude": 1}}, "location.longitude"),
            ({"location": {"latitude": "1", "longitude": 1}}, "location.latitude"),
            ({"filters": [{"field": "planet", "values": ["Mars"], "filter_type": "any"}]}, "filters.0.field"),
            ({"filters": [{"field": "city", "values": ["Bonn"], "filter_type": "some"}]}, "filters.0.filter_type"),
            ({"filters": [{"field": "city", "values": [], "filter_type": "any"}]}, "filters.0.values"),
            ({"filters": [{"field": "city", "values": "Bonn", "filter_type": "any"}]}, "filters.0.values"),
            ({"filters": [{"field": "city", "values": ["Bonn"]}]}, "filters.0.filter_type"),
            ({"selectors": [{"tag": ""}]}, "selectors.0.tag"),
            ({"selectors": [{"tag": "x" * 21}]}, "selectors.0.tag"),
            ({"selectors": [{"tag_only": True}]}, "selectors.0.tag"),
            ({"selectors": [{"tag": "a", "env": {"key": "K"}}]}, "selectors.0.env.value"),
            ({"selectors": [{"tag": "a", "env": {"key": "K", "value": "x" * 1025}}]}, "selectors.0.env.value"),
            ({"selectors": [{"tag": "a", "env": {"key": "x" * 256, "value": "v"}}]}, "selectors.0.env.key"),
            ({"selectors": [{"tag": "a", "env": {"key": "", "value": "v"}}]}, "selectors.0.env.key"),
            ({"deployment_request_id": "57f84a8e1298"}, "deployment_request_id"),
            ({"deployment_request_id": "not-an-id"}, "deployment_request_id"),
            ({"webhook_url": "ftp://example.org/"}, "webhook_url"),
            ({"webhook_url": "example.org"}, "webhook_url"),
            ({"webhook_url": "http://"}, "webhook_url"),
            ({"skip_telemetry": "yes"}, "skip_telemetry"),
        ],
    )
    def test_bad_requests(self, studio: Studio, change: dict[str, Any], path: str) -> None:
        body = {"app_name": studio.game(), "version_name": "1.0", "ip_list": [PLAYER]} | change
        found = studio.api.refused(400, "POST", "/v1/session", body)
        assert_fits(found, FIELD_ERRORS)
        assert list(found["errors"]) == [path]
        assert path in found["message"]
        assert studio.api.get("/v1/sessions")["total_count"] == 0
        assert studio.running() == []

    def test_longest_that_is_allowed(self, studio: Studio) -> None:
        selectors = [{"tag": "x" * 20, "env": {"key": "K" * 255, "value": "v" * 1024}}]
        created = studio.api.post(
            "/v1/session", {"app_name": studio.game(), "ip_list": [PLAYER], "selectors": selectors}
        )
        assert created["selectors"] == [selectors[0] | {"tag_only": False}]

    def test_version_without_sessions(self, studio: Studio) -> None:
        """400, but a named deployment takes the session, and counts nothing (contract 4.2 number 6)."""
        for config in (None, {"kind": "Default", "sockets": 1}):
            app = studio.game(session_config=config)
            studio.api.refused(400, "POST", "/v1/session", {"app_name": app, "ip_list": [PLAYER]})
            request_id = studio.run(app)["request_id"]
            session = studio.play(app, deployment_request_id=request_id)
            assert session["kind"] == "Default"
            assert (session["deployment"]["sockets"], session["deployment"]["sockets_usage"]) == (None, None)


class TestNamedDeployment:
    def test_links_to_exactly_this_one(self, studio: Studio) -> None:
        """Filters and selectors are not asked."""
        app = studio.game()
        first, second = studio.run(app)["request_id"], studio.run(app)["request_id"]
        for request_id in (first, second):
            body = {
                "app_name": app,
                "version_name": "1.0",
                "ip_list": [PLAYER],
                "deployment_request_id": request_id,
                "selectors": [{"tag": "not-there"}],
                "filters": [{"field": "city", "values": ["Nowhere"], "filter_type": "any"}],
            }
            created = studio.api.post("/v1/session", body)
            assert created["deployment_request_id"] == request_id
            session = studio.session(created["session_id"])
            assert (session["status"], session["deployment"]["request_id"]) == ("Ready", request_id)

    def test_cannot_take_the_session(self, studio: Studio) -> None:
        app = studio.game(session_config=seats(2))
        request_id = studio.run(app)["request_id"]
        body = {"app_name": app, "version_name": "1.0", "ip_list": [PLAYER] * 3, "deployment_request_id": request_id}
        assert "socket" in studio.api.refused(409, "POST", "/v1/session", body)["message"]
        body["ip_list"] = [PLAYER]
        other = studio.game()
        studio.api.refused(409, "POST", "/v1/session", body | {"app_name": other})
        studio.version(app, "2.0")
        studio.api.refused(409, "POST", "/v1/session", body | {"version_name": "2.0"})
        studio.api.patch(f"/v1/deployments/{request_id}", {"is_joinable_by_session": False})
        studio.api.refused(409, "POST", "/v1/session", body)
        studio.api.patch(f"/v1/deployments/{request_id}", {"is_joinable_by_session": True})
        studio.api.post("/v1/session", body)
        studio.stop(request_id)
        studio.api.refused(409, "POST", "/v1/session", body)


class TestRead:
    def test_ready(self, studio: Studio) -> None:
        app = studio.game()
        session = studio.play(app, PLAYER, SECOND)
        assert_fits(session, SESSION)
        deployment = session["deployment"]
        port = deployment["ports"]["game"]
        assert session == {
            "session_id": session["session_id"],
            "custom_id": None,
            "status": "Ready",
            "ready": True,
            "linked": True,
            "kind": "Seat",
            "user_count": 2,
            "app_version": session["app_version"],
            "create_time": session["create_time"],
            "elapsed": session["elapsed"],
            "error": None,
            "session_users": session["session_ips"],
            "session_ips": [{"ip": ip, "latitude": None, "longitude": None} for ip in (PLAYER, SECOND)],
            "deployment": {
                "request_id": session["deployment_request_id"],
                "public_ip": deployment["public_ip"],
                "status": "Status.READY",
                "ready": True,
                "whitelisting_active": False,
                "fqdn": deployment["public_ip"],
                "ports": {
                    "game": {
                        "external": port["external"],
                        "internal": port["internal"],
                        "protocol": "UDP",
                        "name": "game",
                        "tls_upgrade": False,
                        "link": f"{deployment['fqdn']}:{port['external']}",
                        "proxy": 0,
                    }
                },
                "location": deployment["location"],
                "tags": [],
                "sockets": 10,
                "sockets_usage": 2,
                "is_joinable_by_session": True,
            },
            "deployment_request_id": session["deployment_request_id"],
            "webhook_url": None,
        }
        assert 1 <= port["external"] <= 65535
        assert re.fullmatch(r"127\.0\.0\.[234]", deployment["public_ip"])
        assert 0 <= session["elapsed"] < 60
        assert session["app_version"] > 0

    def test_app_version_is_a_stable_number(self, studio: Studio) -> None:
        app = studio.game()
        studio.version(app, "2.0")
        numbers = [studio.session(studio.seat(app, version_name=name))["app_version"] for name in ("1.0", "1.0", "2.0")]
        assert numbers[0] == numbers[1] != numbers[2]

    def test_id_in_any_letter_case(self, studio: Studio) -> None:
        session_id = studio.seat(studio.game())
        for form in (session_id.lower(), session_id.upper(), session_id.capitalize()):
            assert studio.session(form)["session_id"] == session_id
            assert "session_users" in studio.api.get(f"/v1/session/{form}/users")

    @pytest.mark.parametrize(
        "malformed", ["x", "abc123-s", "950dd2eaff09", "950dd2eaff09-S-S", "950dd2eaffg9-S", "-S", "%20"]
    )
    def test_malformed_and_unknown_ids(self, studio: Studio, malformed: str) -> None:
        for status, session_id in ((400, malformed), (404, UNKNOWN)):
            studio.api.refused(status, "GET", f"/v1/session/{session_id}")
            studio.api.refused(status, "DELETE", f"/v1/session/{session_id}")
            studio.api.refused(status, "GET", f"/v1/session/{session_id}/users")
            studio.api.refused(status, "PUT", f"/v1/session/{session_id}/users", {"ip_list": [PLAYER]})
            studio.api.refused(status, "DELETE", f"/v1/session/{session_id}/users", {"ip_list": [PLAYER]})

    def test_unprocessable(self, studio: Studio) -> None:
        app = studio.game(session_config={"kind": "Seat", "sockets": 4, "autodeploy": False})
        session = studio.session(studio.seat(app))
        assert_fits(session, SESSION)
        assert (session["status"], session["ready"], session["linked"], session["deployment"]) == (
            "Unprocessable", False, False, None
        )  # fmt: skip
        assert "autodeploy" in session["error"]
        assert studio.running() == []

    def test_error(self, studio: Studio) -> None:
        """A server that ends before it was ever ready."""
        app = studio.game(docker_image="waymeet/echo", arguments="--exit-after nonsense")
        session = studio.wait_for_session(studio.seat(app), "Error")
        assert_fits(session, SESSION)
        assert (session["ready"], session["linked"]) == (False, False)
        assert session["error"]
        listed = studio.api.get("/v1/sessions")["data"]
        assert [entry["status"] for entry in listed] == ["Error"]


class TestDelete:
    def test_frees_the_seats_and_leaves_the_server(self, studio: Studio) -> None:
        app = studio.game(session_config=seats(3))
        first, second = studio.play(app, PLAYER, SECOND), studio.play(app)
        request_id = first["deployment"]["request_id"]
        assert second["deployment"]["request_id"] == request_id
        assert second["deployment"]["sockets_usage"] == 3
        session_id = first["session_id"]
        deleted = studio.api.delete(f"/v1/session/{session_id}")
        assert_fits(deleted, SESSION_DELETED)
        assert deleted == {
            "message": f"Instance {session_id[:12]} will be deleted",
            "session_id": session_id,
            "custom_id": None,
        }
        status = studio.status(request_id)
        assert (status["running"], status["sockets_usage"], ids(status["sessions"], "session_id")) == (
            True, 1, [second["session_id"]]
        )  # fmt: skip
        assert studio.play(app, PLAYER, SECOND)["deployment"]["request_id"] == request_id

    def test_unlinked_one(self, studio: Studio) -> None:
        app = studio.game(session_config={"kind": "Seat", "sockets": 4, "autodeploy": False})
        studio.api.delete(f"/v1/session/{studio.seat(app)}")
        assert studio.api.get("/v1/sessions")["total_count"] == 0


class TestUsers:
    def test_come_and_go(self, studio: Studio) -> None:
        session = studio.play(studio.game(session_config=seats(4)))
        path = f"/v1/session/{session['session_id']}/users"
        added = studio.api.put(path, {"ip_list": [SECOND, PLAYER]})
        assert_fits(added, {"session_users": [USER]})
        assert [user["ip"] for user in added["session_users"]] == [PLAYER, SECOND, PLAYER]
        assert studio.api.get(path) == added
        now = studio.session(session["session_id"])
        assert (now["user_count"], now["deployment"]["sockets_usage"]) == (3, 3)
        # One occurrence for each address; those that are not there are ignored.
        left = studio.api.delete(path, {"ip_list": [PLAYER, "192.0.2.1"]})
        assert_fits(left, {"session_users": [USER]})
        assert sorted(user["ip"] for user in left["session_users"]) == [SECOND, PLAYER]
        assert studio.session(session["session_id"])["deployment"]["sockets_usage"] == 2
        assert studio.api.delete(path, {"ip_list": [PLAYER, SECOND]}) == {"session_users": []}
        assert studio.api.get(path) == {"session_users": []}
        empty = studio.session(session["session_id"])
        assert (empty["status"], empty["user_count"], empty["deployment"]["sockets_usage"]) == ("Ready", 0, 0)

    def test_no_seat_left(self, studio: Studio) -> None:
        session = studio.play(studio.game(session_config=seats(3)))
        path = f"/v1/session/{session['session_id']}/users"
        before = studio.api.get(path)
        studio.api.refused(422, "PUT", path, {"ip_list": [SECOND] * 3})
        assert studio.api.get(path) == before
        assert studio.session(session["session_id"])["deployment"]["sockets_usage"] == 1
        studio.api.put(path, {"ip_list": [SECOND] * 2})

    def test_matches_count_sessions_not_users(self, studio: Studio) -> None:
        app = studio.game(session_config={"kind": "Match", "sockets": 2, "autodeploy": True})
        first, second = studio.play(app, *[PLAYER] * 10), studio.play(app)
        assert first["kind"] == second["kind"] == "Match"
        assert first["deployment"]["request_id"] == second["deployment"]["request_id"]
        assert second["deployment"]["sockets_usage"] == 2
        assert (
            len(studio.api.put(f"/v1/session/{first['session_id']}/users", {"ip_list": [SECOND]})["session_users"])
            == 11
        )
        assert studio.session(first["session_id"])["deployment"]["sockets_usage"] == 2
        third = studio.play(app)
        assert third["deployment"]["request_id"] != first["deployment"]["request_id"]

    def test_unlinked_session_grows_freely(self, studio: Studio) -> None:
        app = studio.game(session_config={"kind": "Seat", "sockets": 1, "autodeploy": False})
        path = f"/v1/session/{studio.seat(app)}/users"
        assert len(studio.api.put(path, {"ip_list": [SECOND] * 5})["session_users"]) == 6

    @pytest.mark.parametrize(
        "body", [{}, {"ip_list": []}, {"ip_list": None}, {"ip_list": ""}, {"ip_list": "x"}, {"ip_list": ["x"]}, [], "x"]
    )
    def test_bad_lists(self, studio: Studio, body: Any) -> None:
        path = f"/v1/session/{studio.seat(studio.game())}/users"
        before = studio.api.get(path)
        for method in ("PUT", "DELETE"):
            assert_fits(studio.api.refused(400, method, path, body), FIELD_ERRORS)
        assert studio.api.get(path) == before


class TestList:
    def test_newest_first_whatever_their_status(self, studio: Studio) -> None:
        waiting = studio.game(session_config={"kind": "Seat", "sockets": 4, "autodeploy": False})
        app = studio.game()
        expected = [
            studio.play(app)["session_id"],
            studio.seat(waiting),
            studio.play(app, PLAYER, SECOND)["session_id"],
        ]
        listed = studio.api.get("/v1/sessions")
        assert_fits(listed, SESSION_LIST)
        assert ids(listed["data"], "session_id") == expected[::-1]
        assert [entry["status"] for entry in listed["data"]] == ["Ready", "Unprocessable", "Ready"]
        newest = studio.session(expected[-1])
        assert listed["data"][0] == {name: newest[name] for name in listed["data"][0]}

    def test_excludes_deleted_ones_and_those_whose_server_ended(self, studio: Studio) -> None:
        app = studio.game()
        kept, deleted = studio.play(app)["session_id"], studio.play(app)["session_id"]
        studio.api.delete(f"/v1/session/{deleted}")
        assert ids(studio.api.get("/v1/sessions")["data"], "session_id") == [kept]
        request_id = studio.session(kept)["deployment"]["request_id"]
        studio.stop(request_id)
        assert studio.api.get("/v1/sessions") | {"pagination": None} == {
            "data": [],
            "total_count": 0,
            "pagination": None,
        }
        # Still there by id, for `session_max_duration` minutes.
        ended = studio.session(kept)
        assert_fits(ended, SESSION)
        assert (ended["status"], ended["ready"]) == ("Terminated", False)


class TestBulkStop:
    @pytest.mark.parametrize(
        ("filters", "stopped"),
        [
            ([("session_id", "any", "red id", "blue id")], "red blue"),
            ([("session_id", "any", "red id in lower case")], "red"),
            ([("session_id", "all", "red id")], "red"),
            ([("session_id", "all", "red id", "blue id")], ""),
            ([("session_id", "not", "red id")], "blue unlinked"),
            ([("request_id", "any", "red server", UNKNOWN_DEPLOYMENT)], "red"),
            ([("request_id", "all", "red server")], "red"),
            ([("request_id", "all", "red server", "blue server")], ""),
            # Unlinked sessions have no server: any and all fail, not passes.
            ([("request_id", "not", "red server")], "blue unlinked"),
            ([("deployment_tags", "any", "big", "nothing")], "red"),
            ([("deployment_tags", "any", "big", "blue")], "red blue"),
            ([("deployment_tags", "all", "red", "big")], "red"),
            ([("deployment_tags", "all", "red", "blue")], ""),
            ([("deployment_tags", "not", "red", "green")], "blue unlinked"),
            # All filters must agree.
            ([("deployment_tags", "any", "big", "blue"), ("request_id", "any", "blue server")], "blue"),
            ([("deployment_tags", "any", "big"), ("request_id", "any", "blue server")], ""),
            ([("session_id", "any", UNKNOWN)], ""),
        ],
    )
    def test_filters(self, studio: Studio, filters: list[tuple[str, ...]], stopped: str) -> None:
        app = studio.game()
        red = studio.play(app, selectors=[{"tag": "red"}, {"tag": "big"}])
        blue = studio.play(app, selectors=[{"tag": "blue"}])
        unlinked = studio.seat(studio.game(session_config={"kind": "Seat", "sockets": 4, "autodeploy": False}))
        names = {red["session_id"]: "red", blue["session_id"]: "blue", unlinked: "unlinked"}
        values = {
            "red id": red["session_id"],
            "red id in lower case": red["session_id"].lower(),
            "blue id": blue["session_id"],
            "red server": red["deployment_request_id"],
            "blue server": blue["deployment_request_id"],
        }
        body = {
            "filters": [
                {"field": field, "filter_type": filter_type, "values": [values.get(word, word) for word in words]}
                for field, filter_type, *words in filters
            ]
        }
        answer = studio.api.post("/v1/sessions/bulk-stop", body)
        assert_fits(answer, {"processable": [{"session_id": SESSION_ID}]})
        expected = set(stopped.split())
        assert {names[entry["session_id"]] for entry in answer["processable"]} == expected
        left = {names[entry["session_id"]] for entry in studio.api.get("/v1/sessions")["data"]}
        assert left == {"red", "blue", "unlinked"} - expected
        # Their servers run on.
        assert len(studio.running()) == 2
        assert studio.status(red["deployment_request_id"])["sockets_usage"] == (0 if "red" in expected else 1)
        assert studio.api.post("/v1/sessions/bulk-stop", body) == {"processable": []}

    @pytest.mark.parametrize(
        ("body", "path"),
        [
            ({}, "filters"),
            ({"filters": []}, "filters"),
            ({"filters": None}, "filters"),
            ({"session_ids": [UNKNOWN]}, "filters"),
            ({"filters": [{"field": "status", "values": ["Ready"], "filter_type": "any"}]}, "filters.0.field"),
            (
                {"filters": [{"field": "session_id", "values": [UNKNOWN], "filter_type": "none"}]},
                "filters.0.filter_type",
            ),
            ({"filters": [{"field": "session_id", "values": [], "filter_type": "any"}]}, "filters.0.values"),
            ({"filters": [{"field": "session_id", "values": [], "filter_type": "not"}]}, "filters.0.values"),
            ({"filters": [{"field": "session_id", "filter_type": "any"}]}, "filters.0.values"),
            ({"filters": [{"values": [UNKNOWN], "filter_type": "any"}]}, "filters.0.field"),
        ],
    )
    def test_mistakes_stop_nothing(self, studio: Studio, body: Any, path: str) -> None:
        studio.seat(studio.game())
        assert path in studio.api.refused(400, "POST", "/v1/sessions/bulk-stop", body)["errors"]
        assert studio.api.get("/v1/sessions")["total_count"] == 1
