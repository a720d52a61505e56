from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.drivers.backends import ProcessBackend
from tests.gate import Gate


@pytest.fixture
async def process_backend(tmp_path: Path, anyio_backend: str) -> AsyncIterator[ProcessBackend]:
    backend = ProcessBackend(tmp_path / "servers")
    yield backend
    await backend.clean()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Closed: servers with `arguments=gate.ready` are starting, and those with `gate.end` run, until it is opened."""
    return Gate(tmp_path / "gate")
