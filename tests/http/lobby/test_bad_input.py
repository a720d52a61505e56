"""Whatever is sent to a lobby service: an answer in the 400s that says why, and nothing made or changed."""

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from tests.http.lobby.served import LobbyServer, new_room
from tests.http.lobby.test_door import raw
from tests.lobbies.world import LobbyWorld

pytestmark = pytest.mark.anyio

NONSENSE: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**31,
    2**63,
    2**64,
    -(2**70),
    1e308,
    10**400,
    "",
    "\0",
    "a\0b",
    "😀" * 600,
    "x" * 2000,
    [],
    [[]],
    [None],
    {},
    {"id": None},
    {"": ""},
]
"""Each is wrong in almost every place; where it happens to be right, the call is a right one."""


async def test_every_member_of_every_body(service: LobbyServer, world: LobbyWorld) -> None:
    room = await service.room(tags=["eu"])
    lobby_id = room["lobby_id"]
    bodies: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/lobbies", new_room(tags=["a"], annotations=[{"inject": True, "key": "k", "value": "v"}])),
        ("PATCH", f"/lobbies/{lobby_id}", {"capacity": 4, "is_joinable": True, "tags": ["eu"]}),
        ("POST", "/lobbies:join", {"lobby_id": lobby_id, "player": {"id": "bob"}}),
        ("POST", "/lobbies:leave", {"lobby_id": lobby_id, "player": {"id": "nobody"}}),
        ("POST", "/lobbies:start", {"lobby_id": lobby_id}),
    ]
    for method, path, good in bodies:
        for where, spoilt in _spoilt(good):
            before = await world.every_room()
            response = await service.call(method, path, spoilt)
            said = (method, path, where, spoilt)
            assert response.status_code < 500 or response.status_code == 503, said
            if response.status_code >= 400:
                assert response.json()["message"], said
                assert await world.every_room() == before, said
            if response.status_code == 400:
                # The field is named.
                assert where.split(".")[0] in response.json()["message"], said


def _spoilt(good: dict[str, Any]) -> list[tuple[str, bytes]]:
    """Bodies with nonsense in one place, and without that place."""
    found: list[tuple[str, bytes]] = []
    for name, value in good.items():
        found.append((name, _text({key: kept for key, kept in good.items() if key != name})))
        found += [(name, _text(good | {name: nonsense})) for nonsense in NONSENSE]
        if isinstance(value, dict):
            found += [(f"{name}.{path}", _text(good | {name: json.loads(inner)})) for path, inner in _spoilt(value)]
        if isinstance(value, list) and value:
            found += [(f"{name}.0", _text(good | {name: [nonsense]})) for nonsense in NONSENSE]
    return found


def _text(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b" ", 400),
        (b"null", 400),
        (b"[]", 400),
        (b'"x"', 400),
        (b"7", 400),
        (b"{", 400),
        (b"{}", 400),
        (b"\xff\xfe", 400),
        (b'{"name":"\xff"}', 400),
        (b'{"name":"\\ud800","capacity":2,"player":{"id":"x"}}', 400),
        (b'{"name":"x","capacity":2,"player":{"id":"\\u0000"}}', 400),
        (b'{"name":"x","name":"y","capacity":2,"player":{"id":"x"}}', 400),
        (b'{"name":"x","capacity":2,"player":{"id":"x","id":"y"}}', 400),
        (b'{"name":"x","capacity":NaN,"player":{"id":"x"}}', 400),
        (b'{"name":"x","capacity":2.5,"player":{"id":"x"}}', 400),
        (b'{"name":"x","capacity":1e3000,"player":{"id":"x"}}', 400),
        (b'{"name":"x","capacity":' + b"9" * 5000 + b',"player":{"id":"x"}}', 400),
        (b'{"name":"x","capacity":0,"player":{"id":"x"}}', 400),
        (b'{"name":"x","capacity":1001,"player":{"id":"x"}}', 400),
        (b'{"name":"' + b"x" * 65 + b'","capacity":2,"player":{"id":"x"}}', 400),
        (b'{"name":"x","capacity":2,"player":{"id":"' + b"x" * 129 + b'"}}', 400),
        (b'{"name":"x","capacity":2,"player":"x"}', 400),
        (b'{"name":"x","capacity":2,"player":[{"id":"x"}]}', 400),
        (b'{"name":"x","capacity":2,"player":{"id":"x"},"tags":["' + b"x" * 65 + b'"]}', 400),
        (b'{"name":"x","capacity":2,"player":{"id":"x"},"tags":[""]}', 400),
        (b'{"name":"x","capacity":2,"player":{"id":"x"},"tags":' + json.dumps(["t"] * 33).encode() + b"}", 400),
        (b'{"name":"x","capacity":2,"player":{"id":"x"},"annotations":' + json.dumps([{}] * 33).encode() + b"}", 400),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, 400),
        (b"[" * 20_000, 400),
        (b'{"name":"' + b"x" * 65_536 + b'"}', 413),
    ],
    ids=range(31),
)
async def test_bodies(service: LobbyServer, world: LobbyWorld, body: bytes, status: int) -> None:
    message = await service.refused(status, "POST", "/lobbies", body)
    assert len(message) < 1000
    assert await world.every_room() == []
    if status == 413:
        assert "65536" in message


