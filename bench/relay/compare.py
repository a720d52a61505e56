"""Our relay beside others, in packets per second, CPU time, latency, loss and memory.

    .venv/bin/python bench/relay/compare.py [--rounds 16] [--seconds 0.5] [--quick] [--json FILE] [--scenarios 64,20k]
                                            [--beside NAME=PROGRAM]

Takes some five minutes (`--quick`: one), Linux, root (or user namespaces), two cores that have little else to do, and what
`tools/install-bench-tools` installs. All contenders are up all the time in a network namespace that has loopback alone,
where no packet filter of the machine costs them anything, pinned to core 1:

- bare    receives and sends many datagrams per system call and does nothing else, to one destination: the floor
- native  our relay in Rust, one worker, through the handle that a node uses
- coturn  TURN over UDP: ChannelData, no authentication, one relay thread, no log
- nginx   stream proxy for UDP, one worker, one upstream
- node    our relay's protocol on Node's sockets, as one writes it
- python  our relay in pure Python

The load generator (`load/`), a thread on core 0 that never sleeps, is all hosts and clients, each with an IP address of its
own. A closed loop keeps so many datagrams on their way; an open one offers a fixed rate. It counts what arrives, and checks
where it arrives, from where, to the byte, and in which order. In each round, the contenders take turns within each scenario
in shuffled order, a slice of half a second each; reported are medians (and quartiles) over the rounds of each slice's ratio
to another contender's slice of the same round. CPU time is that of all threads of the relay, with what the kernel does on
their behalf. Where the generator cannot offer a relay more than it takes ("core" says how busy it was), its packets per
second say less than its packets per CPU second. Limits of our relays are set where they are checked and never met.

Where the privileges allow, all of them have a higher priority than anything else on the machine.

To compare builds of the native relay, build `serve` (relay/io/examples) of each state of the code, and name the others with
`--beside`, which may be repeated.
"""

import argparse
import contextlib
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.relay import generator, report
from bench.relay.contenders import CONTENDERS, Contender, Ports, Running, build_of_ours
from bench.relay.generator import Generator
from bench.relay.ratios import Slice
from bench.relay.scenarios import NATIVE, PYTHON, SCENARIOS, SESSIONS, Scenario

INSIDE = "WAYMEET_BENCH_NETWORK"
MANY_SESSIONS = 100_000
NICE = -19


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each slice")
    parser.add_argument("--quick", action="store_true", help="4 rounds of short slices")
    parser.add_argument("--json", type=Path, help="write every slice to this file")
    parser.add_argument(
        "--beside", action="append", default=[], metavar="NAME=PROGRAM", help="a build of the native relay"
    )
    everything = [*(scenario.name for scenario in SCENARIOS), "memory"]
    parser.add_argument("--scenarios", help=", ".join(everything))
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 4, 0.25
    if INSIDE not in os.environ:
        raise SystemExit(in_own_network())
    chosen = options.scenarios.split(",") if options.scenarios else everything
    builds = dict(build.split("=", 1) for build in options.beside)
    conditions = prepared()
    generator.build()
    with tempfile.TemporaryDirectory(prefix="waymeet-bench-") as directory:
        scenarios = [scenario.beside(list(builds)) for scenario in SCENARIOS if scenario.name in chosen]
        contenders = [*CONTENDERS, *(build_of_ours(*build) for build in builds.items())]
        found = measured(scenarios, contenders, options.rounds, options.seconds, Path(directory))
        memory = {}
        if "memory" in chosen:
            for name in (NATIVE, PYTHON):
                memory[name] = memory_of(named(name), Path(directory))
    conditions["load_average_after"] = os.getloadavg()
    conditions |= {"rounds": options.rounds, "seconds": options.seconds}
    print(conditions)
    report.print_figures(scenarios, found)
    report.print_goals(report.goals(found, memory, list(builds)))
    if options.json:
        options.json.write_text(json.dumps(raw(conditions, found, memory)))
    if sum(report.wrong_of(found)):
        raise SystemExit("datagrams were misdelivered, malformed or reordered")


def in_own_network() -> int:
    """Do everything again where loopback is all there is; returns how that ended."""
    network = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    # A session of its own is what the scheduler's priority goes by.
    process = subprocess.Popen(
        [*network, sys.executable, *sys.argv], env={**os.environ, INSIDE: "1"}, start_new_session=True
    )
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        return process.wait()


def prepared() -> dict[str, object]:
    """Make this process, and so those that it starts, ready; the conditions that the figures hold under."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with contextlib.suppress(OSError):
        os.nice(NICE)
    with contextlib.suppress(OSError):
        # Where sessions share the machine evenly, being nice says nothing to other sessions.
        Path("/proc/self/autogroup").write_text(str(NICE))
    return {
        "kernel": platform.release(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "nice": os.nice(0),
        "load_average_before": os.getloadavg(),
    }


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def named(name: str) -> Contender:
    return next(contender for contender in CONTENDERS if contender.name == name)


def measured(
    scenarios: Sequence[Scenario], contenders: Sequence[Contender], rounds: int, seconds: float, directory: Path
) -> dict[str, dict[str, list[Slice]]]:
    """All slices by scenario and offer, in the order of the rounds."""
    found: dict[str, dict[str, list[Slice]]] = {
        scenario.name: {name: [] for name in scenario.offers} for scenario in scenarios
    }
    wanted = {offer.contender for scenario in scenarios for offer in scenario.offers.values()}
    rng = random.Random(7)
    with contextlib.ExitStack() as stack:
        generators = {
            contender.name: stack.enter_context(generating(contender, number, directory))
            for number, contender in enumerate(contenders)
            if contender.name in wanted
        }
        for number in range(rounds + 1):
            for scenario in rng.sample(scenarios, len(scenarios)):
                for name in rng.sample(list(scenario.offers), len(scenario.offers)):
                    offer = scenario.offers[name]
                    each = generators[offer.contender].run(offer.plan, seconds)
                    if number > 0:  # The first round warms everything up.
                        found[scenario.name][name].append(each)
            if sys.stderr.isatty():
                print(f"\rround {number} of {rounds} ", end="", file=sys.stderr, flush=True)
    return found


@contextlib.contextmanager
def generating(contender: Contender, number: int, directory: Path) -> Iterator[Generator]:
    """A contender at work with `SESSIONS` sessions, and its generator."""
    running = Running(contender, Ports.numbered(number), SESSIONS, directory / contender.name)
    try:
        running.tell(SESSIONS)
        made = Generator(running, SESSIONS)
        try:
            yield made
        finally:
            made.stop()
    finally:
        running.stop()


def memory_of(contender: Contender, directory: Path) -> report.Memory:
    """What many sessions take, each with a host and a client whom the relay has heard and who have heard each other."""
    running = Running(contender, Ports.numbered(len(CONTENDERS)), MANY_SESSIONS, directory / f"{contender.name}-memory")
    try:
        before = running.resident_bytes
        running.tell(MANY_SESSIONS)
        Generator(running, MANY_SESSIONS).stop()
        return report.Memory(before, running.resident_bytes, MANY_SESSIONS)
    finally:
        running.stop()


def raw(
    conditions: Mapping[str, object],
    found: Mapping[str, Mapping[str, Sequence[Slice]]],
    memory: Mapping[str, report.Memory],
) -> dict[str, object]:
    slices = {
        scenario: {name: [asdict(each) for each in slices] for name, slices in offers.items()}
        for scenario, offers in found.items()
    }
    return {
        "conditions": conditions,
        "slices": slices,
        "memory": {name: asdict(taken) for name, taken in memory.items()},
    }


if __name__ == "__main__":
    main()
