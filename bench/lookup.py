"""What looking addresses up costs, against a static JSON endpoint of the same server.

    python bench/lookup.py [--rounds 12] [--seconds 1]

One `waymeet serve` with the installed geo data (`waymeet geo update`), pinned to one core; `wrk` (Debian: apt-get install
wrk) on the other one. Fresh requests ask for other addresses each time, drawn over all of IPv4, so that no answer is
remembered; repeated ones for a thousand addresses again and again, as a game's backend does. The kinds of calls take turns
in shuffled slices; `rate` and `cpu` as in `bench/control.py`.

- `one`      GET /v1/ip/{ip}/lookup, fresh and repeated       (goal: 70 % of static)
- `twenty`   POST /v1/ips/lookup with 20, fresh and repeated  (goal: 35 % of static)
- `own`      GET /v1/ip
- `guarded`  what stands in front of all of them: key, rate limit, scope, body
"""

import argparse
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from ipaddress import IPv4Address
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.control import CLIENT_CORE, CONNECTIONS, TOKEN, Server, Slice, spread
from waymeet.store.migrate import ensure_migrated

ADDRESSES = 60_000
SCRIPT = """
wrk.headers["Authorization"] = "token %s"
wrk.headers["Content-Type"] = "application/json"
local addresses = {}
for line in io.lines("%s") do addresses[#addresses + 1] = line end
local at = 0
local function following() at = at %% #addresses + 1; return addresses[at] end
local again = 0
local function repeated() again = again %% 1000 + 1; return addresses[again] end
request = function() %s end
"""
KINDS = {
    "static": 'return wrk.format("GET", "/healthz")',
    "guarded": 'return wrk.format("POST", "/v1/wizard/init-quick-start", nil, \'{"source":"bench"}\')',
    "own": 'return wrk.format("GET", "/v1/ip")',
}
ONE = 'return wrk.format("GET", "/v1/ip/" .. following() .. "/lookup")'
TWENTY = """
    local many = {}
    for index = 1, 20 do many[index] = following() end
    return wrk.format("POST", "/v1/ips/lookup", nil, '{"addresses":["' .. table.concat(many, '","') .. '"]}')
"""
for _name, _body in {"one": ONE, "twenty": TWENTY}.items():
    KINDS |= {f"{_name} fresh": _body, f"{_name} repeated": _body.replace("following()", "repeated()")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--port", type=int, default=18120)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    rng = random.Random(7)
    with tempfile.TemporaryDirectory(prefix="waymeet-bench-") as root:
        directory = Path(root)
        # Where the internet is: 1.0.0.0 to 223.255.255.255, some of it unassigned.
        addresses = directory / "addresses"
        addresses.write_text("".join(f"{IPv4Address(rng.randrange(1 << 24, 224 << 24))}\n" for _ in range(ADDRESSES)))
        database = f"sqlite:///{directory / 'bench.sqlite3'}"
        ensure_migrated(database)
        server = Server("lookup", database, options.port, directory)
        try:
            found = measured(server, directory, addresses, options.rounds, options.seconds, rng)
        finally:
            server.stop()
    for kind, slices in found.items():
        rates = [one.rate / static.rate for one, static in zip(slices, found["static"], strict=True)]
        cpu = [one.per_cpu_second / static.per_cpu_second for one, static in zip(slices, found["static"], strict=True)]
        microseconds = 1e6 / statistics.median(one.per_cpu_second for one in slices)
        rate = statistics.median(one.rate for one in slices)
        print(
            f"{kind:15} {rate:7.0f}/s {microseconds:6.0f} us of CPU   of static: rate {spread(rates)}, cpu {spread(cpu)}"
        )


def measured(
    server: Server, directory: Path, addresses: Path, rounds: int, seconds: int, rng: random.Random
) -> dict[str, list[Slice]]:
    """All slices by kind, in the order of the rounds."""
    if server.call("GET", "/v1/ip/8.8.8.8/lookup").get("location") is None:
        raise SystemExit("no geo data is installed: waymeet geo update")
    scripts: dict[str, Path] = {}
    for kind, body in KINDS.items():
        scripts[kind] = directory / f"{kind}.lua"
        scripts[kind].write_text(SCRIPT % (TOKEN, addresses, body))
        _slice(server, scripts[kind], 1)
    found: dict[str, list[Slice]] = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind in rng.sample(list(KINDS), len(KINDS)):
            found[kind].append(_slice(server, scripts[kind], seconds))
    return found


def _slice(server: Server, script: Path, seconds: int) -> Slice:
    command = ["taskset", "-c", str(CLIENT_CORE), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script)]
    before = server.cpu_seconds()
    output = subprocess.run([*command, server.url], capture_output=True, text=True, check=True).stdout
    used = server.cpu_seconds() - before
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(output)
    requests = int(output.split(" requests in")[0].split()[-1])
    return Slice(float(output.split("Requests/sec:")[1].split()[0]), requests / used)


if __name__ == "__main__":
    main()
