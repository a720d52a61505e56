"""The OpenAPI 3.1 document of a route table. Nothing in it is written twice: it says what the server checks."""

import http
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from waymeet.http.endpoint import Access, Endpoint
from waymeet.http.queries import fields_of

Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/{name}"
_SECURITY = {
    Access.KEY: ("ApiKey", "`token <key>`, or the bare key."),
    Access.OWN_TOKEN: ("DeploymentToken", "The token in the deployment's environment, bare or after `token `."),
}
_NOTES = {
    400: "The input is malformed, a field is missing or out of its limits.",
    401: "No usable key, or an unknown one.",
    403: "The key is unknown or may not do this.",
    404: "No such object.",
    408: "The body did not arrive in time.",
    409: "The object's state forbids the call, or the name is taken.",
    410: "It existed and is terminated.",
    413: "The body is too long.",
    422: "Well-formed, but it cannot be satisfied.",
    424: "The container image cannot be pulled.",
    429: "Over a rate limit; come back after `Retry-After` seconds.",
    500: "An internal error; the message names the request id.",
    503: "Not possible right now; safe to retry after `Retry-After` seconds.",
}
_CREDITS: Mapping[str, Schema] = {
    "IP lookup": {
        "description": "Places of addresses, unless this server reads data of its own, under CC BY 4.0:",
        "externalDocs": {"description": "IP Geolocation by DB-IP", "url": "https://db-ip.com"},
    }
}
"""Whom answers are owed to, by tag: the data's licence asks for this wherever people may see results."""
_RETRY_AFTER = {"Retry-After": {"description": "Whole seconds.", "schema": {"type": "integer", "minimum": 1}}}


def openapi_document(endpoints: Sequence[Endpoint[Any, Any]], version: str) -> Schema:
    """The document as plain values. Endpoints with `documented=False` are left out."""
    documented = [endpoint for endpoint in endpoints if endpoint.documented]
    schemas = _Schemas(documented)
    paths: dict[str, Schema] = {}
    names: dict[str, str] = {}
    for endpoint in documented:
        operation = _operation(endpoint, schemas)
        name = operation["operationId"]
        assert name not in names, f"{endpoint.path} and {names[name]} have handlers of the same name, {name}"
        names[name] = endpoint.path
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Waymeet",
            "version": version or "0",
            "summary": "Seats groups of players on game servers, relays their traffic, gathers them in lobbies.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": tag, **_CREDITS.get(tag, {})} for tag in dict.fromkeys(endpoint.tag for endpoint in documented)
        ],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                name: {"type": "apiKey", "in": "header", "name": "Authorization", "description": text}
                for name, text in _SECURITY.values()
            },
        },
    }


class _Schemas:
    """JSON schemas of every type that the endpoints speak of."""

    def __init__(self, endpoints: Sequence[Endpoint[Any, Any]]) -> None:
        types = [one for endpoint in endpoints for one in _types_of(endpoint)]
        found, self.components = msgspec.json.schema_components(types, ref_template=_REFERENCE)

        # By identity: types such as Annotated[...] need not be hashable.
        self._of = {id(one): schema for one, schema in zip(types, found, strict=True)}
        self._kept_alive = types
        # A query type is told parameter by parameter; as an object nobody ever sees it.
        self._query_members: dict[int, Mapping[str, Schema]] = {}
        for endpoint in endpoints:
            if endpoint.query is not None:
                (whole,), parts = msgspec.json.schema_components([endpoint.query], ref_template=_REFERENCE)
                self._query_members[id(endpoint.query)] = parts.pop(whole["$ref"].rpartition("/")[2])["properties"]
                self.components.update(parts)

    def of(self, one: Any) -> Schema:
        return self._of[id(one)]

    def members(self, query: Any) -> Mapping[str, Schema]:
        """The schemas of a query type's fields."""
        return self._query_members[id(query)]


def _types_of(endpoint: Endpoint[Any, Any]) -> list[Any]:
    types = [one for status, one in endpoint.answers.items() if status != 204]
    if endpoint.body is not None:
        types.append(endpoint.body)
    return [*types, *endpoint.path_types.values(), *endpoint.events.values(), endpoint.error_form.schema]


