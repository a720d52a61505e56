"""The SQL of `GET /v1/deployments` with its `query` (contract 3.6)."""

from waymeet.deployments.types import DeploymentQuery, QueryFilter
from waymeet.store.documents import tag_text
from waymeet.store.engine import Value
from waymeet.store.statement import Statement

_COLUMNS = {
    "status": "status",
    "request_id": "request_id",
    "created_at": "created_at",
    "application": "application_name",
    "version": "version_name",
    "is_joinable_by_session": "joinable",
    "available_session_sockets": "(COALESCE(sockets, 0) - sockets_used)",
}
_OPERATORS = {"eq": "=", "neq": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_CONTAINS = ("strpos(tags, {}) > 0", "instr(tags, {}) > 0")


def list_statements(query: DeploymentQuery) -> tuple[Statement, Statement, list[Value]]:
    """Statements that count and select, and the values of parameters `$2` onwards (`$1` is the organisation).

    The selecting one takes limit and offset as its last two parameters. Column names and operators come from the tables
    above only; whatever the caller sent travels as a parameter.
    """
    values: list[Value] = []
    postgres: list[str] = []
    sqlite: list[str] = []
    for entry in query.filters:
        if entry.field == "tags":
            for side, contains in ((postgres, _CONTAINS[0]), (sqlite, _CONTAINS[1])):
                side.append(_tag_condition(entry, contains, len(values)))
            values.extend(tag_text(str(text)) for text in _several(entry))
        else:
            condition = _condition(entry, len(values))
            postgres.append(condition)
            sqlite.append(condition)
            values.extend(_several(entry))
    order = "".join(f"{_COLUMNS[field]} {'DESC' if descends else 'ASC'}, " for field, descends in query.order_by)
    last = len(values) + 1

    def both(template: str) -> Statement:
        sides = [
            template.format("".join(f" AND {condition}" for condition in conditions))
            for conditions in (postgres, sqlite)
        ]
        return Statement(sides[0], sqlite=sides[1])

    base = "FROM deployment WHERE organisation_id = $1 AND status <> 'TERMINATED'{}"
    select = f"SELECT * {base} ORDER BY {order}created_at DESC, request_id LIMIT ${last + 1} OFFSET ${last + 2}"
    return both(f"SELECT COUNT(*) {base}"), both(select), values


def _several(entry: QueryFilter) -> tuple[str | int | bool, ...]:
    return entry.value if isinstance(entry.value, tuple) else (entry.value,)


def _parameters(entry: QueryFilter, used: int) -> list[str]:
    return [f"${used + 2 + index}" for index in range(len(_several(entry)))]


def _condition(entry: QueryFilter, used: int) -> str:
    column, parameters = _COLUMNS[entry.field], _parameters(entry, used)
    if entry.operator in ("in", "nin"):
        return f"{column} {'NOT ' if entry.operator == 'nin' else ''}IN ({', '.join(parameters)})"
    return f"{column} {_OPERATORS[entry.operator]} {parameters[0]}"


def _tag_condition(entry: QueryFilter, contains: str, used: int) -> str:
    found = " OR ".join(contains.format(parameter) for parameter in _parameters(entry, used))
    return f"NOT ({found})" if entry.operator in ("neq", "nin") else f"({found})"
