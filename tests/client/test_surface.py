"""The promises of the package as a whole: its names, their documentation, what it imports."""

import inspect
import subprocess
import sys
from types import ModuleType

import pytest

import waymeet.client
from tests.polling import GENEROUS_SECONDS
from waymeet.client import (
    AsyncClient,
    AsyncGameServer,
    AsyncLobbyService,
    Client,
    GameServer,
    Lobby,
    LobbyService,
    RelayAccess,
    Room,
    Webhook,
)
from waymeet.client.calling.operation import Group, listing, operation, streaming
from waymeet.client.client import ClientCalls


def test_all_is_what_can_be_imported() -> None:
    public = {
        name
        for name, value in vars(waymeet.client).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert waymeet.client.__all__ == sorted(public)


@pytest.mark.parametrize("name", waymeet.client.__all__)
def test_every_public_thing_says_what_it_is(name: str) -> None:
    value = getattr(waymeet.client, name)
    assert value.__doc__
    assert not value.__doc__.startswith(f"{name}("), "a generated signature is no documentation"


def groups() -> list[type]:
    with Client("http://127.0.0.1:8080") as client:
        return [type(each) for each in vars(client).values() if isinstance(each, Group)]


WITH_METHODS = (
    ClientCalls,
    Client,
    AsyncClient,
    GameServer,
    AsyncGameServer,
    LobbyService,
    AsyncLobbyService,
    Lobby,
    Room,
    RelayAccess,
    Webhook,
)


@pytest.mark.parametrize("owner", [*groups(), *WITH_METHODS])
def test_every_public_method_says_what_the_caller_gets(owner: type) -> None:
    methods = {
        name: value
        for name, value in inspect.getmembers(owner)
        if not name.startswith("_")
        and (callable(value) or isinstance(value, operation | listing | streaming | property))
    }
    assert methods
    assert [name for name, value in methods.items() if not inspect.getdoc(value)] == []


def test_a_bound_call_shows_its_signature_and_documentation() -> None:
    with Client("http://127.0.0.1:8080") as client:
        assert list(inspect.signature(client.sessions.wait_until_ready).parameters) == [
            "session_id",
            "timeout",
            "on_change",
        ]
        assert (client.sessions.get.__doc__ or "").startswith("The session as it is now")


def test_nothing_else_of_ours_and_nothing_heavy_is_imported() -> None:
    program = "import sys, waymeet.client; print('\\n'.join(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=GENEROUS_SECONDS
    )
    loaded = set(result.stdout.split())
    ours = {name for name in loaded if name.split(".")[0] == "waymeet"}
    assert {name for name in ours if not name.startswith("waymeet.client")} == {"waymeet"}
    assert not loaded & {"starlette", "uvicorn", "sqlalchemy", "alembic", "asyncpg", "structlog", "typer"}
