"""Versions as they were when somebody was last seated on one, so that seating the next group need not read them first."""

from collections import OrderedDict

from waymeet.applications.types import Version
from waymeet.model.ids import OrganisationId

HIGHEST_KNOWN = 1_000


class KnownVersions:
    """A bounded memory, by organisation and names.

    Whatever relies on it has to make sure, in the transaction that acts on it, that the version has not changed: other
    processes change versions too, and no bell tells of it in time. `SessionRows.insert_seated` does.
    """

    def __init__(self, highest: int = HIGHEST_KNOWN) -> None:
        self._highest = highest
        self._versions: OrderedDict[tuple[OrganisationId, str, str], Version] = OrderedDict()

    def find(self, organisation: OrganisationId, application: str, name: str | None) -> Version | None:
        """The version as it was; never one for "the newest", which only the store can tell."""
        return None if name is None else self._versions.get((organisation, application, name))

    def remember(self, version: Version) -> None:
        """Keep it, in the place of what was known before."""
        key = (version.organisation, version.application_name, version.name)
        self._versions.pop(key, None)
        self._versions[key] = version
        if len(self._versions) > self._highest:
            self._versions.popitem(last=False)
