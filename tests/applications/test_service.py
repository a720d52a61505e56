"""Applications, versions and access lists, on both databases."""

import asyncio
import random
from dataclasses import dataclass, field, replace

import pytest

from tests.applications.test_rules import MINIMAL
from tests.clocks import ManualClock
from tests.stores import Store
from waymeet.accounts.service import AccountService
from waymeet.applications.drafts import (
    ApplicationDraft,
    PortDraft,
    ProbeDraft,
    SessionDraft,
    VariableDraft,
    VersionDraft,
)
from waymeet.applications.rules import VersionDefaults
from waymeet.applications.service import ApplicationService
from waymeet.applications.types import Application, Version
from waymeet.model.errors import Conflict, ImageUnavailable, Invalid, NotFound
from waymeet.model.ids import OrganisationId
from waymeet.model.paging import PageRequest
from waymeet.store.transaction import Transaction

pytestmark = pytest.mark.anyio

ARENA = ApplicationDraft(name="arena", is_active=True)


@dataclass
class Images:
    """Knows one image."""

    asked: list[str] = field(default_factory=list)

    async def can_run(self, repository: str, image: str, tag: str) -> bool:
        self.asked.append(f"{repository}/{image}:{tag}")
        return tag == "1.0"


class Applications:
    """A service on a store, and an organisation."""

    def __init__(self, store: Store, organisation: OrganisationId) -> None:
        self.store = store
        self.clock = ManualClock()
        self.images = Images()
        self.service = ApplicationService(store, self.images, self.clock, random.Random(1), VersionDefaults())
        self.organisation = organisation

    async def arena(self, *versions: str) -> Application:
        made = await self.service.create_application(self.organisation, ARENA)
        for name in versions:
            await self.version(name)
        return made

    async def version(self, name: str, draft: VersionDraft = MINIMAL) -> Version:
        return await self.service.create_version(self.organisation, "arena", replace(draft, name=name))

    async def find(self, name: str | None) -> Version | None:
        async def unit(tx: Transaction) -> Version | None:
            return await tx.applications.find_version(self.organisation, "arena", name)

        return await self.store.read(unit)


@pytest.fixture
async def applications(store: Store) -> Applications:
    accounts = AccountService(store, store.bells, ManualClock(), random.Random(1))
    return Applications(store, (await accounts.ensure_organisation()).id)


@pytest.fixture
async def stranger(applications: Applications) -> Applications:
    """Another organisation on the same store."""
    accounts = AccountService(applications.store, applications.store.bells, ManualClock(), random.Random(2))
    return Applications(applications.store, (await accounts.ensure_organisation("stranger")).id)


async def test_an_application_is_made_read_and_changed(applications: Applications) -> None:
    made = await applications.arena()
    assert await applications.service.get_application(applications.organisation, "arena") == made
    assert made.created_at == made.updated_at == applications.clock.now()
    applications.clock.advance(5)
    changed = await applications.service.update_application(
        applications.organisation, "arena", ApplicationDraft(name="arena 2", is_active=False)
    )
    assert changed == replace(made, name="arena 2", is_active=False, updated_at=applications.clock.now())
    assert await applications.service.get_application(applications.organisation, "arena 2") == changed
    with pytest.raises(NotFound):
        await applications.service.get_application(applications.organisation, "arena")


async def test_names_are_taken_once_in_each_organisation(applications: Applications, stranger: Applications) -> None:
    await applications.arena("1.0", "2.0")
    await stranger.arena()
    with pytest.raises(Conflict, match="'arena' exists"):
        await applications.service.create_application(applications.organisation, ARENA)
    with pytest.raises(Conflict, match=r"'1\.0' already"):
        await applications.version("1.0")
    await applications.service.create_application(applications.organisation, replace(ARENA, name="other"))
    with pytest.raises(Conflict):
        await applications.service.update_application(
            applications.organisation, "other", ApplicationDraft(name="arena")
        )
    with pytest.raises(Conflict):
        await applications.service.update_version(applications.organisation, "arena", "2.0", VersionDraft(name="1.0"))
    # A rename to the name that it has is none.
    await applications.service.update_version(applications.organisation, "arena", "2.0", VersionDraft(name="2.0"))


async def test_of_concurrent_creations_and_renames_one_wins(applications: Applications) -> None:
    made = await asyncio.gather(
        *(applications.service.create_application(applications.organisation, ARENA) for _ in range(6)),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in made) == ["Application"] + ["Conflict"] * 5
    for number in range(6):
        await applications.version(f"{number}")
    renamed = await asyncio.gather(
        *(
            applications.service.update_version(
                applications.organisation, "arena", f"{number}", VersionDraft(name="same")
            )
            for number in range(6)
        ),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in renamed) == ["Conflict"] * 5 + ["Version"]


