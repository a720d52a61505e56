"""Organisations do not see, touch or learn of each other's objects, whatever endpoint they try it with.

The endpoints come from the server's own documentation: one that is new and not covered here fails `test_every_endpoint`.
"""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.contract.owned import MARK, Owned
from tests.system.contract.shapes import ONLY_PAGE
from tests.system.contract.studio import PLAYER, Server, Studio, new_version

Operation = tuple[str, str]

OWNED: dict[Operation, Any] = {
    ("GET", "/v1/app/{app}"): None,
    ("PATCH", "/v1/app/{app}"): {"is_active": False},
    ("DELETE", "/v1/app/{app}"): None,
    ("GET", "/v1/app/{app}/versions"): None,
    ("POST", "/v1/app/{app}/version"): new_version("2.0"),
    ("GET", "/v1/app/{app}/version/{version}"): None,
    ("PATCH", "/v1/app/{app}/version/{version}"): {"is_active": False},
    ("DELETE", "/v1/app/{app}/version/{version}"): None,
    ("GET", "/v1/app/{app}/version/{version}/whitelist"): None,
    ("POST", "/v1/app/{app}/version/{version}/whitelist"): {"cidr": "0.0.0.0/0"},
    ("GET", "/v1/app/{app}/version/{version}/whitelist/{entry_id}"): None,
    ("DELETE", "/v1/app/{app}/version/{version}/whitelist/{entry_id}"): None,
    ("GET", "/v1/session/{session_id}"): None,
    ("DELETE", "/v1/session/{session_id}"): None,
    ("GET", "/v1/session/{session_id}/users"): None,
    ("GET", "/v1/session/{session_id}/placement"): None,
    ("PUT", "/v1/session/{session_id}/users"): {"ip_list": [PLAYER]},
    ("DELETE", "/v1/session/{session_id}/users"): {"ip_list": [PLAYER]},
    ("GET", "/v1/relays/sessions/{session_id}"): None,
    ("DELETE", "/v1/relays/sessions/{session_id}"): None,
    ("GET", "/v1/relays/sessions/{session_id}/stats"): None,
    ("GET", "/v1/status/{request_id}"): None,
    ("DELETE", "/v1/stop/{request_id}"): None,
    ("PATCH", "/v1/deployments/{request_id}"): {"is_joinable_by_session": False},
    ("GET", "/v1/deployments/{request_id}/placement"): None,
    ("GET", "/v1/deployments/{request_id}/tags"): None,
    ("POST", "/v1/deployments/{request_id}/tags"): {"name": "another"},
    ("GET", "/v1/deployments/{request_id}/tags/{tag}"): None,
    ("PATCH", "/v1/deployments/{request_id}/tags/{tag}"): {"name": "another"},
    ("DELETE", "/v1/deployments/{request_id}/tags/{tag}"): None,
    ("GET", "/v1/deployment/{request_id}/container-logs"): None,
    ("GET", "/v1/metrics/deployment/{request_id}"): None,
    ("GET", "/v1/lobbies/{lobby_name}"): None,
    ("DELETE", "/v1/lobbies/{lobby_name}"): None,
    ("GET", "/v1/webhooks/deliveries/{delivery_id}"): None,
    ("POST", "/v1/webhooks/deliveries/{delivery_id}:replay"): {},
}
"""Calls whose path names an object of an organisation, with a body that would be right for its owner."""

INSIDE: dict[Operation, Any] = {
    ("GET", "/v1/context/{request_id}/{security_number}"): None,
    ("POST", "/v1/context/{request_id}/{security_number}/tags"): {"name": "another"},
    ("DELETE", "/v1/context/{request_id}/{security_number}/tags/{tag}"): None,
    ("DELETE", "/v1/self/stop/{request_id}/{access_point_id}"): None,
}
"""Calls that only the deployment itself may make; see also `test_inside`."""

LISTS = {
    ("GET", "/v1/apps"): "applications",
    ("GET", "/v1/sessions"): "data",
    ("GET", "/v1/deployments"): "data",
    ("GET", "/v1/webhooks/deliveries"): "data",
    ("GET", "/v1/relays/sessions"): "sessions",
}
"""Lists of an organisation's own objects, and the member that holds them."""

BY_BODY = {
    ("POST", "/v1/session"),
    ("POST", "/v1/deploy"),
    ("POST", "/v2/deployments"),
    ("POST", "/v1/sessions/bulk-stop"),
    ("POST", "/v1/deployments/bulk-stop"),
    ("POST", "/v1/relays/sessions:authorize-user"),
    ("POST", "/v1/relays/sessions:revoke-user"),
    ("GET", "/v1/lobbies"),
    ("POST", "/v1/lobbies:deploy"),
    ("POST", "/v1/lobbies:terminate"),
    ("GET", "/v1/locations"),
    ("POST", "/v1/latencies"),
    ("GET", "/v1/latencies/{ip}"),
}
"""Calls that name objects in a body or a query; each has a test below."""

