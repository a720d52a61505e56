"""Tokens of relay sessions and their users (contract 2.15): unpredictable, never 0, 31 bits."""

import random
from collections.abc import Collection

from waymeet.model.relays import HIGHEST_ISSUED_TOKEN
from waymeet.relays.ports import RelayTransaction


def new_token(rng: random.Random, taken: Collection[int] = ()) -> int:
    """A token between 1 and 2^31 - 1 that is not in `taken`. `rng` has to be one for secrets."""
    while True:
        token = rng.randint(1, HIGHEST_ISSUED_TOKEN)
        if token not in taken:
            return token


def new_tokens(rng: random.Random, count: int) -> list[int]:
    """`count` different tokens."""
    tokens: dict[int, None] = {}
    while len(tokens) < count:
        tokens[new_token(rng)] = None
    return list(tokens)


async def free_token(tx: RelayTransaction, rng: random.Random) -> int:
    """A token for a session that no other session has which is still somewhere on a relay."""
    while True:
        token = new_token(rng)
        if not await tx.relays.token_taken(token):
            return token
