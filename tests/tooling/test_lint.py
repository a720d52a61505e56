"""Each house rule finds what it is there for, leaves alone what is fine, and can be lifted with a reason."""

from pathlib import Path

import pytest

from tools.lint.__main__ import findings, main


def found(tmp_path: Path, module: str, text: str) -> list[str]:
    """The rules broken by a module of this text."""
    package = tmp_path / "waymeet"
    file = package / f"{module}.py"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return [finding.rule for _, finding in findings(package)]


@pytest.mark.parametrize(
    ("module", "text", "rules"),
    [
        pytest.param("sessions/service", "import time\nnow = time.time()", ["clock"], id="module clock"),
        pytest.param("sessions/service", "from time import monotonic as m\nm()", ["clock"], id="renamed clock"),
        pytest.param("sessions/service", "import time\nread = time.monotonic", ["clock"], id="clock passed on"),
        pytest.param("a", "from datetime import datetime, UTC\ndatetime.now(UTC)", ["clock"], id="datetime"),
        pytest.param("clock", "import time\ntime.time()", [], id="the clock itself"),
        pytest.param("a", "import time\ntime.sleep(1)", [], id="not a clock"),
        pytest.param("a", "class Time:\n    def now(self): ...\nTime().now()", [], id="a clock that was passed in"),
        pytest.param("sessions/utils", "", ["names"], id="utils"),
        pytest.param("helpers/seating", "", ["names"], id="package of helpers"),
        pytest.param("sessions/seating", "", [], id="an idea"),
        pytest.param(
            "sessions/service", "from prometheus_client import Counter\nCounter('a', 'b')", ["metrics"], id="metric"
        ),
        pytest.param(
            "http/metrics", "from prometheus_client import Counter\nCounter('a', 'b')", [], id="metric of http"
        ),
        pytest.param("a", "from collections import Counter\nCounter('a')", [], id="another counter"),
        pytest.param("sessions/service", "q = 'SELECT id FROM session WHERE x = 1'", ["sql"], id="select"),
        pytest.param("a", "q = '''\n  insert into session (id) values (1)'''", ["sql"], id="insert"),
        pytest.param("a", "q = f'UPDATE session SET a = {1}'", ["sql"], id="formatted update"),
        pytest.param("store/sessions", "q = 'DELETE FROM session'", [], id="the store"),
        pytest.param("a", '"""Select a server from those with room."""', [], id="prose"),
        pytest.param("a", "m = 'update the session, then set it free'", [], id="a message"),
    ],
)
def test_rule(tmp_path: Path, module: str, text: str, rules: list[str]) -> None:
    assert found(tmp_path, module, text) == rules


@pytest.mark.parametrize(
    ("comment", "lifted"),
    [
        ("  # lint: allow clock - measures itself", True),
        ("  # lint: allow clock", False),
        ("  # lint: allow sql - another rule", False),
    ],
)
def test_lifting_takes_the_right_rule_and_a_reason(tmp_path: Path, comment: str, lifted: bool) -> None:
    assert found(tmp_path, "a", f"import time\ntime.time(){comment}") == ([] if lifted else ["clock"])


def test_comment_above_lifts_too(tmp_path: Path) -> None:
    assert found(tmp_path, "a", "import time\n# lint: allow clock - because\ntime.time()\n\ntime.time()") == ["clock"]


def test_says_where_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found(tmp_path, "a", "import time\n\ntime.time()")
    assert main([str(tmp_path / "waymeet")]) == 1
    assert "a.py:3: clock: time.time" in capsys.readouterr().out
