"""Access lists of versions on the wire (contract 3.3). The rules live in `waymeet.applications`."""

from typing import Any

from msgspec import Struct

from waymeet.applications.service import ApplicationService
from waymeet.applications.types import WhitelistEntry
from waymeet.http.call import Call
from waymeet.http.endpoint import Endpoint


class NewWhitelistEntry(Struct, frozen=True):
    cidr: str
    label: str = ""
    is_active: bool = True


class WhitelistEntryBody(Struct, frozen=True):
    id: str
    cidr: str
    label: str
    is_active: bool


class WhitelistEntrySaved(Struct, frozen=True):
    success: bool
    whitelist_entry: WhitelistEntryBody


class WhitelistEntries(Struct, frozen=True):
    whitelist_entries: list[WhitelistEntryBody]


def whitelist_entry_body(entry: WhitelistEntry) -> WhitelistEntryBody:
    return WhitelistEntryBody(entry.id, entry.cidr, entry.label, entry.is_active)


class WhitelistEndpoints:
    """The four access-list calls."""

    def __init__(self, service: ApplicationService) -> None:
        self._service = service

    async def add_whitelist_entry(self, call: Call[NewWhitelistEntry, None]) -> WhitelistEntrySaved:
        body = call.body
        entry = await self._service.add_whitelist_entry(
            call.caller.organisation, call.path["app"], call.path["version"], body.cidr, body.label, body.is_active
        )
        return WhitelistEntrySaved(True, whitelist_entry_body(entry))

    async def list_whitelist(self, call: Call[None, None]) -> WhitelistEntries:
        entries = await self._service.list_whitelist(call.caller.organisation, call.path["app"], call.path["version"])
        return WhitelistEntries([whitelist_entry_body(entry) for entry in entries])

    async def read_whitelist_entry(self, call: Call[None, None]) -> WhitelistEntryBody:
        entry = await self._service.get_whitelist_entry(
            call.caller.organisation, call.path["app"], call.path["version"], call.path["entry_id"]
        )
        return whitelist_entry_body(entry)

    async def delete_whitelist_entry(self, call: Call[None, None]) -> WhitelistEntrySaved:
        entry = await self._service.delete_whitelist_entry(
            call.caller.organisation, call.path["app"], call.path["version"], call.path["entry_id"]
        )
        return WhitelistEntrySaved(True, whitelist_entry_body(entry))

    def table(self) -> list[Endpoint[Any, Any]]:
        """The rows of the route table."""
        every, tag, contract = "/v1/app/{app}/version/{version}/whitelist", "Versions", "3.3"
        one = f"{every}/{{entry_id}}"
        return [
            Endpoint(
                method="POST", path=every, handler=self.add_whitelist_entry,
                summary="Let a network reach a version's deployments",
                contract=contract, tag=tag, body=NewWhitelistEntry, answers={200: WhitelistEntrySaved}, errors=(404,),
            ),
            Endpoint(
                method="GET", path=every, handler=self.list_whitelist, summary="List a version's access list",
                contract=contract, tag=tag, answers={200: WhitelistEntries}, errors=(404,),
            ),
            Endpoint(
                method="GET", path=one, handler=self.read_whitelist_entry, summary="Read an entry of an access list",
                contract=contract, tag=tag, answers={200: WhitelistEntryBody}, errors=(404,),
            ),
            Endpoint(
                method="DELETE", path=one, handler=self.delete_whitelist_entry,
                summary="Take a network off an access list",
                contract=contract, tag=tag, answers={200: WhitelistEntrySaved}, errors=(404,),
            ),
        ]  # fmt: skip
