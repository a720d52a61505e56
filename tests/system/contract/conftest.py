"""Running servers to be customers of. One serves all the tests of a worker; each studio has an organisation of its own."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import postgres
from tests.gate import Gate
from tests.geo.mmdb import LONDON, TOKYO, database
from tests.polling import eventually
from tests.system.contract.hooks import Hooks, receiving_hooks
from tests.system.contract.owned import Owned
from tests.system.contract.studio import Server, Studio
from tests.system.installation import Installation, node_table

_PLACES = {
    "montreal": """
        region = "America East"
        tags = { tier = "gold", size = "large" }
        location = { city = "Montreal", country = "Canada", continent = "North America",
            administrative_division = "Quebec", timezone = "Eastern Time", latitude = 45.5, longitude = -73.56 }
        """,
    "frankfurt": """
        tags = { tier = "silver" }
        location = { city = "Frankfurt", country = "Germany", continent = "Europe",
            administrative_division = "Hesse", timezone = "Central European Time", latitude = 50.11, longitude = 8.68 }
        """,
    "paris": """
        location = { city = "Paris", country = "France", continent = "Europe",
            administrative_division = "Paris", timezone = "Central European Time", latitude = 48.86, longitude = 2.35 }
        """,
}

_NEW_YORK = {"country_code": "US", "city": "New York", "latitude": 40.7128, "longitude": -74.006}
PLACES_OF_PLAYERS = {
    "81.2.69.0/24": LONDON,
    "216.160.83.0/24": _NEW_YORK,
    "89.160.20.0/24": TOKYO,
    "2001:218::/32": TOKYO,
    # A file may say what it likes: answers tell no place of private addresses all the same.
    "10.0.0.0/8": LONDON,
}
"""What the servers know of addresses. Nothing of those that the other tests' players have."""


@contextmanager
def _server(directory: Path, database_url: str = "") -> Iterator[Server]:
    game = Path(__file__).with_name("game.py")
    geo = directory / "geo.mmdb"
    geo.write_bytes(database(PLACES_OF_PLAYERS))
    installation = Installation(
        directory,
        settings=f'[geo]\ndatabase = ["{geo}"]\n'
        f'[programs."test/game"]\ncommand = ["{{python}}", "{game}"]\n'
        f'[programs."test/filled"]\ncommand = ["{{python}}", "{game}", "tag={{tag}}", "{{port:game}}", "{{address}}"]\n',
        # Each on an address of its own: by what is handed out one sees where a server runs.
        nodes=[
            node_table(name, f"127.0.0.{number}", capacity=40, more=more)
            for number, (name, more) in enumerate(_PLACES.items(), start=2)
        ],
        database_url=database_url,
    )
    with installation:
        installation.up()
        # Ready means one node; the tests of placement want them all.
        eventually(lambda: len(installation.client.locations.page().items) == len(_PLACES))
        yield Server(installation)


@pytest.fixture(scope="session")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with _server(tmp_path_factory.mktemp("sqlite")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Server]:
    database = postgres.create_database(postgres_url, f"contract_{uuid.uuid4().hex}")
    with _server(tmp_path_factory.mktemp("postgres"), database) as server:
        yield server


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Server:
    """On SQLite; on both databases for tests that say so: `parametrize("server", BOTH, indirect=True)`."""
    found: Server = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_server")
    return found


@pytest.fixture
def studio(server: Server) -> Iterator[Studio]:
    """A studio that nobody else works for."""
    with server.studio() as made:
        yield made


@pytest.fixture
def owned(studio: Studio) -> Owned:
    """A studio with one object of every kind."""
    return Owned(studio)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """Closed: game servers with `arguments=gate.ready` are starting until it is opened."""
    made = Gate(tmp_path / "gate")
    yield made
    # What still waits for it can come to its end.
    made.open()


@pytest.fixture(scope="session")
def hooks() -> Iterator[Hooks]:
    """A backend that receives webhooks."""
    with receiving_hooks() as receiver:
        yield receiver
