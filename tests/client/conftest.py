from collections.abc import Iterator

import pytest

from tests.client.either import Either, either_client
from tests.client.fake_server import FakeServer, running_server


@pytest.fixture(scope="session")
def listening() -> Iterator[FakeServer]:
    with running_server() as fake:
        yield fake


@pytest.fixture
def server(listening: FakeServer) -> FakeServer:
    listening.asked.clear()
    listening.answers.clear()
    return listening


@pytest.fixture(params=["blocking", "awaited"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(kind: str, server: FakeServer) -> Iterator[Either]:
    with either_client(kind, server.url) as either:
        yield either
