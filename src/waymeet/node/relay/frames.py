"""The layout of frames. All numbers are little-endian and of fixed width.

    peer to relay, PING      user u32, session u32, 01
    client to relay, DATA    user u32, session u32, 02, payload
    host to relay, DATA      user u32, session u32, 02, id, payload
    relay to peer, state     01, state u8
    relay to client, DATA    02, payload
    relay to host, DATA      02, id, payload

Every frame that leaves is a tail of the frame that caused it with a new beginning: a relay rewrites in place and never
copies a payload.
"""

from struct import Struct

from waymeet.node.relay.reasons import State

PING = 1
DATA = 2

MAX_DATAGRAM = 1200
"""The largest datagram that passes in either direction. Receivers allocate exactly this much."""
HEADER = 9
HOST_HEADER = HEADER + 4
TO_HOST = HEADER - 5
"""Where the frame for the host begins in the client's frame: `02, id` ends where the client's header ends."""
TO_CLIENT = HOST_HEADER - 1
"""Where the frame for the client begins in the host's frame: `02` ends where the host's header ends."""

read_header = Struct("<IIB").unpack_from
"""User token, session token and type of a datagram of at least `HEADER` bytes. The tokens are as they came, be it 0."""

_id = Struct("<I")
_data_to_host = Struct("<BI")

STATE_FRAMES = {state: bytes((PING, state)) for state in State}
"""Exactly two bytes: LiteNetLib clients read any more as a packet of their own."""


def addressee(datagram: bytearray) -> int:
    """The connection id that a host's DATA with a payload is for."""
    (connection,) = _id.unpack_from(datagram, HEADER)
    return int(connection)


def rewrite_for_host(datagram: bytearray, connection: int) -> int:
    """Turn a client's DATA into the frame for the host, in place; where that begins."""
    _data_to_host.pack_into(datagram, TO_HOST, DATA, connection)
    return TO_HOST


def rewrite_for_client(datagram: bytearray) -> int:
    """Turn a host's DATA into the frame for the client, in place; where that begins."""
    datagram[TO_CLIENT] = DATA
    return TO_CLIENT
