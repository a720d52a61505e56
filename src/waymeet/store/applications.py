"""Rows of applications, versions and access lists."""

from collections.abc import Sequence
from functools import lru_cache

from waymeet.applications.types import (
    Application,
    ApplicationFields,
    Version,
    VersionFields,
    VersionSettings,
    WhitelistEntry,
)
from waymeet.model.ids import OrganisationId
from waymeet.model.instant import Instant
from waymeet.model.paging import Page, PageRequest
from waymeet.store.documents import LONGEST_REMEMBERED, REMEMBERED_DOCUMENTS, reader, to_text
from waymeet.store.engine import Connection, Row
from waymeet.store.statement import Statement

_APPLICATION = "id, organisation_id, name, is_active, is_telemetry_agent_active, image, created_at, updated_at"
_ADD_APPLICATION = Statement(
    f"""
    INSERT INTO application (organisation_id, name, is_active, is_telemetry_agent_active, image, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT DO NOTHING RETURNING {_APPLICATION}
    """
)
_FIND_APPLICATION_TEXT = f"SELECT {_APPLICATION} FROM application WHERE organisation_id = $1 AND name = $2"
_FIND_APPLICATION = Statement(_FIND_APPLICATION_TEXT)
# On SQLite whoever writes is alone.
_LOCK_APPLICATION = Statement(f"{_FIND_APPLICATION_TEXT} FOR UPDATE", sqlite=_FIND_APPLICATION_TEXT)
# A concurrent rename to the same name gets past the condition and meets the unique index; then the unit runs again.
_SAVE_APPLICATION = Statement(
    """
    UPDATE application SET name = $3, is_active = $4, is_telemetry_agent_active = $5, image = $6, updated_at = $7
    WHERE id = $1 AND NOT EXISTS (
        SELECT 1 FROM application AS other WHERE other.organisation_id = $2 AND other.name = $3 AND other.id <> $1
    )
    """
)
_DELETE_APPLICATION = Statement("DELETE FROM application WHERE id = $1")
_COUNT_APPLICATIONS = Statement("SELECT COUNT(*) AS total FROM application WHERE organisation_id = $1")
_PAGE_APPLICATIONS = Statement(
    f"SELECT {_APPLICATION} FROM application WHERE organisation_id = $1 ORDER BY id LIMIT $2 OFFSET $3"
)

# What tells two states of a version's settings apart. They may hold a secret, which must not come back as a parameter
# that ends in a log of slow statements; on SQLite there is no such log.
_MARK = "CAST(hashtextextended(version.settings, 0) AS TEXT)"
_SQLITE_MARK = "version.settings"
_VERSION = """
    version.id, version.application_id, application.organisation_id, application.name AS application_name,
    application.is_active AS application_is_active, version.name, version.is_active, version.settings,
    version.created_at, version.updated_at
    """
_JOINED = "version JOIN application ON application.id = version.application_id"


def _version_statement(condition: str, *, lock: str = "") -> Statement:
    text = f"SELECT {_VERSION}, {{mark}} AS settings_mark FROM {_JOINED} WHERE {condition}"
    return Statement(text.format(mark=_MARK) + lock, sqlite=text.format(mark=_SQLITE_MARK))


def unchanged_version(mark: str, *, version: str, application_name: str, name: str, sqlite: bool) -> str:
    """SQL: whether the version with this id still has these names and settings, and may be deployed."""
    return (
        f"EXISTS (SELECT 1 FROM {_JOINED} WHERE version.id = {version} AND version.is_active AND application.is_active"
        f" AND version.name = {name} AND application.name = {application_name}"
        f" AND {_SQLITE_MARK if sqlite else _MARK} = {mark})"
    )


