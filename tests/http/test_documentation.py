"""The OpenAPI document and the page that shows it."""

import base64
import hashlib
import re
from typing import Any

import httpx
import jsonschema_rs
import msgspec
import pytest

from tests.http.table import ENDPOINTS, show
from waymeet.http.endpoint import Endpoint
from waymeet.http.openapi import openapi_document


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    response = client.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    found: dict[str, Any] = response.json()
    return found


def references(value: object) -> set[str]:
    match value:
        case dict():
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*(references(item) for item in value.values()))
        case list():
            return set().union(*(references(item) for item in value))
    return set()


def test_every_documented_endpoint_is_there(document: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    declared = {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    assert described == declared | {("GET", "/healthz"), ("GET", "/readyz")}


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["version"] == "9.9"
    identifiers = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(set(identifiers)) == len(identifiers)
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["responses"]
            placed = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
            assert placed == set(re.findall(r"\{(\w+)\}", path))
            for response in operation["responses"].values():
                assert response["description"]


def test_every_schema_is_a_schema_and_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    assert references(document) <= {f"#/components/schemas/{name}" for name in schemas}


def test_limits_and_parameters(document: dict[str, Any]) -> None:
    everything = document["components"]["schemas"]["Everything"]
    assert everything["required"] == ["app_name"]
    assert everything["properties"]["app_name"] == {"type": "string", "minLength": 1, "maxLength": 64}
    number, *_ = document["paths"]["/v1/search"]["get"]["parameters"]
    assert number == {
        "name": "number",
        "in": "query",
        "required": False,
        "description": "How many.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 9, "default": 1},
    }
    page, _ = document["paths"]["/v1/pages"]["get"]["parameters"]
    assert page["schema"] == {"type": "integer", "minimum": 1, "default": 1}
    assert "PageQuery" not in document["components"]["schemas"]


def test_statuses(document: dict[str, Any]) -> None:
    paths = document["paths"]
    assert set(paths["/v1/session/{session_id}"]["get"]["responses"]) == {
        "200",
        "400",
        "401",
        "404",
        "410",
        "429",
        "500",
    }
    assert "403" in paths["/v1/relays/sessions/{session_id}"]["get"]["responses"]
    assert {"400", "408", "413"} <= set(paths["/v1/everything"]["post"]["responses"])
    assert "content" not in paths["/v1/lobbies/{name}"]["delete"]["responses"]["204"]
    error = paths["/v1/pages"]["get"]["responses"]["429"]
    assert error["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/V1Error"}
    assert "Retry-After" in error["headers"]


def test_security(document: dict[str, Any]) -> None:
    assert document["paths"]["/v1/pages"]["get"]["security"] == [{"ApiKey": []}]
    assert document["paths"]["/v1/own"]["get"]["security"] == [{"DeploymentToken": []}]
    assert "security" not in document["paths"]["/healthz"]["get"]
    assert set(document["components"]["securitySchemes"]) == {"ApiKey", "DeploymentToken"}


def test_answers_are_of_the_documented_schema(client: httpx.Client, document: dict[str, Any]) -> None:
    for path in ("/v1/pages", "/v1/search", "/healthz", "/readyz"):
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema_rs.validate({**schema, "components": document["components"]}, client.get(path).json())
    error = {"$ref": "#/components/schemas/V1Error", "components": document["components"]}
    for path in ("/v1/fail/missing", "/v1/fail/invalid", "/v1/fail/bug", "/v1/search?number=x", "/v1/nowhere"):
        jsonschema_rs.validate(error, client.get(path).json())


class Change(msgspec.Struct):
    """What changed."""

    number: int


def test_a_stream_is_one_text_that_says_what_its_events_are() -> None:
    endpoint: Endpoint[Any, Any] = Endpoint(
        method="GET", path="/a", handler=show, summary="", contract="", tag="x", answers={200: str},
        events={"change": Change}, headers={"Last-Event-ID": "The last one."},
    )  # fmt: skip
    document = openapi_document([endpoint], "1")
    operation = document["paths"]["/a"]["get"]
    change = {"$ref": "#/components/schemas/Change"}
    assert operation["responses"]["200"]["content"] == {
        "text/event-stream": {"schema": {"type": "string"}, "x-events": {"change": {"schema": change}}}
    }
    assert list(operation["responses"]["500"]["content"]) == ["application/json"]
    assert document["components"]["schemas"]["Change"]["description"] == "What changed."
    assert operation["parameters"] == [
        {
            "name": "Last-Event-ID",
            "in": "header",
            "required": False,
            "description": "The last one.",
            "schema": {"type": "string"},
        }
    ]


def test_two_endpoints_of_one_name_are_a_mistake() -> None:
    def endpoint(path: str) -> Endpoint[Any, Any]:
        return Endpoint(
            method="GET", path=path, handler=show, summary="", contract="", tag="x", answers={200: dict[str, str]}
        )

    with pytest.raises(AssertionError, match="same name"):
        openapi_document([endpoint("/a"), endpoint("/b")], "1")


class TestPage:
    def test_it_needs_nothing_from_elsewhere(self, client: httpx.Client) -> None:
        response = client.get("/docs")
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert not re.search(r"""(src|href)=["'](https?:)?//""", response.text)
        assert "style=" not in response.text, "the policy forbids style attributes"
        assert not re.search(r"\son\w+=\"", response.text), "the policy forbids handlers in attributes"

    def test_its_policy_lets_its_own_script_and_style_run_and_no_other(self, client: httpx.Client) -> None:
        response = client.get("/docs")
        policy = dict(part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["connect-src"] == "'self'"
        for element, directive in (("script", "script-src"), ("style", "style-src")):
            (source,) = re.findall(rf"<{element}>(.*?)</{element}>", response.text, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
            assert policy[directive] == f"'sha256-{digest}'"
