"""Datagrams of those who mean ill: noise, and what they have overheard, cut off, damaged, or word for word."""

import random
from collections.abc import Callable, Sequence

HEADER = 9
_TOKENS = 8


def of_strangers(rng: random.Random, overheard: Sequence[bytes], count: int) -> list[bytes]:
    """None of them has tokens that are good, though some differ from good ones by a bit."""
    makers: Sequence[Callable[[], bytes]] = (
        lambda: rng.randbytes(rng.randrange(60)),
        lambda: rng.randbytes(rng.randrange(1150, 1300)),
        # Frames by their type, with tokens that nobody has.
        lambda: rng.randbytes(_TOKENS) + bytes((rng.randrange(1, 3),)) + rng.randbytes(rng.randrange(40)),
        lambda: rng.choice(overheard)[: rng.randrange(HEADER)],
        lambda: _damaged(rng, rng.choice(overheard), _TOKENS),
        lambda: _damaged(rng, rng.choice(overheard), _TOKENS)[: rng.randrange(HEADER, 40)],
    )
    return [rng.choice(makers)() for _ in range(count)]


def of_eavesdroppers(rng: random.Random, overheard: Sequence[bytes], count: int) -> list[bytes]:
    """They have good tokens, which are not theirs."""
    makers: Sequence[Callable[[], bytes]] = (
        lambda: rng.choice(overheard),
        lambda: rng.choice(overheard)[: rng.randrange(HEADER, 40)],
        lambda: rng.choice(overheard)[:HEADER] + rng.randbytes(rng.randrange(1191)),
    )
    return [rng.choice(makers)() for _ in range(count)]


def _damaged(rng: random.Random, datagram: bytes, within: int) -> bytes:
    """With one to three bits of its first bytes turned over."""
    damaged = bytearray(datagram)
    for bit in rng.sample(range(8 * within), rng.randrange(1, 4)):
        damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)
