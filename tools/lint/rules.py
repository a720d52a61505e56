"""The rules."""

import ast
import re
from collections.abc import Callable, Iterator

from tools.lint.source import Finding, Source

Rule = Callable[[Source], Iterator[Finding]]

_CLOCKS = frozenset(
    {f"time.{name}{suffix}" for name in ("time", "monotonic", "perf_counter") for suffix in ("", "_ns")}
    | {f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")}
    | {"datetime.date.today", "time.localtime", "time.gmtime"}
)
_ON_THEIR_OWN = ("waymeet.client", "waymeet.drivers.process.keeper", "waymeet.samples", "waymeet.supervise")
"""Programs and packages that import nothing of ours, so that nobody could pass them a clock of ours."""
_EMPTY_NAMES = frozenset({"common", "data", "helper", "helpers", "manager", "misc", "shared", "util", "utils"})
_METRIC_TYPES = frozenset(
    f"prometheus_client.{name}" for name in ("Counter", "Gauge", "Histogram", "Summary", "Info", "Enum")
)
_SQL = re.compile(
    r"\s*(SELECT\s.+\sFROM\s|SELECT\s+\d|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s*\("
    r"|CREATE\s+(TABLE|INDEX|UNIQUE)\s|ALTER\s+TABLE\s|DROP\s+TABLE\s|PRAGMA\s|LISTEN\s+\w|NOTIFY\s+\w|BEGIN\s+IMMEDIATE)",
    re.IGNORECASE | re.DOTALL,
)


def clock(source: Source) -> Iterator[Finding]:
    """Only `waymeet.clock` asks the machine for the time.

    A rule that reads the time itself cannot be tested at its limits: a session that expires at exactly its hour, a
    lease taken over one microsecond late. Such tests then sleep, or patch, or are not written. Time is an argument.
    """
    if source.within("waymeet.clock", *_ON_THEIR_OWN):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute | ast.Name) and source.dotted(node) in _CLOCKS:
            yield Finding("clock", node.lineno, f"{source.dotted(node)}: take a Clock from the caller instead")


def names(source: Source) -> Iterator[Finding]:
    """No module is named for what it is not.

    `utils` says that nobody looked for the idea; everything fits in, so everything goes in, and in the end everything
    imports it. Name the idea.
    """
    for part in source.module.split("."):
        if part in _EMPTY_NAMES:
            yield Finding("names", 1, f"a module named {part!r} says nothing about what is in it; name the idea")


def metrics(source: Source) -> Iterator[Finding]:
    """Metrics are made in one place, where their labels can be read together.

    Every distinct label value is a time series that lives in memory for as long as the process. A label filled from a
    request (an application's name, a player's address) lets any client fill the memory. Labels are closed sets; to see
    that they are, they stand together.
    """
    if source.within("waymeet.http", "waymeet.metrics"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and source.dotted(node.func) in _METRIC_TYPES:
            yield Finding(
                "metrics", node.lineno, "metrics are made in waymeet.metrics or waymeet.http; offer a number there"
            )


def sql(source: Source) -> Iterator[Finding]:
    """SQL stands in `waymeet.store` alone.

    There each statement exists for both databases and is run against both by one test suite. A statement elsewhere is
    right on the database of whoever wrote it.
    """
    if source.within("waymeet.store"):
        return
    docstrings = _docstrings(source.tree)
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or node in docstrings:
            continue
        if _SQL.match(node.value):
            yield Finding("sql", node.lineno, "SQL stands in waymeet.store; give its protocol a method for this")


RULES: tuple[Rule, ...] = (clock, names, metrics, sql)


def _docstrings(tree: ast.Module) -> set[ast.AST]:
    return {
        statement.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for statement in node.body
        if isinstance(statement, ast.Expr)
    }
