"""Bodies as clients really send them, and bodies that nobody should send (contract 1.3 and 1.4)."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.conftest import running
from tests.http.table import Everything, Tree
from waymeet.http.bodies import BodyDecoder
from waymeet.http.limits import HttpLimits
from waymeet.model.errors import Invalid

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


def post(client: httpx.Client, body: object, **headers: str) -> httpx.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post("/v1/everything", content=raw, headers=headers)


def errors_of(client: httpx.Client, body: object) -> dict[str, str]:
    response = post(client, body)
    assert response.status_code == 400, response.text
    answer = response.json()
    assert answer["message"].startswith("Input payload validation failed: ")
    errors: dict[str, str] = answer["errors"]
    for path, text in errors.items():
        assert f"{path}: {text}" in answer["message"]
    return errors


class TestTolerance:
    def test_null_blank_and_empty_mean_absent(self, client: httpx.Client) -> None:
        sent: dict[str, object] = {
            "app_name": "arena",
            "ip_list": [],
            "users": None,
            "webhook_url": "",
            "token": None,
            "kind": "",
            "order": "",
            "flag": None,
            "counts": None,
            "either": "",
        }
        assert post(client, sent).json() == post(client, {"app_name": "arena"}).json()

    @pytest.mark.parametrize("sent", [{"command": None}, {"command": ""}, {"tags": []}, {"tags": None}])
    def test_null_and_empty_stay_where_rules_tell_them_from_absent(
        self, client: httpx.Client, sent: dict[str, object]
    ) -> None:
        answer = post(client, {"app_name": "arena", **sent}).json()
        assert {name: value for name, value in answer.items() if name in {"command", "tags"}} == sent

    def test_a_required_string_may_not_be_blank_or_null(self, client: httpx.Client) -> None:
        assert errors_of(client, {"app_name": ""}) == {"app_name": "must be a string of length >= 1"}
        assert errors_of(client, {"app_name": None}) == {"app_name": "must be a string, not null"}

    def test_integers_may_be_decimal_strings_also_inside(self, client: httpx.Client) -> None:
        answer = post(client, {"app_name": "a", "token": "4294967295", "counts": {"x": "-7"}, "tree": {"depth": "3"}})
        assert answer.json()["token"] == 4294967295
        assert answer.json()["counts"] == {"x": -7}
        assert answer.json()["tree"]["depth"] == 3

    def test_a_string_is_left_alone_where_strings_are_allowed(self, client: httpx.Client) -> None:
        assert post(client, {"app_name": "1", "either": "12"}).json()["either"] == "12"

    @pytest.mark.parametrize("text", ["1.0", " 1", "+1", "0x1", "1e2", "one", "-"])
    def test_other_strings_are_no_integers(self, client: httpx.Client, text: str) -> None:
        assert errors_of(client, {"app_name": "a", "token": text}) == {
            "token": "must be an integer or null, not a string"
        }

    def test_unknown_members_are_ignored(self, client: httpx.Client) -> None:
        assert post(client, {"app_name": "a", "max_user_count": 4, "x": {"y": [None]}}).status_code == 200

    def test_delete_reads_its_body_and_get_does_not(self, client: httpx.Client) -> None:
        response = client.request("DELETE", "/v1/everything", json={"app_name": "a"})
        assert response.json()["app_name"] == "a"
        assert client.request("GET", "/v1/session/x", content=b"{not json").status_code == 200

    @pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "text/plain", ""])
    def test_the_content_type_does_not_matter(self, client: httpx.Client, content_type: str) -> None:
        assert client.request("GET", "/v1/session/x", headers={"content-type": content_type}).status_code == 200
        assert client.delete("/v1/lobbies/x", headers={"content-type": content_type}).status_code == 204
        assert post(client, {"app_name": "a"}, **{"content-type": content_type}).status_code == 200

    @pytest.mark.parametrize("raw", [b"", b"  \r\n", b"{}"])
    def test_an_empty_body_is_an_empty_object(self, client: httpx.Client, raw: bytes) -> None:
        assert errors_of(client, raw) == {"app_name": "'app_name' is a required property"}
        assert client.post("/v1/tree", content=raw).json() == {"depth": 0, "child": None}

    def test_recursive_types(self, client: httpx.Client) -> None:
        sent = {"child": {"depth": "1", "child": {"depth": "2", "child": None}}}
        assert client.post("/v1/tree", json=sent).json()["child"]["child"] == {"depth": 2, "child": None}


class TestMistakes:
    @pytest.mark.parametrize(
        ("body", "errors"),
        [
            ({}, {"app_name": "'app_name' is a required property"}),
            ({"app_name": 5}, {"app_name": "must be a string, not an integer"}),
            ({"app_name": "x" * 65}, {"app_name": "must be a string of length <= 64"}),
            ({"app_name": "a", "users": [{"ip": "x"}, {}]}, {"users.1.ip": "'ip' is a required property"}),
            ({"app_name": "a", "users": [{"ip": 7}]}, {"users.0.ip": "must be a string, not an integer"}),
            ({"app_name": "a", "users": "x"}, {"users": "must be an array, not a string"}),
            ({"app_name": "a", "users": [{"ip": "x"}] * 4}, {"users": "must be an array of length <= 3"}),
            ({"app_name": "a", "kind": "Seats"}, {"kind": "must be one of Seat, Match"}),
            ({"app_name": "a", "order": "up"}, {"order": "must be one of asc, desc"}),
            ({"app_name": "a", "flag": 1}, {"flag": "must be true or false, not an integer"}),
            ({"app_name": "a", "token": 0}, {"token": "must be an integer >= 1"}),
            ({"app_name": "a", "token": 2**32}, {"token": "must be an integer <= 4294967295"}),
            ({"app_name": "a", "token": True}, {"token": "must be an integer or null, not true or false"}),
            ({"app_name": "a", "counts": {"x": 2**63}}, {"counts.x": "is outside the 64-bit integers"}),
            ({"app_name": "a", "counts": {"x": -(2**70)}}, {"counts.x": "is outside the 64-bit integers"}),
            ([], {"body": "must be an object, not an array"}),
            (None, {"body": "must be an object, not null"}),
            ("x", {"body": "must be an object, not a string"}),
            ({"app_name": "a\0b"}, {"app_name": "must not contain NUL characters"}),
            ({"app_name": "a", "ip_list": ["1", "\0"]}, {"ip_list.1": "must not contain NUL characters"}),
            ({"app_name": "a", "counts": {"\0": 1}}, {"counts": "must not contain NUL characters"}),
        ],
        ids=lambda value: json.dumps(value)[:60],
    )
    def test_each_names_its_field_and_limit(self, client: httpx.Client, body: object, errors: dict[str, str]) -> None:
        assert errors_of(client, body) == errors

    @pytest.mark.parametrize(
        ("raw", "text"),
        [
            (b"{", "is not JSON"),
            (b'{"app_name":"a",}', "is not JSON"),
            (b'{"app_name":"a"} x', "is not JSON"),
            (b"\xef\xbb\xbf{}", "is not JSON"),
            (b"app_name=a", "is not JSON"),
            (b'{"app_name":NaN}', "is not JSON"),
            (b'{"app_name":"\x01"}', "is not JSON"),
            (b'{"app_name":"\\ud800"}', "is not JSON"),
            (b'{"app_name":"\\udc00\\ud800"}', "is not JSON"),
            (b'{"app_name":"\xff"}', "is not UTF-8"),
            (b'{"app_name":"\xed\xa0\x80"}', "is not UTF-8"),
            (b'{"app_name":"a","ratio":1e999}', "number that is out of range"),
            (b'{"app_name":"a","token":' + b"9" * 6000 + b"}", "number that is out of range"),
            (b'{"app_name":"a","x":' + b"[" * 50_000, "nested too deeply"),
            (b'{"a":' * 50_000, "nested too deeply"),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_what_is_no_json_is_400(self, client: httpx.Client, raw: bytes, text: str) -> None:
        assert text in errors_of(client, raw)["body"]

    @pytest.mark.parametrize(
        "raw",
        [
            b'{"app_name":"a","app_name":"b"}',
            b'{"app_name":"a","x":{"y":1,"z":[{"y":1, "y" : 2}]}}',
            b'{"app_name":"a","app\\u005fname":"b"}',
        ],
    )
    def test_a_name_given_twice_is_400(self, client: httpx.Client, raw: bytes) -> None:
        assert "is given more than once" in errors_of(client, raw).popitem()[1]

    def test_quotes_and_colons_in_strings_are_no_repetition(self, client: httpx.Client) -> None:
        for name in ('a":b', "a\\u0022:b", '\\":'):
            raw = json.dumps({"app_name": name, "users": [{"ip": "1"}, {"ip": "1"}]}).replace("\\\\u0022", "\\u0022")
            assert post(client, raw.encode()).status_code == 200

    def test_a_mistake_is_told_in_few_words(self, client: httpx.Client) -> None:
        response = post(client, {"app_name": "a", "kind": "x" * 100_000})
        assert len(response.content) < 400


@pytest.fixture(scope="module")
def small() -> Iterator[httpx.Client]:
    with running(limits=HttpLimits(body_bytes=1000, rates={})) as server, server.client() as client:
        yield client


class TestSizes:
    def body(self, size: int) -> bytes:
        return b'{"app_name":"a"}'.ljust(size)

    def test_up_to_the_limit(self, small: httpx.Client) -> None:
        assert post(small, self.body(1000)).status_code == 200
        assert small.post("/v1/everything", content=iter([self.body(400), b" " * 600])).status_code == 200

    def test_over_the_limit_is_413_and_the_connection_lives(self, small: httpx.Client) -> None:
        response = post(small, self.body(1001))
        assert response.status_code == 413
        assert "1000 bytes" in response.json()["message"]
        assert post(small, self.body(2_000_000)).status_code == 413
        assert post(small, self.body(100)).status_code == 200

    def test_chunks_without_a_length_are_counted(self, small: httpx.Client) -> None:
        assert small.post("/v1/everything", content=iter([self.body(500)] * 3)).status_code == 413

    def test_a_key_comes_before_the_body(self, small: httpx.Client) -> None:
        response = small.post("/v1/everything", content=self.body(5000), headers={"authorization": "token nobody"})
        assert response.status_code == 401

    def test_endpoints_without_a_body_do_not_read_one(self, small: httpx.Client) -> None:
        assert small.post("/v1/lobbies:deploy", content=self.body(5000)).status_code == 202


@given(value=JSON_VALUES, name=st.sampled_from([field.encode_name for field in msgspec.structs.fields(Everything)]))
def test_any_json_is_taken_or_refused_by_name(value: Any, name: str) -> None:
    decoder = BodyDecoder(Everything)
    raw = json.dumps({"app_name": "a", name: value}, allow_nan=False).encode()
    blamed: set[str] = set()
    try:
        body = decoder.decode(raw)
    except Invalid as invalid:
        blamed = {path.split(".")[0] for path in invalid.fields}
    else:
        # What was taken is of the type: it goes out and comes in again unchanged.
        assert decoder.decode(msgspec.json.encode(body)) == body
    assert blamed <= {name, "body"}


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(raw: bytes) -> None:
    with suppress(Invalid):
        assert isinstance(BodyDecoder(Tree).decode(raw), Tree)
