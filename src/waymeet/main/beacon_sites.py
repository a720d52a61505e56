"""Which site the beacon of a city stands at."""

from waymeet.beacons.names import city_names
from waymeet.geo.names import name_key
from waymeet.locations.directory import Directory
from waymeet.model.instant import Clock


class BeaconSites:
    """Reads it from the snapshot of the nodes."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    def site_of(self, city: str) -> str | None:
        """The site of the beacon that is listed under this name; that of one that fell silent, too: players may have
        measured it a moment ago.

        Where no name is exactly this one, letter case and accents are overlooked, as with all names of places.
        """
        fleet = self._directory.fleet
        key, alike = name_key(city), None
        for node, name in city_names(fleet.nodes, self._clock.now()).items():
            if name == city:
                return fleet.by_name[node].place.site
            if alike is None and name_key(name) == key:
                alike = fleet.by_name[node].place.site
        return alike
