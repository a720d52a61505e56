"""What sections of settings are made of: their base, and the forms that texts may have."""

import re
from collections.abc import Mapping

from msgspec import Struct

NODE_NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
HOST_NAME_SUFFIX = r"^$|^[A-Za-z0-9]([A-Za-z0-9.-]{0,180}[A-Za-z0-9])?$"
HTTP_URL = r"^$|^https?://[^/?#\s]+[^?#\s]*$"
DATABASE_URL = r"^$|^postgres(ql)?://.+$|^sqlite:///.+$"
TOKEN = r"^$|^[!-~]{1,256}$"
_PORT_RANGE = re.compile(r"(\d{1,5})-(\d{1,5})")

FORMS: Mapping[str, str] = {
    NODE_NAME: "1 to 63 lower-case letters, digits and inner hyphens",
    HOST_NAME_SUFFIX: "a domain name without a leading or trailing dot",
    HTTP_URL: "an http:// or https:// URL without query and fragment",
    DATABASE_URL: "postgresql://user:password@host/database or sqlite:///file",
    TOKEN: "1 to 256 printable ASCII characters without spaces",
}
"""What each pattern means, for messages to people."""

HIGHEST_PORT = 65535


def parse_ports(text: str) -> range:
    """The ports that `30000-32767` stands for; `ValueError` says what is wrong with it."""
    match = _PORT_RANGE.fullmatch(text)
    if match is None:
        raise ValueError(f"expected two ports such as 30000-32767, got {text!r}")
    first, last = int(match[1]), int(match[2])
    if not 1 <= first <= last <= HIGHEST_PORT:
        raise ValueError(f"ports lie in 1..{HIGHEST_PORT}, the lower one first, got {text!r}")
    return range(first, last + 1)


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections: frozen, and every key is known."""
