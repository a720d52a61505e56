"""Query strings and pages (contract 1.6)."""

from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.table import Search
from waymeet.http.paging import HIGHEST_PAGE, PageQuery
from waymeet.http.queries import QueryDecoder
from waymeet.model.errors import Invalid
from waymeet.model.paging import PageRequest


def pages(client: httpx.Client, query: str) -> dict[str, Any]:
    response = client.get(f"/v1/pages{query}")
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


class TestPages:
    def test_the_first_of_four(self, client: httpx.Client) -> None:
        assert pages(client, "") == {
            "pagination": {
                "number": 1,
                "next_page_number": 2,
                "previous_page_number": None,
                "paginator": {"num_pages": 4},
                "has_next": True,
                "has_previous": False,
            },
            "offset": 0,
        }

    def test_the_last_of_four(self, client: httpx.Client) -> None:
        answer = pages(client, "?page=4")
        assert answer["offset"] == 30
        assert answer["pagination"]["next_page_number"] is None
        assert answer["pagination"]["previous_page_number"] == 3
        assert answer["pagination"]["has_next"] is False

    def test_limits_above_100_count_as_100(self, client: httpx.Client) -> None:
        assert pages(client, "?limit=100&page=2") == pages(client, f"?limit=9{'0' * 50}&page=2")

    @pytest.mark.parametrize("number", ["2147483648", "9" * 19, "9" * 5000])
    def test_absurd_page_numbers_are_empty_pages(self, client: httpx.Client, number: str) -> None:
        answer = pages(client, f"?page={number}&limit=100")
        assert answer["pagination"]["has_next"] is False
        assert answer["pagination"]["number"] == HIGHEST_PAGE
        assert answer["offset"] < 2**63

    @pytest.mark.parametrize("name", ["page", "limit"])
    @pytest.mark.parametrize(
        "value", ["0", "-1", "-" + "9" * 30, "1.0", "1e1", "x", "", "%20", "%2B1", "00", "%D9%A1", "null", "true"]
    )
    def test_what_is_no_integer_of_at_least_one_is_400(self, client: httpx.Client, name: str, value: str) -> None:
        response = client.get(f"/v1/pages?{name}={value}")
        assert response.status_code == 400
        assert list(response.json()["errors"]) == [name]
        assert response.json()["errors"][name].startswith("must be an integer")

    @given(page=st.integers(1), limit=st.integers(1))
    def test_any_page_is_within_bounds(self, page: int, limit: int) -> None:
        request = QueryDecoder(PageQuery).decode(f"page={page}&limit={limit}".encode()).request()
        assert request == PageRequest(min(page, HIGHEST_PAGE), min(limit, 100))


class TestQueries:
    def test_values_are_decoded(self, client: httpx.Client) -> None:
        answer = client.get("/v1/search?number=7&name=a+b%26%C3%A9&flag=true&unknown=x")
        assert answer.json() == {"number": 7, "name": "a b&é", "flag": True}

    def test_a_blank_optional_string_is_absent(self, client: httpx.Client) -> None:
        assert client.get("/v1/search?name=").json()["name"] is None
        assert client.get("/v1/search?name").json()["name"] is None

    @pytest.mark.parametrize(
        ("query", "errors"),
        [
            ("number=10", {"number": "must be an integer <= 9"}),
            ("number=x", {"number": "must be an integer"}),
            ("flag=maybe", {"flag": "must be true or false, not a string"}),
            ("number=1&number=2", {"number": "is given more than once"}),
            ("name=%FF", {"query": "is not UTF-8"}),
            ("name=%00", {"query": "must not contain NUL characters"}),
            ("&".join(f"a{index}=1" for index in range(65)), {"query": "holds more than 64 parameters"}),
        ],
        ids=lambda value: str(value)[:30],
    )
    def test_mistakes_name_the_parameter(self, client: httpx.Client, query: str, errors: dict[str, str]) -> None:
        response = client.get(f"/v1/search?{query}")
        assert (response.status_code, response.json()["errors"]) == (400, errors)

    @given(raw=st.binary(max_size=80))
    def test_any_bytes_are_taken_or_refused(self, raw: bytes) -> None:
        with suppress(Invalid):
            assert 1 <= QueryDecoder(Search).decode(raw).number <= 9
