"""Whole lives of relays, each written from a seed."""

import itertools
import random
from collections.abc import Iterator
from typing import Any

from tests.node.relay.differential import steps
from tests.node.relay.differential.scenes import SCENES, populate
from tests.node.relay.differential.script import Script
from waymeet.node.relay.rates import NANOSECONDS

_AT_ONCE = 3
"""Scenes under way at the same time."""
_TEMPER_STEPS = 60
"""After about so many steps, time begins to pass in another way."""
_TEMPERS = ((0.99, 0.0), (0.99, 0.3), (0.9, 0.1), (0.6, 0.05), (0.8, 0.9), (1.0, 0.0))

Rate = tuple[int, int]


def write_life(seed: int, length: int) -> list[bytes]:
    """About `length` steps, the first of which begins a relay with rules of its own."""
    rng = random.Random(seed)
    script = Script(rng, choose_rules(rng))
    # One that was told nothing says Checking to everybody; most are told something soon.
    if rng.random() < 0.7:
        script.begin_replacement([])
        script.steps += [steps.replace(script.now, 1), steps.replace(script.now, 1)]
    for _ in _scenes(script):
        if len(script.steps) >= length:
            break
    return script.steps


def _scenes(script: Script) -> Iterator[None]:
    scenes, weights = list(SCENES), list(itertools.accumulate(SCENES.values()))
    under_way = [populate(script)]
    temper_until = 0
    while True:
        if len(script.steps) >= temper_until:
            script.haste, script.patience = script.pick(_TEMPERS)
            temper_until = len(script.steps) + script.between(1, 2 * _TEMPER_STEPS)
        while len(under_way) < _AT_ONCE:
            (scene,) = script.rng.choices(scenes, cum_weights=weights)
            under_way.append(scene(script))
        place = int(script.chance() * len(under_way))
        try:
            next(under_way[place])
        except StopIteration:
            del under_way[place]
        yield


def choose_rules(rng: random.Random) -> dict[str, Any]:
    """Tight enough that every limit is met, and loose enough that something gets through."""

    def duration(*seconds: float) -> int:
        return round(rng.choice(seconds) * NANOSECONDS)

    def usually(ample: Rate, *tight: Rate) -> Rate:
        return ample if rng.random() < 0.6 else rng.choice(tight)

    many, unlimited, nothing = (20_000, 20_000), (2_000_000_000, 1), (0, 5)
    return {
        "owner_timeout": duration(30, 30, 1, 0.000_000_001),
        "client_idle_timeout": duration(30, 30, 1, 0.000_000_001),
        "session_idle_timeout": duration(600, 30, 2),
        "session_unused_timeout": duration(1800, 30, 2),
        "enforce_source_ip": rng.random() < 0.25,
        "answer_strangers": rng.random() < 0.85,
        "sessions": rng.choice((1, 3, 5, 100)),
        "users": rng.choice((4, 12, 20, 400)),
        "users_per_session": rng.choice((2, 5, 7, 100)),
        "sources": rng.choice((0, 1, 8, 16, 1000)),
        "departed": rng.choice((0, 1, 4, 1000)),
        "source_packets": usually(many, (10, 20), (3, 1), unlimited),
        "source_failures": usually((30, 60), (10, 5), (1, 1), nothing),
        "mute": duration(5, 1, 0.5, 0),
        "session_failures": usually((50, 100), (15, 10), (1, 3)),
        "answer_interval": duration(0.5, 0.5, 0.001, 0),
        "stranger_answers": usually((200, 200), (20, 5), (1, 1), nothing),
        "rebinds": usually((10, 10), (1, 2), (7, 3), unlimited),
        "fresh_connection_interval": duration(30, 30, 1, 40, 0),
        "departed_memory": duration(60, 30, 1, 0),
        "user_packets": usually(many, (100, 10), (7, 30), unlimited),
        "session_packets": usually((50_000, 50_000), (50, 20), (13, 7)),
        "session_bytes": usually((25_000_000, 25_000_000), (10_000, 3_000), (1_000, 1_200), unlimited),
        "host_packets": usually(many, (100, 8)),
        "host_bytes": usually((12_500_000, 12_500_000), (5_000, 1_500), (100, 1_196)),
        "client_packets": usually((4_000, 4_000), (100, 8)),
        "client_bytes": usually((2_500_000, 2_500_000), (5_000, 1_500), (100, 1_188)),
    }
