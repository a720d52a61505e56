"""Relay sessions (contract 2.15 to 2.21), black-box, with the relays that nodes really run."""

import re
import uuid
from typing import Any

import httpx
import pytest

from tests.polling import eventually
from tests.system.contract.hooks import Hooks
from tests.system.contract.shapes import NUMBER, ONLY_PAGE, assert_fits, one_of, or_null
from tests.system.contract.studio import PLAYER, Server, Studio

BOTH = pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True, scope="session")

SESSIONS = "/v1/relays/sessions"
AUTHORIZE, REVOKE = f"{SESSIONS}:authorize-user", f"{SESSIONS}:revoke-user"
ID = re.compile(r"[0-9a-f]{12}-S")
LINK = re.compile(r"127\.0\.0\.\d:\d+")
PORT = {"port": int, "protocol": one_of("UDP"), "link": LINK}
USER = {"ip_address": str, "latitude": or_null(NUMBER), "longitude": or_null(NUMBER), "authorization_token": int}
EMPTY = {
    "session_id": ID,
    "authorization_token": None,
    "status": one_of("INITIALIZING"),
    "ready": one_of(False),
    "linked": one_of(False),
    "error": None,
    "session_users": one_of([]),
    "relay": None,
    "webhook_url": None,
}
READY = EMPTY | {
    "authorization_token": int,
    "status": one_of("READY"),
    "ready": one_of(True),
    "linked": one_of(True),
    "session_users": [USER],
    "relay": {
        "ip": re.compile(r"127\.0\.0\.\d"),
        "host": re.compile(r"127\.0\.0\.\d"),
        "ports": {"server": PORT, "client": PORT},
    },
}


def where(*values: str, field: str = "location", filter_type: str = "any") -> dict[str, Any]:
    return {"filters": [{"field": field, "values": list(values), "filter_type": filter_type}]}


def tokens(session: Any) -> list[int]:
    return [user["authorization_token"] for user in session["session_users"]]


