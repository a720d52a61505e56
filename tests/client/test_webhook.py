"""Verification against an independent implementation of Standard Webhooks as the oracle."""

import base64
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from waymeet.client import Deployment, Session, Webhook, WebhookRejected

SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes exactly").decode()
OTHER = "whsec_" + base64.b64encode(b"another key").decode()
BODY = b'{"session_id":"950dd2eaff09-S","status":"Ready","ready":true,"deployment_request_id":"57f84a8e1298"}'
SIGNED_AT = 1_751_371_228
ID = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"


def headers(secret: str = SECRET, body: bytes = BODY, at: int = SIGNED_AT, webhook_id: str = ID) -> dict[str, str]:
    signature = standardwebhooks.Webhook(secret).sign(webhook_id, datetime.fromtimestamp(at, UTC), body.decode())
    return {"Webhook-Id": webhook_id, "Webhook-Timestamp": str(at), "Webhook-Signature": signature}


def test_a_signed_webhook_is_accepted_and_reads_as_what_it_holds() -> None:
    verified = Webhook(SECRET).verify(headers(), BODY, SIGNED_AT + 3.5)
    assert (verified.id, verified.timestamp, verified.body) == (ID, SIGNED_AT, BODY)
    session = verified.read(Session)
    assert (session.session_id, session.ready, session.deployment_request_id) == (
        "950dd2eaff09-S",
        True,
        "57f84a8e1298",
    )
    with pytest.raises(WebhookRejected, match="not a Deployment"):
        verified.read(Deployment)


@given(
    key=st.binary(min_size=1, max_size=64), body=st.text(), webhook_id=st.from_regex(r"[\w.-]{1,40}", fullmatch=True)
)
def test_whatever_the_oracle_signs_is_accepted_and_no_changed_byte_of_it(
    key: bytes, body: str, webhook_id: str
) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    content = body.encode(errors="replace")
    signed = headers(secret, content, webhook_id=webhook_id)
    assert Webhook(secret).verify(signed, content, SIGNED_AT).body == content
    with pytest.raises(WebhookRejected):
        Webhook(secret).verify(signed, content + b" ", SIGNED_AT)
    with pytest.raises(WebhookRejected):
        Webhook(secret).verify(signed | {"Webhook-Id": webhook_id + "x"}, content, SIGNED_AT)
    with pytest.raises(WebhookRejected):
        Webhook(secret).verify(signed | {"Webhook-Timestamp": str(SIGNED_AT + 1)}, content, SIGNED_AT)


@pytest.mark.parametrize("distance", [-300, 0, 300])
def test_five_minutes_either_way_are_tolerated(distance: int) -> None:
    assert Webhook(SECRET).verify(headers(), BODY, SIGNED_AT + distance).timestamp == SIGNED_AT


@pytest.mark.parametrize("distance", [-301, 301])
def test_more_is_a_repetition_or_a_wrong_clock(distance: int) -> None:
    with pytest.raises(WebhookRejected, match="clocks"):
        Webhook(SECRET).verify(headers(), BODY, SIGNED_AT + distance)


def test_one_right_signature_among_several_is_enough() -> None:
    right = headers()["Webhook-Signature"]
    wrong = headers(OTHER)["Webhook-Signature"]
    for several in (f"{wrong} {right}", f"v1a,{right[3:]} v1,%%% nonsense {right}", f"{right} {wrong}"):
        assert Webhook(SECRET).verify(headers() | {"Webhook-Signature": several}, BODY, SIGNED_AT).id == ID


def test_either_secret_of_a_rotation_is_accepted() -> None:
    receiver = Webhook(OTHER, SECRET)
    assert receiver.verify(headers(SECRET), BODY, SIGNED_AT).id == ID
    assert receiver.verify(headers(OTHER), BODY, SIGNED_AT).id == ID


@pytest.mark.parametrize(
    "change",
    [
        {"Webhook-Signature": headers(OTHER)["Webhook-Signature"]},
        {"Webhook-Signature": headers()["Webhook-Signature"].replace("v1,", "v2,")},
        {"Webhook-Signature": headers()["Webhook-Signature"][:-4] + "AAA="},
        {"Webhook-Signature": "v1,"},
        {"Webhook-Signature": " ".join(["v1,AAAA"] * 40 + [headers()["Webhook-Signature"]])},
        {"Webhook-Signature": ""},
        {"Webhook-Timestamp": "yesterday"},
        {"Webhook-Timestamp": f"+{SIGNED_AT}"},
        {"Webhook-Timestamp": "9" * 5000},
        {"Webhook-Timestamp": "nan"},
        {"Webhook-Timestamp": ""},
        {"Webhook-Id": ""},
        {"Webhook-Id": "\udc80"},
    ],
    ids=[
        "other secret",
        "other scheme",
        "altered",
        "empty",
        "behind many",
        "no signature",
        "no number",
        "signed number",
        "huge",
        "nan",
        "no time",
        "no id",
        "no text",
    ],
)
def test_anything_else_is_rejected(change: dict[str, str]) -> None:
    with pytest.raises(WebhookRejected):
        Webhook(SECRET).verify(headers() | change, BODY, SIGNED_AT)


@pytest.mark.parametrize("secret", ["whsec_", "", "whsec_%%%", "whsec_abcde"])
def test_what_is_no_secret_is_refused_without_repeating_it(secret: str) -> None:
    with pytest.raises(ValueError, match="copy it whole") as caught:
        Webhook(secret)
    assert not secret.removeprefix("whsec_") or secret not in str(caught.value)


def test_a_secret_may_come_without_prefix_padding_or_with_spaces_around() -> None:
    bare = SECRET.removeprefix("whsec_").rstrip("=")
    assert Webhook(f" {bare}\n").verify(headers(), BODY, SIGNED_AT).id == ID


def test_at_least_one_secret_is_needed() -> None:
    with pytest.raises(ValueError, match="webhook secret"):
        Webhook()
