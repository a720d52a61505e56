"""What this domain needs of the store."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeVar

from waymeet.accounts.types import ApiToken, Organisation
from waymeet.model.ids import OrganisationId
from waymeet.model.instant import Instant

Result = TypeVar("Result")


class AccountRows(Protocol):
    """Organisations and API tokens. Secrets come in as hashes only."""

    async def add_organisation(self, organisation: Organisation, webhook_secret: str) -> bool:
        """False when the name is taken."""

    async def find_organisation(self, name: str) -> Organisation | None: ...

    async def add_token(self, token: ApiToken, secret_hash: str) -> bool:
        """False when a token with this secret exists already, revoked or not."""

    async def find_token(self, secret_hash: str) -> ApiToken | None:
        """Also when it is revoked."""

    async def count_tokens(self, organisation: OrganisationId) -> int:
        """Revoked ones included."""

    async def list_tokens(self, organisation: OrganisationId) -> Sequence[ApiToken]:
        """Oldest first, revoked ones included."""

    async def revoke(self, organisation: OrganisationId, token_id: str, now: Instant) -> bool:
        """False when the organisation has no such token. Revoking twice keeps the first time."""

    async def reinstate(self, token_id: str, name: str, scopes: Collection[str]) -> None:
        """Make a token valid (again), with this name and these scopes."""

    async def revoke_adopted(self, organisation: OrganisationId, name: str, except_id: str, now: Instant) -> None:
        """Revoke the operator's tokens of this name, but for one."""

    async def drop_revoked(self, organisation: OrganisationId, before: Instant) -> None:
        """Forget tokens revoked before."""

    async def record_uses(self, uses: Mapping[str, Instant]) -> None:
        """Move `last_used_at` forward, by token id."""


class AccountTransaction(Protocol):
    @property
    def accounts(self) -> AccountRows: ...

    def wake(self, topic: str, key: str | None = None) -> None: ...


class AccountStore(Protocol):
    async def write(self, unit: Callable[[AccountTransaction], Awaitable[Result]]) -> Result: ...

    async def read(self, unit: Callable[[AccountTransaction], Awaitable[Result]]) -> Result: ...

    async def scan(self, unit: Callable[[AccountTransaction], Awaitable[Result]]) -> Result: ...


class Bells(Protocol):
    """Where this process hears that something changed."""

    def listen(self, topic: str, listener: Callable[[str | None], None]) -> Callable[[], None]: ...
