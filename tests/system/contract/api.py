"""Calls as any HTTP client makes them, with the rules that hold for every answer checked on every answer."""

from collections.abc import Mapping
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.polling import GENEROUS_SECONDS


class Api:
    """A caller with a token. Paths are sent exactly as they are written.

    `secrets` are texts that no answer may show, whoever asks.
    """

    def __init__(self, url: str, authorization: str | None, secrets: set[str] | None = None) -> None:
        self.url = url
        self.authorization = authorization
        self.secrets = set() if secrets is None else secrets
        self._http = httpx.Client(timeout=GENEROUS_SECONDS, trust_env=False)

    def call(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> httpx.Response:
        """The answer, whatever its status, once it is known to keep the rules of contract 1.3 and 1.4."""
        url = httpx.URL(self.url + path, params=query) if query else httpx.URL(self.url + path)
        sent = {} if self.authorization is None else {"Authorization": self.authorization}
        # On every call, also without a body, as the listed clients do.
        sent |= {"Content-Type": "application/json"} | dict(headers or {})
        if json is not None:
            request = self._http.build_request(method, url, json=json, headers=sent)
        else:
            request = self._http.build_request(method, url, content=content, headers=sent)
        response = self._http.send(request)
        check_manners(response)
        for secret in self.secrets:
            assert secret not in response.text, f"{method} {path} shows a secret"
        return response

    def get(self, path: str, **query: str | int) -> Any:
        """The body of a 200."""
        return self._good(self.call("GET", path, query=query), 200)

    def post(self, path: str, json: Any, status: int = 200) -> Any:
        """The body of a success."""
        return self._good(self.call("POST", path, json), status)

    def put(self, path: str, json: Any) -> Any:
        return self._good(self.call("PUT", path, json), 200)

    def patch(self, path: str, json: Any) -> Any:
        return self._good(self.call("PATCH", path, json), 200)

    def delete(self, path: str, json: Any = None, *, status: int = 200) -> Any:
        return self._good(self.call("DELETE", path, json), status)

    def refused(self, status: int, method: str, path: str, json: Any = None, **more: Any) -> Any:
        """The error body, after the status was found to be this one."""
        response = self.call(method, path, json, **more)
        assert response.status_code == status, f"{method} {path}: {response.status_code} {response.text}"
        return response.json()

    def _good(self, response: httpx.Response, status: int) -> Any:
        request = response.request
        assert response.status_code == status, f"{request.method} {request.url}: {response.status_code} {response.text}"
        return None if status == 204 else response.json()

    def close(self) -> None:
        self._http.close()


def check_manners(response: httpx.Response) -> None:
    """What holds for every answer: JSON with its length, errors with a message, a request id, no server failure."""
    shown = f"{response.request.method} {response.request.url}: {response.status_code} {response.text[:500]}"
    assert response.status_code != 500, shown
    assert response.headers["x-request-id"], shown
    if response.status_code == 204:
        assert response.content == b"", shown
        assert "content-type" not in response.headers, shown
        return
    assert response.headers["content-type"].split(";")[0] == "application/json", shown
    if response.request.method == "HEAD":
        assert response.content == b"", shown
        return
    assert int(response.headers["content-length"]) == len(response.content), shown
    if response.status_code >= 400:
        body = response.json()
        assert isinstance(body["message"], str), shown
        assert body["message"], shown
        assert "Traceback" not in body["message"], shown


def bare_call(url: str, method: str, target: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """Status and body of a request with a target and headers that a careful client would not send."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=GENEROUS_SECONDS)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        assert response.headers["content-type"] == "application/json", response.headers
        return response.status, response.read().decode()
    finally:
        connection.close()
