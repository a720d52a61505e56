"""What happens to a relay, one step at a time, as bytes that both cores read: `relay/judge` says how.

Each step says at which moment it happens, so that some can be left out and the others still happen when they did.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from ipaddress import ip_address
from struct import Struct
from typing import Any

from waymeet.node.relay.rates import Rate
from waymeet.node.relay.reasons import DropReason, Port
from waymeet.node.relay.rules import Capacity, Limits, RelayRules
from waymeet.node.relay.verdicts import Address

BEGIN, DATAGRAM, PUT, REMOVE, AUTHORIZE, REVOKE, BEGIN_REPLACEMENT, REPLACE = range(8)
DRAIN, ASK_SESSION, ASK_SESSIONS, ASK_IDLE, ASK_TOTALS, LOSE, USE_UP_CONNECTIONS = range(8, 15)

PORTS = (Port.SERVER, Port.CLIENT)
REASONS = tuple(DropReason)

HEADER = Struct("<BQ")
"""Kind and moment: the beginning of every step."""
ARRIVAL = Struct("<BQBHH")
"""The header of a datagram, with port, address and length."""
U16 = Struct("<H")
U32 = Struct("<I")
TWO_NUMBERS = Struct("<II")
_session_header = Struct("<IIH")
_U64 = Struct("<Q")
_FLAG = Struct("<?")

RULES: Sequence[tuple[str, Struct]] = [
    *((field.name, _FLAG if field.type is bool else _U64) for field in fields(RelayRules) if field.type in (int, bool)),
    *((field.name, U32) for field in fields(Capacity)),
    *((field.name, TWO_NUMBERS if field.type is Rate else _U64) for field in fields(Limits)),
]
"""What a life begins with, in this order: both cores declare it in the same one."""

WantedPeer = tuple[int, str | None]
"""A user's token and the IP address that it was registered with."""
Wanted = tuple[int, int | None, Sequence[WantedPeer]]
"""A session's token, the only user who may host, and the users."""


def begin(chosen: Mapping[str, Any], secret: int, addresses: Sequence[Address]) -> bytes:
    """A new relay. From here on addresses are named by their number.

    `chosen` are the members of the rules, of their capacity and their limits, by name; rates as units per second and burst.
    """
    return b"".join(
        (
            HEADER.pack(BEGIN, 0),
            _U64.pack(secret),
            *(layout.pack(*_parts(chosen[name])) for name, layout in RULES),
            U16.pack(len(addresses)),
            *map(_address, addresses),
        )
    )


def datagram(now: int, port: int, address: int, content: bytes) -> bytes:
    return ARRIVAL.pack(DATAGRAM, now, port, address, len(content)) + content


def put(now: int, wanted: Wanted) -> bytes:
    return HEADER.pack(PUT, now) + _session(wanted)


def remove(now: int, session: int) -> bytes:
    return HEADER.pack(REMOVE, now) + U32.pack(session)


def authorize(now: int, session: int, peer: WantedPeer) -> bytes:
    return HEADER.pack(AUTHORIZE, now) + U32.pack(session) + _peer(peer)


def revoke(now: int, session: int, user: int) -> bytes:
    return HEADER.pack(REVOKE, now) + TWO_NUMBERS.pack(session, user)


def begin_replacement(now: int, wanted: Sequence[Wanted]) -> bytes:
    """Takes the place of one that is under way."""
    return HEADER.pack(BEGIN_REPLACEMENT, now) + U16.pack(len(wanted)) + b"".join(map(_session, wanted))


def replace(now: int, budget: int) -> bytes:
    """A part of the replacement that is under way, if one is."""
    return HEADER.pack(REPLACE, now) + U32.pack(budget)


def drain(now: int, *, draining: bool) -> bytes:
    return HEADER.pack(DRAIN, now) + bytes((draining,))


def ask_session(now: int, session: int) -> bytes:
    return HEADER.pack(ASK_SESSION, now) + U32.pack(session)


def ask_sessions(now: int, budget: int) -> bytes:
    return HEADER.pack(ASK_SESSIONS, now) + U32.pack(budget)


def ask_idle(now: int, budget: int) -> bytes:
    return HEADER.pack(ASK_IDLE, now) + U32.pack(budget)


def ask_totals(now: int) -> bytes:
    return HEADER.pack(ASK_TOTALS, now)


def lose(now: int, reason: DropReason) -> bytes:
    """A datagram was lost outside of the core."""
    return HEADER.pack(LOSE, now) + bytes((REASONS.index(reason),))


def use_up_connections(now: int, session: int, issued: int) -> bytes:
    """As if the session had issued so many connection ids."""
    return HEADER.pack(USE_UP_CONNECTIONS, now) + TWO_NUMBERS.pack(session, issued)


def _parts(value: int | tuple[int, int]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _session(wanted: Wanted) -> bytes:
    token, host, peers = wanted
    return _session_header.pack(token, host or 0, len(peers)) + b"".join(map(_peer, peers))


def _peer(peer: WantedPeer) -> bytes:
    token, ip = peer
    return U32.pack(token) + (b"\0" if ip is None else _ip(ip))


def _ip(ip: str) -> bytes:
    parsed = ip_address(ip)
    return bytes((parsed.version,)) + parsed.packed


def _address(address: Address) -> bytes:
    host, port, *others = address
    flow_and_scope = others[:2] if ":" in host else ()
    dialled = b"\0"
    if len(others) > len(flow_and_scope):
        own, interface = others[-1]
        dialled = _ip(own) + U32.pack(interface)
    return _ip(host) + U16.pack(port) + b"".join(map(U32.pack, flow_and_scope)) + dialled
