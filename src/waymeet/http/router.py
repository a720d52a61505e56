"""From a raw path to the endpoint that answers it (contract 1.1)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from waymeet.http.errors import ProtocolError, invalid_input
from waymeet.model.errors import NotFound

Target = TypeVar("Target")

_NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})
_LONGEST_SHOWN_PATH = 200
LONGEST_PARAMETER = 255
"""Characters of a parameter's value. No object has a longer name; and what was asked for is repeated in errors."""


@dataclass(frozen=True, slots=True)
class Row(Generic[Target]):
    """One row of the route table, as far as routing goes."""

    method: str
    template: str
    target: Target


class _Node(Generic[Target]):
    """One position in the tree of segments."""

    __slots__ = ("any", "named", "names", "targets", "verbs")

    def __init__(self) -> None:
        self.named: dict[str, _Node[Target]] = {}
        self.any: _Node[Target] | None = None
        self.verbs: dict[str, _Node[Target]] = {}
        """Where a parameter with a verb behind it leads, by the verb without its colon."""
        self.targets: dict[str, Target] = {}
        self.names: tuple[str, ...] = ()
        """The parameters on the way here; templates of one shape share their names."""

    def parameter(self, ending: str) -> "_Node[Target]":
        """The position behind a parameter that ends in nothing, or in a colon and a verb; made when it is not there."""
        if ending:
            assert ending.startswith(":"), f"only a verb such as ':replay' can follow a parameter, not '{ending}'"
            return self.verbs.setdefault(ending[1:], _Node())
        self.any = self.any or _Node()
        return self.any


class Router(Generic[Target]):
    """Finds targets by method and raw path.

    Paths are case-sensitive, and only slashes at their very start are collapsed. Segments are split before they are
    decoded, so that a parameter may hold a slash (`%2F`). A fixed segment goes before a parameter with a
    verb, and that before a bare one, for good: what it leads to is all there is.
    """

    def __init__(self, rows: Iterable[Row[Target]]) -> None:
        self._fixed: dict[bytes, dict[str, Target]] = {}
        self._root: _Node[Target] = _Node()
        for row in rows:
            self._add(row)

    def _add(self, row: Row[Target]) -> None:
        node = self._root
        names: list[str] = []
        for part in row.template[1:].split("/"):
            if part.startswith("{"):
                name, _, verb = part[1:].partition("}")
                names.append(name)
                node = node.parameter(verb)
            else:
                node = node.named.setdefault(part, _Node())
        assert not node.targets or node.names == tuple(names), f"{row.template} names its parameters in two ways"
        assert row.method not in node.targets, f"{row.method} {row.template} is declared twice"
        node.names = tuple(names)
        node.targets[row.method] = row.target
        if not names:
            # A shortcut past the tree. The same dictionary, so that both ways know every method.
            self._fixed[row.template.encode()] = node.targets

    def find(self, method: str, raw_path: bytes) -> tuple[Target, Mapping[str, str]]:
        """The target and the decoded parameters. HEAD finds what GET does.

        `NotFound` for an unknown path, 405 with `Allow` for a known path without the method, `Invalid` for a path that
        is not text.
        """
        if method == "HEAD":
            method = "GET"
        if raw_path.startswith(b"//"):
            raw_path = b"/" + raw_path.lstrip(b"/")
        targets = self._fixed.get(raw_path)
        parameters = _NO_PARAMETERS
        if targets is None:
            targets, parameters = self._walk(raw_path)
        target = targets.get(method)
        if target is None:
            raise _not_allowed(method, targets)
        return target, parameters

    def _walk(self, raw_path: bytes) -> tuple[dict[str, Target], Mapping[str, str]]:
        node = self._root
        values: list[str] = []
        segments = _segments(raw_path)
        for segment in segments:
            following = node.named.get(segment)
            if following is None:
                value, _, verb = segment.rpartition(":")
                following = node.verbs.get(verb) if value else None
                if following is None:
                    value, following = segment, node.any if segment else None
                values.append(value)
                if len(value) > LONGEST_PARAMETER:
                    break
            if following is None:
                break
            node = following
        else:
            if node.targets:
                return node.targets, dict(zip(node.names, values, strict=True))
        raise NotFound(f"there is nothing at {'/' + '/'.join(segments)[:_LONGEST_SHOWN_PATH]}")


def _segments(raw_path: bytes) -> list[str]:
    try:
        if b"%" not in raw_path:
            return raw_path[1:].decode().split("/")
        segments = [unquote_to_bytes(part).decode() for part in raw_path[1:].split(b"/")]
    except UnicodeDecodeError:
        raise invalid_input({"path": "is not UTF-8"}) from None
    if any("\0" in segment for segment in segments):
        raise invalid_input({"path": "must not contain NUL characters"})
    return segments


def _not_allowed(method: str, targets: Mapping[str, object]) -> ProtocolError:
    methods = set(targets) | ({"HEAD"} if "GET" in targets else set())
    allowed = ", ".join(sorted(methods))
    return ProtocolError(405, f"{method} is not allowed here; use {allowed}", {"allow": allowed})
