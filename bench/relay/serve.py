"""A relay of ours by itself, as the benchmark runs it: `serve.py python|native SERVER_PORT CLIENT_PORT`.

Says `open` when its ports are; each line of its input says how many sessions it is to have, and is answered `ready`. They
have one host and one client each, with the tokens that `load/flow.c` makes up. Ends with its input.
"""

import socket
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from waymeet.clock import SystemClock
from waymeet.model.relays import RelayMember, RelaySpec
from waymeet.node.relay.choice import why_not_native
from waymeet.node.relay.engine import RelayEngine
from waymeet.node.relay.plain import PlainRelay
from waymeet.node.relay.rates import rate
from waymeet.node.relay.rules import Limits, RelayRules

SESSION, HOST, CLIENT = 0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35
PART = 1_000
SECRET = 42
PLENTY = rate(100_000_000, 100_000_000)
"""Far above what passes here: limits are looked at, and never met."""


def main() -> None:
    kind, *ports = sys.argv[1:]
    server, client = (bound(int(port)) for port in ports)
    limits = replace(
        Limits(),
        user_packets=PLENTY,
        session_packets=PLENTY,
        session_bytes=PLENTY,
        host_packets=PLENTY,
        host_bytes=PLENTY,
        client_packets=PLENTY,
        client_bytes=PLENTY,
    )
    relay = start(kind, [server], [client], RelayRules(limits=limits))
    print("open", flush=True)
    for line in sys.stdin:
        sessions = int(line)
        relay.replace([])
        # In parts, so that what is made here on the way is no large part of this process's memory.
        for first in range(0, sessions, PART):
            refused = relay.apply([spec(number) for number in range(first, min(first + PART, sessions))], [])
            if refused:
                raise SystemExit(f"the relay has no room: {refused[0]}")
        print("ready", flush=True)
    relay.close()


def start(kind: str, server: list[socket.socket], client: list[socket.socket], rules: RelayRules) -> RelayEngine:
    if kind == "python":
        return PlainRelay("bench", server, client, rules, SystemClock(), SECRET)
    if missing := why_not_native():
        raise SystemExit(f"there is no native relay: {missing}")
    from waymeet.node.relay.native import NativeRelay

    return NativeRelay("bench", server, client, rules, SystemClock(), SECRET)


def bound(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.bind(("127.0.0.1", port))
    return made


def spec(number: int) -> RelaySpec:
    def token(factor: int) -> int:
        return (number + 1) * factor % 2**32

    members = (RelayMember(token(HOST), ""), RelayMember(token(CLIENT), ""))
    return RelaySpec(str(number), token(SESSION), members)


if __name__ == "__main__":
    main()
