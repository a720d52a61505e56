"""Checking received webhooks, after the Standard Webhooks specification (standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from waymeet.client.calling import wire
from waymeet.client.errors import WebhookRejected

Value = TypeVar("Value")

TOLERANCE_SECONDS = 300.0
_SECRET_PREFIX = "whsec_"
# Bounds the work that a stranger's header can cause; a sender in the middle of a rotation sends two.
_MOST_SIGNATURES = 16
_MOST_TIMESTAMP_DIGITS = 12


@dataclass(frozen=True, slots=True)
class VerifiedWebhook:
    """A webhook that the holder of the secret did send."""

    id: str
    """The same on every repetition of one delivery: remember it to act only once."""
    timestamp: int
    """When this attempt was signed, in Unix seconds."""
    body: bytes

    def read(self, kind: type[Value]) -> Value:
        """The body as a `Session` or `Deployment`. `WebhookRejected` when it is not one."""
        try:
            return wire.read(self.body, kind)
        except msgspec.DecodeError as problem:
            raise WebhookRejected(f"the body of webhook {self.id} is not a {kind.__name__}: {problem}") from problem


class Webhook:
    """Verifies webhooks that were signed with one of the given secrets.

    Give two while a secret is being rotated, else one: `Webhook("whsec_...")`. `ValueError` for a text that is not a
    secret.
    """

    def __init__(self, *secrets: str) -> None:
        if not secrets:
            raise ValueError("give the webhook secret (whsec_...)")
        self._keys = tuple(_key(secret) for secret in secrets)

    def verify(self, headers: Mapping[str, str], body: bytes, now: float) -> VerifiedWebhook:
        """The webhook, when its signature is right and was made within five minutes of `now` (Unix seconds).

        `headers` in any letter case; `body` exactly as it was received, before any parsing. `WebhookRejected`
        otherwise. A recorded webhook can be sent again by an eavesdropper within those five minutes: remember ids to
        act only once.
        """
        lowered = {name.lower(): value for name, value in headers.items()}
        webhook_id, timestamp, signatures = (
            _header(lowered, f"webhook-{name}") for name in ("id", "timestamp", "signature")
        )
        signed_at = _seconds(timestamp)
        if abs(now - signed_at) > TOLERANCE_SECONDS:
            raise WebhookRejected(
                f"the webhook was signed {now - signed_at:.0f} s before now, more than {TOLERANCE_SECONDS:.0f} s away: "
                "it is a repetition, or one of the two machines' clocks is wrong"
            )
        signed = f"{webhook_id}.{timestamp}.".encode(errors="replace") + body
        expected = [hmac.digest(key, signed, hashlib.sha256) for key in self._keys]
        candidates = _candidates(signatures)
        if not any(hmac.compare_digest(candidate, right) for candidate in candidates for right in expected):
            raise WebhookRejected("no signature matches: the body was changed on its way, or the secret is another one")
        return VerifiedWebhook(webhook_id, signed_at, body)


def _key(secret: str) -> bytes:
    text = secret.strip().removeprefix(_SECRET_PREFIX)
    try:
        # Some tools drop the padding; surplus padding does no harm.
        key = base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError) as problem:
        raise ValueError("the webhook secret is not base64 after `whsec_`: copy it whole") from problem
    if not key:
        raise ValueError("the webhook secret is empty: copy it whole")
    return key


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not value:
        raise WebhookRejected(f"the {name} header is missing: this is not a signed webhook")
    return value


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_TIMESTAMP_DIGITS):
        raise WebhookRejected(f"the webhook-timestamp header is not a number of seconds: {text[:40]!r}")
    return int(text)


def _candidates(signatures: str) -> list[bytes]:
    found = []
    for signature in signatures.split(" ", _MOST_SIGNATURES)[:_MOST_SIGNATURES]:
        version, _, encoded = signature.partition(",")
        if version != "v1":
            continue
        try:
            found.append(base64.b64decode(encoded, validate=True))
        except (binascii.Error, ValueError):
            continue
    return found
