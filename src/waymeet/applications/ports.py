"""What this domain needs of the store, and of whoever knows which images can be run."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from waymeet.applications.types import Application, ApplicationFields, Version, VersionFields, WhitelistEntry
from waymeet.model.ids import OrganisationId
from waymeet.model.instant import Instant
from waymeet.model.paging import Page, PageRequest

Result = TypeVar("Result")


class ApplicationRows(Protocol):
    """Applications, versions and access lists."""

    async def add_application(
        self, organisation: OrganisationId, fields: ApplicationFields, now: Instant
    ) -> Application | None:
        """`None` when the name is taken."""

    async def find_application(self, organisation: OrganisationId, name: str) -> Application | None: ...

    async def lock_application(self, organisation: OrganisationId, name: str) -> Application | None:
        """As `find_application`, holding the row until the transaction ends."""

    async def save_application(self, application: Application) -> bool:
        """Write back a locked application; false when its new name is taken."""

    async def delete_application(self, application_id: int) -> None:
        """With its versions and their access lists."""

    async def count_applications(self, organisation: OrganisationId) -> int: ...

    async def page_applications(self, organisation: OrganisationId, request: PageRequest) -> Page[Application]:
        """Oldest first."""

    async def add_version(self, application: Application, fields: VersionFields, now: Instant) -> Version | None:
        """`None` when the name is taken."""

    async def find_version(self, organisation: OrganisationId, application: str, name: str | None) -> Version | None:
        """The version of this name, active or not; without a name the newest active one. One query."""

    async def lock_version(self, organisation: OrganisationId, application: str, name: str) -> Version | None:
        """As `find_version`, holding the row until the transaction ends."""

    async def save_version(self, version: Version) -> bool:
        """Write back a locked version; false when its new name is taken."""

    async def delete_version(self, version_id: int) -> None:
        """With its access list."""

    async def count_versions(self, application_id: int) -> int: ...

    async def page_versions(self, application_id: int, request: PageRequest) -> Page[Version]:
        """Oldest first."""

    async def add_whitelist_entry(self, version_id: int, entry: WhitelistEntry) -> None: ...

    async def find_whitelist_entry(self, version_id: int, entry_id: str) -> WhitelistEntry | None: ...

    async def list_whitelist(self, version_id: int) -> Sequence[WhitelistEntry]:
        """Oldest first."""

    async def delete_whitelist_entry(self, version_id: int, entry_id: str) -> None: ...


class ApplicationTransaction(Protocol):
    @property
    def applications(self) -> ApplicationRows: ...


class ApplicationStore(Protocol):
    async def write(self, unit: Callable[[ApplicationTransaction], Awaitable[Result]]) -> Result: ...

    async def read(self, unit: Callable[[ApplicationTransaction], Awaitable[Result]]) -> Result: ...

    async def scan(self, unit: Callable[[ApplicationTransaction], Awaitable[Result]]) -> Result: ...


class ImageChecker(Protocol):
    """Knows what the connected nodes can run."""

    async def can_run(self, repository: str, image: str, tag: str) -> bool:
        """Whether at least one connected node can run the image."""
