"""Organisations and tokens, on both databases."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable

import pytest

from tests.clocks import ManualClock
from tests.polling import eventually_async
from tests.stores import Store
from waymeet.accounts.callers import SECONDS_TO_LIVE, CallerMemory
from waymeet.accounts.service import HIGHEST_TOKENS, AccountService
from waymeet.accounts.types import Caller, Scope
from waymeet.model.errors import Conflict, Invalid, NotFound, Unavailable
from waymeet.model.ids import OrganisationId
from waymeet.store.statement import Statement
from waymeet.store.transaction import Transaction

pytestmark = pytest.mark.anyio


class Accounts:
    """A service on a store, with a clock to move."""

    def __init__(self, store: Store, seed: int = 1, highest_tokens: int = HIGHEST_TOKENS) -> None:
        self.store = store
        self.clock = ManualClock()
        self.service = AccountService(
            store, store.bells, self.clock, random.Random(seed), highest_tokens=highest_tokens
        )

    async def organisation(self, name: str = "default") -> OrganisationId:
        return (await self.service.ensure_organisation(name)).id


@pytest.fixture
async def accounts(store: Store) -> Accounts:
    return Accounts(store)


async def test_an_organisation_is_made_once(accounts: Accounts) -> None:
    first = await accounts.service.ensure_organisation()
    assert first.name == "default"
    assert await accounts.service.ensure_organisation("default") == first
    assert (await accounts.service.ensure_organisation("other")).id != first.id


async def test_processes_that_start_together_make_one_organisation(store: Store) -> None:
    services = [Accounts(store, seed).service for seed in range(8)]
    made = await asyncio.gather(*(service.ensure_organisation() for service in services))
    assert len({organisation.id for organisation in made}) == 1


async def test_a_new_token_is_recognised_and_its_secret_kept_nowhere(accounts: Accounts) -> None:
    organisation = await accounts.organisation()
    made = await accounts.service.create_token(organisation, "backend")
    assert str(uuid.UUID(made.secret)) == made.secret
    caller = await accounts.service.caller(made.secret)
    assert caller == Caller(organisation, made.token.id, frozenset({"api", "relay"}))
    assert caller.may("relay")
    assert not caller.may("node")

    async def everything(tx: Transaction) -> str:
        rows = await tx.connection.fetch(Statement("SELECT id, name, secret_hash, scopes FROM api_token"))
        return str([[row[number] for number in range(4)] for row in rows])

    assert made.secret not in await accounts.store.read(everything)
    assert (await accounts.service.list_tokens(organisation))[0].name == "backend"


@pytest.mark.parametrize("secret", ["", "unknown", "\udcff", "x" * 10_000])
async def test_an_unknown_secret_belongs_to_nobody(accounts: Accounts, secret: str) -> None:
    assert await accounts.service.caller(secret) is None


async def test_scopes_are_what_was_asked_for(accounts: Accounts) -> None:
    organisation = await accounts.organisation()
    made = await accounts.service.create_token(organisation, "node", {Scope.NODE})
    caller = await accounts.service.caller(made.secret)
    assert caller is not None
    assert caller.scopes == {"node"}
    for scopes in ({"everything"}, set[str]()):
        with pytest.raises(Invalid) as caught:
            await accounts.service.create_token(organisation, "x", scopes)
        assert list(caught.value.fields) == ["scopes"]


async def test_a_revoked_token_is_refused_at_once_and_for_ever(accounts: Accounts) -> None:
    organisation = await accounts.organisation()
    made = await accounts.service.create_token(organisation, "backend")
    assert await accounts.service.caller(made.secret) is not None
    await accounts.service.revoke_token(organisation, made.token.id)
    assert await accounts.service.caller(made.secret) is None
    revoked_at = (await accounts.service.list_tokens(organisation))[0].revoked_at
    accounts.clock.advance(60)
    await accounts.service.revoke_token(organisation, made.token.id)
    assert (await accounts.service.list_tokens(organisation))[0].revoked_at == revoked_at


async def test_another_organisations_token_cannot_be_revoked_or_seen(accounts: Accounts) -> None:
    mine, theirs = await accounts.organisation("mine"), await accounts.organisation("theirs")
    made = await accounts.service.create_token(theirs, "backend")
    with pytest.raises(NotFound):
        await accounts.service.revoke_token(mine, made.token.id)
    assert await accounts.service.list_tokens(mine) == []
    assert await accounts.service.caller(made.secret) is not None


async def test_another_process_hears_of_a_revocation(accounts: Accounts) -> None:
    organisation = await accounts.organisation()
    other = Accounts(accounts.store, seed=2)
    made = await accounts.service.create_token(organisation, "backend")
    assert await other.service.caller(made.secret) is not None
    await accounts.service.revoke_token(organisation, made.token.id)

    # The other's clock stands still: only the bell can make it forget.
    async def refused() -> bool:
        return await other.service.caller(made.secret) is None

    if accounts.store.__class__.__name__ == "PostgresStore":
        # Its listener may have connected only after the revocation; then it forgets everything as it connects.
        await eventually_async(refused)
    else:
        assert await refused()


async def test_a_lost_bell_costs_seconds_only(accounts: Accounts) -> None:
    organisation = await accounts.organisation()
    made = await accounts.service.create_token(organisation, "backend")

    class Deaf:
        def listen(self, topic: str, listener: Callable[[str | None], None]) -> Callable[[], None]:
            return lambda: None

    clock = ManualClock()
    other = AccountService(accounts.store, Deaf(), clock, random.Random(2))
    assert await other.caller(made.secret) is not None
    await accounts.service.revoke_token(organisation, made.token.id)
    assert await other.caller(made.secret) is not None
    clock.advance(SECONDS_TO_LIVE)
    assert await other.caller(made.secret) is None


async def test_an_operators_token_works_and_changing_it_retires_the_old_one(accounts: Accounts) -> None:
    organisation = await accounts.organisation()
    by_hand = await accounts.service.create_token(organisation, "operator")
    first = await accounts.service.adopt_token(organisation, "first-secret", "operator")
    assert await accounts.service.adopt_token(organisation, "first-secret", "operator") == first
    assert await accounts.service.caller("first-secret") is not None
    second = await accounts.service.adopt_token(organisation, "second-secret", "operator")
    assert second.id != first.id
    assert await accounts.service.caller("first-secret") is None
    assert await accounts.service.caller("second-secret") is not None
    # Only tokens that the operator chose are retired so.
    assert await accounts.service.caller(by_hand.secret) is not None
    # And back again: it is the operator who says which one counts.
    await accounts.service.adopt_token(organisation, "first-secret", "operator", {Scope.API})
    caller = await accounts.service.caller("first-secret")
    assert caller is not None
    assert caller.scopes == {"api"}


async def test_a_token_under_another_name_stays(accounts: Accounts) -> None:
    organisation = await accounts.organisation()
    await accounts.service.adopt_token(organisation, "for-the-api", "operator")
    await accounts.service.adopt_token(organisation, "for-the-nodes", "nodes", {Scope.NODE})
    assert await accounts.service.caller("for-the-api") is not None


async def test_two_organisations_cannot_share_a_secret(accounts: Accounts) -> None:
    await accounts.service.adopt_token(await accounts.organisation("a"), "shared-secret", "operator")
    with pytest.raises(Conflict):
        await accounts.service.adopt_token(await accounts.organisation("b"), "shared-secret", "operator")


async def test_processes_that_adopt_the_same_secret_together_agree(store: Store) -> None:
    organisation = await Accounts(store).organisation()
    services = [Accounts(store, seed).service for seed in range(6)]
    adopted = await asyncio.gather(
        *(service.adopt_token(organisation, "same-secret", "operator") for service in services)
    )
    assert len({token.id for token in adopted}) == 1


@pytest.mark.parametrize("secret", ["", "two words", "tab\there", "ümlaut-secret", "x" * 257, "nul\0nul\0"])
async def test_a_secret_that_cannot_travel_in_a_header_is_refused(accounts: Accounts, secret: str) -> None:
    with pytest.raises(Invalid) as caught:
        await accounts.service.adopt_token(await accounts.organisation(), secret, "operator")
    assert list(caught.value.fields) == ["token"]


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "line\nbreak", " padded", "nul\0"])
async def test_names_are_checked(accounts: Accounts, name: str) -> None:
    with pytest.raises(Invalid):
        await accounts.service.ensure_organisation(name)
    with pytest.raises(Invalid):
        await accounts.service.create_token(await accounts.organisation(), name)


async def test_tokens_are_bounded_and_revoked_ones_forgotten_in_time(store: Store) -> None:
    accounts = Accounts(store, highest_tokens=2)
    organisation = await accounts.organisation()
    made = [await accounts.service.create_token(organisation, f"n{number}") for number in range(2)]
    with pytest.raises(Conflict, match="the most there may be"):
        await accounts.service.create_token(organisation, "one too many")
    await accounts.service.revoke_token(organisation, made[0].token.id)
    accounts.clock.advance(31 * 24 * 3600)
    await accounts.service.create_token(organisation, "now there is room")
    assert [token.name for token in await accounts.service.list_tokens(organisation)] == ["n1", "now there is room"]


async def test_the_last_use_is_recorded_once_a_minute_and_not_by_the_request(accounts: Accounts) -> None:
    organisation = await accounts.organisation()
    made = await accounts.service.create_token(organisation, "backend")

    async def last_used_at() -> int | None:
        await accounts.service.record_uses()
        return (await accounts.service.list_tokens(organisation))[0].last_used_at

    await accounts.service.caller(made.secret)
    assert (await accounts.service.list_tokens(organisation))[0].last_used_at is None
    first = accounts.clock.now()
    assert await last_used_at() == first
    accounts.clock.advance(59)
    await accounts.service.caller(made.secret)
    assert await last_used_at() == first
    accounts.clock.advance(2)
    await accounts.service.caller(made.secret)
    assert await last_used_at() == accounts.clock.now()


async def test_a_use_that_cannot_be_recorded_now_is_recorded_later(store: Store) -> None:
    class Failing:
        def __init__(self) -> None:
            self.fails = False
            self.read = store.read
            self.scan = store.scan

        async def write(self, unit: Callable[[Transaction], Awaitable[object]]) -> object:
            if self.fails:
                raise Unavailable("the disk is full")
            return await store.write(unit)

    failing = Failing()
    service = AccountService(failing, store.bells, ManualClock(), random.Random(1))  # type: ignore[arg-type]
    organisation = (await service.ensure_organisation()).id
    made = await service.create_token(organisation, "backend")
    await service.caller(made.secret)
    failing.fails = True
    with pytest.raises(Unavailable):
        await service.record_uses()
    failing.fails = False
    await service.record_uses()
    assert (await service.list_tokens(organisation))[0].last_used_at is not None


async def test_concurrent_questions_share_one_look_up() -> None:
    asked: list[str] = []
    answer = asyncio.Event()

    async def look_up(secret_hash: str) -> Caller | None:
        asked.append(secret_hash)
        await answer.wait()
        return Caller(OrganisationId("org"), "token")

    memory = CallerMemory(look_up, ManualClock())
    questions = [asyncio.ensure_future(memory.find("hash")) for _ in range(50)]
    await asyncio.sleep(0)
    # The first to ask goes away; the others still get their answer.
    questions[0].cancel()
    await asyncio.sleep(0)
    answer.set()
    found = await asyncio.gather(*questions, return_exceptions=True)
    assert asked == ["hash"]
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [Caller(OrganisationId("org"), "token")] * 49
    assert memory.known("hash") is not None


async def test_an_answer_from_before_a_change_is_not_remembered() -> None:
    answer = asyncio.Event()

    async def look_up(_secret_hash: str) -> Caller | None:
        await answer.wait()
        return Caller(OrganisationId("org"), "token")

    memory = CallerMemory(look_up, ManualClock())
    question = asyncio.ensure_future(memory.find("hash"))
    await asyncio.sleep(0)
    memory.forget()
    answer.set()
    assert await question is not None
    assert memory.known("hash") is None


async def test_a_failed_look_up_fails_every_question_and_is_not_remembered() -> None:
    async def look_up(_secret_hash: str) -> Caller | None:
        raise Unavailable("the database is gone")

    memory = CallerMemory(look_up, ManualClock())
    for outcome in await asyncio.gather(*(memory.find("hash") for _ in range(3)), return_exceptions=True):
        assert isinstance(outcome, Unavailable)


async def test_the_memory_is_bounded_and_guesses_push_nobody_out() -> None:
    async def look_up(secret_hash: str) -> Caller | None:
        return None if secret_hash.startswith("guess") else Caller(OrganisationId("org"), secret_hash)

    memory = CallerMemory(look_up, ManualClock(), highest_entries=3)
    for number in range(3):
        await memory.find(f"good-{number}")
    for number in range(100):
        assert await memory.find(f"guess-{number}") is None
    assert all(memory.known(f"good-{number}") for number in range(3))
    await memory.find("good-3")
    assert memory.known("good-0") is None
