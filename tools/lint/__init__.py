"""House rules: mistakes of this code base that no general linter knows. `python -m tools.lint PATH...`.

A rule is a function from a parsed file to findings; its docstring tells what goes wrong without it. Where a rule is
wrong for one line, that line or the one above says so, with the reason: `# lint: allow clock - the reason`.
"""
