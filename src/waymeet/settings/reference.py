"""Writes the tables of `docs/configuration.md` from the types: `python -m waymeet.settings.reference PAGE`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
from msgspec import NODEFAULT, inspect

from waymeet.settings.forms import FORMS
from waymeet.settings.load import bare, choices, environment_twins
from waymeet.settings.nodes import LOCAL, NodeSettings, ProgramSettings
from waymeet.settings.types import Settings

BEGIN = "<!-- settings: written by `make docs`, edit src/waymeet/settings instead -->"
END = "<!-- settings: end -->"

_LISTED = {"nodes": ("[[nodes]]", NodeSettings), "programs": ('[programs."IMAGE"]', ProgramSettings)}


def tables() -> str:
    """One table for the top-level keys and one for each section, in the order of the types."""
    return "\n\n".join(_tables())


def rewritten(page: str) -> str:
    """`page` with the tables between its markers brought up to date."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def _tables() -> Iterator[str]:
    twins = {key: variable for key, variable, _ in environment_twins()}
    top = _struct(Settings)
    yield _table("Top level", _introduction(Settings), "", [f for f in top.fields if not _is_section(f)], twins)
    for field in top.fields:
        if isinstance(bare(field.type), inspect.StructType):
            section = cast("inspect.StructType", bare(field.type))
            yield _table(f"`[{field.name}]`", _introduction(section.cls), f"{field.name}.", section.fields, twins)
    for heading, kind in _LISTED.values():
        section = _struct(kind)
        yield _table(f"`{heading}`", _introduction(kind), "", list(_flattened(section)), {})


def _is_section(field: inspect.Field) -> bool:
    return isinstance(bare(field.type), inspect.StructType) or field.name in _LISTED


def _flattened(section: inspect.StructType) -> Iterator[inspect.Field]:
    """Fields, with those of small sections inside (`relay.server_port`) in their place."""
    for field in section.fields:
        inner = bare(field.type)
        if isinstance(inner, inspect.StructType):
            for deeper in inner.fields:
                yield msgspec.structs.replace(deeper, name=f"{field.name}.{deeper.name}")
        else:
            yield field


def _table(
    heading: str,
    introduction: str,
    prefix: str,
    fields: list[inspect.Field] | tuple[inspect.Field, ...],
    twins: dict[str, str],
) -> str:
    with_twins = any(f"{prefix}{field.name}" in twins for field in fields)
    lines = [f"### {heading}", "", introduction, ""]
    lines.append("| key | default | meaning |" + (" environment |" if with_twins else ""))
    lines.append("|---|---|---|" + ("---|" if with_twins else ""))
    for field in fields:
        cells = [f"`{field.name}`", _default(field), _meaning(field.type)]
        if with_twins:
            variable = twins.get(f"{prefix}{field.name}")
            cells.append(f"`{variable}`" if variable else "")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _default(field: inspect.Field) -> str:
    value = field.default
    if value is NODEFAULT:
        return "required" if field.required else "`{}`"
    if value is None:
        return "absent"
    if value == LOCAL:
        return "a place named `Local`"
    if isinstance(value, Path):
        return "see there"
    return f"`{msgspec.json.encode(value).decode()}`"


def _meaning(kind: inspect.Type) -> str:
    description = ""
    if isinstance(kind, inspect.Metadata):
        description = str((kind.extra_json_schema or {}).get("description", ""))
    limits = _limits(bare(kind))
    return f"{description} ({limits})" if limits else description


def _limits(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.UnionType):
        return next((limits for member in kind.types if (limits := _limits(bare(member)))), "")
    if allowed := choices(kind):
        return ", ".join(f"`{value}`" for value in allowed)
    if isinstance(kind, inspect.StrType) and kind.pattern is not None:
        return FORMS[kind.pattern]
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        low = f"{kind.ge:g}" if kind.ge is not None else f"above {kind.gt:g}" if kind.gt is not None else ""
        high = f"{kind.le:.15g}" if kind.le is not None else ""
        return f"{low} to {high}" if low and high else f"{low} or more" if low else ""
    if isinstance(kind, inspect.VarTupleType | inspect.DictType) and kind.max_length is not None:
        return f"at most {kind.max_length}"
    return ""


def _struct(kind: type) -> inspect.StructType:
    return cast("inspect.StructType", inspect.type_info(kind))


def _introduction(kind: type) -> str:
    return (kind.__doc__ or "").strip()


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(rewritten(page.read_text()))
