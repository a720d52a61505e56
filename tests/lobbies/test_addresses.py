"""What stands for a lobby's name in its URL, which shipped games go on asking for years."""

import re

import pytest

from tests.lobbies.world import LOBBY, LobbyWorld
from tests.world import ORGANISATION
from waymeet.lobbies.names import addresses, is_name
from waymeet.model.errors import Conflict
from waymeet.model.ids import OrganisationId
from waymeet.store.lobbies import LobbyRows
from waymeet.store.statement import Statement
from waymeet.store.transaction import Transaction

pytestmark = pytest.mark.anyio

_ADDRESSES = Statement("SELECT address FROM lobby_address WHERE organisation_id = $1 ORDER BY address")


async def made_anew(world: LobbyWorld, organisation: OrganisationId, name: str = LOBBY) -> str:
    await world.lobbies.delete(organisation, name)
    return (await world.lobbies.create(organisation, name)).address


async def test_no_two_organisations_share_one(world: LobbyWorld) -> None:
    second, third = await world.organisation("second"), await world.organisation("third")
    made = [(await world.lobbies.create(owner, LOBBY)).address for owner in (ORGANISATION, second, third)]
    assert made[0] == LOBBY
    assert len(set(made)) == 3
    for address in made[1:]:
        assert re.fullmatch(r"duel-[0-9a-f]{8}", address)
    # Whoever had it first has it still when all of them are made anew, in any order.
    await world.lobbies.delete(ORGANISATION, LOBBY)
    assert await made_anew(world, third) == made[2]
    assert await made_anew(world, second) == made[1]
    assert (await world.lobbies.create(ORGANISATION, LOBBY)).address == LOBBY


async def test_it_stays_the_first_ones_also_after_deletion(world: LobbyWorld) -> None:
    second = await world.organisation("second")
    await world.lobbies.create(ORGANISATION, LOBBY)
    await world.lobbies.delete(ORGANISATION, LOBBY)
    assert (await world.lobbies.create(second, LOBBY)).address != LOBBY


async def test_an_address_that_is_free_again_moves_nobody(world: LobbyWorld) -> None:
    second = await world.organisation("second")
    await world.lobbies.create(ORGANISATION, LOBBY)
    suffixed = (await world.lobbies.create(second, LOBBY)).address

    async def forget(tx: Transaction) -> None:
        await tx.connection.execute(Statement("DELETE FROM lobby WHERE organisation_id = $1"), ORGANISATION)
        await tx.connection.execute(Statement("DELETE FROM lobby_address WHERE organisation_id = $1"), ORGANISATION)

    await world.store.write(forget)
    assert await made_anew(world, second) == suffixed


async def test_a_name_that_looks_like_somebodys_address(world: LobbyWorld) -> None:
    second = await world.organisation("second")
    await world.lobbies.create(ORGANISATION, LOBBY)
    suffixed = addresses(LOBBY, second)[1]
    squatter = await world.lobbies.create(ORGANISATION, suffixed)
    assert squatter.address == suffixed
    with pytest.raises(Conflict):
        await world.lobbies.create(second, LOBBY)
    assert await world.lobbies.all(second) == []


@pytest.mark.parametrize("name", ["a", "x" * 63, "x" * 53 + "-" + "y" * 9, "x" * 52 + "--" + "y" * 9])
def test_a_suffixed_address_is_a_name_too(name: str) -> None:
    plain, suffixed = addresses(name, ORGANISATION)
    assert plain == name
    assert is_name(suffixed)
    assert suffixed == addresses(name, ORGANISATION)[1]
    assert suffixed != addresses(name, OrganisationId("second"))[1]


async def test_only_so_many_are_kept(world: LobbyWorld) -> None:
    """The oldest without a lobby go first; never one in use, nor the one that is just claimed."""

    async def claimed(*names: str) -> list[str]:
        world.clock.pass_seconds(1)
        now = world.clock.now()

        async def unit(tx: Transaction) -> list[str]:
            rows = LobbyRows(tx.connection, highest_addresses=2)
            assert await rows.claim_address(names, ORGANISATION, now) == names[0]
            return [row["address"] for row in await tx.connection.fetch(_ADDRESSES, ORGANISATION)]

        return await world.store.write(unit)

    await world.lobbies.create(ORGANISATION, "used")
    assert await claimed("a") == ["a", "used"]
    assert await claimed("b") == ["a", "b", "used"]
    assert await claimed("a") == ["a", "b", "used"]
    assert await claimed("c") == ["a", "c", "used"]
    assert await claimed("used") == ["a", "c", "used"]
    await world.lobbies.delete(ORGANISATION, "used")
    assert await claimed("a") == ["a", "used"]