OWN_ONLY = {
    ("POST", "/v1/app"),
    ("POST", "/v1/relays/sessions"),
    ("POST", "/v1/lobbies"),
    ("GET", "/v1/webhooks/secret"),
    ("POST", "/v1/webhooks/secret:rotate"),
    ("POST", "/v1/wizard/init-quick-start"),
    ("GET", "/v1/locations/beacons"),
    ("GET", "/v1/ip"),
    ("GET", "/v1/ip/{ip}/lookup"),
    ("POST", "/v1/ips/lookup"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
}
"""Calls that name nothing that could be somebody else's."""

PLAYERS = {
    ("GET", "/l/{lobby}/lobbies"),
    ("POST", "/l/{lobby}/lobbies"),
    ("GET", "/l/{lobby}/lobbies/{lobby_id}"),
    ("PATCH", "/l/{lobby}/lobbies/{lobby_id}"),
    ("DELETE", "/l/{lobby}/lobbies/{lobby_id}"),
    ("GET", "/l/{lobby}/lobbies/{lobby_id}/events"),
    ("POST", "/l/{lobby}/lobbies:join"),
    ("POST", "/l/{lobby}/lobbies:leave"),
    ("POST", "/l/{lobby}/lobbies:start"),
}
"""Calls of players, who have no key: whoever knows a lobby's address may make them."""

NOBODYS = {"ip"}
"""Names in paths that stand for nothing that an organisation has."""


@pytest.fixture
def stranger(server: Server) -> Iterator[Studio]:
    with server.studio("stranger") as made:
        yield made


def test_every_endpoint(studio: Studio) -> None:
    """Each is in one of the tables above: put a new one where it belongs."""
    document = studio.api.get("/openapi.json")
    documented = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    tables: list[set[Operation]] = [set(OWNED), set(INSIDE), set(LISTS), BY_BODY, OWN_ONLY, PLAYERS]
    covered = set().union(*tables)
    assert documented == covered
    assert len(covered) == sum(len(table) for table in tables)
    for method, path in documented:
        if set(re.findall(r"\{(\w+)\}", path)) - NOBODYS:
            assert (method, path) in {*OWNED, *INSIDE, *PLAYERS}


@pytest.mark.parametrize("operation", [*OWNED, *INSIDE], ids=" ".join)
def test_strangers_find_nothing(owned: Owned, stranger: Studio, operation: Operation) -> None:
    method, template = operation
    body = (OWNED | INSIDE)[operation]
    path = owned.path(template)
    before = owned.look()
    answer = stranger.api.call(method, path, body)
    assert answer.status_code in ((404,) if operation in OWNED else (401, 403, 404))
    assert MARK not in answer.text.replace(f"'{MARK}'", "'the tag that was asked for'")
    assert owned.look() == before
    if operation in OWNED:
        # With the same answer as for what does not exist at all.
        unknown = re.sub(r"[0-9a-f]{12}(?=-S|\b)", "0" * 12, path.replace(owned.app, "nobody"))
        if unknown != path:
            nothing = stranger.api.call(method, unknown, body)
            assert nothing.status_code == answer.status_code
        # And the call is a right one: its owner can make it.
        assert owned.studio.api.call(method, path, body).status_code in (200, 204)


def test_lists_hold_nothing_of_others(owned: Owned, stranger: Studio) -> None:
    for (_, path), member in LISTS.items():
        assert len(owned.studio.api.get(path)[member]) == 1
        listed = stranger.api.get(path)
        assert (listed[member], listed["total_count"], listed["pagination"]) == ([], 0, ONLY_PAGE)
    for condition in (("request_id", "eq", owned.request_id), ("application", "eq", owned.app), ("tags", "neq", "x")):
        query = '{{"filters": [{{"field": "{}", "operator": "{}", "value": "{}"}}]}}'.format(*condition)
        assert stranger.api.get("/v1/deployments", query=query)["data"] == []
    about = stranger.api.get("/v1/webhooks/deliveries", object=f"session:{owned.session_id}")
    assert about["data"] == []


def test_sessions_on_foreign_games_and_servers(owned: Owned, stranger: Studio) -> None:
    before = owned.look()
    session = {"app_name": owned.app, "ip_list": [PLAYER]}
    stranger.api.refused(400, "POST", "/v1/session", session)
    stranger.api.refused(400, "POST", "/v1/session", session | {"version_name": "1.0"})
    own = stranger.game()
    for app in (owned.app, own):
        named = session | {"app_name": app, "deployment_request_id": owned.request_id}
        assert (
            "deployment_request_id" in stranger.api.refused(400, "POST", "/v1/session", named)["errors"] or app != own
        )
    assert stranger.api.get("/v1/sessions")["total_count"] == 0
    assert owned.look() == before


def test_deployments_of_foreign_games(owned: Owned, stranger: Studio) -> None:
    users = [{"user_type": "ip_address", "user_data": {"ip_address": PLAYER}}]
    stranger.api.refused(404, "POST", "/v1/deploy", {"app_name": owned.app, "ip_list": [PLAYER]})
    stranger.api.refused(
        404, "POST", "/v1/deploy", {"app_name": owned.app, "version_name": "1.0", "is_public_app": True}
    )
    stranger.api.refused(400, "POST", "/v2/deployments", {"application": owned.app, "version": "1.0", "users": users})
    assert stranger.running() == []
    assert len(owned.studio.running()) == 1


def test_bulk_stops_reach_own_objects_only(owned: Owned, stranger: Studio) -> None:
    before = owned.look()
    for path, fields in (
        (
            "/v1/sessions/bulk-stop",
            {"session_id": owned.session_id, "request_id": owned.request_id, "deployment_tags": MARK},
        ),
        ("/v1/deployments/bulk-stop", {"request_id": owned.request_id, "deployment_tags": MARK}),
    ):
        for field, value in fields.items():
            for filter_type, values in (("any", [value]), ("all", [value]), ("not", ["nothing"])):
                body = {"filters": [{"field": field, "values": values, "filter_type": filter_type}]}
                assert stranger.api.post(path, body) == {"processable": []}
    assert owned.look() == before


def test_users_of_foreign_relay_sessions(owned: Owned, stranger: Studio) -> None:
    before = owned.look()
    session = {"session_id": owned.relay_session_id}
    calls = {
        "authorize-user": (400, session | {"user_ip": PLAYER}),
        "revoke-user": (404, session | {"authorization_token": owned.values["user_token"]}),
    }
    for verb, (status, body) in calls.items():
        refused = stranger.api.refused(status, "POST", f"/v1/relays/sessions:{verb}", body)
        # With the same answer as for what does not exist at all.
        unknown = body | {"session_id": "000000000000-S"}
        nothing = stranger.api.refused(status, "POST", f"/v1/relays/sessions:{verb}", unknown)
        assert refused["message"].replace(owned.relay_session_id, "000000000000-S") == nothing["message"]
    assert owned.look() == before


def test_locations_for_foreign_games(owned: Owned, stranger: Studio) -> None:
    stranger.api.refused(400, "GET", f"/v1/locations?app={owned.app}")
    stranger.api.refused(400, "GET", f"/v1/locations?app={owned.app}&version=1.0")


def test_what_players_reported_is_for_their_own_games_only(studio: Studio, stranger: Studio) -> None:
    report = {"ip": "9.9.9.9", "latencies": {"Paris": 33.0}}
    assert studio.api.post("/v1/latencies", report)["recorded"] == 1
    (entry,) = studio.api.get("/v1/latencies/9.9.9.9")["latencies"]
    assert (entry["ms"], entry["origin"], entry["location"]["city"]) == (33.0, "reported", "Paris")
    assert stranger.api.get("/v1/latencies/9.9.9.9")["latencies"] == []


def test_lobbies_of_others(owned: Owned, stranger: Studio) -> None:
    before = owned.look()
    assert stranger.api.get("/v1/lobbies") == []
    named = {"name": owned.lobby_name}
    for status, verb in ((400, "deploy"), (404, "terminate")):
        refused = stranger.api.refused(status, "POST", f"/v1/lobbies:{verb}", named)
        nothing = stranger.api.refused(status, "POST", f"/v1/lobbies:{verb}", {"name": "nobody"})
        assert refused["message"].replace(owned.lobby_name, "nobody") == nothing["message"]
    # The name is everybody's, the address under which players find it is not.
    theirs = stranger.lobby(owned.lobby_name)
    assert theirs["url"].startswith(f"{owned.studio.api.url}/l/{owned.lobby_name}-")
    assert owned.look() == before
    assert owned.studio.lobby(owned.lobby_name)["url"] == f"{owned.studio.api.url}/l/{owned.lobby_name}"
    room = owned.room
    address = theirs["url"].rpartition("/")[2]
    stranger.api.refused(404, "GET", f"/l/{address}/lobbies/{room['lobby_id']}")
    assert stranger.api.get(f"/l/{address}/lobbies") == {"count": 0, "data": []}


def test_names_are_taken_within_an_organisation_only(owned: Owned, stranger: Studio) -> None:
    before = owned.look()
    stranger.api.post("/v1/app", {"name": owned.app, "is_active": True, "image": ""})
    stranger.version(owned.app, "1.0", docker_tag="theirs")
    theirs = stranger.play(owned.app)
    assert theirs["deployment"]["request_id"] != owned.request_id
    stranger.api.delete(f"/v1/app/{owned.app}")
    assert owned.look() == before


def test_webhook_secrets_differ(owned: Owned, stranger: Studio) -> None:
    before = owned.look()
    first = stranger.api.get("/v1/webhooks/secret")
    assert first != owned.studio.api.get("/v1/webhooks/secret")
    assert stranger.api.post("/v1/webhooks/secret:rotate", {}) != first
    assert owned.look() == before


def test_replayed_ids_of_unknown_form(stranger: Studio) -> None:
    for delivery_id in (str(uuid.uuid4()), "1", "x" * 500):
        stranger.api.refused(404, "GET", f"/v1/webhooks/deliveries/{delivery_id}")
