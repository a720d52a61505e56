"""Finding the one best place quickly, where no ranking of all the others is asked for."""

from collections.abc import Sequence

Vector = tuple[float, float, float]


def nearest(places: Sequence[Vector], players: Sequence[Vector]) -> int | None:
    """The position of the place whose worst-served player is nearest, all as points on the unit sphere.

    Distance grows as the scalar product falls, so the products alone decide and no angle is ever computed. `None` when
    several places tie for the worst-served player: then the mean decides, and a full ranking has to be made. Needs at
    least one place and one player.
    """
    x, y, z = players[0]
    closeness = [px * x + py * y + pz * z for px, py, pz in places]
    for x, y, z in players[1:]:
        closeness = [
            min(before, px * x + py * y + pz * z) for before, (px, py, pz) in zip(closeness, places, strict=True)
        ]
    best = max(closeness)
    return closeness.index(best) if closeness.count(best) == 1 else None
