"""The record of outgoing webhooks and the secret that signs them: beside the contract, for who receives webhooks."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from waymeet.http.call import Call
from waymeet.http.endpoint import Endpoint
from waymeet.http.paging import PageQuery, Pagination, pagination
from waymeet.http.v1.objects import Name
from waymeet.model.instant import Instant, v1_timestamp
from waymeet.webhooks.service import WebhookService
from waymeet.webhooks.types import Delivery, DeliveryQuery, DeliveryStatus


class DeliveryListQuery(PageQuery, frozen=True):
    status: Annotated[DeliveryStatus, Meta(description="Only deliveries in this status.")] | None = None
    object: Annotated[Name, Meta(description="Only those about it, such as `session:950dd2eaff09-S`.")] | None = None
    event_type: Annotated[Name, Meta(description="Only those of this type, such as `session.ready`.")] | None = None


class AttemptBody(Struct, frozen=True):
    at: str
    status_code: int | None
    error: str | None
    duration_ms: int


class DeliveryBody(Struct, frozen=True):
    """A webhook that is to be sent, was sent, or was given up."""

    id: str
    event_type: str
    object: str
    url: str
    status: str
    attempts: int
    attempt_log: list[AttemptBody]
    body: str
    replay_of: str | None
    created_at: str
    finished_at: str | None
    next_attempt_at: str | None


class DeliveryList(Struct, frozen=True):
    data: list[DeliveryBody]
    total_count: int
    pagination: Pagination


class WebhookSecret(Struct, frozen=True):
    secret: str


def delivery_body(delivery: Delivery) -> DeliveryBody:
    return DeliveryBody(
        id=delivery.id,
        event_type=delivery.event_type,
        object=delivery.object_key,
        url=delivery.url,
        status=delivery.status.value,
        attempts=delivery.attempts,
        attempt_log=[
            AttemptBody(v1_timestamp(attempt.at), attempt.status_code, attempt.error, attempt.duration_ms)
            for attempt in delivery.attempt_log
        ],
        body=delivery.body,
        replay_of=delivery.replay_of,
        created_at=v1_timestamp(delivery.created_at),
        finished_at=_timestamp(delivery.finished_at),
        next_attempt_at=_timestamp(delivery.due_at),
    )


class WebhookEndpoints:
    """Deliveries, their replay, and the signing secret."""

    def __init__(self, service: WebhookService) -> None:
        self._service = service

    async def list_webhook_deliveries(self, call: Call[None, DeliveryListQuery]) -> DeliveryList:
        query = call.query
        page = await self._service.list(
            call.caller.organisation, query.request(), DeliveryQuery(query.status, query.object, query.event_type)
        )
        return DeliveryList([delivery_body(delivery) for delivery in page.items], page.total_count, pagination(page))

    async def read_webhook_delivery(self, call: Call[None, None]) -> DeliveryBody:
        return delivery_body(await self._service.get(call.caller.organisation, call.path["delivery_id"]))

    async def replay_webhook_delivery(self, call: Call[None, None]) -> DeliveryBody:
        return delivery_body(await self._service.replay(call.caller.organisation, call.path["delivery_id"]))

    async def read_webhook_secret(self, call: Call[None, None]) -> WebhookSecret:
        return WebhookSecret((await self._service.secret(call.caller.organisation)).current)

    async def rotate_webhook_secret(self, call: Call[None, None]) -> WebhookSecret:
        return WebhookSecret((await self._service.rotate_secret(call.caller.organisation)).current)

    def table(self) -> list[Endpoint[Any, Any]]:
        """The rows of the route table."""
        every, secret = "/v1/webhooks/deliveries", "/v1/webhooks/secret"
        one, tag = f"{every}/{{delivery_id}}", "Webhooks"
        return [
            Endpoint(
                method="GET", path=every, handler=self.list_webhook_deliveries,
                summary="List webhook deliveries, newest first",
                contract="", tag=tag, query=DeliveryListQuery, answers={200: DeliveryList},
            ),
            Endpoint(
                method="GET", path=one, handler=self.read_webhook_delivery, summary="Read a webhook delivery",
                contract="", tag=tag, answers={200: DeliveryBody}, errors=(404,),
            ),
            Endpoint(
                method="POST", path=f"{one}:replay", handler=self.replay_webhook_delivery,
                summary="Send a delivery's body once more, as a new delivery",
                contract="", tag=tag, answers={200: DeliveryBody}, errors=(404,),
            ),
            Endpoint(
                method="GET", path=secret, handler=self.read_webhook_secret,
                summary="Read the secret that signs webhooks",
                contract="", tag=tag, answers={200: WebhookSecret},
            ),
            Endpoint(
                method="POST", path=f"{secret}:rotate", handler=self.rotate_webhook_secret,
                summary="Sign webhooks with a new secret; the one before signs as well for a day",
                contract="", tag=tag, answers={200: WebhookSecret},
            ),
        ]  # fmt: skip


def _timestamp(instant: Instant | None) -> str | None:
    return None if instant is None else v1_timestamp(instant)
