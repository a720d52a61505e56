"""Input that no client should send: always a 4xx that says what is wrong, never a failure, nothing written.

The endpoints come from the server's own documentation: one that is new and has no body here fails `test_every_body`.
"""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.system.contract.api import bare_call
from tests.system.contract.owned import Owned
from tests.system.contract.studio import PLAYER, Server, Studio
from tests.system.contract.test_applications import COMPLETE

BOTH = pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True, scope="session")


@pytest.fixture(scope="module")
def world(server: Server) -> Iterator[Owned]:
    """One for all tests: nothing here may change anything."""
    with server.studio() as studio:
        yield Owned(studio)


FILTERS = [{"field": "city", "values": ["Paris"], "filter_type": "any"}]
POINT = {"latitude": 1.5, "longitude": 2.5}
SESSION = {
    "app_name": "{app}",
    "version_name": "1.0",
    "ip_list": [PLAYER],
    "deployment_request_id": "{request_id}",
    "location": POINT,
    "city": "Paris",
    "country": "France",
    "continent": "Europe",
    "region": "Europe",
    "administrative_division": "Paris",
    "selectors": [{"tag": "a", "tag_only": False, "env": {"key": "K", "value": "v"}}],
    "webhook_url": "http://127.0.0.1:9/",
    "filters": FILTERS,
    "skip_telemetry": False,
}
DEPLOY = {
    "app_name": "{app}",
    "version_name": "1.0",
    "is_public_app": False,
    "geo_ip_list": [{"ip": PLAYER, **POINT}],
    "env_vars": [{"key": "K", "value": "v", "is_hidden": False}],
    "skip_telemetry": False,
    "location": POINT,
    "city": "Paris",
    "webhook_url": "http://127.0.0.1:9/",
    "tags": ["a"],
    "container_log_storage": {"enabled": False, "endpoint_storage": "logs"},
    "filters": FILTERS,
    "ap_sort_strategy": "basic",
    "command": "run",
    "arguments": "fast",
}
DEPLOY_V2 = {
    "application": "{app}",
    "version": "1.0",
    "users": [
        {"user_type": "ip_address", "user_data": {"ip_address": PLAYER}},
        {"user_type": "geo_coordinates", "user_data": POINT},
    ],
    "require_cached_locations": False,
    "environment_variables": [{"key": "K", "value": "v", "is_hidden": False}],
    "tags": ["a"],
    **{f"webhook_on_{event}": {"url": "http://127.0.0.1:9/"} for event in ("ready", "error", "terminated")},
    "resources": {"cpu_units": 128, "memory_mib": 128},
}
APPLICATION = {"name": "fine", "is_active": True, "is_telemetry_agent_active": False, "image": "cGljdHVyZQ=="}
STOP = {"filters": [{"field": "request_id", "values": ["000000000000"], "filter_type": "any"}]}

BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v1/app"): APPLICATION,
    ("PATCH", "/v1/app/{app}"): APPLICATION,
    ("POST", "/v1/app/{app}/version"): COMPLETE,
    ("PATCH", "/v1/app/{app}/version/{version}"): COMPLETE,
    ("POST", "/v1/app/{app}/version/{version}/whitelist"): {"cidr": "10.0.0.0/8", "label": "a", "is_active": True},
    ("POST", "/v1/session"): SESSION,
    ("PUT", "/v1/session/{session_id}/users"): {"ip_list": [PLAYER]},
    ("DELETE", "/v1/session/{session_id}/users"): {"ip_list": [PLAYER]},
    ("POST", "/v1/sessions/bulk-stop"): STOP,
    ("POST", "/v1/deploy"): DEPLOY,
    ("POST", "/v2/deployments"): DEPLOY_V2,
    ("POST", "/v1/deployments/bulk-stop"): STOP,
    ("PATCH", "/v1/deployments/{request_id}"): {"is_joinable_by_session": True},
    ("POST", "/v1/deployments/{request_id}/tags"): {"name": "a"},
    ("PATCH", "/v1/deployments/{request_id}/tags/{tag}"): {"name": "a"},
    ("POST", "/v1/context/{request_id}/{security_number}/tags"): {"name": "a"},
    ("POST", "/v1/wizard/init-quick-start"): {"source": "unity"},
    ("POST", "/v1/latencies"): {"ip": PLAYER, "latencies": {"Paris": 20.5}},
    ("POST", "/v1/ips/lookup"): {"addresses": [PLAYER, "2001:db8::7"]},
    ("POST", "/v1/relays/sessions"): {
        "users": [{"ip": PLAYER}, {"ip": "2001:db8::7"}],
        "filters": [{"field": "location", "values": ["FR"], "filter_type": "any"}],
        "webhook_url": "http://127.0.0.1:9/",
    },
    ("POST", "/v1/relays/sessions:authorize-user"): {"session_id": "{relay_session_id}", "user_ip": PLAYER},
    ("POST", "/v1/relays/sessions:revoke-user"): {
        "session_id": "{relay_session_id}",
        "authorization_token": "{last_user_token}",
    },
    ("POST", "/v1/lobbies"): {"name": "{lobby_name}"},
    ("POST", "/v1/lobbies:deploy"): {"name": "{lobby_name}"},
    ("POST", "/v1/lobbies:terminate"): {"name": "{lobby_name}"},
    ("POST", "/l/{lobby}/lobbies"): {
        "name": "Friday night",
        "capacity": 4,
        "player": {"id": "ann"},
        "is_joinable": True,
        "tags": ["eu"],
        "annotations": [{"inject": False, "key": "map", "value": "canyon"}],
        "host_migration": False,
    },
    ("PATCH", "/l/{lobby}/lobbies/{lobby_id}"): {"capacity": 4, "is_joinable": True, "tags": ["eu"]},
    ("POST", "/l/{lobby}/lobbies:join"): {"lobby_id": "{lobby_id}", "player": {"id": "bob"}},
    ("POST", "/l/{lobby}/lobbies:leave"): {"lobby_id": "{lobby_id}", "player": {"id": "nobody"}},
    ("POST", "/l/{lobby}/lobbies:start"): {"lobby_id": "{lobby_id}"},
}
"""A right body, with every member, for each call that takes one."""

NO_BODIES = {
    "empty array": b"[]",
    "array of what is right": b"[{}]",
    "null": b"null",
    "string": b'"x"',
    "number": b"5",
    "true": b"true",
    "broken": b'{"name": ',
    "form": b"name=x&is_active=true",
    "trailing text": b"{} {}",
    "single quotes": b"{'name': 'x'}",
    "comment": b"{/* */}",
    "trailing comma": b'{"name": "x",}',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": -Infinity}',
    "number beyond all": b'{"name": 1e999}',
    "NUL": b'{"name": "\\u0000"}',
    "NUL in a name": b'{"a\\u0000b": 1}',
    "bare NUL": b'{"name": "\x00"}',
    "lone surrogate": b'{"name": "\\ud800"}',
    "reversed surrogates": b'{"name": "\\udc00\\ud800"}',
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "overlong UTF-8": b'{"name": "\xc0\xaf"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf[]",
    "repeated name": b'{"name": "a", "name": "b"}',
    "repeated name, nested": b'{"unknown": {"a": 1, "a": 2}}',
    "deep array": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "deep and whole": b'{"name": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "too long": b'"' + b"x" * 1_100_000 + b'"',
}
"""Bodies that are wrong whatever the call."""


def nasty(value: Any) -> list[Any]:
    """Replacements of a right value that are all wrong in its place."""
    strange: list[Any] = [{"nasty": [1]}, [[[]]], 10**30]
    match value:
        case bool():
            return [*strange, "true", 1, 0.5]
        case int():
            return [*strange, "1x", "9" * 400, -(10**30), 1.5, True, "NaN"]
        case float():
            return [*strange[:2], "1.5", True, 10**300, -(10**300), "Infinity"]
        case str():
            return [*strange, True, 5, -0.5, "a\0b", "x" * 300_000]
        case list():
            return [*strange, "x", 5, True, value * 10_001]
        case dict():
            return ["x", 5, True, [1], 10**30]
    raise TypeError(f"{value!r} is no JSON")


