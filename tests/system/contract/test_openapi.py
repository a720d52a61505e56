"""The documentation that the server gives of itself."""

import re
from typing import Any

import httpx
import jsonschema_rs
import pytest

from tests.system.contract.studio import Server

OPERATIONS = """
    2.2   POST   /v1/session                                              200 400 401 409
    2.3   GET    /v1/session/{session_id}                                 200 400 401 404
    2.4   DELETE /v1/session/{session_id}                                 200 400 401 404 410
    2.5   PUT    /v1/session/{session_id}/users                           200 400 401 404 410 422
    2.6   GET    /v1/session/{session_id}/users                           200 400 401 404
    2.7   DELETE /v1/session/{session_id}/users                           200 400 401 404
    2.8   GET    /v1/sessions                                             200 400 401
    2.9   POST   /v1/sessions/bulk-stop                                   200 400 401 500
    2.10  GET    /v1/ip                                                   200 401
    2.11  GET    /v1/ip/{ip}/lookup                                       200 400 401 500
    2.12  POST   /v1/ips/lookup                                           200 400 401 500
    2.14  GET    /v1/locations/beacons                                    200 401 500
    2.16  POST   /v1/relays/sessions                                      200 400 401 403 500 503
    2.17  GET    /v1/relays/sessions                                      200 401 403 500
    2.18  GET    /v1/relays/sessions/{session_id}                         200 401 403 404 500
    2.19  DELETE /v1/relays/sessions/{session_id}                         204 401 403 404 500 503
    2.20  POST   /v1/relays/sessions:authorize-user                       200 400 401 403 409 500 503
    2.21  POST   /v1/relays/sessions:revoke-user                          200 204 400 401 403 404 500 503
    2.23  POST   /v1/lobbies                                              200 400 401 409 500
    2.24  GET    /v1/lobbies                                              200 401 500
    2.25  GET    /v1/lobbies/{lobby_name}                                 200 400 401 404 500
    2.26  DELETE /v1/lobbies/{lobby_name}                                 200 400 401 404 500
    2.27  POST   /v1/lobbies:deploy                                       202 400 401 409 500
    2.28  POST   /v1/lobbies:terminate                                    200 202 400 401 404 409 500
    3.1   POST   /v1/app                                                  200 400 401 409 500
    3.1   GET    /v1/app/{app}                                            200 400 401 404 500
    3.1   PATCH  /v1/app/{app}                                            200 400 401 404 409 500
    3.1   DELETE /v1/app/{app}                                            200 400 401 404 500
    3.1   GET    /v1/apps                                                 200 401 403 500
    3.2   POST   /v1/app/{app}/version                                    200 400 401 404 409 424 500
    3.2   GET    /v1/app/{app}/version/{version}                          200 400 401 404 500
    3.2   PATCH  /v1/app/{app}/version/{version}                          200 400 401 404 424 500
    3.2   DELETE /v1/app/{app}/version/{version}                          200 401 404 500
    3.2   GET    /v1/app/{app}/versions                                   200 400 401 404 500
    3.3   POST   /v1/app/{app}/version/{version}/whitelist                200 404
    3.3   GET    /v1/app/{app}/version/{version}/whitelist                200 404
    3.3   GET    /v1/app/{app}/version/{version}/whitelist/{entry_id}     200 404
    3.3   DELETE /v1/app/{app}/version/{version}/whitelist/{entry_id}     200 404
    3.4   POST   /v1/deploy                                               200 400 401 404 409 422 429 500
    3.4   POST   /v2/deployments                                          202 400 401 422 500
    3.5   GET    /v1/status/{request_id}                                  200 400 401 404 500
    3.5   DELETE /v1/stop/{request_id}                                    200 202 400 401 403 404 410 500
    3.6   GET    /v1/deployments                                          200
    3.6   POST   /v1/deployments/bulk-stop                                200
    3.6   PATCH  /v1/deployments/{request_id}                             200 400 401 404
    3.6   POST   /v1/deployments/{request_id}/tags                        200 404 409
    3.6   GET    /v1/deployments/{request_id}/tags                        200 404
    3.6   GET    /v1/deployments/{request_id}/tags/{tag}                  200 404
    3.6   PATCH  /v1/deployments/{request_id}/tags/{tag}                  200 404 409
    3.6   DELETE /v1/deployments/{request_id}/tags/{tag}                  204 404
    3.6   GET    /v1/deployment/{request_id}/container-logs               200 400 401 404
    3.6   GET    /v1/metrics/deployment/{request_id}                      200 422
    3.7   GET    /v1/locations                                            200 400 401
    3.8   GET    /v1/context/{request_id}/{security_number}               200 400 401
    3.8   POST   /v1/context/{request_id}/{security_number}/tags          200 400 401 409
    3.8   DELETE /v1/context/{request_id}/{security_number}/tags/{tag}    204 400 401 404
    3.9   DELETE /v1/self/stop/{request_id}/{access_point_id}             200 202 400 401 403 404 410
    3.11  POST   /v1/wizard/init-quick-start                              204
    3.13  GET    /l/{lobby}/lobbies                                       200 400 404 429
    3.13  POST   /l/{lobby}/lobbies                                       200 400 404 409 413 429
    3.13  GET    /l/{lobby}/lobbies/{lobby_id}                            200 404 429
    3.13  PATCH  /l/{lobby}/lobbies/{lobby_id}                            200 400 404 409 413 429
    3.13  DELETE /l/{lobby}/lobbies/{lobby_id}                            204 404 429 503
    3.13  POST   /l/{lobby}/lobbies:join                                  200 400 404 409 413 429 503
    3.13  POST   /l/{lobby}/lobbies:leave                                 204 400 404 413 429 503
    3.13  POST   /l/{lobby}/lobbies:start                                 200 202 400 404 413 429 503
"""
"""Section, method, path and the codes that the contract lists."""


