"""Applications, their versions and access lists: create, read, change, delete."""

import random
from dataclasses import replace

from waymeet.applications.drafts import ApplicationDraft, VersionDraft
from waymeet.applications.ports import ApplicationStore, ApplicationTransaction, ImageChecker
from waymeet.applications.rules import (
    VersionDefaults,
    application_fields,
    version_fields,
    whitelist_cidr,
)
from waymeet.applications.types import (
    Application,
    ApplicationFields,
    Version,
    VersionFields,
    VersionSettings,
    WhitelistEntry,
)
from waymeet.model.errors import Conflict, ImageUnavailable, Invalid, NotFound
from waymeet.model.ids import OrganisationId, new_hex_token
from waymeet.model.instant import Clock
from waymeet.model.paging import Page, PageRequest

HIGHEST_APPLICATIONS = 1000
HIGHEST_VERSIONS = 1000
HIGHEST_WHITELIST_ENTRIES = 500


class ApplicationService:
    """Owns the rules for applications. Running deployments keep what they were started with, whatever changes here."""

    def __init__(
        self,
        store: ApplicationStore,
        images: ImageChecker,
        clock: Clock,
        rng: random.Random,
        defaults: VersionDefaults,
    ) -> None:
        self._store = store
        self._images = images
        self._clock = clock
        self._rng = rng
        self._defaults = defaults

    async def create_application(self, organisation: OrganisationId, draft: ApplicationDraft) -> Application:
        """A new application. `Invalid` for bad input or one application too many, `Conflict` when the name is taken."""
        fields = application_fields(draft)

        async def unit(tx: ApplicationTransaction) -> Application:
            if await tx.applications.count_applications(organisation) >= HIGHEST_APPLICATIONS:
                raise Invalid({"name": f"the organisation has {HIGHEST_APPLICATIONS} applications; delete some first"})
            made = await tx.applications.add_application(organisation, fields, self._clock.now())
            if made is None:
                raise Conflict(f"an application named '{fields.name}' exists already")
            return made

        return await self._store.write(unit)

    async def get_application(self, organisation: OrganisationId, name: str) -> Application:
        async def unit(tx: ApplicationTransaction) -> Application:
            return _found(await tx.applications.find_application(organisation, name), name)

        return await self._store.read(unit)

    async def update_application(self, organisation: OrganisationId, name: str, draft: ApplicationDraft) -> Application:
        """Change what was sent. A new name does not reach deployments made before."""

        async def unit(tx: ApplicationTransaction) -> Application:
            current = _found(await tx.applications.lock_application(organisation, name), name)
            fields = application_fields(
                draft,
                ApplicationFields(current.name, current.is_active, current.is_telemetry_agent_active, current.image),
            )
            changed = replace(
                current,
                name=fields.name,
                is_active=fields.is_active,
                is_telemetry_agent_active=fields.is_telemetry_agent_active,
                image=fields.image,
                updated_at=self._clock.now(),
            )
            if not await tx.applications.save_application(changed):
                raise Conflict(f"an application named '{fields.name}' exists already")
            return changed

        return await self._store.write(unit)

    async def delete_application(self, organisation: OrganisationId, name: str) -> None:
        """Delete an application and its versions. Their deployments run on."""

        async def unit(tx: ApplicationTransaction) -> None:
            current = _found(await tx.applications.lock_application(organisation, name), name)
            await tx.applications.delete_application(current.id)

        await self._store.write(unit)

    async def list_applications(self, organisation: OrganisationId, request: PageRequest) -> Page[Application]:
        """Oldest first."""

        async def unit(tx: ApplicationTransaction) -> Page[Application]:
            return await tx.applications.page_applications(organisation, request)

        return await self._store.scan(unit)

    async def create_version(self, organisation: OrganisationId, application: str, draft: VersionDraft) -> Version:
        """A new version. `ImageUnavailable` when `verify_image` is true and no connected node can run the image."""
        fields = version_fields(draft, self._defaults)
        # An unknown application is the better answer, so it comes before the check of the image.
        await self.get_application(organisation, application)
        await self._verify_image(fields.settings)

        async def unit(tx: ApplicationTransaction) -> Version:
            parent = _found(await tx.applications.lock_application(organisation, application), application)
            if await tx.applications.count_versions(parent.id) >= HIGHEST_VERSIONS:
                raise Invalid({"name": f"the application has {HIGHEST_VERSIONS} versions; delete some first"})
            made = await tx.applications.add_version(parent, fields, self._clock.now())
            if made is None:
                raise Conflict(f"application '{application}' has a version named '{fields.name}' already")
            return made

        return await self._store.write(unit)

    async def get_version(self, organisation: OrganisationId, application: str, name: str) -> Version:
        async def unit(tx: ApplicationTransaction) -> Version:
            return await _version(tx, organisation, application, name)

        return await self._store.read(unit)

    async def latest_active_version(self, organisation: OrganisationId, application: str) -> Version | None:
        """The most recently created active version; `None` when there is no such application, or none active in it."""

        async def unit(tx: ApplicationTransaction) -> Version | None:
            return await tx.applications.find_version(organisation, application, None)

        return await self._store.read(unit)

    async def update_version(
        self, organisation: OrganisationId, application: str, name: str, draft: VersionDraft
    ) -> Version:
        """Change what was sent. Deployments made before keep the settings that they were started with."""
        planned = self._changed(await self.get_version(organisation, application, name), draft)
        await self._verify_image(planned.settings)

        async def unit(tx: ApplicationTransaction) -> Version:
            current = await tx.applications.lock_version(organisation, application, name)
            if current is None:
                raise _no_version(application, name)
            changed = self._changed(current, draft)
            if not await tx.applications.save_version(changed):
                raise Conflict(f"application '{application}' has a version named '{changed.name}' already")
            return changed

        return await self._store.write(unit)

    async def delete_version(self, organisation: OrganisationId, application: str, name: str) -> None:
        """Delete a version. Its deployments run on."""

        async def unit(tx: ApplicationTransaction) -> None:
            await tx.applications.delete_version((await _version(tx, organisation, application, name)).id)

        await self._store.write(unit)

    async def list_versions(
        self, organisation: OrganisationId, application: str, request: PageRequest
    ) -> Page[Version]:
        """Oldest first."""

        async def unit(tx: ApplicationTransaction) -> Page[Version]:
            parent = _found(await tx.applications.find_application(organisation, application), application)
            return await tx.applications.page_versions(parent.id, request)

        return await self._store.scan(unit)

    async def add_whitelist_entry(
        self,
        organisation: OrganisationId,
        application: str,
        version: str,
        cidr: str,
        label: str = "",
        is_active: bool = True,
    ) -> WhitelistEntry:
        """Let a network reach the version's deployments. The entry holds the network's canonical form."""
        canonical = whitelist_cidr(cidr, label)

        async def unit(tx: ApplicationTransaction) -> WhitelistEntry:
            parent = await _version(tx, organisation, application, version)
            if len(await tx.applications.list_whitelist(parent.id)) >= HIGHEST_WHITELIST_ENTRIES:
                raise Invalid({"cidr": f"the version has {HIGHEST_WHITELIST_ENTRIES} entries; delete some first"})
            entry = WhitelistEntry(new_hex_token(self._rng), canonical, label, is_active, self._clock.now())
            await tx.applications.add_whitelist_entry(parent.id, entry)
            return entry

        return await self._store.write(unit)

    async def list_whitelist(
        self, organisation: OrganisationId, application: str, version: str
    ) -> list[WhitelistEntry]:
        """Oldest first."""

        async def unit(tx: ApplicationTransaction) -> list[WhitelistEntry]:
            parent = await _version(tx, organisation, application, version)
            return list(await tx.applications.list_whitelist(parent.id))

        return await self._store.scan(unit)

    async def get_whitelist_entry(
        self, organisation: OrganisationId, application: str, version: str, entry_id: str
    ) -> WhitelistEntry:
        async def unit(tx: ApplicationTransaction) -> WhitelistEntry:
            return await _entry(tx, organisation, application, version, entry_id)

        return await self._store.read(unit)

    async def delete_whitelist_entry(
        self, organisation: OrganisationId, application: str, version: str, entry_id: str
    ) -> WhitelistEntry:
        """The entry as it was."""

        async def unit(tx: ApplicationTransaction) -> WhitelistEntry:
            parent = await _version(tx, organisation, application, version)
            entry = await _entry(tx, organisation, application, version, entry_id)
            await tx.applications.delete_whitelist_entry(parent.id, entry.id)
            return entry

        return await self._store.write(unit)

    def _changed(self, current: Version, draft: VersionDraft) -> Version:
        fields = version_fields(draft, self._defaults, VersionFields(current.name, current.is_active, current.settings))
        return replace(
            current,
            name=fields.name,
            is_active=fields.is_active,
            settings=fields.settings,
            updated_at=self._clock.now(),
        )

    async def _verify_image(self, settings: VersionSettings) -> None:
        if not settings.verify_image:
            return
        repository, image, tag = settings.docker_repository, settings.docker_image, settings.docker_tag
        if not await self._images.can_run(repository, image, tag):
            raise ImageUnavailable(
                f"no connected node can run the image '{repository}/{image}:{tag}'; check its name, or send"
                ' "verify_image": false to skip this check'
            )


def _found(application: Application | None, name: str) -> Application:
    if application is None:
        raise NotFound(f"application '{name}' not found")
    return application


def _no_version(application: str, name: str) -> NotFound:
    return NotFound(f"version '{name}' of application '{application}' not found")


async def _version(tx: ApplicationTransaction, organisation: OrganisationId, application: str, name: str) -> Version:
    version = await tx.applications.find_version(organisation, application, name)
    if version is None:
        raise _no_version(application, name)
    return version


async def _entry(
    tx: ApplicationTransaction, organisation: OrganisationId, application: str, version: str, entry_id: str
) -> WhitelistEntry:
    parent = await _version(tx, organisation, application, version)
    entry = await tx.applications.find_whitelist_entry(parent.id, entry_id)
    if entry is None:
        raise NotFound(f"whitelist entry '{entry_id}' not found")
    return entry
