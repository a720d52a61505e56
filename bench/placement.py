"""How well groups are placed, and how long a choice takes, in a made-up world whose true latencies are known.

    python bench/placement.py [--groups 3000] [--locations 120] [--seed 7]

The world, drawn from one seed:

- Locations and players stand around 40 large cities all over the world (weights by rank), scattered by some tens (locations)
  or hundreds (players) of kilometres. Half of the groups are regional (all players within one of the cities' surroundings),
  the others mix two to four cities; 2 to 10 players each.
- The true round trip of a player and a location is `access + km * 0.01 ms * detour`. `access` belongs to the player:
  log-normal around 12 ms (factor 1.8). `detour` belongs to the pair of the player's provider (one of five per city) and
  the location: log-normal around 1.55 (factor 1.17), and one route in twenty takes a further 1.4 to 2 times as long. Those
  are the spread and the outliers of the hundred published pairs that waymeet.geo.distance is fitted to.
- A measurement adds jitter: the lowest of three samples, each with an exponential surplus of 1.5 ms on average. Twelve
  locations measure: the twelve of least estimated cost, as for a real group.

Reported: the worst player's true latency at the location that each way of choosing takes, and how far above the optimum.
"""

import argparse
import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from waymeet.geo.distance import UnitVector, distance_km, unit_vector
from waymeet.model.latency import Latency, Origin
from waymeet.model.location import Coordinates
from waymeet.placement.group import Group
from waymeet.placement.members import NOTHING_MEASURED, Member, member

CITIES = (
    (35.7, 139.7), (28.6, 77.2), (31.2, 121.5), (-23.5, -46.6), (19.4, -99.1), (30.0, 31.2), (19.1, 72.9), (39.9, 116.4),
    (34.7, 135.5), (40.7, -74.0), (24.9, 67.0), (-34.6, -58.4), (41.0, 29.0), (14.6, 121.0), (6.5, 3.4), (-22.9, -43.2),
    (34.1, -118.2), (55.8, 37.6), (48.9, 2.4), (4.7, -74.1), (-6.2, 106.8), (-12.0, -77.0), (13.8, 100.5), (37.6, 127.0),
    (51.5, -0.1), (41.9, -87.6), (40.4, -3.7), (-33.9, 151.2), (1.35, 103.8), (52.5, 13.4), (45.5, -73.6), (-26.2, 28.0),
    (25.2, 55.3), (50.1, 8.7), (59.3, 18.1), (47.6, -122.3), (29.8, -95.4), (-37.8, 145.0), (22.3, 114.2), (52.2, 21.0),
)  # fmt: skip
PROVIDERS = 5
PROBING = 12
LIGHT_MS_PER_KM = 0.01


@dataclass(frozen=True)
class Player:
    vector: UnitVector
    access_ms: float
    provider: tuple[int, int]


class World:
    """Locations, and the true latency between each of them and any player."""

    def __init__(self, locations: int, rng: random.Random) -> None:
        self.rng = rng
        self.sites = [self.near(self.city(), 60) for _ in range(locations)]
        self._detours: dict[tuple[tuple[int, int], int], float] = {}

    def city(self) -> int:
        return min(int(self.rng.expovariate(1 / 18)), len(CITIES) - 1)

    def near(self, city: int, km: float) -> UnitVector:
        latitude, longitude = CITIES[city]
        north, east = self.rng.gauss(0, km / 111), self.rng.gauss(0, km / 111 / math.cos(math.radians(latitude)))
        return unit_vector(Coordinates(max(-89.0, min(89.0, latitude + north)), (longitude + east + 180) % 360 - 180))

    def group(self) -> list[Player]:
        cities = [self.city() for _ in range(1 if self.rng.random() < 0.5 else self.rng.randint(2, 4))]
        return [self.player(self.rng.choice(cities)) for _ in range(self.rng.randint(2, 10))]

    def player(self, city: int) -> Player:
        access = 12 * 1.8 ** self.rng.gauss(0, 1)
        return Player(self.near(city, 200), access, (city, self.rng.randrange(PROVIDERS)))

    def true_ms(self, player: Player, site: int) -> float:
        key = (player.provider, site)
        if key not in self._detours:
            detour = max(1.0, 1.55 * 1.17 ** self.rng.gauss(0, 1))
            self._detours[key] = detour * (self.rng.uniform(1.4, 2.0) if self.rng.random() < 0.05 else 1.0)
        return player.access_ms + distance_km(player.vector, self.sites[site]) * LIGHT_MS_PER_KM * self._detours[key]

    def measured(self, player: Player, site: int) -> Latency:
        ms = min(self.true_ms(player, site) + self.rng.expovariate(1 / 1.5) for _ in range(3))
        return Latency(ms, Origin.MEASURED, 1.0)


def tie(site: int) -> tuple[int, str]:
    return (0, f"{site:05}")


def best(world: World, members: Sequence[Member]) -> int:
    return Group(world.sites, members).leading(1, range(len(world.sites)), tie)[0][1]


def first_players_nearest(world: World, group: Sequence[Player]) -> int:
    return best(world, [Member(group[0].vector)])


