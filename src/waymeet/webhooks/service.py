"""Look at deliveries, send them again, and handle the secret that signs them."""

import random

from waymeet.model.errors import NotFound
from waymeet.model.ids import OrganisationId
from waymeet.model.instant import Clock
from waymeet.model.paging import Page, PageRequest
from waymeet.webhooks.outbox import enqueue
from waymeet.webhooks.ports import OutboxTransaction, WebhookStore
from waymeet.webhooks.signing import new_webhook_secret
from waymeet.webhooks.types import Delivery, DeliveryQuery, SigningSecrets


class WebhookService:
    """What an organisation may do with its webhooks. `rng` must be a `random.SystemRandom`: secrets are drawn from it."""

    def __init__(self, store: WebhookStore, clock: Clock, rng: random.Random) -> None:
        self._store = store
        self._clock = clock
        self._rng = rng

    async def list(
        self, organisation: OrganisationId, request: PageRequest, query: DeliveryQuery | None = None
    ) -> Page[Delivery]:
        """Deliveries, newest first. Finished ones can be read for as long as the rules keep them."""

        async def unit(tx: OutboxTransaction) -> Page[Delivery]:
            return await tx.webhooks.page(organisation, query or DeliveryQuery(), request)

        return await self._store.scan(unit)

    async def get(self, organisation: OrganisationId, delivery_id: str) -> Delivery:
        async def unit(tx: OutboxTransaction) -> Delivery:
            return await _delivery(tx, organisation, delivery_id)

        return await self._store.read(unit)

    async def replay(self, organisation: OrganisationId, delivery_id: str) -> Delivery:
        """Send a delivery's body once more, as a new delivery behind all others of its object. Not repeat-safe.

        It has an id of its own: receivers that know the old one would otherwise ignore it.
        """

        async def unit(tx: OutboxTransaction) -> Delivery:
            original = await _delivery(tx, organisation, delivery_id)
            again = await enqueue(
                tx,
                organisation=organisation,
                object_key=original.object_key,
                event_type=original.event_type,
                url=original.url,
                body=original.body,
                now=self._clock.now(),
                rng=self._rng,
                replay_of=original.id,
            )
            return await _delivery(tx, organisation, again)

        return await self._store.write(unit)

    async def secret(self, organisation: OrganisationId) -> SigningSecrets:
        """What receivers check signatures with."""

        async def unit(tx: OutboxTransaction) -> SigningSecrets:
            return _known(await tx.webhooks.secrets(organisation), organisation)

        return await self._store.read(unit)

    async def rotate_secret(self, organisation: OrganisationId) -> SigningSecrets:
        """Sign with a new secret. The one before signs as well for a day, so that receivers can change over."""
        secret = new_webhook_secret(self._rng)

        async def unit(tx: OutboxTransaction) -> SigningSecrets:
            await tx.webhooks.rotate_secret(organisation, secret, self._clock.now())
            return _known(await tx.webhooks.secrets(organisation), organisation)

        return await self._store.write(unit)


async def _delivery(tx: OutboxTransaction, organisation: OrganisationId, delivery_id: str) -> Delivery:
    delivery = await tx.webhooks.find(organisation, delivery_id)
    if delivery is None:
        raise NotFound(f"webhook delivery '{delivery_id}' not found; finished ones are forgotten after a while")
    return delivery


def _known(secrets: SigningSecrets | None, organisation: OrganisationId) -> SigningSecrets:
    if secrets is None:
        raise NotFound(f"organisation '{organisation}' not found")
    return secrets
