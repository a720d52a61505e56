import http.client
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import standardwebhooks

from tests.polling import GENEROUS_SECONDS
from waymeet.cli.webhook_receiver import LARGEST_BODY_BYTES, receiving_webhooks
from waymeet.clock import SystemClock

SECRET = "whsec_c2VjcmV0IGZvciB0aGUgZGVtbw=="


def signed(secret: str, body: str) -> dict[str, str]:
    now = datetime.now(UTC)
    signature = standardwebhooks.Webhook(secret).sign("msg_1", now, body)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


def test_a_signed_webhook_is_taken_and_a_forged_one_refused() -> None:
    with receiving_webhooks(SECRET, SystemClock()) as receiver, httpx.Client(trust_env=False) as sender:
        forged = sender.post(receiver.url, content="{}", headers=signed("whsec_b3RoZXI=", "{}"))
        assert forged.status_code == 401
        assert sender.post(receiver.url, content='{"a":1}', headers=signed(SECRET, '{"a":1}')).status_code == 204
        verified = receiver.next(timeout=GENEROUS_SECONDS)
        assert verified is not None
        assert (verified.id, verified.body) == ("msg_1", b'{"a":1}')
        assert receiver.next(timeout=0.01) is None


def test_a_body_that_is_too_long_is_refused_unread() -> None:
    with receiving_webhooks(SECRET, SystemClock()) as receiver:
        connection = http.client.HTTPConnection(urlsplit(receiver.url).netloc, timeout=GENEROUS_SECONDS)
        connection.putrequest("POST", "/webhook")
        connection.putheader("Content-Length", str(LARGEST_BODY_BYTES + 1))
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()
