"""Everything that is to be said arrives, in messages that both sides accept."""

from hypothesis import given
from hypothesis import strategies as st

from waymeet.model.node_messages import SeenPart, WantedPart
from waymeet.model.servers import ServerPhase, ServerReport, ServerSpec
from waymeet.wire import MESSAGE_BYTES, PART_BYTES, encode, in_parts

ROOM_FOR_THE_REST = 1024
"""The message around the servers."""


def spec(key: int, variables: int, value: str) -> ServerSpec:
    return ServerSpec(
        str(key), "docker.io", "waymeet/echo", "1", environment={f"V{index}": value for index in range(variables)}
    )


@given(st.lists(st.integers(0, 3000)), st.integers(100, 5000))
def test_parts_are_the_servers_in_their_order_and_no_longer_than_allowed(lengths: list[int], part_bytes: int) -> None:
    reports = [
        ServerReport(str(key), ServerPhase.ENDED, crash_log="\x01" * length) for key, length in enumerate(lengths)
    ]
    parts = list(in_parts(reports, part_bytes))
    assert [report for part in parts for report in part] == reports
    for part in parts:
        assert len(part) == 1 or len(encode(SeenPart(part)).encode()) <= part_bytes + ROOM_FOR_THE_REST


def test_a_wanted_set_of_any_size_fits() -> None:
    specs = [spec(key, 200, "\N{GRINNING FACE}" * 8192) for key in range(4)]
    assert sum(len(encode(WantedPart((one,))).encode()) for one in specs) > MESSAGE_BYTES
    for part in in_parts(specs):
        assert len(encode(WantedPart(part)).encode()) <= max(PART_BYTES, MESSAGE_BYTES // 2)


def test_one_server_fits_also_at_its_longest() -> None:
    # What requests may bring (200 variables), what a version may bring (100), in characters that JSON has to escape.
    longest = ServerSpec(
        "k" * 64,
        "docker.io",
        "waymeet/echo",
        "1",
        environment={f"{index:03}" + "\x01" * 252: "\x01" * 8192 for index in range(200)}
        | {f"{index:03}" + "v" * 252: "\x01" * 4096 for index in range(100)},
        command="\x01" * 4096,
        arguments="\x01" * 4096,
    )
    assert len(encode(WantedPart((longest,))).encode()) <= MESSAGE_BYTES
