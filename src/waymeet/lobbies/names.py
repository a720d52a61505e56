"""Names of lobbies, and what stands for them in URLs (contract 2.22)."""

import hashlib
import re

from waymeet.model.errors import Invalid
from waymeet.model.ids import OrganisationId

NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
"""1 to 63 characters: a name becomes part of a host name."""
_NAME = re.compile(NAME)
_LONGEST = 63
_SUFFIX = 8


def is_name(text: str) -> bool:
    """Whether a lobby could have this name."""
    return _NAME.fullmatch(text) is not None and "\n" not in text


def checked_name(text: str) -> str:
    """The name; `Invalid` that says which names there may be."""
    if not is_name(text):
        raise Invalid({"name": "must be 1 to 63 lower-case letters, digits and inner hyphens"})
    return text


def addresses(name: str, organisation: OrganisationId) -> tuple[str, str]:
    """Under which addresses an organisation's lobby of this name may live, the better one first.

    Names are unique within an organisation only. Whoever comes second is told apart by a suffix, which is always the same,
    so that a lobby that was deleted and made again is where shipped games look for it.
    """
    digest = hashlib.sha256(f"{organisation}/{name}".encode()).hexdigest()[:_SUFFIX]
    return name, f"{name[: _LONGEST - _SUFFIX - 1].rstrip('-')}-{digest}"
