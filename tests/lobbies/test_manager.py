"""The lobby manager: what each status allows, names, and how a lobby gets from one status to the next."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from tests.lobbies.world import LOBBY, LobbyWorld
from tests.polling import eventually_async
from tests.world import ORGANISATION
from waymeet.lobbies.loop import LOBBIES_AT_ONCE
from waymeet.lobbies.service import HIGHEST_LOBBIES
from waymeet.lobbies.types import Lobby
from waymeet.model.errors import Conflict, Invalid, NotFound, WaymeetError
from waymeet.model.ids import LobbyId, OrganisationId
from waymeet.model.states import LobbyStatus
from waymeet.store.transaction import Transaction

pytestmark = pytest.mark.anyio

CREATED, DEPLOYING, RELEASED, TERMINATING, TERMINATED, ERROR = LobbyStatus
STRANGERS = OrganisationId("strangers")
URL = "https://lobbies.example.org/l/duel"


async def in_status(world: LobbyWorld, status: LobbyStatus) -> Lobby:
    """A lobby that got there as lobbies do."""
    lobbies = world.lobbies
    await lobbies.create(ORGANISATION, LOBBY)
    if status is not CREATED:
        await lobbies.deploy(ORGANISATION, LOBBY)
    if status is ERROR:
        world.answers.problem = "nothing answers"
        world.clock.pass_seconds(world.lobby_rules.deploy_seconds)
    if status in (RELEASED, TERMINATING, TERMINATED, ERROR):
        await world.lobby_loop.step()
    if status in (TERMINATING, TERMINATED):
        await lobbies.terminate(ORGANISATION, LOBBY)
    if status is TERMINATED:
        await world.lobby_loop.step()
    found = await lobbies.find(ORGANISATION, LOBBY)
    assert found.status is status
    assert found.url == (URL if status is RELEASED else "")
    return found


OUTCOMES: dict[tuple[LobbyStatus, str], LobbyStatus | type[WaymeetError]] = {
    (CREATED, "deploy"): DEPLOYING,
    (CREATED, "terminate"): Conflict,
    (CREATED, "delete"): CREATED,
    (DEPLOYING, "deploy"): Conflict,
    (DEPLOYING, "terminate"): TERMINATING,
    (DEPLOYING, "delete"): Invalid,
    (RELEASED, "deploy"): Conflict,
    (RELEASED, "terminate"): TERMINATING,
    (RELEASED, "delete"): Invalid,
    (TERMINATING, "deploy"): Conflict,
    (TERMINATING, "terminate"): Conflict,
    (TERMINATING, "delete"): Invalid,
    (TERMINATED, "deploy"): DEPLOYING,
    (TERMINATED, "terminate"): Conflict,
    (TERMINATED, "delete"): TERMINATED,
    (ERROR, "deploy"): DEPLOYING,
    (ERROR, "terminate"): TERMINATED,
    (ERROR, "delete"): ERROR,
}
"""The table of contract 2.22."""


@pytest.mark.parametrize(("status", "call"), OUTCOMES, ids=str)
async def test_what_each_status_allows(world: LobbyWorld, status: LobbyStatus, call: str) -> None:
    before = await in_status(world, status)
    calls: dict[str, Callable[[OrganisationId, str], Awaitable[object]]] = {
        "deploy": world.lobbies.deploy,
        "terminate": world.lobbies.terminate,
        "delete": world.lobbies.delete,
    }
    outcome = OUTCOMES[status, call]
    if isinstance(outcome, type):
        with pytest.raises(outcome, match=LOBBY):
            await calls[call](ORGANISATION, LOBBY)
        assert await world.lobbies.find(ORGANISATION, LOBBY) == before
        return
    answer = await calls[call](ORGANISATION, LOBBY)
    lobby = answer[0] if isinstance(answer, tuple) else answer
    assert isinstance(lobby, Lobby)
    assert (lobby.status, lobby.url) == (outcome, "")
    if isinstance(answer, tuple):
        # Whether there was something to end: 202, else 200.
        assert answer[1] is (outcome is TERMINATING)
    if call == "delete":
        with pytest.raises(NotFound):
            await world.lobbies.find(ORGANISATION, LOBBY)
    else:
        assert await world.lobbies.find(ORGANISATION, LOBBY) == lobby
        assert lobby.error is None


def test_the_table_is_whole() -> None:
    assert set(OUTCOMES) == {(status, call) for status in LobbyStatus for call in ("deploy", "terminate", "delete")}


@pytest.mark.parametrize("name", ["a", "7", "duel", "a-b", "a--b", "0-0", "x" * 63, "xn--bcher-kva"])
async def test_names(world: LobbyWorld, name: str) -> None:
    made = await world.lobbies.create(ORGANISATION, name)
    assert (made.name, made.address, made.status, made.url) == (name, name, CREATED, "")
    assert await world.lobbies.find(ORGANISATION, name) == made
    with pytest.raises(Conflict, match=name):
        await world.lobbies.create(ORGANISATION, name)
    assert await world.lobbies.all(ORGANISATION) == [made]


@pytest.mark.parametrize(
    "name", ["", "-", "-a", "a-", "A", "Duel", "a_b", "a b", "a.b", "a/b", "é", "x" * 64, "a\n", "a\0", "½", "a:deploy"]
)
async def test_no_names(world: LobbyWorld, name: str) -> None:
    for call in (world.lobbies.create, world.lobbies.deploy, world.lobbies.terminate):
        with pytest.raises(Invalid) as raised:
            await call(ORGANISATION, name)
        assert "1 to 63 lower-case letters, digits and inner hyphens" in raised.value.fields["name"]
    for look in (world.lobbies.find, world.lobbies.delete):
        with pytest.raises(NotFound):
            await look(ORGANISATION, name)
    assert await world.lobbies.all(ORGANISATION) == []


async def test_unknown_lobbies(world: LobbyWorld) -> None:
    for call, error in (
        (world.lobbies.find, NotFound),
        (world.lobbies.delete, NotFound),
        (world.lobbies.terminate, NotFound),
        # The only one that lists no 404.
        (world.lobbies.deploy, Invalid),
    ):
        with pytest.raises(error, match="'nobody' not found"):
            await call(ORGANISATION, "nobody")


async def test_lists_are_by_name_and_of_one_organisation(world: LobbyWorld) -> None:
    strangers = await world.organisation(STRANGERS)
    for name in ("b", "c", "a"):
        await world.lobbies.create(ORGANISATION, name)
    foreign = await world.lobbies.create(strangers, "foreign")
    assert [lobby.name for lobby in await world.lobbies.all(ORGANISATION)] == ["a", "b", "c"]
    assert await world.lobbies.all(strangers) == [foreign]
    for call in (world.lobbies.find, world.lobbies.delete, world.lobbies.terminate):
        with pytest.raises(NotFound):
            await call(ORGANISATION, "foreign")
    with pytest.raises(Invalid):
        await world.lobbies.deploy(ORGANISATION, "foreign")
    assert await world.lobbies.find(strangers, "foreign") == foreign


async def test_as_many_lobbies_as_there_may_be(world: LobbyWorld) -> None:
    first = await world.lobbies.create(ORGANISATION, "first")

    async def fill(tx: Transaction) -> None:
        for number in range(HIGHEST_LOBBIES - 1):
            name = f"filler-{number}"
            filler = replace(first, lobby_id=LobbyId(name), name=name, address=name)
            assert await tx.lobbies.insert(filler)

    await world.store.write(fill)
    with pytest.raises(Conflict, match=f"{HIGHEST_LOBBIES} lobbies, which is the limit"):
        await world.lobbies.create(ORGANISATION, "another")
    await world.lobbies.delete(ORGANISATION, "first")
    await world.lobbies.create(ORGANISATION, "another")


async def test_one_of_many_who_want_a_name_at_once_gets_it(world: LobbyWorld) -> None:
    answers = await asyncio.gather(
        *(world.lobbies.create(ORGANISATION, LOBBY) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(answer, Lobby) for answer in answers) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == 7


async def test_one_of_many_who_deploy_at_once_does(world: LobbyWorld) -> None:
    await world.lobbies.create(ORGANISATION, LOBBY)
    answers = await asyncio.gather(
        *(world.lobbies.deploy(ORGANISATION, LOBBY) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(answer, Lobby) for answer in answers) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == 7


async def test_released_only_once_the_service_answers(world: LobbyWorld) -> None:
    world.answers.problem = "connection refused"
    await in_status(world, DEPLOYING)
    for _ in range(3):
        assert await world.lobby_loop.step()
        found = await world.lobbies.find(ORGANISATION, LOBBY)
        assert (found.status, found.url, found.error) == (DEPLOYING, "", None)
    assert set(world.answers.asked) == {(LOBBY, URL)}
    world.answers.problem = None
    assert not await world.lobby_loop.step()
    found = await world.lobbies.find(ORGANISATION, LOBBY)
    assert (found.status, found.url) == (RELEASED, URL)
    asked = len(world.answers.asked)
    assert not await world.lobby_loop.step()
    assert len(world.answers.asked) == asked


async def test_a_service_that_never_answers(world: LobbyWorld) -> None:
    world.answers.problem = "connection refused"
    await in_status(world, DEPLOYING)
    world.clock.pass_seconds(world.lobby_rules.deploy_seconds - 1)
    await world.lobby_loop.step()
    assert (await world.lobbies.find(ORGANISATION, LOBBY)).status is DEPLOYING
    world.clock.pass_seconds(1)
    assert not await world.lobby_loop.step()
    found = await world.lobbies.find(ORGANISATION, LOBBY)
    assert (found.status, found.url) == (ERROR, "")
    assert found.error == f"{URL} did not answer within 30 s: connection refused"
    # Again, it has all its time again.
    await world.lobbies.deploy(ORGANISATION, LOBBY)
    await world.lobby_loop.step()
    assert (await world.lobbies.find(ORGANISATION, LOBBY)).status is DEPLOYING
    world.answers.problem = None
    await world.lobby_loop.step()
    found = await world.lobbies.find(ORGANISATION, LOBBY)
    assert (found.status, found.url, found.error) == (RELEASED, URL, None)


async def test_what_a_look_found_out_counts_only_for_what_it_looked_at(world: LobbyWorld) -> None:
    await in_status(world, DEPLOYING)
    held = world.answers.held = asyncio.Event()
    looking = asyncio.create_task(world.lobby_loop.step())

    async def is_asked() -> bool:
        return bool(world.answers.asked)

    await eventually_async(is_asked)
    await world.lobbies.terminate(ORGANISATION, LOBBY)
    held.set()
    assert await looking, "it is still on its way"
    found = await world.lobbies.find(ORGANISATION, LOBBY)
    assert (found.status, found.url) == (TERMINATING, "")
    assert not await world.lobby_loop.step()
    # Nor for a later deployment of the same lobby.
    await world.lobbies.deploy(ORGANISATION, LOBBY)
    held.clear()
    asked = len(world.answers.asked)
    looking = asyncio.create_task(world.lobby_loop.step())

    async def is_asked_again() -> bool:
        return len(world.answers.asked) > asked

    await eventually_async(is_asked_again)
    await world.lobbies.terminate(ORGANISATION, LOBBY)
    await LobbyWorld(world.store).lobby_loop.step()
    assert (await world.lobbies.find(ORGANISATION, LOBBY)).status is TERMINATED
    again = await world.lobbies.deploy(ORGANISATION, LOBBY)
    held.set()
    await looking
    assert await world.lobbies.find(ORGANISATION, LOBBY) == again


async def test_the_bell_rings_for_what_is_to_be_moved(world: LobbyWorld) -> None:
    running = asyncio.create_task(world.lobby_loop.run())
    try:
        await world.lobbies.create(ORGANISATION, LOBBY)
        for call, status in (
            (world.lobbies.deploy, RELEASED),
            (world.lobbies.terminate, TERMINATED),
            (world.lobbies.deploy, RELEASED),
        ):
            await call(ORGANISATION, LOBBY)

            async def is_there(status: LobbyStatus = status) -> bool:
                return (await world.lobbies.find(ORGANISATION, LOBBY)).status is status

            await eventually_async(is_there)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_one_that_fails_keeps_no_other_from_its_way(world: LobbyWorld, caplog: pytest.LogCaptureFixture) -> None:
    names = [f"lobby-{number}" for number in range(LOBBIES_AT_ONCE + 3)]
    bad = names[:LOBBIES_AT_ONCE]
    world.answers.problems = dict.fromkeys(bad, ValueError("a mistake"))
    for name in names:
        await world.lobbies.create(ORGANISATION, name)
        await world.lobbies.deploy(ORGANISATION, name)
    for _ in range(3):
        await world.lobby_loop.step()
    statuses = {lobby.name: lobby.status for lobby in await world.lobbies.all(ORGANISATION)}
    assert statuses == dict.fromkeys(names, RELEASED) | dict.fromkeys(bad, DEPLOYING)
    assert caplog.text.count("is left alone") == len(bad)
    # Mended, they go on without anybody's help.
    world.answers.problems = {}
    await world.lobby_loop.step()
    assert (await world.lobbies.find(ORGANISATION, bad[0])).status is DEPLOYING
    world.clock.pass_seconds(61)
    for _ in range(2):
        await world.lobby_loop.step()
    assert {lobby.status for lobby in await world.lobbies.all(ORGANISATION)} == {RELEASED}
