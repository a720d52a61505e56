"""Which server a group gets, and where a new one is started (contract 2.1 and 2.2)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.gate import Gate
from tests.polling import eventually
from tests.system.contract.studio import PLAYER, Studio, ask, seats

NEAR_PARIS = {"ip": PLAYER, "latitude": 48.8, "longitude": 2.3}
NEAR_FRANKFURT = {"ip": PLAYER, "latitude": 50.1, "longitude": 8.7}
NEAR_MONTREAL = {"ip": PLAYER, "latitude": 45.4, "longitude": -73.5}


def city_of(session: Any) -> Any:
    return session["deployment"] and session["deployment"]["location"]["city"]


def server_of(session: Any) -> str:
    request_id: str = session["deployment"]["request_id"]
    return request_id


class TestPlaces:
    @pytest.mark.parametrize(
        ("players", "city"),
        [([NEAR_PARIS], "Paris"), ([NEAR_FRANKFURT], "Frankfurt"), ([NEAR_MONTREAL], "Montreal")],
    )
    def test_near_the_players(self, studio: Studio, players: list[Any], city: str) -> None:
        assert city_of(studio.play(studio.game(), ip_list=(), geo_ip_list=players)) == city

    def test_worst_served_player_first(self, studio: Studio) -> None:
        """Two in Paris and one near Frankfurt's other side: Frankfurt is the best for all of them."""
        berlin = {"ip": PLAYER, "latitude": 52.5, "longitude": 13.4}
        app = studio.game()
        assert city_of(studio.play(app, ip_list=(), geo_ip_list=[NEAR_PARIS, NEAR_PARIS, berlin])) == "Frankfurt"

    def test_explicit_centre_replaces_the_players(self, studio: Studio) -> None:
        location = {"latitude": 45.5, "longitude": -73.6}
        assert (
            city_of(studio.play(studio.game(), ip_list=(), geo_ip_list=[NEAR_PARIS], location=location)) == "Montreal"
        )

    @pytest.mark.parametrize(
        ("where", "cities"),
        [
            ({"city": "Paris"}, {"Paris"}),
            ({"city": "  pARIS "}, {"Paris"}),
            ({"country": "Germany"}, {"Frankfurt"}),
            ({"continent": "Europe"}, {"Paris", "Frankfurt"}),
            ({"administrative_division": "Quebec"}, {"Montreal"}),
            ({"region": "america east"}, {"Montreal"}),
            ({"region": "North America"}, {"Montreal"}),
            ({"region": "Europe"}, {"Paris", "Frankfurt"}),
            ({"continent": "Europe", "country": "France"}, {"Paris"}),
            ({"continent": "Europe", "city": "Montreal"}, set()),
            ([("city", "any", "Paris", "Montreal"), ("continent", "any", "North America")], {"Montreal"}),
            ([("city", "not", "Paris", "Montreal")], {"Frankfurt"}),
            ([("city", "all", "Paris")], {"Paris"}),
            ([("city", "all", "Paris", "paris")], {"Paris"}),
            ([("city", "all", "Paris", "Montreal")], set()),
            ([("location_tags", "any", "tier=gold")], {"Montreal"}),
            ([("location_tags", "any", "tier")], {"Montreal", "Frankfurt"}),
            ([("location_tags", "all", "tier=gold", "size=large")], {"Montreal"}),
            ([("location_tags", "all", "tier=gold", "tier=silver")], set()),
            ([("location_tags", "not", "tier")], {"Paris"}),
            ([("region", "not", "Europe")], {"Montreal"}),
        ],
    )
    def test_constraints(self, studio: Studio, where: Any, cities: set[str]) -> None:
        """For sessions and for deployments alike."""
        if isinstance(where, list):
            where = {
                "filters": [{"field": field, "filter_type": kind, "values": values} for field, kind, *values in where]
            }
        app = studio.game()
        for players in ([NEAR_PARIS], [NEAR_MONTREAL], [NEAR_FRANKFURT]):
            session = studio.session(studio.seat(app, ip_list=(), geo_ip_list=players, **where))
            if cities:
                assert city_of(session) in cities, session
            else:
                assert session["status"] in ("Unprocessable", "Error")
                assert session["error"]
        body = {"app_name": app, "ip_list": [PLAYER], **where}
        answer = studio.api.call("POST", "/v1/deploy", body)
        if cities:
            assert answer.json()["city"] in cities
        else:
            assert answer.status_code == 422