_ADD_VERSION = Statement(
    """
    INSERT INTO version (application_id, name, is_active, settings, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING RETURNING id
    """
)
_NAMED_VERSION = "application.organisation_id = $1 AND application.name = $2 AND version.name = $3"
_FIND_VERSION = _version_statement(_NAMED_VERSION)
_LOCK_VERSION = _version_statement(_NAMED_VERSION, lock=" FOR UPDATE OF version")
_NEWEST_VERSION = _version_statement(
    "application.organisation_id = $1 AND application.name = $2 AND version.is_active ORDER BY version.id DESC LIMIT 1"
)
_SAVE_VERSION = Statement(
    """
    UPDATE version SET name = $3, is_active = $4, settings = $5, updated_at = $6
    WHERE id = $1 AND NOT EXISTS (
        SELECT 1 FROM version AS other WHERE other.application_id = $2 AND other.name = $3 AND other.id <> $1
    )
    """
)
_DELETE_VERSION = Statement("DELETE FROM version WHERE id = $1")
_COUNT_VERSIONS = Statement("SELECT COUNT(*) AS total FROM version WHERE application_id = $1")
_PAGE_VERSIONS = _version_statement("version.application_id = $1 ORDER BY version.id LIMIT $2 OFFSET $3")

_ENTRY = "id, cidr, label, is_active, created_at"
_ADD_ENTRY = Statement(
    "INSERT INTO whitelist_entry (version_id, id, cidr, label, is_active, created_at) VALUES ($1, $2, $3, $4, $5, $6)"
)
_FIND_ENTRY = Statement(f"SELECT {_ENTRY} FROM whitelist_entry WHERE version_id = $1 AND id = $2")
_LIST_ENTRIES = Statement(f"SELECT {_ENTRY} FROM whitelist_entry WHERE version_id = $1 ORDER BY created_at, id")
_DELETE_ENTRY = Statement("DELETE FROM whitelist_entry WHERE version_id = $1 AND id = $2")

_settings = reader(VersionSettings)


