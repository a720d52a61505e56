"""What is remembered of strangers, by IP address, in a table that never outgrows its capacity."""

from socket import AF_INET, AF_INET6, inet_pton

from waymeet.node.relay.hashing import KeyedHash
from waymeet.node.relay.rates import Bucket

_IPV4_IN_IPV6 = b"\0" * 10 + b"\xff\xff"

GROUP = 8
"""How many records may share a hash. A flood must hit one group this often to make the relay forget somebody in it."""


def packed_address(host: str) -> bytes:
    """An IP address as 4 or 16 bytes, the same for every spelling of it; `OSError` when it is none."""
    if ":" not in host:
        return inet_pton(AF_INET, host)
    packed = inet_pton(AF_INET6, host.partition("%")[0])
    return packed[12:] if packed.startswith(_IPV4_IN_IPV6) else packed


def source_key(host: str) -> int:
    """What counts as one stranger: an IPv4 address, or an IPv6 /64, all of which one machine commonly has to itself."""
    packed = packed_address(host)
    if len(packed) == 4:
        # ffff::/16 is multicast and never a source, so its space is free for IPv4.
        return 0xFFFF << 48 | int.from_bytes(packed)
    # `::/64` holds `::1`, which is given the key of its neighbour, where nobody lives.
    return max(int.from_bytes(packed[:8]), 1)


class Source:
    """One stranger's record."""

    __slots__ = ("failures", "key", "muted_until", "next_answer", "packets", "seen")

    def __init__(self, key: int) -> None:
        self.key = key
        self.seen = 0
        self.packets = Bucket()
        self.failures = Bucket()
        self.muted_until = 0
        self.next_answer = 0


class SourceTable:
    """Records in groups of `GROUP`; an address belongs to one group."""

    def __init__(self, capacity: int, keyed_hash: KeyedHash) -> None:
        self._groups: list[list[Source] | None] = [None] * max(1, -(-capacity // GROUP))
        self._hash = keyed_hash

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return sum(len(group) for group in self._groups if group is not None)

    def meet(self, host: str, now: int) -> Source:
        """The record of this address, a fresh one if there was none; the longest unseen of the group makes room for it."""
        key = source_key(host)
        place = self._hash.of(key) % len(self._groups)
        group = self._groups[place]
        if group is None:
            group = self._groups[place] = []
        for record in group:
            if record.key == key:
                break
        else:
            record = Source(key)
            if len(group) < GROUP:
                group.append(record)
            else:
                group[min(range(GROUP), key=lambda number: group[number].seen)] = record
        record.seen = now
        return record