class TestCreate:
    @BOTH
    def test_empty_at_first_then_whole_in_one_step(self, studio: Studio) -> None:
        made = studio.api.post(SESSIONS, {"users": [{"ip": PLAYER}, {"ip": PLAYER}]})
        assert_fits(made, EMPTY)
        seen: list[Any] = []

        def is_ready() -> bool:
            seen.append(studio.api.get(f"{SESSIONS}/{made['session_id']}"))
            return bool(seen[-1]["ready"])

        eventually(is_ready)
        for answer in seen:
            assert_fits(answer, READY if answer["ready"] else EMPTY)
        session = seen[-1]
        assert [user["ip_address"] for user in session["session_users"]] == [PLAYER, PLAYER]
        numbers = [session["authorization_token"], *tokens(session)]
        assert len(set(tokens(session))) == 2
        assert all(1 <= number < 2**31 for number in numbers)
        for port in session["relay"]["ports"].values():
            assert port["link"] == f"{session['relay']['host']}:{port['port']}"

    def test_order_duplicates_and_places_of_users_are_kept(self, studio: Studio) -> None:
        ips = ["81.2.69.142", "2001:218::1", "203.0.113.7", "81.2.69.142"]
        users = studio.relay(*ips)["session_users"]
        assert [user["ip_address"] for user in users] == ips
        assert [user["latitude"] for user in users] == [51.5072, 35.6897, None, 51.5072]

    def test_as_many_users_as_there_may_be(self, studio: Studio) -> None:
        session = studio.relay(*["::ffff:81.2.69.142", "::1", "0.0.0.0", PLAYER] * 250)
        assert len(set(tokens(session))) == 1000
        assert [user["ip_address"] for user in session["session_users"][:4]] == [
            "::ffff:5102:458e", "::1", "0.0.0.0", PLAYER,
        ]  # fmt: skip
        # Where the network puts an IPv4 player, also when he comes by IPv6.
        assert session["session_users"][0]["latitude"] == 51.5072
        body = {"session_id": session["session_id"], "user_ip": PLAYER}
        assert "limit" in studio.api.refused(409, "POST", AUTHORIZE, body)["message"]
        studio.api.post(REVOKE, {"session_id": session["session_id"], "authorization_token": str(tokens(session)[999])})
        assert studio.api.post(AUTHORIZE, body)["session_user"]["ip_address"] == PLAYER

    @pytest.mark.parametrize(
        ("members", "address"),
        [
            (where("CA"), "127.0.0.2"),
            (where("de", "XX"), "127.0.0.3"),
            (where("North America"), "127.0.0.2"),
            (where("quebec"), "127.0.0.2"),
            (where("Frankfurt"), "127.0.0.3"),
            (where("FR", "CA", filter_type="not"), "127.0.0.3"),
            (where("EU", "Germany", filter_type="all"), "127.0.0.3"),
            (where("America East", field="region"), "127.0.0.2"),
            (where("tier=silver", field="location_tags"), "127.0.0.3"),
        ],
    )
    def test_filters(self, studio: Studio, members: dict[str, Any], address: str) -> None:
        assert studio.relay("81.2.69.142", **members)["relay"]["ip"] == address

    def test_filters_that_no_relay_passes(self, studio: Studio) -> None:
        body = {"users": [{"ip": PLAYER}]} | where("JP")
        answer = studio.api.call("POST", SESSIONS, body)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "no relay passes the filters" in answer.json()["message"]
        assert studio.relays() == []

    def test_what_clients_send_beside_it(self, studio: Studio) -> None:
        body = {"users": [{"ip": PLAYER, "name": "x"}], "webhook_url": "", "filters": [], "max_user_count": 8}
        assert_fits(studio.api.post(SESSIONS, body), EMPTY)
        assert_fits(studio.api.post(SESSIONS, body | {"filters": None, "webhook_url": None}), EMPTY)

    @pytest.mark.parametrize(
        ("body", "member"),
        [
            ({}, "users"),
            ({"users": []}, "users"),
            ({"users": None}, "users"),
            ({"users": [{"ip": PLAYER}] * 1001}, "users"),
            ({"users": [{}]}, "users.0.ip"),
            ({"users": [{"ip": PLAYER}, {"ip": "x"}]}, "users.1.ip"),
            ({"users": [PLAYER]}, "users.0"),
            ({"users": [None]}, "users.0"),
            ({"users": {}}, "users"),
            ({"users": [{"ip": "fe80::1%eth0"}]}, "users.0.ip"),
            ({"users": [{"ip": "127.1"}]}, "users.0.ip"),
            ({"users": [{"ip": "010.0.0.1"}]}, "users.0.ip"),
            ({"users": [{"ip": f"{PLAYER} "}]}, "users.0.ip"),
            ({"users": [{"ip": f"{PLAYER}/32"}]}, "users.0.ip"),
            ({"users": [{"ip": 5}]}, "users.0.ip"),
            ({"users": [{"ip": PLAYER}], "filters": where("FR")["filters"] * 33}, "filters"),
            ({"users": [{"ip": PLAYER}], "filters": {}}, "filters"),
            ({"users": [{"ip": PLAYER}]} | where(*["FR"] * 101), "filters.0.values"),
            ({"users": [{"ip": PLAYER}]} | where("x" * 256), "filters.0.values"),
            ({"users": [{"ip": PLAYER}], "webhook_url": "http://user:word@backend.example.org/"}, "webhook_url"),
            ({"users": [{"ip": PLAYER}], "webhook_url": "https://backend.example.org:99999/"}, "webhook_url"),
            ({"users": [{"ip": PLAYER}], "webhook_url": "https://backend.example.org/" + "x" * 2048}, "webhook_url"),
            ({"users": [{"ip": PLAYER}], "webhook_url": 5}, "webhook_url"),
            ({"users": [{"ip": PLAYER}]} | where("FR", field="place"), "filters.0.field"),
            ({"users": [{"ip": PLAYER}]} | where("FR", filter_type="some"), "filters.0.filter_type"),
            ({"users": [{"ip": PLAYER}]} | where(), "filters.0.values"),
            ({"users": [{"ip": PLAYER}], "webhook_url": "ftp://x"}, "webhook_url"),
        ],
    )
    def test_what_is_wrong_is_named(self, studio: Studio, body: dict[str, Any], member: str) -> None:
        assert member in studio.api.refused(400, "POST", SESSIONS, body)["errors"]
        assert studio.relays() == []


