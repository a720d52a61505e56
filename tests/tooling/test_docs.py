"""The documentation names what there is."""

from pathlib import Path

import pytest
from typer.main import get_command

from waymeet.cli.app import app, token_app
from waymeet.http.metrics import RequestMetrics
from waymeet.metrics import DomainMetrics

DOCS = Path(__file__).parents[2]
OPERATING = (DOCS / "docs" / "operating.md").read_text()
EVERYTHING = OPERATING + (DOCS / "README.md").read_text()


@pytest.mark.parametrize("collector", [DomainMetrics(), RequestMetrics()], ids=["domains", "requests"])
def test_every_metric_is_documented(collector: DomainMetrics | RequestMetrics) -> None:
    names = {family.name for family in collector.collect()}
    assert names
    assert [name for name in names if name not in OPERATING] == []


def test_every_command_is_documented() -> None:
    names = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert {"up", "serve", "node", "token"} <= names
    commands = [f"waymeet {name}" for name in names - {"token"}]
    commands += [f"waymeet token {name}" for name in get_command(token_app).commands]  # type: ignore[attr-defined]
    assert [command for command in commands if command not in EVERYTHING] == []
