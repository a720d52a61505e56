"""The codec carries every message unchanged, and says which member of a bad one is wrong."""

import json

import pytest

from waymeet.model.errors import Invalid
from waymeet.model.instant import Instant
from waymeet.model.location import Location
from waymeet.model.node_messages import (
    PROTOCOL,
    Answer,
    FromNode,
    Heartbeat,
    Hello,
    Question,
    QuestionKind,
    Role,
    SeenDelta,
    SeenFull,
    SeenPart,
    ServerLogs,
    ToNode,
    WantedDelta,
    WantedFull,
    WantedPart,
    Welcome,
)
from waymeet.model.servers import (
    EndReason,
    PortMapping,
    PortProtocol,
    PortRequest,
    Reading,
    RegistryCredentials,
    RestartPolicy,
    ServerPhase,
    ServerReport,
    ServerSpec,
)
from waymeet.wire import MESSAGE_BYTES, decode_from_node, decode_to_node, encode

MONTREAL = Location("Montréal", "Canada", "North America", "Quebec", "Eastern Time", 45.5, -73.56)
SPEC = ServerSpec(
    key="57f84a8e1298",
    repository="docker.io",
    image="waymeet/echo",
    tag="1",
    ports=(PortRequest("game", 0, PortProtocol.TCP_UDP, to_check=False),),
    platform_environment={"ARBITRIUM_REQUEST_ID": "57f84a8e1298"},
    environment={"MODE": 'a "quoted"\nvalue'},
    arguments="--map 'big one'",
    restart_policy=RestartPolicy.ON_FAILURE,
    credentials=RegistryCredentials("me", "secret"),
)
REPORT = ServerReport(
    key="57f84a8e1298",
    phase=ServerPhase.ENDED,
    public_ip="127.0.0.1",
    ports=(PortMapping("game", 30000, 30000, PortProtocol.UDP),),
    restart_count=2,
    end_reason=EndReason.CRASHED,
    exit_code=139,
    message="killed by SIGSEGV",
    crash_log="\x00\x1b[0m crashed",
    spawned_at=Instant(1_750_000_000_000_001),
)

FROM_NODE: list[FromNode] = [
    Hello(PROTOCOL, "montreal", (Role.SERVER,), "process", "127.0.0.1", MONTREAL, 20, {"tier": "gold"}),
    SeenPart((REPORT,)),
    SeenFull((REPORT,)),
    SeenFull(()),
    SeenDelta((REPORT,)),
    Heartbeat(0.25),
    Heartbeat(),
    Answer("1", logs=ServerLogs("hello\n", exit_code=1)),
    Answer("2", readings=(Reading(Instant(5), cpu_fraction=0.5, memory_bytes=2**40),)),
    Answer("3", error="no such server"),
]
TO_NODE: list[ToNode] = [
    Welcome(5.0),
    WantedPart((SPEC,)),
    WantedFull(7, (SPEC,)),
    WantedDelta(8, (SPEC,), ("57f84a8e1298",)),
    Question("1", QuestionKind.LOGS, "57f84a8e1298"),
]


@pytest.mark.parametrize("message", FROM_NODE, ids=lambda message: type(message).__name__)
def test_what_a_node_says_arrives_unchanged(message: FromNode) -> None:
    assert decode_from_node(encode(message)) == message
    assert decode_from_node(encode(message).encode()) == message


@pytest.mark.parametrize("message", TO_NODE, ids=lambda message: type(message).__name__)
def test_what_the_control_plane_says_arrives_unchanged(message: ToNode) -> None:
    assert decode_to_node(encode(message)) == message


def test_a_message_is_one_flat_object_with_its_tag() -> None:
    assert json.loads(encode(WantedDelta(3, (), ("k",)))) == {
        "type": "wanted_delta",
        "revision": 3,
        "servers": [],
        "removed": ["k"],
    }


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"type":"welcome"}', "heartbeat_seconds"),
        ('{"type":"welcome","heartbeat_seconds":"5"}', "heartbeat_seconds"),
        ('{"type":"wanted_full","revision":1,"servers":[{"key":"k","repository":"r","image":5,"tag":"t"}]}',
         "servers.0.image"),
        ('{"type":"wanted_full","revision":1,"servers":[{"key":"k","repository":"r","image":"i"}]}', "servers.0.tag"),
        ('{"type":"wanted_full","revision":true,"servers":[]}', "revision"),
        ('{"type":"question","id":"1","kind":"shell","key":"k"}', "kind"),
        ('{"type":"hello"}', "type"),
        ('{"type":7}', "type"),
        ("{}", "type"),
        ("[]", "message"),
        ("", "message"),
        ("{", "message"),
        (b"\xff\xfe", "message"),
        ("[" * 200_000, "message"),
    ],
)  # fmt: skip
def test_a_bad_message_names_its_member(text: str | bytes, field: str) -> None:
    with pytest.raises(Invalid) as raised:
        decode_to_node(text)
    assert list(raised.value.fields) == [field]


def test_each_side_refuses_what_only_itself_may_say() -> None:
    with pytest.raises(Invalid):
        decode_from_node(encode(WantedFull(1, ())))
    with pytest.raises(Invalid):
        decode_to_node(encode(SeenFull(())))


def test_members_from_a_newer_version_are_ignored() -> None:
    assert decode_to_node('{"type":"welcome","heartbeat_seconds":5,"region":"eu"}') == Welcome(5.0)


def test_an_oversized_message_is_refused_unread() -> None:
    with pytest.raises(Invalid, match="longer than"):
        decode_to_node(" " * (MESSAGE_BYTES + 1))