async def test_a_body_of_64_kibibytes_passes(service: LobbyServer) -> None:
    frame = json.dumps(new_room(filler="")).encode()
    body = frame.replace(b'"filler": ""', b'"filler": "' + b"x" * (65_536 - len(frame)) + b'"')
    assert len(body) == 65_536
    await service.answer("POST", "/lobbies", body)
    await service.refused(413, "POST", "/lobbies", body + b" ")


@pytest.mark.parametrize(
    "ending",
    [
        "x",
        "x" * 255,
        "x" * 256,
        "x" * 5000,
        "%2F",
        "%2F..%2F",
        "..",
        ".",
        "%00",
        "a%00b",
        "%FF",
        "%",
        "%zz",
        "%F0%9F%8E%B2",
        "a b".replace(" ", "%20"),
        "'%22;--",
        ":join",
        "%E2%80%A8",
        "0" * 32,
    ],
)
async def test_ids_in_paths(service: LobbyServer, world: LobbyWorld, ending: str) -> None:
    room = await service.room()
    for method in ("GET", "PATCH", "DELETE"):
        for path in (f"/lobbies/{ending}", f"/lobbies/{ending}/events", f"/lobbies/{room['lobby_id']}{ending}"):
            head = f"{method} /l/duel{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
            answer = await raw(service, head)
            assert answer.split(" ")[1] in ("400", "404", "405"), (method, path)
            assert '{"message":"' in answer
            assert len(answer) < 2000
    assert [found.room_id for found in await world.every_room()] == [room["lobby_id"]]


@pytest.mark.parametrize("address", ["nobody", "x" * 300, "%2F", "%00", "%FF", "Duel", "..", "duel%20", "%F0%9F%8E%B2"])
async def test_addresses_in_paths(service: LobbyServer, address: str) -> None:
    await service.room()
    for method, path in (("GET", "lobbies"), ("GET", "lobbies/x"), ("POST", "lobbies"), ("POST", "lobbies:join")):
        body = json.dumps(new_room(lobby_id="x"))
        head = f"{method} /l/{address}/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        answer = await raw(service, f"{head}Content-Length: {len(body)}\r\n\r\n{body}")
        assert answer.split(" ")[1] in ("400", "404"), (method, path)


@pytest.mark.parametrize("query", ["tags=" + "a," * 33, "tags=%FF", "tags=%00", "&" * 70, "tags=a&" * 33])
async def test_queries(service: LobbyServer, query: str) -> None:
    message = await service.refused(400, "GET", f"/lobbies?{query}")
    assert "tags" in message or "query" in message


async def test_mirror_that_never_was_connected_leaves_empty_handed(service: LobbyServer) -> None:
    message = await service.refused(400, "POST", "/lobbies:leave", {"lobby_id": "", "player": {"id": ""}})
    assert "lobby_id" in message
    room = await service.room()
    await service.refused(400, "POST", "/lobbies:leave", {"lobby_id": room["lobby_id"], "player": {"id": ""}})
    await service.refused(404, "POST", "/lobbies:leave", {"lobby_id": "gone", "player": {"id": "x"}})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
MEMBERS = st.sampled_from(
    ["name", "capacity", "player", "tags", "annotations", "is_joinable", "lobby_id", "host_migration"]
)


async def test_anything_at_all(service: LobbyServer, world: LobbyWorld) -> None:
    room = await service.room(capacity=1)
    examples: list[tuple[str, dict[str, Any]]] = []
    calls = st.sampled_from(["", ":join", ":leave", ":start", f"/{room['lobby_id']}"])
    good = st.fixed_dictionaries({}, optional={"player": st.just({"id": "x"}), "lobby_id": st.just(room["lobby_id"])})

    @settings(max_examples=300, database=None, suppress_health_check=list(HealthCheck))
    @given(calls, good, st.dictionaries(MEMBERS, JSON, max_size=8))
    def collect(call: str, some: dict[str, Any], more: dict[str, Any]) -> None:
        examples.append((call, some | more))

    collect()
    for call, body in examples:
        method = "PATCH" if call.startswith("/") else "POST"
        response = await service.call(method, f"/lobbies{call}", body)
        assert response.status_code in (200, 202, 204, 400, 404, 409, 503), (call, body, response.text)
        if response.status_code >= 400:
            assert response.json()["message"]