def centroids_nearest(world: World, group: Sequence[Player]) -> int:
    x, y, z = (sum(player.vector[axis] for player in group) for axis in range(3))
    length = math.sqrt(x * x + y * y + z * z) or 1.0
    return best(world, [Member((x / length, y / length, z / length))])


def by_estimates(world: World, group: Sequence[Player]) -> int:
    return best(world, [Member(player.vector) for player in group])


def by_measurements(world: World, group: Sequence[Player], *, shifted: bool = True, known: bool = True) -> int:
    estimated = Group(world.sites, [Member(player.vector) for player in group])
    asked = [site for _, site in estimated.leading(PROBING, range(len(world.sites)), tie)]
    members = []
    for player in group:
        measured = {site: world.measured(player, site) for site in asked}
        found = member(player.vector if known else None, measured, world.sites)
        assert found is not None
        members.append(found if shifted else Member(found.point, 0.0, found.measured))
    return best(world, members)


def measured_optimum(world: World, group: Sequence[Player]) -> int:
    estimated = Group(world.sites, [Member(player.vector) for player in group])
    asked = [site for _, site in estimated.leading(PROBING, range(len(world.sites)), tie)]
    return min(asked, key=lambda site: worst(world, group, site))


def optimum(world: World, group: Sequence[Player]) -> int:
    return min(range(len(world.sites)), key=lambda site: worst(world, group, site))


def worst(world: World, group: Sequence[Player], site: int) -> float:
    return max(world.true_ms(player, site) for player in group)


WAYS: dict[str, Callable[[World, Sequence[Player]], int]] = {
    "first player's nearest": first_players_nearest,
    "centroid's nearest": centroids_nearest,
    "estimates": by_estimates,
    "measurements": by_measurements,
    "measurements, estimates not shifted": lambda world, group: by_measurements(world, group, shifted=False),
    "measurements, no place known": lambda world, group: by_measurements(world, group, known=False),
    "optimum among the measured": measured_optimum,
    "optimum": optimum,
}


def quality(locations: int, groups: int, seed: int) -> None:
    """Print what the groups' worst players get."""
    world = World(locations, random.Random(seed))
    results: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(groups):
        group = world.group()
        for way, choose in WAYS.items():
            results[way].append(worst(world, group, choose(world, group)))
    print(f"{groups} groups, {locations} locations; the worst player's latency in ms")
    print(f"{'':37}     p50     p95   over the optimum: at p50  at p95   median of groups  p95 of groups  equal")
    ideal = results["optimum"]
    for way, found in results.items():
        middle, high = _quantiles(found)
        over = [mine / least - 1 for mine, least in zip(found, ideal, strict=True)]
        ideal_middle, ideal_high = _quantiles(ideal)
        equal = sum(share < 1e-9 for share in over) / len(over)
        print(
            f"{way:37} {middle:7.1f} {high:7.1f}   {middle / ideal_middle - 1:23.1%} {high / ideal_high - 1:7.1%}"
            f"   {statistics.median(over):16.1%}  {_quantiles(over)[1]:13.1%}  {equal:5.0%}"
        )


def speed(seed: int, rounds: int = 40) -> None:
    """Print how long the pure core takes, in CPU time of its thread."""
    print(
        "one choice among 1,000 locations for 100 players, ms of CPU time: median (p95); the best alone, and the best 20"
    )
    world = World(1_000, random.Random(seed))
    rng = world.rng

    def regional() -> list[Member]:
        city = world.city()
        return [Member(world.near(city, 500)) for _ in range(100)]

    def worldwide() -> list[Member]:
        return [Member(world.near(world.city(), 200)) for _ in range(100)]

    def probed() -> list[Member]:
        players = [world.player(world.city()) for _ in range(100)]
        estimated = Group(world.sites, [Member(player.vector) for player in players])
        asked = [site for _, site in estimated.leading(PROBING, range(1_000), tie)]
        members = []
        for position, player in enumerate(players):
            measured = {site: world.measured(player, site) for site in asked} if position < 32 else NOTHING_MEASURED
            found = member(player.vector, measured, world.sites)
            assert found is not None
            members.append(found)
        return members

    def anywhere() -> list[Member]:
        return [
            Member(unit_vector(Coordinates(math.degrees(math.asin(rng.uniform(-1, 1))), rng.uniform(-180, 180))))
            for _ in range(100)
        ]

    kinds = {
        "one region": regional,
        "worldwide": worldwide,
        "32 of them measured": probed,
        "all over the globe": anywhere,
    }
    for kind, make in kinds.items():
        line = f"{kind:22}"
        for count in (1, 20):
            taken = []
            for _ in range(rounds):
                members = make()
                before = time.thread_time()
                Group(world.sites, members).leading(count, range(1_000), tie)
                taken.append((time.thread_time() - before) * 1e3)
            line += f"   {statistics.median(taken):5.2f} ({_quantiles(taken)[1]:5.2f})"
        print(line)


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return statistics.median(ordered), ordered[int(0.95 * (len(ordered) - 1))]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--groups", type=int, default=3_000)
    arguments.add_argument("--locations", type=int, default=120)
    arguments.add_argument("--seed", type=int, default=7)
    options = arguments.parse_args()
    quality(options.locations, options.groups, options.seed)
    speed(options.seed)


if __name__ == "__main__":
    main()
