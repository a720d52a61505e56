"""Which request reaches which endpoint (contract 1.1)."""

import urllib.parse
from contextlib import suppress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.conftest import Running
from waymeet.http.errors import ProtocolError
from waymeet.http.router import Router, Row
from waymeet.model.errors import Invalid, NotFound

TEXTS = st.text(min_size=1, max_size=20).filter(lambda text: "\0" not in text)


def get(client: httpx.Client, raw_path: str) -> httpx.Response:
    """A GET of exactly this target; httpx would tidy it up."""
    request = client.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=raw_path.encode())
    return client.send(request)


@pytest.mark.parametrize("slashes", ["", "/", "///"])
def test_slashes_at_the_start_are_collapsed(client: httpx.Client, slashes: str) -> None:
    response = get(client, f"{slashes}/v1/session/abc")
    assert response.status_code == 200
    assert response.json()["path"] == {"session_id": "abc"}


@pytest.mark.parametrize(
    "path",
    [
        "/v1//session/abc",
        "/v1/session//abc",
        "/V1/session/abc",
        "/v1/Session/abc",
        "/v1/session/abc/",
        "/v1/session/",
        "/v1/session",
        "/v1",
        "/",
        "//",
        "/v1/lobbies%2F:deploy",
        "/v1/session%2Fabc",
        "/v1/app/x/version/",
        "/v1/app//version/1",
        "/v1/pages/",
    ],
)
def test_what_is_not_in_the_table_is_404(client: httpx.Client, path: str) -> None:
    response = get(client, path)
    assert response.status_code == 404
    assert isinstance(response.json()["message"], str)


def test_a_parameter_is_decoded_after_the_path_was_split(client: httpx.Client) -> None:
    assert get(client, "/v1/session/2001%3adb8%3A%3A1").json()["path"] == {"session_id": "2001:db8::1"}
    assert get(client, "/v1/session/a%2Fb").json()["path"] == {"session_id": "a/b"}
    assert get(client, "/v1/session/%C3%A9").json()["path"] == {"session_id": "é"}
    assert get(client, "/v1/app/a%20b/version/1+0").json()["path"] == {"app": "a b", "version": "1+0"}


@pytest.mark.parametrize("path", ["/v1/session/%ff", "/v1/session/a%00b", "/v1/nowhere/%C3", "/v1/%00"])
def test_a_path_that_is_no_text_is_400(client: httpx.Client, path: str) -> None:
    response = get(client, path)
    assert response.status_code == 400
    assert "path" in response.json()["errors"]


@pytest.mark.parametrize("colon", [":", "%3A", "%3a"])
def test_colon_verbs_are_not_objects(client: httpx.Client, colon: str) -> None:
    response = client.post(f"/v1/lobbies{colon}deploy")
    assert response.status_code == 202
    assert response.json() == {"verb": "deploy"}
    assert response.headers["x-extra"] == "yes"


@pytest.mark.parametrize("path", ["/v1/locations/", "/v1/locations/?app=x", "/v1/locations", "/v1/locations?app=x"])
def test_the_location_list_takes_a_trailing_slash(client: httpx.Client, path: str) -> None:
    assert get(client, path).status_code == 200


def test_a_known_path_with_the_wrong_method_is_405_and_names_the_right_ones(client: httpx.Client) -> None:
    response = client.put("/v1/everything")
    assert (response.status_code, response.headers["allow"]) == (405, "DELETE, POST")
    assert "DELETE, POST" in response.json()["message"]
    assert client.post("/v1/session/abc").headers["allow"] == "GET, HEAD"
    assert client.options("/v1/lobbies:deploy").status_code == 405


def test_head_is_get_without_a_body(client: httpx.Client) -> None:
    response = client.head("/v1/session/abc", headers={"x-request-id": "same"})
    assert (response.status_code, response.content) == (200, b"")
    whole = client.get("/v1/session/abc", headers={"x-request-id": "same"})
    assert response.headers["content-length"] == str(len(whole.content))


