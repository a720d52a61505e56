"""Which site the beacon of a city stands at."""

from waymeet.locations.directory import Directory


class BeaconSites:
    """Reads it from the snapshot of the nodes."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def site_of(self, city: str) -> str | None:
        """The site of the first node, by name, with a beacon in this city."""
        for node in self._directory.nodes:
            if node.profile.beacon is not None and node.profile.location.city == city:
                return node.place.site
        return None
