"""What a record of a geo database says about a place."""

from typing import NamedTuple

from waymeet.geo.countries import CONTINENTS, Continent, Country, country_by_code
from waymeet.model.location import Coordinates


class IpPlace(NamedTuple):
    """Where an address is, as far as a database knows. Never all `None`."""

    continent: Continent | None
    country: Country | None
    latitude: float | None
    longitude: float | None
    """Degrees, to four decimals (eleven metres: more than any database knows). Both or neither."""

    @property
    def coordinates(self) -> Coordinates | None:
        """The point, where the database knows one."""
        if self.latitude is None or self.longitude is None:
            return None
        return Coordinates(self.latitude, self.longitude)


def place_of(record: object) -> IpPlace | None:
    """The place that a record describes; `None` when it describes none that we understand.

    Two shapes are known. Flat: `country_code`, `latitude`, `longitude` at the top (ip-location-db). Nested, as MaxMind and
    DB-IP publish: `continent.code`, `country.iso_code`, `location.latitude`, `location.longitude`. Whatever else stands in
    a record, or is of another type, is passed over: files come from elsewhere.
    """
    if not isinstance(record, dict):
        return None
    continent: Continent | None = None
    code = record.get("country_code")
    if code is not None:
        point: object = record
    else:
        country_part = record.get("country") or record.get("registered_country")
        code = country_part.get("iso_code") if isinstance(country_part, dict) else None
        continent_part = record.get("continent")
        if isinstance(continent_part, dict) and isinstance(continent_part.get("code"), str):
            continent = CONTINENTS.get(continent_part["code"])
        point = record.get("location", record)
    country = country_by_code(code) if isinstance(code, str) else None
    if country is not None and continent is None:
        continent = country.continent
    latitude = longitude = None
    if isinstance(point, dict):
        latitude, longitude = point.get("latitude"), point.get("longitude")
    if (
        isinstance(latitude, int | float)
        and isinstance(longitude, int | float)
        and -90 <= latitude <= 90
        and -180 <= longitude <= 180
    ):
        return IpPlace(continent, country, round(float(latitude), 4), round(float(longitude), 4))
    return IpPlace(continent, country, None, None) if continent is not None else None