class TestSelectors:
    def test_environment_reaches_only_what_the_request_starts(self, studio: Studio) -> None:
        """The example of contract 2.2: tags and variables go into a new server, never into one that runs."""
        app = studio.game()
        wish: list[Any] = [
            {"tag": "Ranked"},
            {"tag": "Map A", "env": {"key": "MAP_ID", "value": "1"}},
            {"tag": "party", "tag_only": True},
        ]
        started = studio.play(app, selectors=wish)
        assert started["deployment"]["tags"] == ["Ranked", "Map A"]
        environment = ask(started["deployment"])["environment"]
        assert environment["MAP_ID"] == "1"
        assert environment["ARBITRIUM_DEPLOYMENT_TAGS"] == "Ranked,Map A"
        wish[1]["env"] = {"key": "MAP_ID", "value": "2"}
        again = studio.play(app, selectors=wish)
        assert server_of(again) == server_of(started)
        assert ask(again["deployment"])["environment"]["MAP_ID"] == "1"

    def test_env_of_a_tag_only_selector_is_injected_too(self, studio: Studio) -> None:
        wish = [{"tag": "party", "tag_only": True, "env": {"key": "PARTY", "value": "77"}}]
        started = studio.play(studio.game(), selectors=wish)
        assert started["deployment"]["tags"] == []
        assert ask(started["deployment"])["environment"]["PARTY"] == "77"

    def test_all_tags_must_be_there_exactly(self, studio: Studio) -> None:
        app = studio.game(session_config=seats(10))
        both = studio.play(app, selectors=[{"tag": "a"}, {"tag": "b"}])
        assert server_of(studio.play(app, selectors=[{"tag": "b"}])) == server_of(both)
        assert server_of(studio.play(app)) == server_of(both)
        for other in ([{"tag": "a"}, {"tag": "c"}], [{"tag": "A"}], [{"tag": "a "}]):
            assert server_of(studio.play(app, selectors=other)) != server_of(both)

    def test_unprocessable_without_autodeploy(self, studio: Studio) -> None:
        app = studio.game(session_config=seats(10, autodeploy=False))
        studio.run(app, tags=["blue"])
        assert studio.play(app, selectors=[{"tag": "blue"}])["status"] == "Ready"
        session = studio.session(studio.seat(app, selectors=[{"tag": "red"}]))
        assert session["status"] == "Unprocessable"
        assert "selectors" in session["error"]

    def test_changing_tags_changes_placement_at_once(self, studio: Studio) -> None:
        app = studio.game(session_config=seats(10, autodeploy=False))
        request_id = studio.run(app)["request_id"]
        wish = [{"tag": "late"}]
        assert studio.session(studio.seat(app, selectors=wish))["status"] == "Unprocessable"
        studio.api.post(f"/v1/deployments/{request_id}/tags", {"name": "late"})
        found = studio.session(studio.seat(app, selectors=wish))
        assert server_of(found) == request_id
        # But not the environment of what runs.
        assert ask(found["deployment"])["environment"]["ARBITRIUM_DEPLOYMENT_TAGS"] == ""
        studio.api.patch(f"/v1/deployments/{request_id}/tags/late", {"name": "later"})
        assert studio.session(studio.seat(app, selectors=wish))["status"] == "Unprocessable"
        assert server_of(studio.session(studio.seat(app, selectors=[{"tag": "later"}]))) == request_id
        studio.api.delete(f"/v1/deployments/{request_id}/tags/later", status=204)
        assert studio.session(studio.seat(app, selectors=[{"tag": "later"}]))["status"] == "Unprocessable"


