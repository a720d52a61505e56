"""A parsed Python file, and where in it rules are lifted."""

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_ALLOWED = re.compile(r"#\s*lint: allow (?P<rule>[a-z-]+)(?P<reason>.*)$")


@dataclass(frozen=True)
class Finding:
    """A place where a rule is broken, and what to do instead."""

    rule: str
    line: int
    message: str


@dataclass(frozen=True)
class Source:
    """One file. `module` is its dotted name, as importers write it."""

    path: Path
    module: str
    tree: ast.Module
    lines: tuple[str, ...]

    @classmethod
    def read(cls, path: Path, root: Path) -> "Source":
        """The file at `path`; `root` is the directory that import names start from."""
        text = path.read_text(encoding="utf-8")
        parts = path.relative_to(root).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        return cls(path, module, ast.parse(text, filename=str(path)), tuple(text.splitlines()))

    def within(self, *packages: str) -> bool:
        """Whether the file is one of `packages` or inside one."""
        return any(self.module == package or self.module.startswith(f"{package}.") for package in packages)

    def allows(self, finding: Finding) -> bool:
        """Whether a comment with a reason lifts the rule there."""
        for line in self.lines[max(0, finding.line - 2) : finding.line]:
            match = _ALLOWED.search(line)
            if match is not None and match["rule"] == finding.rule and len(match["reason"].strip(" -,:")) > 0:
                return True
        return False

    def dotted(self, node: ast.expr) -> str:
        """`datetime.now` for the expression, with imported names spelled out: `datetime.datetime.now`."""
        if isinstance(node, ast.Attribute):
            before = self.dotted(node.value)
            return f"{before}.{node.attr}" if before else ""
        if isinstance(node, ast.Name):
            return self._imported.get(node.id, node.id)
        return ""

    @cached_property
    def _imported(self) -> dict[str, str]:
        names: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        return names
