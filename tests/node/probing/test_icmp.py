"""Echo packets to the byte, and what is taken for an answer."""

import random
import socket
import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clocks import ManualClock
from waymeet.node.probing.icmp import (
    Echoes,
    EchoReply,
    IcmpKind,
    checksum,
    echo_request,
    parse_reply,
)

INET, INET6 = socket.AF_INET, socket.AF_INET6
IP_HEADER = bytes.fromhex("450000240000000040010000 7f000001 7f000001")


def test_the_checksum_of_rfc_1071() -> None:
    # The example of RFC 1071, section 3: the sum is ddf2.
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2
    assert checksum(b"") == 0xFFFF
    assert checksum(b"\xff") == checksum(b"\xff\x00")


def test_a_request_to_the_byte() -> None:
    # ffff - (0800 + 1234 + 0007 + 6162) = 8462
    assert echo_request(INET, 0x1234, 7, b"ab").hex(" ", 2) == "0800 8462 1234 0007 6162"
    # The kernel fills in this checksum.
    assert echo_request(INET6, 0x1234, 7, b"ab").hex(" ", 2) == "8000 0000 1234 0007 6162"


@given(st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=64))
def test_a_request_sums_up_to_nothing(identifier: int, sequence: int, payload: bytes) -> None:
    assert checksum(echo_request(INET, identifier, sequence, payload)) == 0


def test_replies_of_each_kind_of_socket() -> None:
    reply = EchoReply(0x1234, 7, b"ab")
    v4, v6 = struct.pack("!BBHHH", 0, 0, 1, 0x1234, 7) + b"ab", struct.pack("!BBHHH", 129, 0, 1, 0x1234, 7) + b"ab"
    assert parse_reply(INET, IcmpKind.UNPRIVILEGED, v4) == reply
    assert parse_reply(INET, IcmpKind.RAW, IP_HEADER + v4) == reply
    assert parse_reply(INET, IcmpKind.RAW, b"\x46" + IP_HEADER[1:] + b"\0\0\0\0" + v4) == reply
    for kind in IcmpKind:
        assert parse_reply(INET6, kind, v6) == reply


@given(st.binary(max_size=80))
def test_rubbish_is_no_reply_or_one_by_chance(packet: bytes) -> None:
    for family in (INET, INET6):
        for kind in IcmpKind:
            parse_reply(family, kind, packet)


@pytest.mark.parametrize(
    "packet",
    [b"", b"\x45", IP_HEADER, IP_HEADER + b"\0" * 7, IP_HEADER + struct.pack("!BBHHH", 8, 0, 1, 1, 1),
     IP_HEADER + struct.pack("!BBHHH", 3, 1, 1, 1, 1), IP_HEADER + struct.pack("!BBHHH", 0, 5, 1, 1, 1)],
)  # fmt: skip
def test_everything_else_is_no_reply(packet: bytes) -> None:
    assert parse_reply(INET, IcmpKind.RAW, packet) is None


class Wire:
    """Stands for an ICMP socket: keeps what is sent, and hands over what a test puts there."""

    family = INET

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.incoming: list[tuple[bytes, list[tuple[int, int, bytes]], int, tuple[str, int]]] = []

    def sendto(self, packet: bytes, address: tuple[str, int]) -> None:
        self.sent.append((packet, address))

    def recvmsg(self, size: int, extra: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, tuple[str, int]]:
        if not self.incoming:
            raise BlockingIOError
        return self.incoming.pop(0)

    def answer(
        self, number: int = -1, source: str = "8.8.8.8", extra: tuple[tuple[int, int, bytes], ...] = (), **more: bytes
    ) -> None:
        request = self.sent[number][0]
        payload = more.get("payload", request[8:])
        self.incoming.append((IP_HEADER + b"\0\0\0\0" + request[4:8] + payload, list(extra), 0, (source, 0)))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def echoes(wire: Wire, clock: ManualClock) -> Echoes:
    return Echoes(wire, IcmpKind.RAW, clock, random.Random(1))  # type: ignore[arg-type] # a socket in all that is used


GOOGLE = ip_address("8.8.8.8")


def test_an_answer_is_timed(echoes: Echoes, wire: Wire, clock: ManualClock) -> None:
    heard: list[float] = []
    assert echoes.send(GOOGLE, heard.append) is not None
    assert wire.sent[0][1] == ("8.8.8.8", 0)
    clock.advance(0.040)
    wire.answer()
    wire.answer()
    echoes.on_readable()
    assert heard == [pytest.approx(40.0)]  # Once, though it came twice.


def test_the_kernels_time_counts_when_it_can_be_true(echoes: Echoes, wire: Wire, clock: ManualClock) -> None:
    heard: list[float] = []
    for arrived_after, expected in ((0.030, 30.0), (-5.0, 40.0), (9.0, 40.0)):
        echoes.send(GOOGLE, heard.append)
        arrived = clock.now() / 1e6 + arrived_after
        clock.advance(0.040)  # We come late to read it.
        note = struct.pack("@ll", int(arrived), int(arrived % 1 * 1e9))
        wire.answer(extra=((socket.SOL_SOCKET, 35, note),))
        echoes.on_readable()
        assert heard.pop() == pytest.approx(expected, abs=0.01)


def test_strangers_cannot_answer(echoes: Echoes, wire: Wire) -> None:
    heard: list[float] = []
    number = echoes.send(GOOGLE, heard.append)
    assert number is not None
    wire.answer(source="8.8.4.4")
    wire.answer(payload=b"x" * 16)
    wire.answer(payload=b"")
    echoes.on_readable()
    assert heard == []
    echoes.forget(number)
    wire.answer()
    echoes.on_readable()
    assert heard == []


def test_numbers_are_used_again_but_never_twice_at_once(echoes: Echoes, wire: Wire) -> None:
    first = echoes.send(GOOGLE, lambda ms: None)
    others = {echoes.send(GOOGLE, lambda ms: None) for _ in range(32_767)}
    assert len(others | {first}) == 32_768
    assert echoes.send(GOOGLE, lambda ms: None) is None
    for number in others:
        assert number is not None
        echoes.forget(number)
    again = [echoes.send(GOOGLE, lambda ms: None) for _ in range(32_767)]
    assert None not in again
    assert first not in again
