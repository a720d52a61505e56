"""API keys at rest.

A key made here carries 122 random bits. Slow, salted hashes protect what can be guessed; nobody guesses 122 bits, so a
single SHA-256 keeps a stolen database as useless, and costs every request a microsecond instead of a tenth of a second.
An operator who chooses a key (`--token`) should choose a long one: a short one can be guessed from a stolen database.
The hash is also the look-up key, so no comparison leaks, by its timing, how much of a key is right.
"""

import hashlib
import re

from waymeet.model.errors import Invalid

SHORTEST_SECRET = 1
LONGEST_SECRET = 256

_SECRET = re.compile(r"[!-~]+")


def hash_secret(secret: str) -> str:
    """SHA-256 in hex."""
    # A header value that is no valid UTF-8 must be an unknown key, not a crash.
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


def check_chosen_secret(secret: str) -> None:
    """`Invalid` when a secret that the operator chose cannot travel in the `Authorization` header."""
    if not SHORTEST_SECRET <= len(secret) <= LONGEST_SECRET or _SECRET.fullmatch(secret) is None:
        raise Invalid(
            {"token": f"{SHORTEST_SECRET} to {LONGEST_SECRET} printable ASCII characters without spaces are needed"}
        )