class TestServers:
    def test_versions_do_not_mix(self, studio: Studio) -> None:
        app = studio.game()
        studio.version(app, "2.0")
        assert server_of(studio.play(app)) != server_of(studio.play(app, version_name="2.0"))

    def test_fullest_first(self, studio: Studio) -> None:
        app = studio.game(session_config=seats(4))
        empty, fuller = studio.run(app, city="Paris"), studio.run(app, city="Paris")
        assert empty["location"] == fuller["location"]
        studio.play(app, PLAYER, deployment_request_id=fuller["request_id"])
        assert server_of(studio.play(app, city="Paris")) == fuller["request_id"]
        # Full for a party of three, though not for one more.
        assert server_of(studio.play(app, *[PLAYER] * 3, city="Paris")) == empty["request_id"]

    def test_party_that_never_fits(self, studio: Studio) -> None:
        session = studio.session(studio.seat(studio.game(session_config=seats(2)), *[PLAYER] * 3))
        assert session["status"] == "Unprocessable"
        assert "split the group" in session["error"]
        assert studio.running() == []

    def test_party_stays_together(self, studio: Studio) -> None:
        """The worked example of contract 2.1: ten seats, one solo and one party of four, then the party leaves."""
        app = studio.game()
        solo, party = studio.play(app), studio.play(app, *[PLAYER] * 4)
        assert server_of(solo) == server_of(party)
        assert studio.status(server_of(solo))["sockets_usage"] == 5
        studio.api.delete(f"/v1/session/{party['session_id']}")
        assert studio.status(server_of(solo))["sockets_usage"] == 1

    def test_not_joinable(self, studio: Studio) -> None:
        app = studio.game(session_config=seats(10, autodeploy=False))
        request_id = studio.run(app)["request_id"]
        linked = studio.play(app)
        assert studio.api.patch(f"/v1/deployments/{request_id}", {"is_joinable_by_session": False}) == {
            "is_joinable_by_session": False
        }
        assert studio.session(linked["session_id"])["deployment"]["is_joinable_by_session"] is False
        assert studio.session(studio.seat(app))["status"] == "Unprocessable"
        # Those that are there are not touched, and may grow.
        assert studio.session(linked["session_id"])["ready"] is True
        studio.api.put(f"/v1/session/{linked['session_id']}/users", {"ip_list": [PLAYER]})
        studio.api.patch(f"/v1/deployments/{request_id}", {"is_joinable_by_session": True})
        assert server_of(studio.play(app)) == request_id

    def test_start_nearby_rather_than_seat_far_away(self, studio: Studio) -> None:
        """With autodeploy, a server more than 30 ms worse than the best place to start one does not count."""
        app = studio.game()
        far = studio.play(app, ip_list=(), geo_ip_list=[NEAR_MONTREAL])
        here = studio.play(app, ip_list=(), geo_ip_list=[NEAR_PARIS])
        assert (city_of(far), city_of(here)) == ("Montreal", "Paris")
        # Frankfurt is near enough to Paris.
        assert city_of(studio.play(app, ip_list=(), geo_ip_list=[NEAR_FRANKFURT])) == "Paris"

    def test_without_autodeploy_far_away_is_better_than_nothing(self, studio: Studio) -> None:
        app = studio.game(session_config=seats(10, autodeploy=False))
        studio.run(app, city="Montreal")
        assert city_of(studio.play(app, ip_list=(), geo_ip_list=[NEAR_PARIS])) == "Montreal"

    def test_range_comes_before_tags(self, studio: Studio) -> None:
        """A server with the right tags, but out of range, is not used."""
        app = studio.game()
        wish = [{"tag": "ranked"}]
        far = studio.play(app, ip_list=(), geo_ip_list=[NEAR_MONTREAL], selectors=wish)
        here = studio.play(app, ip_list=(), geo_ip_list=[NEAR_PARIS], selectors=wish)
        assert server_of(here) != server_of(far)
        assert city_of(here) == "Paris"

    def test_starting_servers_are_shared(self, studio: Studio, gate: Gate) -> None:
        """A second session waits for the first one's server; usage counts from the moment of linking."""
        app = studio.game(arguments=gate.ready)
        first, second = studio.seat(app), studio.seat(app)
        waiting = studio.session(second)
        assert (waiting["status"], waiting["linked"], waiting["ready"]) == ("Waiting", True, False)
        assert waiting["deployment"]["sockets_usage"] == 2
        gate.open()
        assert server_of(studio.wait_for_session(first, "Ready")) == server_of(studio.wait_for_session(second, "Ready"))

    @pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True)
    def test_crowd_never_overfills(self, studio: Studio) -> None:
        """Forty sessions at once, on servers of four seats: each full, none over (contract 2.1)."""
        app = studio.game(session_config=seats(4))
        with ThreadPoolExecutor(16) as crowd:
            sessions = list(crowd.map(lambda _: studio.seat(app), range(40)))
        servers = [server_of(studio.wait_for_session(session_id, "Ready")) for session_id in sessions]
        assert {servers.count(request_id) for request_id in servers} == {4}
        assert sorted(entry["sockets_usage"] for entry in studio.running()) == [4] * 10


