"""Where a server is and what is said to it about who calls."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit


@dataclass(frozen=True, slots=True)
class Address:
    """A server's base URL without a trailing slash, and what headers say to it about who calls."""

    url: str
    authorization: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further ones, which go with every call."""

    @classmethod
    def parse(cls, url: str, token: str | None) -> "Address":
        """An address from what people have in their configuration files.

        A trailing slash, a trailing `/v1` and a leading `token ` are taken off. `ValueError` for a URL that is not an
        absolute http or https one, or a token that no header can carry.
        """
        base = _checked_url(url).removesuffix("/v1").rstrip("/")
        return cls(base, None if token is None else f"token {_bare_token(token)}")

    @classmethod
    def given(cls, url: str, headers: Mapping[str, str]) -> "Address":
        """An address from a URL that a server gave out: its path means something, and only a trailing slash is taken off.

        `ValueError` as in `parse`.
        """
        return cls(_checked_url(url), headers=headers)

    @property
    def is_this_machine(self) -> bool:
        """Whether the host is a loopback one."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")


def path(*segments: str) -> str:
    """`/v1/app/my%20game` from `"v1", "app", "my game"`.

    `ValueError` for a segment that would make the URL mean another object: HTTP stacks fold `.` and `..`, and an
    empty segment turns the path of an object into the path of its collection.
    """
    for segment in segments:
        if segment in ("", ".", ".."):
            raise ValueError(f"{segment!r} cannot name an object in {'/'.join(segments)!r}: give its id or name")
    return "".join("/" + quote(segment, safe="") for segment in segments)


def _checked_url(text: str) -> str:
    url = text.strip()
    parts = urlsplit(url)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text!r} is not a server's URL: write it whole, such as http://127.0.0.1:8080")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"the server's URL {text!r} may hold scheme, host, port and a path, nothing else")
    return f"{parts.scheme.lower()}://{parts.netloc}{parts.path}".rstrip("/")


def _bare_token(text: str) -> str:
    token = text.strip()
    scheme, _, rest = token.partition(" ")
    if scheme.lower() == "token":
        token = rest.lstrip()
    if not token:
        raise ValueError("the token is empty: give the server's token, or None for calls that need none")
    return one_word("the token", token)


def one_word(name: str, text: str) -> str:
    """`text`, which a header can carry; `ValueError` when it is anything but one word of printable ASCII."""
    if not text or not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError(f"{name} holds a character that no header can carry: it is one word of printable ASCII")
    return text
