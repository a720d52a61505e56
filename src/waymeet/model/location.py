"""Places on the map and points on the globe."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Coordinates:
    """A point on the globe in degrees: latitude -90..90, longitude -180..180."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Location:
    """A place where nodes stand: the contract's seven members (section 1.10), English names."""

    city: str
    country: str
    continent: str
    administrative_division: str
    timezone: str
    latitude: float
    longitude: float

    @property
    def coordinates(self) -> Coordinates:
        return Coordinates(self.latitude, self.longitude)
