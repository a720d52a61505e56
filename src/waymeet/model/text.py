"""Short texts that others bring along."""

import re

_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")


def is_line(text: str, longest: int) -> bool:
    """Whether it is one line: at most `longest` characters, none of them a control character.

    Among those is NUL, which PostgreSQL stores in no text.
    """
    return len(text) <= longest and _CONTROL_CHARACTER.search(text) is None
