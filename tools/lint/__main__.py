"""`python -m tools.lint PATH...`: one line for each finding; exit code 1 when there is any."""

import sys
from collections.abc import Iterator
from pathlib import Path

from tools.lint.rules import RULES
from tools.lint.source import Finding, Source


def findings(package: Path) -> Iterator[tuple[Path, Finding]]:
    """What is wrong below `package`, a directory that can be imported by its name."""
    for path in sorted(package.rglob("*.py")):
        source = Source.read(path, package.parent)
        for rule in RULES:
            for finding in rule(source):
                if not source.allows(finding):
                    yield path, finding


def main(paths: list[str]) -> int:
    count = 0
    for package in paths:
        for path, finding in findings(Path(package).absolute()):
            print(f"{path}:{finding.line}: {finding.rule}: {finding.message}")
            count += 1
    print(f"{count} findings" if count else "House rules: all kept")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
