from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.drivers.backends import ProcessBackend


@pytest.fixture
async def process_backend(tmp_path: Path, anyio_backend: str) -> AsyncIterator[ProcessBackend]:
    backend = ProcessBackend(tmp_path / "servers")
    yield backend
    await backend.clean()
