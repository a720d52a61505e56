"""The throw-away cluster: it serves, each worker has a database of its own, and it ends with its owner."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg

from tests import postgres
from tests.polling import eventually


def ask(url: str, question: str) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_serves_a_database_of_this_workers_own(postgres_url: str, worker_id: str) -> None:
    assert ask(postgres_url, "SELECT current_database()") == f"waymeet_{worker_id}"


def test_ends_with_the_process_that_it_was_started_for(postgres_url: str) -> None:
    del postgres_url  # asked for, so that a machine without PostgreSQL skips
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as owner:
        url = postgres.start_for(owner.pid)
        directory = Path(str(ask(url, "SHOW data_directory")))
        server = int((directory / "postmaster.pid").read_text().split()[0])
        owner.kill()
    eventually(lambda: not directory.exists())
    eventually(lambda: not _alive(server))


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_by_hand_it_serves_until_interrupted(postgres_url: str) -> None:
    del postgres_url
    command = [sys.executable, "-m", "tests.postgres"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as by_hand:
        assert by_hand.stdout is not None
        url = by_hand.stdout.readline().strip()
        assert ask(url, "SELECT 1") == 1
        by_hand.send_signal(signal.SIGINT)
        assert by_hand.wait() == 0
