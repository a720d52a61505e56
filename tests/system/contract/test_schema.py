"""Generated calls against the server's own documentation: what it says is what it does.

`negative_data_rejection` is left out on purpose: the contract has the server put up with more than its schemas say
(decimal strings, blanks for absent members). `test_bad_input` holds what must be refused.
"""

from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from tests.system.contract.owned import Owned
from tests.system.contract.studio import Server
from tests.system.contract.test_tenancy import BY_BODY, INSIDE, LISTS, OWN_ONLY, OWNED, Operation

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
ALL = sorted({*OWNED, *INSIDE, *LISTS, *BY_BODY, *OWN_ONLY})


@pytest.fixture(scope="session")
def schema(server: Server) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


@pytest.mark.parametrize("operation", ALL, ids=" ".join)
def test_documentation_is_true(schema: Any, owned: Owned, operation: Operation) -> None:
    method, path = operation
    described = schema[path][method]
    known = owned.named_in(path)
    headers = {"Authorization": owned.context_token if operation in INSIDE else str(owned.studio.api.authorization)}
    takes_input = described.path_parameters or described.query or described.body
    with requests.Session() as session:
        session.trust_env = False

        def check(case: Case[Any]) -> None:
            case.call_and_validate(session=session, headers=headers, checks=CHECKED)

        for mode in GenerationMode if takes_input else [GenerationMode.POSITIVE]:
            # Half of the calls on objects that are there, as long as none of them takes those away.
            for strategy in (described.as_strategy(mode, path_parameters=known), described.as_strategy(mode)):
                BOUNDED(given(case=strategy)(check))()