async def test_of_concurrent_changes_none_is_lost(applications: Applications) -> None:
    await applications.arena("1.0")
    drafts = [
        VersionDraft(command="run"),
        VersionDraft(arguments="--fast"),
        VersionDraft(time_to_deploy=77),
        VersionDraft(is_active=False),
        VersionDraft(envs=(VariableDraft(key="A", value="1"),)),
        VersionDraft(ports=(PortDraft(port=7777, protocol="UDP"),)),
    ]
    await asyncio.gather(
        *(applications.service.update_version(applications.organisation, "arena", "1.0", draft) for draft in drafts)
    )
    version = await applications.service.get_version(applications.organisation, "arena", "1.0")
    settings = version.settings
    assert (settings.command, settings.arguments, settings.time_to_deploy) == ("run", "--fast", 77)
    assert (len(settings.envs), len(settings.ports), version.is_active) == (1, 1, False)


async def test_a_version_comes_back_as_it_was_made(applications: Applications) -> None:
    await applications.arena()
    draft = replace(
        MINIMAL,
        session_config=SessionDraft(kind="Seat", sockets=10, autodeploy=True, empty_ttl=5),
        ports=(PortDraft(port=7777, protocol="UDP", name="game"), PortDraft(port=0, protocol="WS", name="web")),
        probe=ProbeDraft(optimal_ping=60, rejected_ping=180),
        envs=(VariableDraft(key="KEY", value="Zoë \U0001f3ae", is_secret=True),),
        private_username="robot",
        private_token="secret",
        restart_policy="on_failure",
        max_duration=-1,
    )
    made = await applications.version("1.0", draft)
    assert await applications.service.get_version(applications.organisation, "arena", "1.0") == made
    assert await applications.find("1.0") == made
    assert made.deployable
    assert made.application_name == "arena"


async def test_without_a_name_the_newest_active_version_counts(applications: Applications) -> None:
    assert await applications.find(None) is None
    await applications.arena("2.0", "1.0", "3.0")
    await applications.service.update_version(applications.organisation, "arena", "3.0", VersionDraft(is_active=False))
    # Made last, whatever its name sorts like.
    latest = await applications.find(None)
    assert latest is not None
    assert latest.name == "1.0"
    assert await applications.service.latest_active_version(applications.organisation, "arena") == latest
    # By name, an inactive one is found: the caller tells it from one that does not exist.
    inactive = await applications.find("3.0")
    assert inactive is not None
    assert not inactive.deployable


async def test_versions_of_an_inactive_application_are_not_deployable(applications: Applications) -> None:
    await applications.arena("1.0")
    await applications.service.update_application(applications.organisation, "arena", ApplicationDraft(is_active=False))
    version = await applications.find("1.0")
    assert version is not None
    assert version.is_active
    assert not version.deployable


async def test_deleting_an_application_deletes_its_versions_and_never_reuses_their_ids(
    applications: Applications,
) -> None:
    await applications.arena()
    before = await applications.version("1.0")
    await applications.service.add_whitelist_entry(applications.organisation, "arena", "1.0", "203.0.113.0/24")
    await applications.service.delete_application(applications.organisation, "arena")
    with pytest.raises(NotFound):
        await applications.service.get_version(applications.organisation, "arena", "1.0")
    with pytest.raises(NotFound):
        await applications.service.delete_application(applications.organisation, "arena")
    await applications.arena()
    after = await applications.version("1.0")
    assert after.id > before.id
    assert await applications.service.list_whitelist(applications.organisation, "arena", "1.0") == []


async def test_deleting_a_version(applications: Applications) -> None:
    await applications.arena("1.0", "2.0")
    await applications.service.delete_version(applications.organisation, "arena", "1.0")
    assert await applications.find("1.0") is None
    assert await applications.find("2.0") is not None
    with pytest.raises(NotFound, match=r"version '1\.0' of application 'arena'"):
        await applications.service.delete_version(applications.organisation, "arena", "1.0")