def _operation(endpoint: Endpoint[Any, Any], schemas: _Schemas) -> Schema:
    operation: Schema = {
        "operationId": endpoint.handler.__name__,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "responses": _responses(endpoint, schemas),
    }
    if endpoint.contract:
        operation["description"] = f"Contract section {endpoint.contract}."
    if endpoint.deprecated:
        operation["deprecated"] = True
    if parameters := [
        *_path_parameters(endpoint, schemas),
        *_query_parameters(endpoint, schemas),
        *_header_parameters(endpoint),
    ]:
        operation["parameters"] = parameters
    if endpoint.body is not None and endpoint.method != "GET":
        required = any(field.required for field in fields_of(endpoint.body)) if _is_struct(endpoint.body) else True
        content = {"application/json": {"schema": schemas.of(endpoint.body)}}
        operation["requestBody"] = {"required": required, "content": content}
    if endpoint.access is not Access.PUBLIC:
        scopes = [endpoint.scope] if endpoint.scope is not None else []
        operation["security"] = [{_SECURITY[endpoint.access][0]: scopes}]
    return operation


def _is_struct(one: Any) -> bool:
    return isinstance(one, type) and issubclass(one, msgspec.Struct)


def _path_parameters(endpoint: Endpoint[Any, Any], schemas: _Schemas) -> list[Schema]:
    parameters: list[Schema] = []
    for name in endpoint.parameter_names:
        schema: Schema = {"type": "string", "minLength": 1}
        if name in endpoint.path_types:
            schema = schemas.of(endpoint.path_types[name])
        parameters.append(_parameter(name, "path", schema, required=True))
    return parameters


def _query_parameters(endpoint: Endpoint[Any, Any], schemas: _Schemas) -> list[Schema]:
    if endpoint.query is None:
        return []
    members = schemas.members(endpoint.query)
    return [
        _parameter(field.encode_name, "query", members[field.encode_name], required=field.required)
        for field in fields_of(endpoint.query)
    ]


def _header_parameters(endpoint: Endpoint[Any, Any]) -> list[Schema]:
    return [
        _parameter(name, "header", {"type": "string", "description": text}, required=False)
        for name, text in endpoint.headers.items()
    ]


def _parameter(name: str, place: str, schema: Schema, *, required: bool) -> Schema:
    parameter: Schema = {"name": name, "in": place, "required": required, "schema": schema}
    if "description" in schema:
        parameter["description"] = schema["description"]
        parameter["schema"] = {key: value for key, value in schema.items() if key != "description"}
    return parameter


def _responses(endpoint: Endpoint[Any, Any], schemas: _Schemas) -> Schema:
    responses: Schema = {}
    for status, body in endpoint.answers.items():
        responses[str(status)] = {"description": http.HTTPStatus(status).phrase}
        if status != 204:
            responses[str(status)]["content"] = _content(endpoint, body, schemas)
    error = {"application/json": {"schema": schemas.of(endpoint.error_form.schema)}}
    for status in sorted(_error_statuses(endpoint) - endpoint.answers.keys()):
        response: Schema = {"description": _NOTES.get(status, http.HTTPStatus(status).phrase), "content": error}
        if status in (429, 503):
            response["headers"] = _RETRY_AFTER
        responses[str(status)] = response
    return dict(sorted(responses.items()))


def _content(endpoint: Endpoint[Any, Any], body: Any, schemas: _Schemas) -> Schema:
    if not endpoint.events:
        return {"application/json": {"schema": schemas.of(body)}}
    # OpenAPI 3.1 has no words for what a stream consists of: to it, the answer is one text that goes on.
    kinds = {kind: {"schema": schemas.of(data)} for kind, data in endpoint.events.items()}
    return {"text/event-stream": {"schema": schemas.of(body), "x-events": kinds}}


def _error_statuses(endpoint: Endpoint[Any, Any]) -> set[int]:
    """The documented errors, and those that follow from the declaration."""
    statuses = {*endpoint.errors, 500}
    if endpoint.access is not Access.PUBLIC:
        statuses.add(401)
    if endpoint.access is Access.KEY:
        statuses.add(429)
        if endpoint.scope is not None or endpoint.unknown_key == 403:
            statuses.add(403)
    if endpoint.guard is not None:
        statuses |= {403, 429}
    if endpoint.query is not None or endpoint.parameter_names:
        statuses.add(400)
    if endpoint.body is not None and endpoint.method != "GET":
        statuses |= {400, 408, 413}
    return statuses
