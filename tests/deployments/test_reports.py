"""What a node says about its servers fits the store, or is refused by name."""

from dataclasses import replace
from typing import Any

import pytest

from tests.world import World
from waymeet.deployments.reports import HIGHEST_INSTANT, HIGHEST_INTEGER, LONGEST_MESSAGE, admissible
from waymeet.model.errors import Invalid
from waymeet.model.instant import Instant
from waymeet.model.servers import CRASH_LOG_BYTES, EndReason, PortMapping, PortProtocol, ServerPhase, ServerReport
from waymeet.model.states import DeploymentStatus

PORT = PortMapping("p" * 64, 65535, 65535, PortProtocol.UDP)
REPORT = ServerReport(
    "k" * 64,
    ServerPhase.ENDED,
    "a" * 255,
    (PORT,) * 64,
    HIGHEST_INTEGER,
    EndReason.CRASHED,
    -HIGHEST_INTEGER,
    "m" * LONGEST_MESSAGE,
    "l" * CRASH_LOG_BYTES,
    Instant(0),
    Instant(HIGHEST_INSTANT),
)


def test_a_report_at_its_longest_passes_unchanged() -> None:
    assert admissible(REPORT) is REPORT


@pytest.mark.parametrize(
    ("member", "changed"),
    [
        ("reports.key", {"key": "k" * 65}),
        ("reports.key", {"key": "k\0"}),
        ("reports.1.public_ip", {"public_ip": "a" * 256}),
        ("reports.1.public_ip", {"public_ip": "\0"}),
        ("reports.1.ports", {"ports": (PORT,) * 65}),
        ("reports.1.ports", {"ports": (replace(PORT, external=0),)}),
        ("reports.1.ports", {"ports": (replace(PORT, external=65536),)}),
        ("reports.1.ports", {"ports": (replace(PORT, internal=-1),)}),
        ("reports.1.ports.key", {"ports": (replace(PORT, key=""),)}),
        ("reports.1.ports.key", {"ports": (replace(PORT, key="\0"),)}),
        ("reports.1.restart_count", {"restart_count": HIGHEST_INTEGER + 1}),
        ("reports.1.exit_code", {"exit_code": 2**63}),
        ("reports.1.spawned_at", {"spawned_at": Instant(-1)}),
        ("reports.1.ready_at", {"ready_at": Instant(HIGHEST_INSTANT + 1)}),
    ],
)
def test_what_is_out_of_limits_is_named(member: str, changed: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as raised:
        admissible(replace(REPORT, **({"key": "1"} | changed)))
    assert list(raised.value.fields) == [member]


@pytest.mark.anyio
async def test_a_game_may_print_what_no_database_stores(world: World) -> None:
    await world.node("a")
    await world.version()
    session = await world.seat()
    log = "begin" + "\0" * CRASH_LOG_BYTES + "end"
    await world.ended(session.deployment_id, EndReason.CRASHED, exit_code=1, message="\0" * 3_000, crash_log=log)
    deployment = await world.deployment(session.deployment_id)
    assert deployment.status is DeploymentStatus.ERROR
    assert deployment.crash is not None
    assert deployment.crash.log == "\N{REPLACEMENT CHARACTER}" * (CRASH_LOG_BYTES - 3) + "end"
    assert deployment.error_detail == "crashed: " + "\N{REPLACEMENT CHARACTER}" * LONGEST_MESSAGE