def wrecked(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, Any, Any]]:
    """For every place in a right body, and every nasty value there: the place in dots, what is there, the body."""
    if isinstance(value, dict | list):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in entries:
            if item is None:
                continue
            for bad in nasty(item):
                body = copy.copy(value)
                body[name] = bad
                yield ".".join(map(str, (*path, name))), bad, body
            for place, bad, inner in wrecked(item, (*path, name)):
                body = copy.copy(value)
                body[name] = inner
                yield place, bad, body


def filled(owned: Owned, body: Any) -> Any:
    """`body` with the names of what is owned."""
    text = json.dumps(body)
    values = owned.values | (owned.named_in("{lobby_id}") if "{lobby_id}" in text else {})
    return json.loads(re.sub(r'"\{(\w+)\}"', lambda found: json.dumps(values[found[1]]), text))


def documented(studio: Studio) -> dict[tuple[str, str], Any]:
    paths = studio.api.get("/openapi.json")["paths"]
    return {
        (method.upper(), path): operation for path, methods in paths.items() for method, operation in methods.items()
    }


def credentials(owned: Owned, path: str) -> dict[str, str]:
    """What the call needs beside the studio's own key, which is sent otherwise."""
    return {"Authorization": owned.context_token} if path.startswith("/v1/context") else {}


def test_every_body(studio: Studio) -> None:
    """Each call with a body stands in the table, with every member that is documented for it."""
    document = studio.api.get("/openapi.json")
    with_body = {operation for operation, found in documented(studio).items() if "requestBody" in found}
    assert with_body == set(BODIES)
    for operation, body in BODIES.items():
        reference = documented(studio)[operation]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        members = set(document["components"]["schemas"][reference.rpartition("/")[2]]["properties"])
        # Mutually exclusive ones are in one of the two calls that have them.
        assert members - set(body) <= {
            "geo_ip_list",
            "ip_list",
            "country",
            "continent",
            "region",
            "administrative_division",
        }


def test_the_bodies_are_right(owned: Owned) -> None:
    """Otherwise the tests below would say nothing."""
    api = owned.studio.api
    for (method, path), body in BODIES.items():
        answer = api.call(method, owned.path(path), filled(owned, body), headers=credentials(owned, path))
        # The same tag twice, or a tag and a name that a call before has changed: right in form.
        assert answer.status_code in (200, 202, 204, 404, 409), (method, path, answer.text)


@BOTH
@pytest.mark.parametrize("operation", BODIES, ids=" ".join)
def test_no_body_at_all(world: Owned, operation: tuple[str, str]) -> None:
    method, path = operation
    before = world.look()
    for name, content in NO_BODIES.items():
        answer = world.studio.api.call(method, world.path(path), content=content, headers=credentials(world, path))
        assert answer.status_code in (400, 413), (name, answer.text)
        assert len(answer.content) < 2000, name
    assert world.look() == before


@BOTH
@pytest.mark.parametrize("operation", BODIES, ids=" ".join)
def test_every_member_wrecked(world: Owned, operation: tuple[str, str]) -> None:
    method, path = operation
    before = world.look()
    for place, bad, body in wrecked(filled(world, BODIES[operation])):
        answer = world.studio.api.call(method, world.path(path), body, headers=credentials(world, path))
        shown = f"{place} = {str(bad)[:60]}: {answer.status_code} {answer.text[:300]}"
        assert answer.status_code in (400, 413), shown
        assert len(answer.content) < 4000, shown
        if answer.status_code == 400:
            found = answer.json()
            named = found.get("errors") or found["details"]
            assert any(own.startswith(place) or place.startswith(own) for own in named), shown
            assert all(own in found["message"] for own in named), shown
    assert world.look() == before


