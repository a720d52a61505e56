"""What the doctor says of relays."""

import pytest

from tests.node.relay.conftest import require_native
from waymeet.cli.doctor import relay_finding
from waymeet.settings import NodeSettings, RelaySettings

WHY = "cargo is missing; then run `make build`"


def node(relay: RelaySettings) -> NodeSettings:
    return NodeSettings(name="paris", relay=relay)


def test_the_native_relay_says_what_it_was_built_from_and_how() -> None:
    require_native()
    finding = relay_finding(node(RelaySettings()), None)
    assert (finding.subject, finding.remedy) == ("relay of paris", None)
    assert "native 0." in finding.seen
    assert "rustc" in finding.seen


def test_it_says_why_it_is_the_one_in_python_and_how_to_get_the_other() -> None:
    finding = relay_finding(node(RelaySettings()), WHY)
    assert finding.seen == "the one in Python"
    assert finding.remedy == f"for the native relay: {WHY}"
    assert finding.well


@pytest.mark.parametrize("missing", [None, WHY])
def test_the_one_in_python_is_no_finding_where_it_is_wanted(missing: str | None) -> None:
    finding = relay_finding(node(RelaySettings(engine="python")), missing)
    assert (finding.seen, finding.remedy) == ("the one in Python", None)


@pytest.mark.parametrize("relay", [RelaySettings(engine="native"), RelaySettings(workers=2)])
def test_what_cannot_be_had_is_to_be_mended(relay: RelaySettings) -> None:
    finding = relay_finding(node(relay), WHY)
    assert not finding.well
    assert finding.remedy is not None
    assert finding.remedy.startswith("node paris: relay.")
    assert WHY in finding.remedy
