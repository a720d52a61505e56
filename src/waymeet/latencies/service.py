"""Round-trip times between sites and players: what is known, having it measured, and what players report."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from functools import lru_cache

from waymeet.latencies.knowledge import LATENCIES, Knowledge, Known, bell_key
from waymeet.latencies.merging import merged
from waymeet.latencies.ports import BeaconSites, Bells, LatencyStore, LatencyTransaction, Nodes
from waymeet.latencies.rounds import HIGHEST_MS, Rounds
from waymeet.latencies.showing import Shown, shown
from waymeet.latencies.trust import latency, preferred
from waymeet.latencies.types import MOST_NETWORKS, MOST_SITES, OUR_NODES, Batch, LatencyRules
from waymeet.locations.types import Site
from waymeet.model.errors import Invalid
from waymeet.model.ids import OrganisationId
from waymeet.model.instant import MICROSECONDS, Clock, after
from waymeet.model.latency import Latency, Measurement, Origin
from waymeet.model.networks import canonical_address, is_one_host, is_public, network_of

MOST_REPORTED = 64
"""Beacons in one report."""


class LatencyService:
    """Owns the rules for measured latency. Estimates are none of its business."""

    def __init__(
        self,
        store: LatencyStore,
        bells: Bells,
        nodes: Nodes,
        beacons: BeaconSites,
        clock: Clock,
        rng: random.Random,
        rules: LatencyRules | None = None,
    ) -> None:
        self._store = store
        self._beacons = beacons
        self._clock = clock
        self._rules = rules or LatencyRules()
        self._knowledge = Knowledge(store, bells, clock)
        self._rounds = Rounds(store, self._knowledge, nodes, clock, rng, self._rules)

    async def known(
        self, addresses: Sequence[str], organisation: OrganisationId | None = None
    ) -> Sequence[Mapping[str, Latency]]:
        """For each address what is known by measuring, by site: from memory or by one read, without waiting.

        With an `organisation` also what its own players reported, where no fresh probe knows better.
        """
        prefixes = [_prefix(address) for address in addresses]
        by_prefix = await self._known(list(dict.fromkeys(filter(None, prefixes))), organisation)
        now = self._clock.now()
        latencies = {
            prefix: {site: latency(measurement, now) for site, measurement in known.items()}
            for prefix, known in by_prefix.items()
        }
        return [latencies.get(prefix, {}) if prefix else {} for prefix in prefixes]

    async def measured(
        self, addresses: Sequence[str], sites: Sequence[Site], organisation: OrganisationId | None = None
    ) -> Sequence[Mapping[str, Latency]]:
        """As `known`, after the sites have probed the addresses that nobody tried to measure lately.

        Waits at most `LatencyRules.wait_seconds`, and not at all when there is nothing to ask: no site has a node that can
        probe, no address may be probed, or all was tried within `fresh_seconds`. At most `MOST_NETWORKS` networks from the
        first `MOST_SITES` sites. A node that is gone, old or slow leaves its site unmeasured; nothing is raised for it.
        Not for use inside a transaction.
        """
        waiting = await self._ask(addresses, sites)
        if waiting:
            await asyncio.wait(waiting, timeout=self._rules.wait_seconds)
        return await self.known(addresses, organisation)

    async def report(self, organisation: OrganisationId, address: str, latencies: Mapping[str, float]) -> int:
        """Keep what a player's client measured against beacons, by city; how many of them told something.

        Only this organisation's groups are placed by it. Milliseconds of 0 or less mean "not measured" and are ignored
        (contract, beacons, section 3). Raises `Invalid` for a city without a beacon, or anything out of its limits.
        Repeatable: the same report again counts as one more sample.
        """
        prefix = _required_prefix(address)
        if len(latencies) > MOST_REPORTED:
            raise Invalid({"latencies": f"at most {MOST_REPORTED} beacons"})
        batches = []
        for city, ms in latencies.items():
            if not -HIGHEST_MS < ms < HIGHEST_MS:
                raise Invalid({f"latencies.{city}": f"must be milliseconds below {HIGHEST_MS:g}; 0 = not measured"})
            site = self._beacons.site_of(city)
            if site is None:
                raise Invalid({f"latencies.{city}": f"no beacon is listed in '{city}'; see GET /v1/locations/beacons"})
            if ms > 0:
                batches.append(Batch(prefix, site, (ms,)))

        async def unit(tx: LatencyTransaction) -> None:
            now = self._clock.now()
            before = {record.site: record for record in await tx.latencies.of((prefix,), (organisation,))}
            await tx.latencies.put(
                merged(before.get(batch.site), batch, organisation, Origin.REPORTED, now, self._rules.fresh_seconds)
                for batch in batches
            )
            tx.wake(LATENCIES, bell_key(prefix, organisation))

        if batches:
            await self._store.write(unit)
            self._knowledge.forget(prefix, organisation)
        return len(batches)

    async def look(self, organisation: OrganisationId, address: str) -> Sequence[Shown]:
        """What counts for an address, lowest first, as this organisation may see it."""
        prefix = _required_prefix(address)
        found = (await self._known([prefix], organisation)).get(prefix, {})
        now = self._clock.now()
        return sorted(
            (shown(measurement, now) for measurement in found.values()), key=lambda entry: (entry.ms, entry.site)
        )

    async def tidy(self) -> None:
        """Forget what is too old, and the oldest of what is too much. Repeatable."""
        before = after(self._clock.now(), -self._rules.keep_seconds)

        async def forget(tx: LatencyTransaction) -> int:
            return await tx.latencies.drop_asked_before(before, _ROWS_AT_ONCE)

        while await self._store.write(forget) == _ROWS_AT_ONCE:
            pass

        async def count(tx: LatencyTransaction) -> Mapping[str, int]:
            return await tx.latencies.counts()

        for owner, rows in (await self._store.scan(count)).items():
            await self._drop_excess(owner, rows - self._rules.most_rows(owner))

    async def close(self) -> None:
        """Ask no more. Repeatable."""
        self._knowledge.close()
        await self._rounds.close()

    async def _drop_excess(self, owner: str, excess: int) -> None:
        while excess > 0:
            some = min(excess, _ROWS_AT_ONCE)

            async def drop(tx: LatencyTransaction, some: int = some) -> int:
                return await tx.latencies.drop_oldest(owner, some)

            if not await self._store.write(drop):
                return
            excess -= some

    async def _ask(self, addresses: Sequence[str], sites: Sequence[Site]) -> "list[asyncio.Future[None]]":
        if not self._rules.probing:
            return []
        able = {site.key: nodes for site in sites[:MOST_SITES] if (nodes := self._rounds.able(site))}
        chosen = self._networks(addresses) if able else {}
        if not chosen:
            return []
        found = await self._knowledge.of(list(chosen), (OUR_NODES,))
        fresh_since = self._clock.now() - round(self._rules.fresh_seconds * MICROSECONDS)
        wanted = {}
        for site, nodes in able.items():
            due = {
                prefix: address
                for prefix, address in chosen.items()
                if (record := found[prefix, OUR_NODES].get(site)) is None or record.asked_at < fresh_since
            }
            if due:
                wanted[site] = (nodes, due)
        return self._rounds.begin(wanted)

    def _networks(self, addresses: Sequence[str]) -> dict[str, str]:
        """The networks that may be probed, and the first address of each."""
        chosen: dict[str, str] = {}
        for text in addresses:
            address = canonical_address(text)
            if address is None or not (is_public(address) or (self._rules.allow_private and is_one_host(address))):
                continue
            chosen.setdefault(network_of(address), str(address))
            if len(chosen) == MOST_NETWORKS:
                break
        return chosen

    async def _known(
        self, prefixes: Sequence[str], organisation: OrganisationId | None
    ) -> Mapping[str, Mapping[str, Measurement]]:
        owners = (OUR_NODES,) if organisation is None else (OUR_NODES, organisation)
        found = await self._knowledge.of(prefixes, owners)
        if not any(found.values()):
            return {}  # The usual case where nothing can be measured, which is to cost next to nothing.
        now = self._clock.now()
        kept_since = now - round(self._rules.keep_seconds * MICROSECONDS)
        by_prefix: dict[str, Mapping[str, Measurement]] = {}
        for prefix in prefixes:
            probed = _measurements(found[prefix, OUR_NODES], kept_since)
            if organisation is None:
                by_prefix[prefix] = probed
                continue
            reported = _measurements(found[prefix, organisation], kept_since)
            if not reported:
                by_prefix[prefix] = probed
                continue
            both = {
                site: preferred(probed.get(site), reported.get(site), now, self._rules.fresh_seconds)
                for site in probed.keys() | reported.keys()
            }
            by_prefix[prefix] = {site: measurement for site, measurement in both.items() if measurement is not None}
        return by_prefix


_ROWS_AT_ONCE = 1_000
"""Deleted in one transaction, so that nobody waits long behind it."""


def _measurements(known: Known, kept_since: int) -> dict[str, Measurement]:
    return {
        site: record.measurement
        for site, record in known.items()
        if record.measurement is not None and record.measurement.measured_at >= kept_since
    }


@lru_cache(4096)
def _prefix(text: str) -> str | None:
    address = canonical_address(text)
    return None if address is None else network_of(address)


def _required_prefix(text: str) -> str:
    prefix = _prefix(text)
    if prefix is None:
        raise Invalid({"ip": "must be an IPv4 or IPv6 address such as 203.0.113.7"})
    return prefix
