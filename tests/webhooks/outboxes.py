"""An organisation with an outbox, and the loops that empty it."""

import random
from dataclasses import dataclass, field

from tests.clocks import ManualClock
from tests.stores import Store
from waymeet.accounts.types import Organisation
from waymeet.model.ids import OrganisationId
from waymeet.model.paging import PageRequest
from waymeet.store.transaction import Transaction
from waymeet.webhooks.loop import WebhookLoop
from waymeet.webhooks.outbox import enqueue
from waymeet.webhooks.ports import Sender
from waymeet.webhooks.service import WebhookService
from waymeet.webhooks.signing import new_webhook_secret
from waymeet.webhooks.types import Delivery, DeliveryRules

ORGANISATION = OrganisationId("org")
URL = "https://backend.example/hook"
RULES = DeliveryRules()


@dataclass
class Outbox:
    store: Store
    clock: ManualClock = field(default_factory=ManualClock)
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self) -> None:
        self.service = WebhookService(self.store, self.clock, self.rng)

    async def prepare(self, organisation: OrganisationId = ORGANISATION) -> None:
        secret = new_webhook_secret(self.rng)

        async def unit(tx: Transaction) -> None:
            await tx.accounts.add_organisation(Organisation(organisation, organisation, self.clock.now()), secret)

        await self.store.write(unit)

    async def put(
        self,
        body: str,
        *,
        object_key: str = "session:a",
        url: str = URL,
        organisation: OrganisationId = ORGANISATION,
    ) -> str:
        """Enqueue one delivery in a unit of its own; its id."""

        async def unit(tx: Transaction) -> str:
            return await enqueue(
                tx,
                organisation=organisation,
                object_key=object_key,
                event_type="session.ready",
                url=url,
                body=body,
                now=self.clock.now(),
                rng=self.rng,
            )

        return await self.store.write(unit)

    def loop(
        self, sender: Sender, rules: DeliveryRules = RULES, closing_seconds: float = 2.0, poll_seconds: float = 5.0
    ) -> WebhookLoop:
        return WebhookLoop(
            self.store,
            self.store.bells,
            sender,
            self.clock,
            self.rng,
            rules,
            closing_seconds=closing_seconds,
            poll_seconds=poll_seconds,
        )

    async def get(self, delivery_id: str) -> Delivery:
        return await self.service.get(ORGANISATION, delivery_id)

    async def all(self) -> list[Delivery]:
        """The latest hundred, oldest first."""
        page = await self.service.list(ORGANISATION, PageRequest(limit=100))
        return list(reversed(page.items))
