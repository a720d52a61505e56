"""A session for which nobody can look for seats holds up none of the others."""

import pytest

from tests.world import World
from waymeet.model.ids import NodeName
from waymeet.model.states import SessionStatus
from waymeet.sessions.seeking import BACK_OFF_SECONDS, SEEK_SECONDS
from waymeet.store.statement import Statement
from waymeet.store.transaction import Transaction

pytestmark = pytest.mark.anyio

_SPOIL = Statement("UPDATE session SET wish = 'what is this?' WHERE session_id = $1")


async def test_the_others_get_their_seats(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.node("a")
    await world.version()
    await world.locations.leave(NodeName("a"), world.tokens["a"])
    await world.directory.refresh()
    bad, good = await world.seat(), await world.seat()
    assert bad.status is good.status is SessionStatus.SEEKING

    async def spoil(tx: Transaction) -> None:
        await tx.connection.execute(_SPOIL, bad.session_id)

    await world.store.write(spoil)
    await world.node("a")
    for _ in range(round(BACK_OFF_SECONDS / SEEK_SECONDS)):
        world.clock.pass_seconds(SEEK_SECONDS)
        await world.session_loop.act_on_due()
    assert (await world.look(good)).session.status is SessionStatus.WAITING
    assert caplog.text.count(f"session {bad.session_id} is left alone") == 1
    world.clock.pass_seconds(1)
    await world.session_loop.act_on_due()
    assert caplog.text.count(f"session {bad.session_id} is left alone") == 2