async def test_lists_are_paged_in_order_of_creation(applications: Applications, stranger: Applications) -> None:
    await stranger.arena("1.0")
    for name in ("b", "a", "c"):
        await applications.service.create_application(applications.organisation, replace(ARENA, name=name))
    page = await applications.service.list_applications(applications.organisation, PageRequest(1, 2))
    assert [application.name for application in page.items] == ["b", "a"]
    assert (page.total_count, page.has_next) == (3, True)
    await applications.arena("2", "1", "3")
    versions = await applications.service.list_versions(applications.organisation, "arena", PageRequest(2, 2))
    assert [version.name for version in versions.items] == ["3"]
    assert (versions.total_count, versions.has_next) == (3, False)
    empty = await applications.service.list_versions(applications.organisation, "arena", PageRequest(9, 2))
    assert (list(empty.items), empty.total_count) == ([], 3)
    with pytest.raises(NotFound):
        await applications.service.list_versions(applications.organisation, "nothing", PageRequest())


async def test_nothing_is_seen_or_changed_across_organisations(
    applications: Applications, stranger: Applications
) -> None:
    await applications.arena("1.0")
    theirs, service = stranger.organisation, stranger.service
    with pytest.raises(NotFound):
        await service.get_application(theirs, "arena")
    with pytest.raises(NotFound):
        await service.update_application(theirs, "arena", ApplicationDraft(is_active=False))
    with pytest.raises(NotFound):
        await service.delete_application(theirs, "arena")
    with pytest.raises(NotFound):
        await service.create_version(theirs, "arena", replace(MINIMAL, name="2.0"))
    with pytest.raises(NotFound):
        await service.update_version(theirs, "arena", "1.0", VersionDraft(is_active=False))
    with pytest.raises(NotFound):
        await service.delete_version(theirs, "arena", "1.0")
    with pytest.raises(NotFound):
        await service.add_whitelist_entry(theirs, "arena", "1.0", "203.0.113.0/24")
    assert await stranger.find("1.0") is None
    assert await applications.find("1.0") is not None


async def test_an_image_is_verified_only_when_asked_for(applications: Applications) -> None:
    await applications.arena()
    await applications.version("a", replace(MINIMAL, docker_tag="missing"))
    assert applications.images.asked == []
    await applications.version("b", replace(MINIMAL, verify_image=True))
    assert applications.images.asked == ["registry.example/arena:1.0"]
    with pytest.raises(ImageUnavailable, match=r"registry\.example/arena:missing"):
        await applications.version("c", replace(MINIMAL, docker_tag="missing", verify_image=True))
    assert await applications.find("c") is None
    with pytest.raises(ImageUnavailable):
        await applications.service.update_version(
            applications.organisation, "arena", "b", VersionDraft(docker_tag="missing")
        )
    kept = await applications.find("b")
    assert kept is not None
    assert kept.settings.docker_tag == "1.0"


async def test_an_unknown_application_is_told_before_its_image_is_looked_for(applications: Applications) -> None:
    with pytest.raises(NotFound):
        await applications.service.create_version(
            applications.organisation, "nothing", replace(MINIMAL, docker_tag="missing", verify_image=True)
        )


async def test_bad_input_writes_nothing(applications: Applications) -> None:
    await applications.arena("1.0")
    before = await applications.find("1.0")
    with pytest.raises(Invalid):
        await applications.service.update_version(
            applications.organisation, "arena", "1.0", VersionDraft(command="run", req_cpu=1)
        )
    assert await applications.find("1.0") == before


async def test_access_list_entries(applications: Applications) -> None:
    await applications.arena("1.0", "2.0")
    organisation, service = applications.organisation, applications.service
    first = await service.add_whitelist_entry(organisation, "arena", "1.0", "203.0.113.0/24", "office")
    applications.clock.advance(1)
    second = await service.add_whitelist_entry(organisation, "arena", "1.0", "2001:db8::1", is_active=False)
    assert (first.cidr, first.label, first.is_active) == ("203.0.113.0/24", "office", True)
    assert (second.cidr, second.is_active) == ("2001:db8::1/128", False)
    assert await service.list_whitelist(organisation, "arena", "1.0") == [first, second]
    assert await service.list_whitelist(organisation, "arena", "2.0") == []
    assert await service.get_whitelist_entry(organisation, "arena", "1.0", first.id) == first
    with pytest.raises(NotFound):
        await service.get_whitelist_entry(organisation, "arena", "2.0", first.id)
    assert await service.delete_whitelist_entry(organisation, "arena", "1.0", first.id) == first
    with pytest.raises(NotFound):
        await service.delete_whitelist_entry(organisation, "arena", "1.0", first.id)
    assert await service.list_whitelist(organisation, "arena", "1.0") == [second]
    with pytest.raises(Invalid):
        await service.add_whitelist_entry(organisation, "arena", "1.0", "anywhere")
