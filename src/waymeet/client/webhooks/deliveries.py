"""The server's record of the webhooks that it sent, and the secret that signs them."""

from collections.abc import Callable

from waymeet.client.calling.address import path
from waymeet.client.calling.operation import ConnectionT, Group, listing, operation
from waymeet.client.calling.paging import Page, page_of
from waymeet.client.calling.plan import Plan
from waymeet.client.calling.wire import Answer, answer, member


class DeliveryAttempt(Answer, frozen=True, kw_only=True):
    """One try to deliver a webhook. Without `status_code` no answer came, and `error` says why."""

    at: str = ""
    status_code: int | None = None
    error: str | None = None
    duration_ms: float | None = None


class WebhookDelivery(Answer, frozen=True, kw_only=True):
    """A webhook that is to be sent, was sent, or was given up. Times are UTC as `YYYY-MM-DD HH:MM:SS.ffffff`."""

    id: str
    """The `webhook-id` header of every attempt: receivers tell repetitions by it."""
    event_type: str = ""
    object: str = ""
    """What it is about, such as `session:950dd2eaff09-S`; deliveries about one object leave in order."""
    url: str = ""
    status: str = ""
    """`pending`, `delivered`, or `failed` once it was given up."""
    attempts: int = 0
    attempt_log: tuple[DeliveryAttempt, ...] = ()
    body: str | None = None
    replay_of: str | None = None
    created_at: str = ""
    finished_at: str | None = None
    next_attempt_at: str | None = None


class Webhooks(Group[ConnectionT]):
    """`client.webhooks`: the record of sent webhooks, and the secret that signs them."""

    @operation
    def page(
        self, number: int = 1, limit: int = 10, *, status: str | None = None, about: str | None = None
    ) -> Plan[Page[WebhookDelivery]]:
        """One page of deliveries, newest first: only those in this status, only those about this object.

        `about` is an object as `WebhookDelivery.object` names it, such as `session:950dd2eaff09-S`.
        """
        return self._page(number, limit, status, about)

    @listing
    def each(
        self, limit: int = 100, *, status: str | None = None, about: str | None = None
    ) -> Callable[[int], Plan[Page[WebhookDelivery]]]:
        """Every delivery, newest first, fetched `limit` at a time."""
        return lambda number: self._page(number, limit, status, about)

    @operation
    def get(self, delivery_id: str) -> Plan[WebhookDelivery]:
        """One delivery with its body and the log of its attempts. `NotFound` when it is unknown or long over."""
        return self._get(path("v1", "webhooks", "deliveries", delivery_id), answer(WebhookDelivery))

    @operation
    def replay(self, delivery_id: str) -> Plan[WebhookDelivery]:
        """A new delivery of the same body to the same URL. Not repeated by itself: two calls deliver twice."""
        return self._post(path("v1", "webhooks", "deliveries", delivery_id) + ":replay", answer(WebhookDelivery))

    @operation
    def secret(self) -> Plan[str]:
        """The secret (`whsec_...`) that signs webhooks: give it to `Webhook` where they are received."""
        return self._get("/v1/webhooks/secret", member("secret", str))

    @operation
    def rotate_secret(self) -> Plan[str]:
        """A new secret in place of the old one. Let receivers accept both while deliveries under way arrive."""
        return self._post("/v1/webhooks/secret:rotate", member("secret", str))

    def _page(self, number: int, limit: int, status: str | None, about: str | None) -> Plan[Page[WebhookDelivery]]:
        query = {"page": str(number), "limit": str(limit)}
        if status is not None:
            query["status"] = status
        if about is not None:
            query["object"] = about
        return self._get("/v1/webhooks/deliveries", page_of(WebhookDelivery, "data"), query)