class ApplicationRows:
    """`applications.ports.ApplicationRows` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add_application(
        self, organisation: OrganisationId, fields: ApplicationFields, now: Instant
    ) -> Application | None:
        row = await self._connection.fetch_one(
            _ADD_APPLICATION,
            organisation,
            fields.name,
            fields.is_active,
            fields.is_telemetry_agent_active,
            fields.image,
            now,
        )
        return None if row is None else _application(row)

    async def find_application(self, organisation: OrganisationId, name: str) -> Application | None:
        row = await self._connection.fetch_one(_FIND_APPLICATION, organisation, name)
        return None if row is None else _application(row)

    async def lock_application(self, organisation: OrganisationId, name: str) -> Application | None:
        row = await self._connection.fetch_one(_LOCK_APPLICATION, organisation, name)
        return None if row is None else _application(row)

    async def save_application(self, application: Application) -> bool:
        touched = await self._connection.execute(
            _SAVE_APPLICATION,
            application.id,
            application.organisation,
            application.name,
            application.is_active,
            application.is_telemetry_agent_active,
            application.image,
            application.updated_at,
        )
        return touched == 1

    async def delete_application(self, application_id: int) -> None:
        await self._connection.execute(_DELETE_APPLICATION, application_id)

    async def count_applications(self, organisation: OrganisationId) -> int:
        return await self._count(_COUNT_APPLICATIONS, organisation)

    async def page_applications(self, organisation: OrganisationId, request: PageRequest) -> Page[Application]:
        total = await self._count(_COUNT_APPLICATIONS, organisation)
        rows = await self._connection.fetch(_PAGE_APPLICATIONS, organisation, request.limit, request.offset)
        return Page([_application(row) for row in rows], total, request)

    async def add_version(self, application: Application, fields: VersionFields, now: Instant) -> Version | None:
        row = await self._connection.fetch_one(
            _ADD_VERSION, application.id, fields.name, fields.is_active, to_text(fields.settings), now
        )
        if row is None:
            return None
        return Version(
            id=row["id"],
            application_id=application.id,
            organisation=application.organisation,
            application_name=application.name,
            application_is_active=application.is_active,
            name=fields.name,
            is_active=fields.is_active,
            settings=fields.settings,
            created_at=now,
            updated_at=now,
        )

    async def find_version(self, organisation: OrganisationId, application: str, name: str | None) -> Version | None:
        if name is None:
            row = await self._connection.fetch_one(_NEWEST_VERSION, organisation, application)
        else:
            row = await self._connection.fetch_one(_FIND_VERSION, organisation, application, name)
        return None if row is None else _version(row)

    async def lock_version(self, organisation: OrganisationId, application: str, name: str) -> Version | None:
        row = await self._connection.fetch_one(_LOCK_VERSION, organisation, application, name)
        return None if row is None else _version(row)

    async def save_version(self, version: Version) -> bool:
        touched = await self._connection.execute(
            _SAVE_VERSION,
            version.id,
            version.application_id,
            version.name,
            version.is_active,
            to_text(version.settings),
            version.updated_at,
        )
        return touched == 1

    async def delete_version(self, version_id: int) -> None:
        await self._connection.execute(_DELETE_VERSION, version_id)

    async def count_versions(self, application_id: int) -> int:
        return await self._count(_COUNT_VERSIONS, application_id)

    async def page_versions(self, application_id: int, request: PageRequest) -> Page[Version]:
        total = await self._count(_COUNT_VERSIONS, application_id)
        rows = await self._connection.fetch(_PAGE_VERSIONS, application_id, request.limit, request.offset)
        return Page([_version(row) for row in rows], total, request)

    async def add_whitelist_entry(self, version_id: int, entry: WhitelistEntry) -> None:
        await self._connection.execute(
            _ADD_ENTRY, version_id, entry.id, entry.cidr, entry.label, entry.is_active, entry.created_at
        )

    async def find_whitelist_entry(self, version_id: int, entry_id: str) -> WhitelistEntry | None:
        row = await self._connection.fetch_one(_FIND_ENTRY, version_id, entry_id)
        return None if row is None else _entry(row)

    async def list_whitelist(self, version_id: int) -> Sequence[WhitelistEntry]:
        return [_entry(row) for row in await self._connection.fetch(_LIST_ENTRIES, version_id)]

    async def delete_whitelist_entry(self, version_id: int, entry_id: str) -> None:
        await self._connection.execute(_DELETE_ENTRY, version_id, entry_id)

    async def _count(self, statement: Statement, key: str | int) -> int:
        row = await self._connection.fetch_one(statement, key)
        return 0 if row is None else int(row["total"])


def _application(row: Row) -> Application:
    return Application(
        id=row["id"],
        organisation=OrganisationId(row["organisation_id"]),
        name=row["name"],
        is_active=bool(row["is_active"]),
        is_telemetry_agent_active=bool(row["is_telemetry_agent_active"]),
        image=row["image"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _version(row: Row) -> Version:
    values = tuple(row)
    return _remembered_version(*values) if len(values[7]) <= LONGEST_REMEMBERED else _version_of(*values)


def _version_of(
    version_id: int,
    application_id: int,
    organisation: str,
    application_name: str,
    application_is_active: bool,
    name: str,
    is_active: bool,
    settings: str,
    created_at: int,
    updated_at: int,
    settings_mark: str,
) -> Version:
    """The version in the values of `_VERSION` and its mark."""
    return Version(
        id=version_id,
        application_id=application_id,
        organisation=OrganisationId(organisation),
        application_name=application_name,
        application_is_active=bool(application_is_active),
        name=name,
        is_active=bool(is_active),
        settings=_settings(settings),
        created_at=Instant(created_at),
        updated_at=Instant(updated_at),
        settings_mark=settings_mark,
    )


_remembered_version = lru_cache(REMEMBERED_DOCUMENTS)(_version_of)


def _entry(row: Row) -> WhitelistEntry:
    return WhitelistEntry(row["id"], row["cidr"], row["label"], bool(row["is_active"]), row["created_at"])
