"""Reads settings: flag over environment variable over file over default, once, into one frozen object."""

import difflib
import re
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import tomli
from msgspec import inspect

from waymeet.model.errors import WaymeetError
from waymeet.settings.forms import FORMS
from waymeet.settings.nodes import BUILT_IN_PROGRAMS
from waymeet.settings.types import (
    DEFAULT_HOST,
    DEFAULT_PORT,
    SQLITE_FILE,
    Settings,
    default_public_url,
    reachable,
)

CONFIG_VARIABLE = "WAYMEET_CONFIG"
LONGEST_FILE = 1024 * 1024

Raw = dict[str, Any]


class SettingsError(WaymeetError):
    """A setting that cannot be used. The message names the key, where it stands, and the limit."""


class Command(StrEnum):
    """On whose behalf settings are read: two defaults depend on it."""

    UP = "up"
    SERVE = "serve"
    NODE = "node"


def load(
    command: Command,
    *,
    environment: Mapping[str, str],
    config: Path | None = None,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """All settings, each from the first place that names it: `flags`, `environment`, the file, the default.

    `config` defaults to what `WAYMEET_CONFIG` names; without either no file is read. `flags` maps dotted keys
    (`log.level`) to values; `None` means not given. In the result `public_url`, `data`, `database_url` and (under `up`)
    `nodes` are filled in, and the built-in programs are listed. Raises `SettingsError`.
    """
    if config is None and environment.get(CONFIG_VARIABLE):
        config = Path(environment[CONFIG_VARIABLE])
    raw: Raw = {}
    if config is not None:
        raw = _read_file(config)
        _reject_unknown_keys(raw, config)
        _anchor_paths(_SETTINGS, raw, config.absolute().parent)
        _convert(raw, f"in {config}")
    for key, variable, kind in environment_twins():
        text = environment.get(variable)
        if text:
            _put(raw, key, _from_text(variable, text, kind))
    for key, value in (flags or {}).items():
        if value is not None:
            _put(raw, key, str(value) if isinstance(value, Path) else value)
    _fill_in(raw, command, environment)
    return _convert(raw, "from the environment or a flag")


def dump(settings: Settings) -> bytes:
    """The settings as JSON, secrets included, for `restore` in another process of ours."""
    return msgspec.json.encode(settings, enc_hook=_encode)


def restore(text: bytes) -> Settings:
    """What `dump` wrote."""
    return msgspec.json.decode(text, type=Settings, dec_hook=_decode)


def environment_twins() -> Iterator[tuple[str, str, inspect.Type]]:
    """Each single-valued key with its environment variable and type: `log.level`, `WAYMEET_LOG_LEVEL`, a literal."""
    for field in _SETTINGS.fields:
        if isinstance(field.type, inspect.StructType):
            for inner in field.type.fields:
                if _single_valued(inner.type):
                    yield f"{field.name}.{inner.name}", f"WAYMEET_{field.name}_{inner.name}".upper(), inner.type
        elif _single_valued(field.type):
            yield field.name, f"WAYMEET_{field.name}".upper(), field.type


def bare(kind: inspect.Type) -> inspect.Type:
    """`kind` without its description."""
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _struct(kind: inspect.Type) -> inspect.StructType:
    assert isinstance(kind, inspect.StructType), "Settings is a struct"
    return kind


_SETTINGS = _struct(inspect.type_info(Settings))


def _single_valued(kind: inspect.Type) -> bool:
    return isinstance(
        bare(kind),
        inspect.StrType
        | inspect.IntType
        | inspect.FloatType
        | inspect.BoolType
        | inspect.EnumType
        | inspect.LiteralType
        | inspect.CustomType,
    )


def _read_file(config: Path) -> Raw:
    try:
        with config.open("rb") as file:
            content = file.read(LONGEST_FILE + 1)
    except OSError as error:
        raise SettingsError(f"cannot read the configuration file {config}: {error.strerror}") from error
    if len(content) > LONGEST_FILE:
        raise SettingsError(f"the configuration file {config} is longer than {LONGEST_FILE} bytes")
    try:
        return tomli.loads(content.decode())
    except (UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise SettingsError(f"{config} is not a TOML file: {error}") from error


def _reject_unknown_keys(raw: Raw, config: Path) -> None:
    unknown = [
        f'unknown key "{path}" in {config}{_suggestion(path, known)}'
        for path, known in _unknown_keys(_SETTINGS, raw, "")
    ]
    if unknown:
        raise SettingsError("\n".join(unknown))


def _unknown_keys(kind: inspect.Type, raw: object, path: str) -> Iterator[tuple[str, list[str]]]:
    """Keys of `raw` that `kind` does not have, at any depth, each with the keys that it could have been."""
    kind = bare(kind)
    if isinstance(kind, inspect.StructType | inspect.DataclassType) and isinstance(raw, dict):
        fields = {field.name: field.type for field in kind.fields}
        for key, value in raw.items():
            here = f"{path}.{key}" if path else key
            if key in fields:
                yield from _unknown_keys(fields[key], value, here)
            else:
                yield here, list(fields)
    elif isinstance(kind, inspect.VarTupleType) and isinstance(raw, list):
        for position, value in enumerate(raw):
            yield from _unknown_keys(kind.item_type, value, f"{path}[{position}]")
    elif isinstance(kind, inspect.DictType) and isinstance(raw, dict):
        for key, value in raw.items():
            yield from _unknown_keys(kind.value_type, value, f'{path}."{key}"')


def _suggestion(path: str, known: list[str]) -> str:
    parent, _, name = path.rpartition(".")
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f'; did you mean "{parent + "." if parent else ""}{close[0]}"?'
    elsewhere = [key for key, _, _ in environment_twins() if key.rpartition(".")[2] == name]
    if elsewhere:
        return f'; did you mean "{elsewhere[0]}"?'
    return f"; known here: {', '.join(sorted(known))}"


def _anchor_paths(kind: inspect.Type, raw: object, base: Path) -> object:
    """Make relative paths in a file start at the file's directory, not where the program happens to be started."""
    kind = bare(kind)
    if isinstance(kind, inspect.CustomType) and kind.cls is Path and isinstance(raw, str):
        return str(base / Path(raw).expanduser())
    if isinstance(kind, inspect.StructType) and isinstance(raw, dict):
        for field in kind.fields:
            if field.name in raw:
                raw[field.name] = _anchor_paths(field.type, raw[field.name], base)
    elif isinstance(kind, inspect.VarTupleType) and isinstance(raw, list):
        return [_anchor_paths(kind.item_type, value, base) for value in raw]
    return raw


def _from_text(variable: str, text: str, kind: inspect.Type) -> object:
    """A value from an environment variable; ill-formed text is told here, where the variable's name is known."""
    wanted = bare(kind)
    try:
        if isinstance(wanted, inspect.BoolType):
            return msgspec.convert(text.lower(), bool, strict=False)
        if isinstance(wanted, inspect.IntType):
            return int(text)
        if isinstance(wanted, inspect.FloatType):
            return float(text)
    except ValueError:
        names = {inspect.BoolType: "true or false", inspect.IntType: "a whole number", inspect.FloatType: "a number"}
        hint = ""
        if text.startswith("tcp://"):
            # Kubernetes gives every pod <SERVICE>_PORT variables of this form for each Service in the namespace.
            hint = "; Kubernetes sets it for a Service of that name: set enableServiceLinks to false in the pod"
        raise SettingsError(f"{variable}: expected {names[type(wanted)]}, got {text!r}{hint}") from None
    return text


def _put(raw: Raw, key: str, value: object) -> None:
    section, _, name = key.rpartition(".")
    (raw.setdefault(section, {}) if section else raw)[name] = value


def _fill_in(raw: Raw, command: Command, environment: Mapping[str, str]) -> None:
    """Defaults that depend on other settings, on the command or on the machine."""
    raw["data"] = str(Path(raw.get("data") or _default_data(environment)).expanduser().absolute())
    host, port = raw.get("host", DEFAULT_HOST), raw.get("port", DEFAULT_PORT)
    if not isinstance(host, str) or not isinstance(port, int):
        _convert(raw, "from the environment or a flag")
        raise AssertionError("unreachable: an ill-typed host or port does not convert")
    raw["public_url"] = (raw.get("public_url") or default_public_url(host, port)).rstrip("/")
    raw["database_url"] = raw.get("database_url") or f"sqlite:///{raw['data']}/{SQLITE_FILE}"
    geo = raw.setdefault("geo", {})
    geo["directory"] = str(Path(geo.get("directory") or f"{sys.prefix}/share/waymeet/geo").expanduser().absolute())
    raw["programs"] = {image: msgspec.to_builtins(program) for image, program in BUILT_IN_PROGRAMS.items()} | raw.get(
        "programs", {}
    )
    if command is Command.UP:
        raw.setdefault("webhooks", {}).setdefault("allow_private_targets", True)
        if not raw.get("nodes"):
            raw["nodes"] = [{"name": "local", "address": _node_address(host)}]


def _default_data(environment: Mapping[str, str]) -> str:
    shared = environment.get("XDG_DATA_HOME")
    if shared and Path(shared).is_absolute():
        return f"{shared}/waymeet"
    home = environment.get("HOME")
    if not home:
        raise SettingsError("data: there is no home directory to keep it in; name a directory (--data or WAYMEET_DATA)")
    return f"{home}/.local/share/waymeet"


def _node_address(host: str) -> str:
    """The default node is reached where the API is reached, when that is an address."""
    host = reachable(host)
    return host if re.fullmatch(r"[0-9.]+|[0-9a-fA-F:]*:[0-9a-fA-F:.]*", host) else "127.0.0.1"


def _convert(raw: Raw, where: str) -> Settings:
    try:
        return msgspec.convert(raw, Settings, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{_in_our_words(str(error))} ({where})") from error


_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "object": "a table",
    "array": "a list",
}


def _in_our_words(message: str) -> str:
    """msgspec's message with the key in front, in the words of a configuration file instead of Python's types."""
    match = _PLACE.match(message)
    assert match is not None, "the pattern matches any text"
    what, path = match["what"], match["path"] or ""
    # A check of our own spans several keys and starts with the one at fault, relative to its section.
    own = re.match(r"([a-z_][a-z_.]*): ", what)
    if own is not None:
        path, what = f"{path}.{own[1]}" if path else own[1], what[own.end() :]
    for pattern, form in FORMS.items():
        if repr(pattern)[1:-1] in what:  # As msgspec writes it, with each backslash doubled.
            return f"{path}: expected {form}"
    if what.startswith("Invalid enum value"):
        what = f"{what}, expected {_choices(path)}"
    what = re.sub(r"`(int|float|str|bool|object|array)`?", lambda word: _WORDS[word[1]], what).replace("`", "")
    what = what[:1].lower() + what[1:]
    return f"{path}: {what}" if path else what


def _choices(path: str) -> str:
    kind: inspect.Type = _SETTINGS
    for step in re.findall(r"[a-z_]+|\[", path):
        kind = bare(kind)
        if isinstance(kind, inspect.VarTupleType):
            kind = kind.item_type
        elif isinstance(kind, inspect.DictType):
            kind = kind.value_type
        elif isinstance(kind, inspect.StructType):
            kind = next(field.type for field in kind.fields if field.name == step)
    return " or ".join(choices(kind))


def choices(kind: inspect.Type) -> list[str]:
    """The values that `kind` allows, when it is a closed set."""
    kind = bare(kind)
    if isinstance(kind, inspect.EnumType):
        return [str(member.value) for member in kind.cls]
    if isinstance(kind, inspect.LiteralType):
        return [str(value) for value in kind.values]
    return []


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"expected a text, got {value!r}")


def _encode(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"no setting has the type {type(value).__name__}")