class TestUsers:
    @BOTH
    def test_authorized_and_revoked(self, studio: Studio) -> None:
        session = studio.relay(PLAYER)
        body = {"session_id": session["session_id"].lower(), "user_ip": "81.2.69.142"}
        one, two = (studio.api.post(AUTHORIZE, body) for _ in range(2))
        for answer in (one, two):
            members = {name: shape for name, shape in READY.items() if name != "session_users"}
            assert_fits(answer, members | {"session_user": USER})
            assert answer["session_user"]["latitude"] == 51.5072
        added = [answer["session_user"]["authorization_token"] for answer in (one, two)]
        now = studio.api.get(f"{SESSIONS}/{session['session_id']}")
        assert tokens(now) == [*tokens(session), *added]
        left = studio.api.post(REVOKE, {"session_id": session["session_id"], "authorization_token": added[0]})
        assert_fits(left, READY)
        assert tokens(left) == [*tokens(session), added[1]]
        # As a decimal string too; and again: done before.
        for token in (added[0], str(added[0])):
            again = {"session_id": session["session_id"], "authorization_token": token}
            assert studio.api.call("POST", REVOKE, again).status_code == 204
        assert studio.api.get(f"{SESSIONS}/{session['session_id']}") == left

    def test_whom_nobody_knows(self, studio: Studio) -> None:
        session = studio.relay()
        session_id, own = session["session_id"], session["authorization_token"]
        known = {session["authorization_token"], *tokens(session)}
        strange = next(number for number in range(1, 10) if number not in known)
        for unknown in ("000000000000-S", "x", ""):
            refused = studio.api.refused(400, "POST", AUTHORIZE, {"session_id": unknown, "user_ip": PLAYER})
            assert "session_id" in refused["errors"]
        for unknown in ("000000000000-S", "x"):
            studio.api.refused(404, "POST", REVOKE, {"session_id": unknown, "authorization_token": 1})
            studio.api.refused(404, "GET", f"{SESSIONS}/{unknown}")
            studio.api.refused(404, "DELETE", f"{SESSIONS}/{unknown}")
            studio.api.refused(404, "GET", f"{SESSIONS}/{unknown}/stats")
        for token, status in (
            (strange, 404),
            (2**32 - 1, 404),
            (own, 400),
            (0, 400),
            (2**32, 400),
            (-1, 400),
            (2**70, 400),
            (5.0, 400),
            (5.5, 400),
            (True, 400),
            (None, 400),
            ([], 400),
            ("x", 400),
            ("-1", 400),
            ("5.0", 400),
            (" 5", 400),
            ("\u0663", 400),
            (str(2**32), 400),
            ("9" * 5000, 400),
            (str(own), 400),
        ):
            body = {"session_id": session_id, "authorization_token": token}
            refused = studio.api.refused(status, "POST", REVOKE, body)
            assert status == 404 or "authorization_token" in refused["errors"]
        for ip in ("x", "", "fe80::1%eth0", "127.1", 5, None, [PLAYER]):
            refused = studio.api.refused(400, "POST", AUTHORIZE, {"session_id": session_id, "user_ip": ip})
            assert "user_ip" in refused["errors"]
        assert studio.api.get(f"{SESSIONS}/{session_id}") == session

    def test_the_verbs_percent_encoded(self, studio: Studio) -> None:
        session = studio.relay()
        body = {"session_id": session["session_id"], "user_ip": PLAYER}
        assert studio.api.post(AUTHORIZE.replace(":", "%3A"), body)["session_user"]["ip_address"] == PLAYER


class TestDelete:
    @BOTH
    def test_gone_at_once(self, studio: Studio) -> None:
        session = studio.relay()
        path = f"{SESSIONS}/{session['session_id']}"
        assert studio.api.call("DELETE", path).status_code == 204
        studio.api.refused(404, "GET", path)
        studio.api.refused(404, "DELETE", path)
        studio.api.refused(400, "POST", AUTHORIZE, {"session_id": session["session_id"], "user_ip": PLAYER})
        studio.api.refused(
            404, "POST", REVOKE, {"session_id": session["session_id"], "authorization_token": tokens(session)[0]}
        )
        assert studio.relays() == []