class TestLatency:
    @pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True)
    def test_locations_within_optimal_ping_are_as_good_as_the_nearest(self, studio: Studio) -> None:
        """Then the fuller server is filled, wherever of them it runs; otherwise the nearest one is."""
        for probe, city, rule in (
            (None, "Paris", "nearest"),
            ({"optimal_ping": 60, "rejected_ping": 200}, "Frankfurt", "packing"),
        ):
            app = studio.game(probe=probe)
            studio.run(app, city="Paris")
            fuller = studio.run(app, city="Frankfurt")
            studio.play(app, *[PLAYER] * 3, deployment_request_id=fuller["request_id"])
            session = studio.play(app, ip_list=(), geo_ip_list=[NEAR_PARIS])
            assert city_of(session) == city
            found = studio.api.get(f"/v1/session/{session['session_id']}/placement")
            assert found["rule"] == rule
            assert [entry["location"]["city"] for entry in found["ranking"]] == ["Paris", "Frankfurt", "Montreal"]
            assert [entry["chosen"] for entry in found["ranking"]] == [city == "Paris", city == "Frankfurt", False]

    def test_what_players_measured_beats_geography(self, studio: Studio) -> None:
        report(studio, Paris=95, Frankfurt=12, Montreal=80)
        session = studio.play(studio.game(), ip_list=(), geo_ip_list=[NEAR_PARIS])
        assert city_of(session) == "Frankfurt"
        found = studio.api.get(f"/v1/session/{session['session_id']}/placement")
        ranked = [
            (entry["location"]["city"], entry["worst_ms"], entry["costs"][0]["origin"]) for entry in found["ranking"]
        ]
        assert ranked == [("Frankfurt", 12, "reported"), ("Montreal", 80, "reported"), ("Paris", 95, "reported")]
        unmeasured = studio.play(studio.game(), ip_list=(), geo_ip_list=[NEAR_PARIS], skip_telemetry=True)
        assert city_of(unmeasured) == "Paris"

    def test_one_of_a_group_who_measured_badly_is_served_first(self, studio: Studio) -> None:
        """Two near Paris; what one of them measured makes him the worst-served player there."""
        report(studio, Paris=95, Frankfurt=12)
        other = {**NEAR_PARIS, "ip": "198.51.100.7"}
        session = studio.play(studio.game(), ip_list=(), geo_ip_list=[other, NEAR_PARIS])
        assert city_of(session) == "Frankfurt"
        found = studio.api.get(f"/v1/session/{session['session_id']}/placement")
        best = found["ranking"][0]
        assert [(cost["ip"], cost["origin"]) for cost in best["costs"]] == [
            ("198.51.100.7", "estimated"),
            (PLAYER, "reported"),
        ]
        assert best["worst_ms"] == max(cost["ms"] for cost in best["costs"])

    def test_rejected_ping_goes_by_what_was_measured(self, studio: Studio) -> None:
        app = studio.game(probe={"optimal_ping": 5, "rejected_ping": 60})
        assert city_of(studio.play(app, ip_list=(), geo_ip_list=[NEAR_PARIS])) == "Paris"
        report(studio, Paris=61, Frankfurt=70, Montreal=80)
        session = studio.session(studio.seat(app, ip_list=(), geo_ip_list=[NEAR_PARIS]))
        assert session["status"] == "Unprocessable"
        assert "rejected_ping of 60 ms" in session["error"]


