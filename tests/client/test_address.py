import pytest

from tests.client.either import either_client
from tests.client.fake_server import FakeServer, Scripted
from waymeet.client import Client
from waymeet.client.calling.address import Address, path


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        (" HTTP://127.0.0.1:8080// ", "http://127.0.0.1:8080"),
        ("https://play.example.org/v1/", "https://play.example.org"),
        ("https://example.org/waymeet", "https://example.org/waymeet"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_what_people_write_becomes_a_base(given: str, base: str) -> None:
    assert Address.parse(given, None).url == base


@pytest.mark.parametrize(
    "given", ["", "127.0.0.1:8080", "localhost:8080", "ftp://example.org", "http://", "http://a/?b=c", "http://u:p@a"]
)
def test_what_is_no_base_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="server's URL"):
        Address.parse(given, None)


@pytest.mark.parametrize("given", ["abc", "token abc", "  Token   abc ", "TOKEN abc\n"])
def test_a_token_is_sent_with_its_scheme_once(given: str, kind: str, server: FakeServer) -> None:
    server.script(Scripted(200, {"data": []}))
    with either_client(kind, server.url, given) as client:
        client(lambda c: c.sessions.page())
    assert server.last.headers["authorization"] == "token abc"


@pytest.mark.parametrize("given", ["", "token ", "a b", "a\r\nX-Evil: 1", "schlüssel"])
def test_a_token_that_no_header_carries_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="the token"):
        Address.parse("http://127.0.0.1:8080", given)


def test_without_a_token_no_header_is_sent(kind: str, server: FakeServer) -> None:
    server.script(Scripted(200, {}))
    with either_client(kind, server.url, None) as client:
        assert client(lambda c: c.is_alive())
    assert "authorization" not in server.last.headers


def test_a_client_does_not_show_its_token() -> None:
    with Client("http://127.0.0.1:8080/", "hush") as client:
        assert repr(client) == "Client('http://127.0.0.1:8080')"
        assert "hush" not in repr(vars(client)) + repr(vars(client.sessions))


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("http://127.0.0.2:8080", True),
        ("http://[::1]", True),
        ("http://localhost:1", True),
        ("http://192.0.2.1", False),
        ("http://localhost.example.org", False),
    ],
)
def test_this_machine_is_known(url: str, ours: bool) -> None:
    assert Address.parse(url, None).is_this_machine is ours


def test_proxies_of_the_environment_are_not_asked_for_this_machine(
    kind: str, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:9")
    server.script(Scripted(200, {}))
    with either_client(kind, server.url) as client:
        assert client(lambda c: c.is_alive())


def test_segments_are_quoted_whole() -> None:
    assert path("v1", "app", "a/b?c#d:e") == "/v1/app/a%2Fb%3Fc%23d%3Ae"
