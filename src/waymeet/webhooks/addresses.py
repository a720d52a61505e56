"""Which webhook URLs are accepted, and which addresses may be connected to.

A URL comes from whoever may create a session; the connection comes from inside the operator's network. Without these
rules a caller could make the control plane talk to a cloud's metadata service or to a neighbour's admin page.
"""

import ipaddress
import re
from urllib.parse import urlsplit

from waymeet.model.errors import Invalid
from waymeet.model.networks import Address, is_public

LONGEST_URL = 2048

_PRINTABLE = re.compile(r"[!-~]+")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def check_webhook_url(url: str, allow_private: bool, field: str = "webhook_url") -> None:
    """`Invalid` for `field` when a webhook could never be sent to `url`.

    Looks no name up: a name that resolves to a private address is found out, and refused, when the webhook is sent.
    """
    problem = _problem(url, allow_private)
    if problem is not None:
        raise Invalid({field: problem})


def _problem(url: str, allow_private: bool) -> str | None:
    if len(url) > LONGEST_URL:
        return f"at most {LONGEST_URL} characters"
    if _PRINTABLE.fullmatch(url) is None or "\\" in url:
        return "printable ASCII without spaces; percent-encode the path, write the host name in its xn-- form"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "not a URL such as https://backend.example.org/hook, with a port of 1..65535 if any"
    if parts.scheme not in {"http", "https"}:
        return "must start with http:// or https://"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user name or password; receivers check the signature instead"
    if port == 0:
        return "the port must be in 1..65535"
    host = parts.hostname or ""
    literal = parse_address(host)
    if literal is None and not _is_host_name(host):
        return "the host must be a name such as backend.example.org, or an IP address"
    if allow_private:
        return None
    if host == "localhost" or host.endswith(".localhost") or (literal is not None and not is_public(literal)):
        return "is a private address, which this server does not call; see the setting webhooks.allow_private_targets"
    return None


def _is_host_name(host: str) -> bool:
    name = host.removesuffix(".")
    return 0 < len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split("."))


def parse_address(text: str) -> Address | None:
    """`text` as an IP address in its usual notation, or `None`."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
