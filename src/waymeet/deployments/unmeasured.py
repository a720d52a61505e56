"""Latencies without probes: nothing is ever known by measuring."""

from collections.abc import Mapping, Sequence

from waymeet.locations.types import Site
from waymeet.model.ids import OrganisationId
from waymeet.model.latency import Latency


class NoLatencies:
    """Answers for every address that nothing was measured; placement then goes by distance."""

    async def known(
        self, addresses: Sequence[str], organisation: OrganisationId | None = None
    ) -> Sequence[Mapping[str, Latency]]:
        return [{} for _ in addresses]

    async def measured(
        self, addresses: Sequence[str], sites: Sequence[Site], organisation: OrganisationId | None = None
    ) -> Sequence[Mapping[str, Latency]]:
        return await self.known(addresses)
