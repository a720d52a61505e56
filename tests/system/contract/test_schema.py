"""Generated calls against the server's own documentation: what it says is what it does.

`negative_data_rejection` is left out on purpose: the contract has the server put up with more than its schemas say
(decimal strings, blanks for absent members). `test_bad_input` holds what must be refused.
"""

import json
from typing import Any

import httpx
import jsonschema_rs
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from tests.polling import GENEROUS_SECONDS
from tests.system.contract.owned import Owned
from tests.system.contract.studio import Server
from tests.system.contract.test_tenancy import BY_BODY, INSIDE, LISTS, OWN_ONLY, OWNED, PLAYERS, Operation

load_all_checks()
CHECKED: Any = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "missing_required_header",
        "ignored_auth",
        "unsupported_method",
    ]
)
BOUNDED = settings(
    max_examples=10,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
ALL = sorted({*OWNED, *INSIDE, *LISTS, *BY_BODY, *OWN_ONLY, *PLAYERS})
STREAMS = {("GET", "/l/{lobby}/lobbies/{lobby_id}/events")}
"""Whose answers go on as long as what they follow is there: only their refusals are called for here."""


@pytest.fixture(scope="session")
def schema(server: Server) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


@pytest.mark.parametrize("operation", ALL, ids=" ".join)
def test_documentation_is_true(schema: Any, owned: Owned, operation: Operation) -> None:
    method, path = operation
    described = schema[path][method]
    known = {} if operation in STREAMS else owned.named_in(path)
    headers = {"Authorization": owned.context_token if operation in INSIDE else str(owned.studio.api.authorization)}
    takes_input = described.path_parameters or described.query or described.body
    with requests.Session() as session:
        session.trust_env = False

        def check(case: Case[Any]) -> None:
            case.call_and_validate(session=session, headers=headers, checks=CHECKED)

        for mode in GenerationMode if takes_input else [GenerationMode.POSITIVE]:
            if mode is GenerationMode.NEGATIVE and described.headers and not (described.query or described.body):
                # No text in a header is a wrong one, which generating wrong ones takes for a contradiction.
                continue
            # Half of the calls on objects that are there, as long as none of them takes those away.
            for strategy in (described.as_strategy(mode, path_parameters=known), described.as_strategy(mode)):
                BOUNDED(given(case=strategy)(check))()


def test_what_streams_say_is_what_is_documented(server: Server, owned: Owned) -> None:
    for method, path in STREAMS:
        document = owned.studio.api.get("/openapi.json")
        events = document["paths"][path][method.lower()]["responses"]["200"]["content"]["text/event-stream"]["x-events"]
        room = owned.room
        seen: dict[str, Any] = {}
        with (
            httpx.Client(trust_env=False, timeout=GENEROUS_SECONDS) as client,
            client.stream(method, server.url + owned.path(path)) as response,
        ):
            assert response.status_code == 200
            kind = ""
            for line in response.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    seen[kind] = json.loads(value)
                    if kind == "lobby":
                        client.delete(f"{server.url}/l/{owned.lobby_address}/lobbies/{room['lobby_id']}")
        assert set(seen) == set(events)
        for kind, body in seen.items():
            schema = events[kind]["schema"] | {"components": document["components"]}
            jsonschema_rs.validate(schema, body)
