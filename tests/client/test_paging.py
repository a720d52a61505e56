from typing import Any

from tests.client.either import Either
from tests.client.fake_server import FakeServer, Scripted


def page(number: int, pages: int, *ids: str, next_number: int | None = None) -> Scripted:
    pagination = {
        "number": number,
        "next_page_number": next_number,
        "previous_page_number": None,
        "paginator": {"num_pages": pages},
        "has_next": next_number is not None,
        "has_previous": number > 1,
    }
    items = [{"session_id": each} for each in ids]
    return Scripted(200, {"data": items, "total_count": 3, "pagination": pagination})


def test_each_walks_all_pages(client: Either, server: FakeServer) -> None:
    server.script(page(1, 2, "a-S", "b-S", next_number=2), page(2, 2, "c-S"))
    assert [session.session_id for session in client(lambda c: c.sessions.each(limit=2))] == ["a-S", "b-S", "c-S"]
    assert [sent.query for sent in server.asked] == [{"page": "1", "limit": "2"}, {"page": "2", "limit": "2"}]


def test_a_page_says_where_it_stands(client: Either, server: FakeServer) -> None:
    server.script(page(1, 2, "a-S", "b-S", next_number=2))
    first = client(lambda c: c.sessions.page(limit=2))
    assert (first.total_count, first.number, first.page_count, first.next_number) == (3, 1, 2, 2)
    server.script(page(2, 2, "c-S"))
    assert client(lambda c: c.sessions.page(2, 2)).next_number is None


def test_a_server_that_points_back_does_not_trap_the_walk(client: Either, server: FakeServer) -> None:
    server.script(page(1, 2, "a-S", next_number=1))
    assert len(client(lambda c: c.sessions.each())) == 1


def test_a_list_without_paging_is_one_page(client: Either, server: FakeServer) -> None:
    bodies: list[dict[str, Any]] = [{"tags": [{"name": "a"}]}, {"tags": [{"name": "a"}], "count": 7}]
    server.script(*(Scripted(200, body) for body in bodies))
    assert client(lambda c: c.tags.page("57f84a8e1298")).total_count == 1
    assert client(lambda c: c.tags.page("57f84a8e1298")).total_count == 7


def test_messages_of_a_list_are_kept_under_either_name(client: Either, server: FakeServer) -> None:
    server.script(
        Scripted(200, {"data": [], "message": ["unknown field"]}),
        Scripted(200, {"locations": [], "messages": ["none free"]}),
    )
    assert client(lambda c: c.deployments.page()).messages == ("unknown field",)
    assert client(lambda c: c.locations.page()).messages == ("none free",)


def test_walking_asks_for_a_page_only_when_it_is_reached(server: FakeServer) -> None:
    from waymeet.client import Client

    server.script(page(1, 2, "a-S", next_number=2), page(2, 2, "b-S"))
    with Client(server.url, "secret") as blocking:
        walk = blocking.sessions.each(limit=1)
        assert server.asked == []
        assert next(walk).session_id == "a-S"
        assert len(server.asked) == 1
