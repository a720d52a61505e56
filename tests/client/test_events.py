"""Server-sent events, in whatever pieces they arrive."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waymeet.client import UnexpectedAnswer
from waymeet.client.calling.events import LONGEST_EVENT, Event, EventReader

STREAM = (
    b'\xef\xbb\xbfretry: 1500\n\n: still here\n\nevent: lobby\nid: 7\ndata: {"name":\ndata: "Zo\xc3\xab"}\n\n'
    b"data:bare\r\n\r\ndata: old Mac\r\revent: closed\ndata: {}\nignored: x\ndata\n\nevent: empty\n\ndata: never ended"
)
EVENTS = [
    Event("lobby", b'{"name":\n"Zo\xc3\xab"}'),
    Event("message", b"bare"),
    Event("message", b"old Mac"),
    Event("closed", b"{}\n"),
]


def read(*parts: bytes) -> tuple[list[Event], EventReader]:
    reader = EventReader()
    return [event for part in parts for event in reader.read(part)], reader


@given(st.lists(st.integers(0, len(STREAM)), max_size=12).map(sorted))
def test_pieces_make_no_difference(cuts: list[int]) -> None:
    ends = [0, *cuts, len(STREAM)]
    events, reader = read(*(STREAM[start:end] for start, end in itertools.pairwise(ends)))
    assert events == EVENTS
    assert reader.last_id == "7"
    assert reader.retry_seconds == 1.5


def test_byte_by_byte() -> None:
    assert read(*(STREAM[at : at + 1] for at in range(len(STREAM))))[0] == EVENTS


def test_ids_and_pauses_that_mean_nothing_are_ignored() -> None:
    _, reader = read(b"id: 3\nid: 4\0\nid: \xc3\xab\nretry: soon\nretry: 9999999999999\ndata: x\n\n")
    assert reader.last_id == "3"
    assert reader.retry_seconds is None


@pytest.mark.parametrize("line", [b"data: " + b"x" * 1023 + b"\n", b"x" * 1024], ids=["lines", "one line"])
def test_what_never_ends_is_given_up(line: bytes) -> None:
    with pytest.raises(UnexpectedAnswer, match="more than"):
        read(*[line] * (LONGEST_EVENT // 1024 + 2))
