"""What a flood of hostile datagrams does to a relay, and to those who play on it meanwhile.

    python bench/relay_flood.py [--minutes 0.5] [--engine native] [--rate 0] [--floods 1] [--sessions 4] [--clients 3]
                                [--nice -15]

One `waymeet serve` and one `waymeet node`, whose relay is flooded from addresses of loopback that change all the time:
noise, frames that are cut off, frames with tokens that are wrong by a bit, and, from every tenth address, frames that were
overheard in a session of other people, word for word or with other payloads. `--rate` datagrams a second from each of
`--floods` processes, or as many as they can send (0). Beside it, in `--sessions` sessions, `--clients` clients each send 20
datagrams of 100 bytes a second, which their host sends back. `--nice` is the priority of control plane and node, for
machines that others use at the same time.

Reported are memory (resident, of the process with the relay) and processor time while it lasts; what players lost and how
long their datagrams took there and back, before, during and after the flood; and what was answered to whom. It ends with an
error where more bytes were answered than asked, an answer to a stranger was longer than a state, or strangers were answered
more often than the limits allow.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.flood.flood import Flooded, flood
from bench.flood.players import Played, play
from bench.flood.processes import Worker
from bench.flood.tables import Table
from tests.system.installation import Installation, node_table
from tests.system.processes import Process, Role

QUIET_SECONDS = 20.0
SAMPLE_SECONDS = 5.0
SHOWN_SECONDS = 60.0
HEARTBEATS_SECONDS = 15.0
"""Until the control plane knows what a node has counted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--engine", choices=["native", "python"], default="native")
    parser.add_argument("--rate", type=int, default=0)
    parser.add_argument("--floods", type=int, default=1)
    parser.add_argument("--sessions", type=int, default=4)
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--nice", type=int, default=0)
    options = parser.parse_args()
    within = ("nice", "-n", str(options.nice)) if options.nice else ()
    node = node_table("flooded", more=f'roles = ["relay"]\nrelay.engine = "{options.engine}"\n')
    with (
        tempfile.TemporaryDirectory() as directory,
        Installation(Path(directory), nodes=[node], within=within) as installation,
    ):
        control_plane = installation.serve(arguments=[])
        installation.node()
        installation.wait_until_ready(control_plane)
        relays = installation.client.relays
        users = ["203.0.113.7"] * (1 + options.clients)
        made = [relays.wait_until_ready(relays.create(users).session_id) for _ in range(1 + options.sessions)]
        run(installation, [Table.of(session) for session in made], options)


def run(installation: Installation, tables: Sequence[Table], options: argparse.Namespace) -> None:
    overheard, *played = tables
    relay = installation.only(Role.NODES)
    rate = f"{options.rate:,} datagrams a second" if options.rate else "full rate"
    print(f"{options.engine} relay, {options.floods} floods at {rate} for {options.minutes:g} min, nice {options.nice}")
    print(f"before   {play_for(played, QUIET_SECONDS)}", flush=True)
    counted = relay_counters(installation)
    players = Worker(play, played)
    floods = [Worker(flood, overheard, number, options.rate) for number in range(options.floods)]
    memory = watch(relay, options.minutes * 60)
    flooded = [each.finish() for each in floods]
    print(f"during   {players.finish()}")
    print(f"after    {play_for(played, QUIET_SECONDS)}")
    time.sleep(HEARTBEATS_SECONDS)
    report(flooded, memory, relay_counters(installation) - counted)
    check(flooded)


def play_for(tables: Sequence[Table], seconds: float) -> Played:
    players = Worker(play, tables)
    time.sleep(seconds)
    played: Played = players.finish()
    return played


def watch(relay: Process, seconds: float) -> list[int]:
    """Resident memory in KiB while the flood goes on; printed now and then."""
    memory = [resident_kib(relay)]
    started = time.monotonic()
    used, shown = relay.processor_seconds, started
    while (left := started + seconds - time.monotonic()) > 0:
        time.sleep(min(SAMPLE_SECONDS, left))
        memory.append(resident_kib(relay))
        now = time.monotonic()
        if now - shown >= SHOWN_SECONDS or now - started >= seconds:
            share = (relay.processor_seconds - used) / (now - shown)
            print(f"{now - started:6.0f} s {memory[-1] / 1024:7.1f} MiB, {share:4.0%} of a core", flush=True)
            used, shown = relay.processor_seconds, now
    return memory


def resident_kib(process: Process) -> int:
    pages = int(Path(f"/proc/{process.number}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def relay_counters(installation: Installation) -> "Counter[str]":
    """What all relays received, and dropped by reason."""
    text = httpx.get(f"{installation.url}/metrics", trust_env=False).text
    found = re.findall(
        r'^waymeet_relay_(?:packets_total\{direction="received"|dropped_packets_total\{reason="(\w+)")\} (\S+)$',
        text,
        re.MULTILINE,
    )
    return Counter({reason or "received": int(float(count)) for reason, count in found})


def report(floods: Sequence[Flooded], memory: Sequence[int], counted: "Counter[str]") -> None:
    questions, seconds = sum(each.questions for each in floods), max(each.seconds for each in floods)
    received = counted.pop("received", 0)
    print(
        f"flood    {questions:,} datagrams, {questions / seconds:,.0f} a second, from "
        f"{sum(each.addresses for each in floods):,} addresses; the relay received {received:,} in all"
    )
    print(
        f"answers  {sum(each.stranger_answers for each in floods):,} to strangers, "
        f"{sum(each.other_answers for each in floods):,} to eavesdroppers; "
        f"{sum(each.answered_bytes for each in floods) / sum(each.asked_bytes for each in floods):.3%} of the bytes"
    )
    print(f"drops    {', '.join(f'{reason} {count:,}' for reason, count in counted.most_common())}")
    warm = memory[min(len(memory) - 1, len(memory) // 10 + 1)]
    print(
        f"memory   {memory[0] / 1024:.1f} MiB before, {warm / 1024:.1f} after a tenth of the time, "
        f"{memory[-1] / 1024:.1f} at the end, at most {max(memory) / 1024:.1f}"
    )


def check(floods: Sequence[Flooded]) -> None:
    """What must hold of every flood."""
    allowed = 200 + 200 * max(each.seconds for each in floods)
    assert sum(each.stranger_answers for each in floods) <= allowed, (
        "strangers were answered more than 200 times a second"
    )
    for each in floods:
        assert each.longest_stranger_answer <= 2, "an answer was longer than a state"
        assert each.too_often == 0, "one stranger was answered more than twice a second"
        assert each.answered_bytes < each.asked_bytes, "more was answered than asked"


if __name__ == "__main__":
    main()
