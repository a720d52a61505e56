"""Who gets in (contract 1.2)."""

import asyncio

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.conftest import Running, running
from tests.http.table import KEY, NARROW_KEY, OTHER_KEY, KnownKeys
from waymeet.http.authentication import Gate, parse_secret
from waymeet.http.limits import HttpLimits
from waymeet.model.errors import Forbidden, TooManyRequests, Unauthenticated

SECRETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=256)


def status(served: Running, value: str | None, path: str = "/v1/session/x") -> int:
    """Over a raw socket: client libraries refuse to send some of these headers."""
    header = "" if value is None else f"authorization: {value}\r\n"
    answer = served.raw(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n".encode())
    return int(answer.split()[1])


@pytest.mark.parametrize("value", [f"token {KEY}", KEY, f"Token   {KEY}", f"TOKEN\t{KEY}", f"  token {KEY}  "])
def test_a_key_with_or_without_its_scheme(served: Running, value: str) -> None:
    assert status(served, value) == 200


@pytest.mark.parametrize("path", ["/v1/session/x", "/v1/relays/sessions/x"])
@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "token",
        "Token ",
        f"Bearer {KEY}",
        "Basic dXNlcjpwYXNz",
        f"token {KEY} x",
        f"token, {KEY}",
        "x" * 257,
    ],
)
def test_absent_or_malformed_is_401_everywhere(served: Running, value: str | None, path: str) -> None:
    assert status(served, value, path) == 401


def test_an_unknown_key_is_403_only_where_the_contract_lists_it(served: Running) -> None:
    assert status(served, "token nobody") == 401
    assert status(served, "token nobody", "/v1/relays/sessions/x") == 403


def test_a_missing_scope_is_403(served: Running) -> None:
    assert status(served, NARROW_KEY) == 200
    assert status(served, NARROW_KEY, "/v1/relays/sessions/x") == 403
    assert status(served, OTHER_KEY, "/v1/relays/sessions/x") == 200


def test_the_caller_reaches_the_handler(served: Running) -> None:
    with served.client(OTHER_KEY) as client:
        assert client.get("/v1/session/x").json()["organisation"] == "second"


def test_every_401_says_how_to_do_better(served: Running) -> None:
    response = httpx.get(served.url + "/v1/session/x", trust_env=False)
    assert "Authorization: token" in response.json()["message"]
    assert response.headers["www-authenticate"] == "token"


def test_endpoints_with_a_token_of_their_own_get_it(served: Running) -> None:
    with served.client(None) as client:
        assert client.get("/v1/own").status_code == 401
        assert client.get("/v1/own", headers={"authorization": "0123abc"}).json() == {"secret": "0123abc"}
        assert client.get("/v1/own", headers={"authorization": "token 0123abc"}).json() == {"secret": "0123abc"}


def test_the_key_is_never_told(served: Running) -> None:
    with served.client("wrong-key-xyz") as client:
        assert "wrong-key-xyz" not in client.get("/v1/session/x").text


@given(secret=SECRETS, scheme=st.sampled_from(["token", "Token", "tOKEN"]), spaces=st.integers(1, 5))
def test_any_secret_is_found_behind_the_scheme(secret: str, scheme: str, spaces: int) -> None:
    expected = None if secret.lower() == "token" else secret
    assert parse_secret(f"{scheme}{' ' * spaces}{secret}".encode()) == expected
    assert parse_secret(secret.encode()) == expected


@given(header=st.binary(max_size=400))
def test_any_header_is_parsed_or_not(header: bytes) -> None:
    secret = parse_secret(header)
    assert secret is None or (0 < len(secret) <= 256 and " " not in secret)


class TestBrake:
    def gate(self, seconds: list[float], *, tracked: int = 100) -> Gate:
        return Gate(KnownKeys(), failures_per_second=1.0, tracked_addresses=tracked, monotonic=lambda: seconds[0])

    def attempt(self, gate: Gate, key: str | None, address: str = "192.0.2.1") -> type[Exception] | None:
        header = None if key is None else key.encode()
        try:
            asyncio.run(gate.admit(header, scope=None, unknown_key=401, address=address))
        except (Unauthenticated, Forbidden, TooManyRequests) as refused:
            return type(refused)
        return None

    def test_an_address_that_keeps_guessing_is_told_to_wait(self) -> None:
        seconds = [100.0]
        gate = self.gate(seconds)
        assert {self.attempt(gate, "guess") for _ in range(4)} == {Unauthenticated}
        assert self.attempt(gate, "guess") is TooManyRequests
        assert self.attempt(gate, "guess", "192.0.2.2") is Unauthenticated
        seconds[0] += 1.0
        assert self.attempt(gate, "guess") is Unauthenticated

    def test_a_good_key_from_the_same_address_gets_through(self) -> None:
        gate = self.gate([0.0])
        while self.attempt(gate, "guess") is not TooManyRequests:
            pass
        assert self.attempt(gate, KEY) is None

    def test_a_forgotten_header_is_no_guess(self) -> None:
        gate = self.gate([0.0])
        assert {self.attempt(gate, None) for _ in range(50)} == {Unauthenticated}

    def test_it_answers_429_with_retry_after(self) -> None:
        with running(limits=HttpLimits(failures_per_second=0.25)) as server, server.client("guess") as client:
            answers = [client.get("/v1/session/x") for _ in range(3)]
        assert answers[0].status_code == 401
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) >= 1
