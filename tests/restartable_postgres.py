"""A PostgreSQL cluster of a test's own, which it may stop and start again.

A conftest makes the fixture its own: `from tests.restartable_postgres import restartable_postgres`.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.conftest import missing


class RestartablePostgres:
    """Runs at first. What was committed is there again after a stop and a start, at the same URL."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url = url
        self._directory = directory
        self._port = url.rpartition(":")[2].partition("/")[0]

    def stop(self, mode: str) -> None:
        """`fast` says goodbye to clients, `immediate` does not."""
        self._control("-m", mode, "stop")

    def start(self) -> None:
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self._control("-o", options, "-l", str(self._directory / "log"), "start")

    def _control(self, *arguments: str) -> None:
        program, directory = str(postgres.programs() / "pg_ctl"), str(self._directory)
        command = [*postgres._as(postgres._owner()), program, "-w", "-D", directory]
        subprocess.run([*command, *arguments], cwd=self._directory, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def restartable_postgres() -> Iterator[RestartablePostgres]:
    """A running cluster with an empty database, stopped and removed afterwards."""
    try:
        with postgres.cluster() as url:
            asked = [str(postgres.programs() / "psql"), "-A", "-t", "-X", "-c", "SHOW data_directory", url]
            directory = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
            made = RestartablePostgres(url, directory)
            try:
                yield made
            finally:
                if (directory / "postmaster.pid").exists():
                    made.stop("immediate")
    except postgres.Unavailable as error:
        missing("postgres", str(error))
