"""Which URLs are accepted as webhooks."""

import ipaddress

import pytest

from waymeet.model.errors import Invalid
from waymeet.model.networks import is_public
from waymeet.webhooks.addresses import LONGEST_URL, check_webhook_url

ACCEPTED = [
    "https://backend.example.org/hook",
    "http://backend.example.org",
    "https://backend.example.org:8443/hook?token=a%20b#part",
    "https://xn--bcher-kva.example/hook",
    "https://under_score.example/hook",
    "https://93.184.216.34/hook",
    "https://[2606:2800:220:1:248:1893:25c8:1946]:8443/hook",
    "HTTPS://BACKEND.EXAMPLE.ORG/hook",
    "https://example.org./hook",
]
REFUSED = [
    "",
    "backend.example.org/hook",
    "ftp://backend.example.org/hook",
    "file:///etc/passwd",
    "gopher://backend.example.org",
    "https://",
    "https:///hook",
    "https://user:password@backend.example.org/hook",
    "https://user@backend.example.org/hook",
    "https://@backend.example.org/hook",
    "https://backend.example.org:0/hook",
    "https://backend.example.org:65536/hook",
    "https://backend.example.org:port/hook",
    "https://back end.example.org/hook",
    "https://backend.example.org/ho ok",
    "https://backend.example.org/hook\n",
    "https://backend.example.org\\@internal/hook",
    "https://bücher.example/hook",
    "https://-backend.example.org/hook",
    "https://backend..example.org/hook",
    "https://[::1/hook",
    "https://[not-an-address]/hook",
    "https://" + "a" * 64 + ".example/hook",
    "https://backend.example.org/" + "x" * LONGEST_URL,
    "\0",
]
PRIVATE = [
    "http://127.0.0.1/hook",
    "http://localhost:8080/hook",
    "http://LOCALHOST/hook",
    "http://web.localhost/hook",
    "http://10.1.2.3/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data",
    "http://100.64.0.1/",
    "http://0.0.0.0/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://[::]/",
    "http://[::1]/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[2002:7f00:1::]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "http://[2001:db8::1]/",
]


@pytest.mark.parametrize("url", ACCEPTED)
@pytest.mark.parametrize("allow_private", [True, False])
def test_good_urls_are_accepted(url: str, allow_private: bool) -> None:
    check_webhook_url(url, allow_private)


@pytest.mark.parametrize("url", REFUSED, ids=range(len(REFUSED)))
@pytest.mark.parametrize("allow_private", [True, False])
def test_bad_urls_are_refused_under_the_field_that_held_them(url: str, allow_private: bool) -> None:
    with pytest.raises(Invalid) as caught:
        check_webhook_url(url, allow_private, "webhook_on_ready.url")
    assert list(caught.value.fields) == ["webhook_on_ready.url"]


@pytest.mark.parametrize("url", PRIVATE)
def test_private_addresses_are_refused_unless_allowed(url: str) -> None:
    check_webhook_url(url, allow_private=True)
    with pytest.raises(Invalid, match="allow_private_targets"):
        check_webhook_url(url, allow_private=False)


def test_addresses_wrapped_into_ipv6_are_public_when_the_inner_one_is() -> None:
    assert is_public(ipaddress.ip_address("::ffff:8.8.8.8"))
    assert is_public(ipaddress.ip_address("64:ff9b::8.8.8.8"))
    assert not is_public(ipaddress.ip_address("64:ff9b::10.0.0.1"))