@pytest.fixture(scope="module")
def document(server: Server) -> Any:
    return httpx.get(f"{server.url}/openapi.json", trust_env=False).json()


@pytest.mark.parametrize("row", OPERATIONS.strip().splitlines(), ids=lambda row: " ".join(row.split()[1:3]))
def test_every_call_of_the_contract_with_every_code(document: Any, row: str) -> None:
    section, method, path, *codes = row.split()
    operation = document["paths"][path][method.lower()]
    assert f"section {section}." in operation["description"]
    assert set(codes) <= set(operation["responses"])
    assert operation["summary"]
    # What can happen to any call; that players have no key is all that 3.13 is about.
    assert "500" in operation["responses"]
    assert ("401" in operation["responses"]) == ("security" in operation) == (section != "3.13")


def test_calls_beside_the_contract_say_so(document: Any) -> None:
    known = {tuple(row.split()[1:3]) for row in OPERATIONS.strip().splitlines()}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert ("Contract section" in operation.get("description", "")) == ((method.upper(), path) in known)


def test_a_stream_of_events_says_what_they_hold(document: Any) -> None:
    operation = document["paths"]["/l/{lobby}/lobbies/{lobby_id}/events"]["get"]
    assert operation["responses"]["200"]["content"] == {
        "text/event-stream": {
            "schema": {"type": "string"},
            "x-events": {
                "lobby": {"schema": {"$ref": "#/components/schemas/RoomBody"}},
                "closed": {"schema": {"$ref": "#/components/schemas/ClosedBody"}},
            },
        }
    }
    headers = {one["name"] for one in operation["parameters"] if one["in"] == "header"}
    assert headers == {"Last-Event-ID", "X-Game-Key"}


def test_is_a_whole_openapi_document(document: Any) -> None:
    """As far as the specification can be checked without its own validator."""
    assert set(document) == {"openapi", "info", "servers", "tags", "paths", "components"}
    assert re.fullmatch(r"3\.1\.\d", document["openapi"])
    tags = {tag["name"] for tag in document["tags"]}
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    for path, methods in document["paths"].items():
        assert path.startswith("/")
        for operation in methods.values():
            assert set(operation["tags"]) <= tags
            named = [(one["in"], one["name"]) for one in operation.get("parameters", [])]
            assert len(set(named)) == len(named)
            assert {name for place, name in named if place == "path"} == set(re.findall(r"\{(\w+)\}", path))
            assert all(one["required"] for one in operation.get("parameters", []) if one["in"] == "path")
            for scheme in operation.get("security", []):
                assert set(scheme) <= set(document["components"]["securitySchemes"])
            for code, response in operation["responses"].items():
                assert re.fullmatch(r"[1-5]\d\d", code)
                assert response["description"]
                assert ("content" in response) is (code != "204")
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', repr(document).replace("'", '"')))
    assert references == set(schemas), "every schema is used, and every reference leads somewhere"


def test_page_needs_nothing_from_elsewhere(server: Server) -> None:
    """It works on a machine without the internet, and tells nobody that it was opened."""
    page = httpx.get(f"{server.url}/docs", trust_env=False)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", page.text) == []
    assert re.findall(r"""(?:src|href)=["'](?!#|data:|/[^/])[^"']*""", page.text) == []
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "connect-src 'self'" in page.headers["content-security-policy"]


def test_the_source_of_places_is_named(document: Any) -> None:
    """The licence of the geo data wants a link where its results are shown; the page shows each tag's."""
    (tag,) = (tag for tag in document["tags"] if tag["name"] == "IP lookup")
    assert "CC BY 4.0" in tag["description"]
    assert tag["externalDocs"] == {"description": "IP Geolocation by DB-IP", "url": "https://db-ip.com"}


def test_document_and_health_need_no_key(server: Server) -> None:
    for path in ("/openapi.json", "/docs", "/healthz", "/readyz", "/metrics"):
        assert httpx.get(server.url + path, trust_env=False).status_code == 200


def test_metrics_hold_no_client_input(server: Server) -> None:
    """Labels come from the route table only: whoever invents paths makes no new series."""
    for number in range(20):
        httpx.get(f"{server.url}/v1/invented-{number}", trust_env=False)
        httpx.request(f"GET{number}", f"{server.url}/v1/apps", trust_env=False)
    text = httpx.get(f"{server.url}/metrics", trust_env=False).text
    assert "invented" not in text
    assert "GET1" not in text