def test_204_has_no_body(client: httpx.Client) -> None:
    response = client.delete("/v1/lobbies/duel")
    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers


def test_every_body_says_what_it_is_and_how_long(client: httpx.Client) -> None:
    for response in (client.get("/v1/session/x"), client.get("/v1/nowhere"), client.put("/v1/everything")):
        assert response.headers["content-type"] == "application/json"
        assert response.headers["content-length"] == str(len(response.content))


def test_an_absolute_target_is_its_path(served: Running) -> None:
    request = b"GET http://example.org//v1/session/abc HTTP/1.1\r\nhost: x\r\nauthorization: token %s\r\n\r\n"
    answer = served.raw(request.replace(b"%s", b"3f0e7c1a-5b1d-4c8e-9a67-2f6d1b0c9e11"))
    assert answer.startswith(b"HTTP/1.1 200 ")


class TestRouter:
    router = Router(
        [
            Row("GET", "/v1/a/{x}", 1),
            Row("POST", "/v1/a/fixed", 2),
            Row("GET", "/v1/a/{x}/b/{y}", 3),
            Row("GET", "/v1/l:go", 4),
            Row("POST", "/v1/d/{x}", 5),
            Row("POST", "/v1/d/{x}:go", 6),
        ]
    )

    def test_a_fixed_segment_goes_first(self) -> None:
        assert self.router.find("POST", b"/v1/a/fixed") == (2, {})
        with pytest.raises(ProtocolError) as refused:
            self.router.find("GET", b"/v1/a/fixed")
        assert refused.value.status == 405

    def test_a_verb_may_stand_behind_a_parameter(self) -> None:
        assert self.router.find("POST", b"/v1/d/abc:go") == (6, {"x": "abc"})
        assert self.router.find("POST", b"/v1/d/abc%3Ago") == (6, {"x": "abc"})
        assert self.router.find("POST", b"/v1/d/a:b:go") == (6, {"x": "a:b"})
        for bare in ("abc", "abc:stop", "abc:", ":go", "abc:go:"):
            assert self.router.find("POST", f"/v1/d/{bare}".encode()) == (5, {"x": bare})
        with pytest.raises(ProtocolError) as refused:
            self.router.find("GET", b"/v1/d/abc:go")
        assert refused.value.status == 405

    def test_a_table_that_contradicts_itself_is_refused(self) -> None:
        with pytest.raises(AssertionError, match="twice"):
            Router([Row("GET", "/a/{x}", 1), Row("GET", "/a/{x}", 2)])
        with pytest.raises(AssertionError, match="two ways"):
            Router([Row("GET", "/a/{x}", 1), Row("POST", "/a/{y}", 2)])
        with pytest.raises(AssertionError, match="only a verb"):
            Router([Row("GET", "/a/{x}.json", 1)])

    @given(path=st.binary(max_size=60).map(lambda tail: b"/" + tail))
    def test_any_bytes_are_found_or_refused(self, path: bytes) -> None:
        with suppress(NotFound, Invalid, ProtocolError):
            target, parameters = self.router.find("GET", path)
            assert target in {1, 2, 3, 4}
            assert all(parameters.values())

    @given(x=TEXTS.filter(lambda text: text != "fixed"), y=TEXTS)
    def test_what_a_client_encodes_comes_back_as_it_was(self, x: str, y: str) -> None:
        path = f"/v1/a/{urllib.parse.quote(x, safe='')}/b/{urllib.parse.quote(y, safe='')}"
        assert self.router.find("GET", path.encode()) == (3, {"x": x, "y": y})


def test_parameter_longer_than_any_name(client: httpx.Client) -> None:
    assert client.get("/v1/session/" + "x" * 255).status_code == 200
    answer = client.get("/v1/session/" + "x" * 256)
    assert answer.status_code == 404
    assert len(answer.content) < 300
