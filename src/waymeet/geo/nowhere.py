"""Geography without geo data: nobody's place is known from an address."""

from waymeet.model.location import Coordinates


class Nowhere:
    """Answers for every address that its place is not known; placement then goes by coordinates, filters and room."""

    def coordinates_of(self, ip: str) -> Coordinates | None:
        return None
