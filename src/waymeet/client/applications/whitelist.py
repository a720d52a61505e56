"""Who may reach a version's deployments, for versions with `whitelisting_active` (contract 3.3)."""

from waymeet.client.calling.address import path
from waymeet.client.calling.operation import ConnectionT, Group, operation
from waymeet.client.calling.plan import Plan
from waymeet.client.calling.wire import Answer, Body, answer, member


class WhitelistEntry(Answer, frozen=True, kw_only=True):
    """A network that may reach the deployments."""

    id: str
    cidr: str
    label: str = ""
    is_active: bool = True


class _NewEntry(Body, frozen=True, kw_only=True):
    cidr: str
    label: str = ""
    is_active: bool = True


class Whitelist(Group[ConnectionT]):
    """`client.whitelist`: networks that may reach a version's deployments."""

    @operation
    def add(
        self, application: str, version: str, cidr: str, *, label: str = "", is_active: bool = True
    ) -> Plan[WhitelistEntry]:
        """The new entry, for a network such as `203.0.113.0/24`."""
        body = _NewEntry(cidr=cidr, label=label, is_active=is_active)
        return self._post(_whitelist(application, version), member("whitelist_entry", WhitelistEntry), body)

    @operation
    def entries(self, application: str, version: str) -> Plan[tuple[WhitelistEntry, ...]]:
        """Every entry of the version."""
        return self._get(_whitelist(application, version), member("whitelist_entries", tuple[WhitelistEntry, ...]))

    @operation
    def get(self, application: str, version: str, entry_id: str) -> Plan[WhitelistEntry]:
        """One entry. `NotFound` when there is none."""
        return self._get(_whitelist(application, version) + path(entry_id), answer(WhitelistEntry))

    @operation
    def remove(self, application: str, version: str, entry_id: str) -> Plan[WhitelistEntry]:
        """The entry that was removed."""
        return self._delete(
            _whitelist(application, version) + path(entry_id), member("whitelist_entry", WhitelistEntry)
        )


def _whitelist(application: str, version: str) -> str:
    return path("v1", "app", application, "version", version, "whitelist")