def report(studio: Studio, **latencies: float) -> None:
    """Tell the server what the player measured, once the beacons of these cities are listed."""
    body = {"ip": PLAYER, "latencies": latencies}
    eventually(lambda: studio.api.call("POST", "/v1/latencies", body).status_code == 200)


class TestExplanation:
    def test_a_sessions_and_its_deployments(self, studio: Studio) -> None:
        session = studio.play(studio.game(), ip_list=(), geo_ip_list=[NEAR_PARIS, NEAR_MONTREAL])
        found = studio.api.get(f"/v1/session/{session['session_id']}/placement")
        assert found["session_id"] == session["session_id"]
        (chosen,) = [entry for entry in found["ranking"] if entry["chosen"]]
        assert chosen["location"] == session["deployment"]["location"]
        costs = [[cost["ms"] for cost in entry["costs"]] for entry in found["ranking"]]
        assert [entry["worst_ms"] for entry in found["ranking"]] == sorted(max(row) for row in costs)
        assert {entry["location"]["city"] for entry in found["ranking"]} == {"Paris", "Frankfurt", "Montreal"}
        for cost in chosen["costs"]:
            assert (cost["ip"], cost["origin"]) == (PLAYER, "estimated")
            assert cost["uncertainty_ms"] > 0
        of_deployment = studio.api.get(f"/v1/deployments/{server_of(session)}/placement")
        assert of_deployment["request_id"] == server_of(session)
        assert of_deployment["ranking"] == found["ranking"]

    def test_rejected_ping_leaves_a_group_without_a_server_and_says_why(self, studio: Studio) -> None:
        app = studio.game(probe={"optimal_ping": 5, "rejected_ping": 20})
        players = [NEAR_PARIS, NEAR_MONTREAL]
        session = studio.session(studio.seat(app, ip_list=(), geo_ip_list=players))
        assert (session["status"], session["deployment"]) == ("Unprocessable", None)
        found = studio.api.get(f"/v1/session/{session['session_id']}/placement")
        assert found["rule"] == "rejected_ping"
        assert found["limits"]["rejected_ms"] == 20
        assert all("rejected_ping" in entry["passed_over"] and not entry["chosen"] for entry in found["ranking"])

    def test_what_filters_rule_out_and_what_is_named(self, studio: Studio) -> None:
        app = studio.game()
        session = studio.play(app, ip_list=(), geo_ip_list=[NEAR_PARIS], city="Montreal")
        found = studio.api.get(f"/v1/session/{session['session_id']}/placement")
        assert [entry["location"]["city"] for entry in found["ranking"]] == ["Montreal"]
        assert {entry["location"]["city"] for entry in found["excluded"]} == {"Paris", "Frankfurt"}
        named = studio.seat(app, deployment_request_id=server_of(session))
        found = studio.api.get(f"/v1/session/{named}/placement")
        assert (found["rule"], found["ranking"]) == ("named", [])

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("session/nothing", 400),
            ("session/950dd2eaff09", 400),
            ("session/950dd2eaff09-S", 404),
            ("deployments/nothing", 404),
            ("deployments/57f84a8e1298", 404),
        ],
    )
    def test_unknown_and_malformed_ids(self, studio: Studio, path: str, status: int) -> None:
        assert studio.api.refused(status, "GET", f"/v1/{path}/placement")["message"]