@BOTH
def test_nasty_paths(world: Owned) -> None:
    """In the place of every name in every path."""
    targets = [
        "..", "%2e%2e", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", ".%2e", "%00", "a%00b", "%ff", "%c0%af", "%ed%a0%80", "%zz", "%",
        "%F0%9F%92%A9", "'%20OR%20'1'='1", "%27%3B%20DROP%20TABLE%20deployment%3B--", "%0d%0aX-Evil:%201", "*", "%25", ":",
        ":replay", "%2F", "%5C..%5C", "{app}", "null", "undefined", "-1", "9" * 400, "x" * 5000, "%E2%80%AE", "%20", ";a=b",
        "&", "<script>",
    ]  # fmt: skip
    before = world.look()
    for method, template in documented(world.studio):
        for name in re.findall(r"\{(\w+)\}", template):
            for target in targets:
                path = world.path(template.replace(f"{{{name}}}", target)) if target != "{app}" else template
                header = {"Authorization": str(world.studio.api.authorization), "Content-Length": "0"}
                status, text = bare_call(world.studio.api.url, method, path, header)
                assert 400 <= status < 500, (method, path, status, text)
                assert json.loads(text)["message"], (method, path)
                assert len(text) < 2000, (method, path)
    status, text = bare_call(world.studio.api.url, "GET", "/v1/app/" + "x" * 40_000, {})
    assert (status, list(json.loads(text))) == (431, ["message"])
    assert world.look() == before


@BOTH
def test_nasty_queries(world: Owned) -> None:
    """For every documented parameter."""
    values = [
        "%00", "%ff", "%ed%a0%80", "-1", "1e9", "NaN", "1.5", "9" * 400, "x" * 20_000, "%F0%9F%92%A9", "'%20OR%201=1--",
        "[]", "{}", "null", "%", "%zz", "a&{name}=b",
    ]  # fmt: skip
    before = world.look()
    for (method, template), operation in documented(world.studio).items():
        for parameter in operation.get("parameters", []):
            if parameter["in"] != "query" or method == "DELETE":
                continue
            kinds = str(parameter["schema"])
            for value in values:
                path = f"{world.path(template)}?{parameter['name']}={value.replace('{name}', parameter['name'])}"
                answer = world.studio.api.call(method, path)
                shown = (method, path[:200], answer.status_code, answer.text[:300])
                if (
                    ("'integer'" in kinds and not value.isdigit())
                    or value in ("%00", "%ff", "%ed%a0%80")
                    or ("&" in value and "'array'" not in kinds)
                ):
                    assert answer.status_code == 400, shown
                    assert parameter["name"] in answer.text or "query" in answer.text, shown
                else:
                    assert answer.status_code in (200, 400, 422), shown
                assert len(answer.content) < 20_000
    many = "&".join(f"unknown{number}=1" for number in range(100))
    world.studio.api.refused(400, "GET", f"/v1/sessions?{many}")
    assert world.look() == before


STRANGE = [
    "'; DROP TABLE deployment; --",
    'a"b',
    "ünï✓ 💥",
    "a\\b",
    "%s%n{0}${jndi:x}",
    "<script>alert(1)</script>",
    "null",
    "x" * 40,
    "\N{FULLWIDTH LATIN SMALL LETTER A}\N{COMBINING DIAERESIS}",
]


@BOTH
def test_strange_text_is_kept_as_it_is(studio: Studio) -> None:
    """Where any text is allowed, any text comes back, and is found by."""
    app = studio.game(envs=[{"key": text, "value": text} for text in STRANGE])
    assert [entry["value"] for entry in studio.api.get(f"/v1/app/{app}/version/1.0")["envs"]] == STRANGE
    whitelist, request_id = f"/v1/app/{app}/version/1.0/whitelist", studio.run(app)["request_id"]
    tags = f"/v1/deployments/{request_id}/tags"
    for text in STRANGE:
        entry = {"cidr": "10.0.0.0/8", "label": text}
        assert studio.api.post(whitelist, entry)["whitelist_entry"]["label"] == text
        assert studio.api.post(tags, {"name": text})["name"] == text
        assert studio.api.get(f"{tags}/{quote(text, safe='')}")["name"] == text
        query = json.dumps({"filters": [{"field": "tags", "operator": "eq", "value": text}]})
        assert [found["request_id"] for found in studio.api.get("/v1/deployments", query=query)["data"]] == [request_id]
        if len(text) <= 20:
            seated = studio.session(studio.seat(app, selectors=[{"tag": text}]))
            assert seated["deployment"]["request_id"] == request_id
    assert studio.status(request_id)["tags"] == STRANGE
    by_tag = {"filters": [{"field": "deployment_tags", "values": STRANGE, "filter_type": "all"}]}
    assert studio.api.post("/v1/deployments/bulk-stop", by_tag) == {"processable": [{"request_id": request_id}]}
