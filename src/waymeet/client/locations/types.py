"""Places on the map as answers hold them (contract 1.10, 3.7)."""

from waymeet.client.calling.wire import Answer


class Location(Answer, frozen=True, kw_only=True):
    """A place where servers run. Names are English, coordinates in degrees."""

    city: str = ""
    country: str = ""
    continent: str = ""
    administrative_division: str = ""
    timezone: str = ""
    latitude: float = 0.0
    longitude: float = 0.0


class LocationTag(Answer, frozen=True, kw_only=True):
    """What the operator says about a place, for filters on `location_tags`."""

    key: str
    value: str = ""


class AvailableLocation(Location, frozen=True, kw_only=True):
    """A place on which a deployment may be started."""

    type: str = ""
    tags: tuple[LocationTag, ...] = ()