class TestList:
    def test_empty(self, studio: Studio) -> None:
        assert studio.api.get(SESSIONS) == {"sessions": [], "total_count": 0, "pagination": ONLY_PAGE}

    @BOTH
    def test_newest_first_in_pages(self, studio: Studio) -> None:
        made = [studio.relay()["session_id"] for _ in range(3)]
        page = studio.api.get(SESSIONS, limit=2)
        assert_fits(page["sessions"], [READY])
        assert [session["session_id"] for session in page["sessions"]] == made[:0:-1]
        assert page["total_count"] == 3
        assert page["pagination"] == {
            "number": 1,
            "next_page_number": 2,
            "previous_page_number": None,
            "paginator": {"num_pages": 2},
            "has_next": True,
            "has_previous": False,
        }
        last = studio.api.get(SESSIONS, limit=2, page=2)
        assert [session["session_id"] for session in last["sessions"]] == made[:1]
        assert not last["pagination"]["has_next"]
        for query in ({"page": 0}, {"limit": "x"}):
            studio.api.refused(400, "GET", SESSIONS, query=query)


class TestStatistics:
    def test_of_a_session_that_nobody_uses(self, studio: Studio) -> None:
        session_id = studio.relay()["session_id"]
        path = f"{SESSIONS}/{session_id.lower()}/stats"
        # On a busy machine the relay may take longer to answer than the call waits.
        answers = eventually(lambda: [answer] if (answer := studio.api.call("GET", path)).status_code != 503 else [])
        assert answers[0].status_code == 200
        assert answers[0].json() == {
            "session_id": session_id,
            "received_packets": 0,
            "received_bytes": 0,
            "sent_packets": 0,
            "sent_bytes": 0,
            "drops": {},
            "last_seen": None,
        }


class TestKeys:
    """403 for a key that nobody has or that may not use relays, 401 without one (contract 1.2, 4.2 number 24)."""

    CALLS = (
        ("POST", SESSIONS, {"users": [{"ip": PLAYER}]}),
        ("GET", SESSIONS, None),
        ("GET", f"{SESSIONS}/000000000000-S", None),
        ("DELETE", f"{SESSIONS}/000000000000-S", None),
        ("GET", f"{SESSIONS}/000000000000-S/stats", None),
        ("POST", AUTHORIZE, {"session_id": "000000000000-S", "user_ip": PLAYER}),
        ("POST", REVOKE, {"session_id": "000000000000-S", "authorization_token": 1}),
    )

    @pytest.mark.parametrize(("method", "path", "body"), CALLS)
    def test_codes(self, server: Server, studio: Studio, method: str, path: str, body: Any) -> None:
        without_relays = f"token {server.token(studio.organisation, 'api')}"
        only_relays = f"token {server.token(studio.organisation, 'relay')}"
        unknown = "token 3f0e7c1a-5b1d-4c8e-9a67-2f6d1b0c9e11"
        for authorization, status in ((None, 401), ("Bearer x", 401), (unknown, 403), (without_relays, 403)):
            with server.caller(authorization) as caller:
                caller.refused(status, method, path, body)
        with server.caller(only_relays) as caller:
            assert caller.call(method, path, body).status_code in (200, 400, 404)
            caller.refused(403, "GET", "/v1/sessions")


class TestWebhook:
    @BOTH
    def test_says_ready_with_the_whole_session(self, studio: Studio, hooks: Hooks) -> None:
        path = f"relay-{uuid.uuid4()}"
        session = studio.relay(webhook_url=hooks.url(path))
        assert session["webhook_url"] == hooks.url(path)
        ((_, told),) = hooks.wait_for(path)
        assert told == session


def test_metrics_count_sessions_by_status(server: Server, studio: Studio) -> None:
    studio.relay()

    def counted() -> bool:
        text = httpx.get(f"{server.url}/metrics", trust_env=False).text
        found = re.search(r'^waymeet_relay_sessions\{status="ready"\} (\d+)', text, re.MULTILINE)
        relays = re.search(r"^waymeet_relays_connected (\d+)", text, re.MULTILINE)
        return found is not None and int(found[1]) >= 1 and relays is not None and float(relays[1]) == 3

    eventually(counted)
