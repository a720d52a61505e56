"""`waymeet token`: works on the database itself, because the first token must come from somewhere.

A server that runs on the same database takes notice within seconds.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from waymeet.accounts.service import AccountService
from waymeet.accounts.types import ApiToken
from waymeet.clock import SystemClock
from waymeet.model.errors import NotFound
from waymeet.model.instant import Instant, v1_timestamp
from waymeet.settings import Settings
from waymeet.store.migrate import ensure_migrated
from waymeet.store.postgres import PostgresStore
from waymeet.store.sqlite import SqliteStore

Result = TypeVar("Result")


def create(settings: Settings, organisation: str, name: str, scopes: list[str]) -> None:
    """Make a token and print its secret: alone on standard output, so that scripts can take it."""

    async def work(accounts: AccountService) -> str:
        owner = await accounts.ensure_organisation(organisation)
        return (await accounts.create_token(owner.id, name, scopes)).secret

    file = settings.sqlite_file
    if file is not None and not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        Console(stderr=True).print(f"Making a new database, {file}: the server must use the same one")
    secret = _with_accounts(settings, work, make=True)
    Console(stderr=True).print(f"Token {name!r} of organisation {organisation!r}; it cannot be shown again")
    print(secret)


def show(settings: Settings, organisation: str) -> None:
    """Print the organisation's tokens, oldest first."""

    async def work(accounts: AccountService) -> list[ApiToken]:
        owner = await accounts.ensure_organisation(organisation)
        return await accounts.list_tokens(owner.id)

    table = Table(box=None, pad_edge=False)
    for heading in ("id", "name", "scopes", "created", "last used", "revoked"):
        table.add_column(heading, no_wrap=heading == "id")
    for token in _with_accounts(settings, work):
        times = (token.created_at, token.last_used_at, token.revoked_at)
        table.add_row(token.id, token.name, ", ".join(sorted(token.scopes)), *map(_moment, times))
    console = Console()
    if not console.is_terminal:
        # Whoever reads this with a program wants whole lines.
        console.width = 200
    console.print(table)


def revoke(settings: Settings, organisation: str, token_id: str) -> None:
    """Refuse the token from now on."""

    async def work(accounts: AccountService) -> None:
        owner = await accounts.ensure_organisation(organisation)
        await accounts.revoke_token(owner.id, token_id)

    _with_accounts(settings, work)
    Console(stderr=True).print(f"Token {token_id} is revoked")


def _moment(instant: Instant | None) -> str:
    return "" if instant is None else v1_timestamp(instant)[:19]


def _with_accounts(
    settings: Settings, work: Callable[[AccountService], Awaitable[Result]], *, make: bool = False
) -> Result:
    async def run() -> Result:
        async with _accounts(settings, make) as accounts:
            return await work(accounts)

    return asyncio.run(run())


@contextlib.asynccontextmanager
async def _accounts(settings: Settings, make: bool) -> AsyncIterator[AccountService]:
    clock = SystemClock()
    file = settings.sqlite_file
    if file is not None and not make and not file.exists():
        raise NotFound(f"there is no Waymeet database at {file}; name the server's directory with --data")
    await asyncio.to_thread(ensure_migrated, settings.database_url)
    store = (
        PostgresStore(settings.database_url, pool_size=2)
        if file is None
        else SqliteStore(file, clock, synchronous=settings.store.synchronous)
    )
    await store.open()
    try:
        yield AccountService(store, store.bells, clock, random.SystemRandom())
    finally:
        await store.close()
