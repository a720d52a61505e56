"""Organisations and their API tokens: make, adopt, list, revoke, and recognise."""

import random
from collections import OrderedDict
from collections.abc import Collection

from waymeet.accounts.callers import CallerMemory
from waymeet.accounts.ports import AccountStore, AccountTransaction, Bells
from waymeet.accounts.secrets import check_chosen_secret, hash_secret
from waymeet.accounts.types import DEFAULT_SCOPES, ApiToken, Caller, NewToken, Organisation, Scope
from waymeet.model.errors import Conflict, Invalid, NotFound
from waymeet.model.ids import OrganisationId, new_hex_token, new_secret
from waymeet.model.instant import MINUTE, Clock, Instant, after
from waymeet.webhooks.signing import new_webhook_secret

ACCOUNTS = "accounts"
"""Bell: tokens were made, changed or revoked."""

DEFAULT_ORGANISATION = "default"
LONGEST_NAME = 64
HIGHEST_TOKENS = 1000
REVOKED_KEPT_SECONDS = 30 * 24 * 3600
_HIGHEST_RECORDED = 10_000


class AccountService:
    """Owns the rules for tokens. `rng` must be a `random.SystemRandom`: secrets are drawn from it."""

    def __init__(
        self,
        store: AccountStore,
        bells: Bells,
        clock: Clock,
        rng: random.Random,
        *,
        highest_tokens: int = HIGHEST_TOKENS,
    ) -> None:
        self._highest_tokens = highest_tokens
        self._store = store
        self._clock = clock
        self._rng = rng
        self._callers = CallerMemory(self._look_up, clock)
        self._uses: dict[str, Instant] = {}
        self._recorded: OrderedDict[str, Instant] = OrderedDict()
        bells.listen(ACCOUNTS, lambda _key: self._callers.forget())

    async def ensure_organisation(self, name: str = DEFAULT_ORGANISATION) -> Organisation:
        """The organisation of this name, made when there is none. Repeatable, also by several processes at once."""
        _check_name(name)

        async def unit(tx: AccountTransaction) -> Organisation:
            found = await tx.accounts.find_organisation(name)
            if found is not None:
                return found
            made = Organisation(OrganisationId(new_hex_token(self._rng)), name, self._clock.now())
            if await tx.accounts.add_organisation(made, new_webhook_secret(self._rng)):
                return made
            # Another process was quicker.
            found = await tx.accounts.find_organisation(name)
            if found is None:
                raise Conflict(f"organisation '{name}' is being changed by another process; try again")
            return found

        return await self._store.write(unit)

    async def create_token(
        self, organisation: OrganisationId, name: str, scopes: Collection[str] = DEFAULT_SCOPES
    ) -> NewToken:
        """A new token and its secret, which cannot be seen again. Names need not be unique: ids are."""
        _check_name(name)
        _check_scopes(scopes)
        secret = new_secret(self._rng)

        async def unit(tx: AccountTransaction) -> ApiToken:
            now = self._clock.now()
            await self._make_room(tx, organisation, now)
            token = ApiToken(new_hex_token(self._rng), organisation, name, frozenset(scopes), now)
            await tx.accounts.add_token(token, hash_secret(secret))
            tx.wake(ACCOUNTS)
            return token

        return NewToken(await self._store.write(unit), secret)

    async def adopt_token(
        self,
        organisation: OrganisationId,
        secret: str,
        name: str,
        scopes: Collection[str] = DEFAULT_SCOPES,
    ) -> ApiToken:
        """Make a secret that the operator chose valid. Repeatable.

        Of the tokens adopted under `name` only this one stays valid, so that changing `--token` retires the old value.
        Raises `Conflict` when the secret belongs to another organisation.
        """
        check_chosen_secret(secret)
        _check_name(name)
        _check_scopes(scopes)
        secret_hash = hash_secret(secret)

        async def unit(tx: AccountTransaction) -> ApiToken:
            now = self._clock.now()
            token = await tx.accounts.find_token(secret_hash)
            if token is None:
                await self._make_room(tx, organisation, now)
                token = ApiToken(new_hex_token(self._rng), organisation, name, frozenset(scopes), now, adopted=True)
                if not await tx.accounts.add_token(token, secret_hash):
                    # Another process adopted it between our two statements.
                    token = await tx.accounts.find_token(secret_hash)
            if token is None or token.organisation != organisation:
                raise Conflict("this token is in use by another organisation; choose another one")
            await tx.accounts.reinstate(token.id, name, scopes)
            await tx.accounts.revoke_adopted(organisation, name, token.id, now)
            tx.wake(ACCOUNTS)
            return ApiToken(
                token.id, organisation, name, frozenset(scopes), token.created_at, token.adopted, token.last_used_at
            )

        adopted = await self._store.write(unit)
        self._callers.forget()
        return adopted

    async def list_tokens(self, organisation: OrganisationId) -> list[ApiToken]:
        """The organisation's tokens, oldest first. Revoked ones are remembered for `REVOKED_KEPT_SECONDS` at least."""

        async def unit(tx: AccountTransaction) -> list[ApiToken]:
            return list(await tx.accounts.list_tokens(organisation))

        return await self._store.scan(unit)

    async def revoke_token(self, organisation: OrganisationId, token_id: str) -> None:
        """Refuse a token from now on. Repeatable. `NotFound` when the organisation never had it."""

        async def unit(tx: AccountTransaction) -> None:
            if not await tx.accounts.revoke(organisation, token_id, self._clock.now()):
                raise NotFound(f"token '{token_id}' not found")
            tx.wake(ACCOUNTS)

        await self._store.write(unit)
        # Other processes hear the bell; this one must not answer another request before it does.
        self._callers.forget()

    async def caller(self, secret: str) -> Caller | None:
        """Whose key `secret` is; `None` when it is unknown or revoked. Cheap enough for every request.

        Raises `Unavailable` when the store is gone and the answer is not remembered.
        """
        secret_hash = hash_secret(secret)
        caller = self._callers.known(secret_hash) or await self._callers.find(secret_hash)
        if caller is not None:
            self._note_use(caller.token)
        return caller

    async def record_uses(self) -> None:
        """Write down when tokens were last used. What cannot be written now is written by the next call."""
        uses, self._uses = self._uses, {}
        if not uses:
            return

        async def unit(tx: AccountTransaction) -> None:
            await tx.accounts.record_uses(uses)

        try:
            await self._store.write(unit)
        except Exception:
            self._uses = uses | self._uses
            raise

    async def _look_up(self, secret_hash: str) -> Caller | None:
        async def unit(tx: AccountTransaction) -> ApiToken | None:
            return await tx.accounts.find_token(secret_hash)

        token = await self._store.read(unit)
        if token is None or token.revoked_at is not None:
            return None
        return Caller(token.organisation, token.id, token.scopes)

    def _note_use(self, token_id: str) -> None:
        now = self._clock.now()
        recorded = self._recorded.get(token_id)
        if recorded is not None and abs(now - recorded) < MINUTE:
            return
        self._recorded[token_id] = now
        self._uses[token_id] = now
        if len(self._recorded) > _HIGHEST_RECORDED:
            self._recorded.popitem(last=False)

    async def _make_room(self, tx: AccountTransaction, organisation: OrganisationId, now: Instant) -> None:
        await tx.accounts.drop_revoked(organisation, after(now, -REVOKED_KEPT_SECONDS))
        if await tx.accounts.count_tokens(organisation) >= self._highest_tokens:
            raise Conflict(
                f"the organisation has {self._highest_tokens} tokens, the most there may be; "
                "those revoked count until they are forgotten, 30 days later"
            )


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise Invalid({"name": f"1 to {LONGEST_NAME} printable characters, not starting or ending with a space"})


def _check_scopes(scopes: Collection[str]) -> None:
    unknown = set(scopes) - set(Scope)
    if unknown or not scopes:
        raise Invalid({"scopes": f"one or more of {', '.join(Scope)}"})
