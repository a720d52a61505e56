"""Rate limits (contract 1.9), on servers of their own: all others in these tests run without any."""

from collections.abc import Iterator

import pytest

from tests.system.contract.api import Api
from tests.system.contract.shapes import ERROR, assert_fits
from tests.system.installation import TOKEN, Installation
from waymeet.settings.types import LimitSettings


@pytest.fixture
def api(request: pytest.FixtureRequest, installation: Installation) -> Iterator[Api]:
    """The operator, on a server with these limits."""
    installation.configure(f"[limits]\n{request.param}\n")
    installation.serve()
    caller = Api(installation.url, f"token {TOKEN}")
    yield caller
    caller.close()


@pytest.mark.parametrize("api", ["deployment_list = 1"], indirect=True)
def test_excess_is_told_when_to_come_back_and_the_others_go_on(api: Api) -> None:
    """Bursts of two seconds pass. One per second, so that the slowest machine asks faster than that."""
    answers = (api.call("GET", "/v1/deployments") for _ in range(1000))
    answer = next(answer for answer in answers if answer.status_code != 200)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert_fits(answer.json(), ERROR)
    api.get("/v1/sessions")


@pytest.mark.parametrize("api", [""], indirect=True)
def test_polling_every_200_ms_is_never_throttled(api: Api) -> None:
    """What bevygap does for each of many pending sessions: a burst far above 20 per second passes."""
    for _ in range(150):
        assert api.call("GET", "/v1/session/950dd2eaff09-S").status_code == 404


def test_what_is_documented_passes_by_default() -> None:
    limits = LimitSettings()
    assert limits.deployment_create >= 40
    assert limits.deployment_status >= 20
    assert limits.deployment_list >= 20
    assert limits.default >= 20
