"""A server of files and a client for it."""

from collections.abc import Iterator

import httpx
import pytest

from tests.datasets.file_server import FileServer, serving_files
from tests.polling import GENEROUS_SECONDS


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving_files() as made:
        yield made


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=GENEROUS_SECONDS, trust_env=False, follow_redirects=True) as client:
        yield client
