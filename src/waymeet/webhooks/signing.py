"""Signatures as in Standard Webhooks 1.0.0 (standardwebhooks.com): HMAC-SHA256 over id, time and body."""

import base64
import hashlib
import hmac
import random
from collections.abc import Iterable

from waymeet.model.instant import MICROSECONDS, Instant

_PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_webhook_secret(rng: random.Random) -> str:
    """`whsec_` and 32 random bytes in base64 (the specification asks for 24 to 64)."""
    return _PREFIX + base64.b64encode(rng.randbytes(_SECRET_BYTES)).decode()


def signed_headers(secrets: Iterable[str], delivery_id: str, body: bytes, now: Instant) -> dict[str, str]:
    """The three headers that say who sent this, and when. One signature for each secret: a receiver accepts any."""
    timestamp = str(now // MICROSECONDS)
    signatures = [f"v1,{_sign(secret, delivery_id, timestamp, body)}" for secret in secrets]
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _sign(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    content = f"{delivery_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
