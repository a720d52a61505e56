"""What an installation costs while nothing happens: memory and processor time of every process of `waymeet up`.

    python bench/idle.py [--seconds 10] [--servers 5]

Memory is the proportional share (PSS: pages that several processes use count once in all), processor time a share of one
core over `--seconds`, first without and then with `--servers` game servers that nobody plays on.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.system.games import play, register
from tests.system.installation import Installation
from tests.system.processes import Process, Role

SETTLE_SECONDS = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--servers", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, Installation(Path(directory)) as installation:
        installation.up()
        print("without game servers")
        report(installation, options.seconds)
        register(installation.client, sockets=1)
        for _ in range(options.servers):
            play(installation.client)
        print(f"\nwith {options.servers} game servers")
        report(installation, options.seconds)


def report(installation: Installation, seconds: float) -> None:
    time.sleep(SETTLE_SECONDS)
    found = installation.processes()
    used = {process: process.processor_seconds for process in found}
    time.sleep(seconds)
    used = {process: process.processor_seconds - before for process, before in used.items()}
    for role in Role:
        show(role.value, [process for process in found if process.role is role], used, seconds)
    show("in all", found, used, seconds)


def show(name: str, processes: list[Process], used: dict[Process, float], seconds: float) -> None:
    if processes:
        memory = sum(process.resident_kib for process in processes) / 1024
        share = sum(used[process] for process in processes) / seconds
        print(f"  {name:14} {len(processes):3}   {memory:7.1f} MiB   {share:7.2%} of a core")


if __name__ == "__main__":
    main()
