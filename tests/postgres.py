"""A throw-away PostgreSQL cluster on loopback, which ends with the program that asked for it.

For tests, through the fixture `postgres_url`. By hand: `python -m tests.postgres` prints a URL and serves until Ctrl-C.
"""

import argparse
import contextlib
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.ports import PortWindow

USER = "waymeet"
START_SECONDS = 100

# Small, because two cores share it with the tests; many connections, because each store under test has its own pool.
# fsync is off: the cluster never outlives the run, so a power cut has nothing to lose.
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "400",
    "shared_buffers": "32MB",
    "fsync": "off",
    "synchronous_commit": "on",
    "full_page_writes": "off",
    "jit": "off",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}


class Unavailable(Exception):
    """No cluster can be made here; the message says why and what to do."""


def programs() -> Path:
    """The directory with `initdb` and `postgres`, the newest when there are several."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    # Debian keeps them off PATH, one directory for each major version.
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not found:
        raise Unavailable("PostgreSQL is not installed; `apt-get install postgresql` (as root) lets these tests run")
    return max(found, key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0)


def create_database(url: str, name: str) -> str:
    """Create an empty database `name` in the cluster at `url`; its URL."""
    server, _, _ = url.rpartition("/")
    statement = f'CREATE DATABASE "{name}" TEMPLATE template0'
    subprocess.run([programs() / "psql", "-q", "-X", "-c", statement, url], check=True)
    return f"{server}/{name}"


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """A running cluster's URL. Stopped and removed afterwards."""
    binaries = programs()
    owner = _owner()
    directory = Path(tempfile.mkdtemp(prefix="waymeet-postgres-"))
    window = PortWindow()
    try:
        if owner is not None:
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        kept = directory / "cluster"
        made = subprocess.run(
            [
                *_as(owner),
                binaries / "initdb",
                "-D",
                kept,
                "-U",
                USER,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-locale",
                "--no-sync",
            ],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise Unavailable(f"initdb failed: {made.stderr.strip()}")
        port = window.take()
        options = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
        # In the foreground and bound to this process's life, so that even `kill -9` of it leaves no server behind.
        server = subprocess.Popen(
            [
                *_as(owner),
                "setpriv",
                "--pdeathsig",
                "INT",
                binaries / "postgres",
                "-D",
                kept,
                "-p",
                str(port),
                *options,
            ],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # A session of its own: Ctrl-C on the terminal reaches the tests first, and they still need it.
            start_new_session=True,
        )
        try:
            url = f"postgresql://{USER}@127.0.0.1:{port}/postgres"
            waited = subprocess.run(
                ["/bin/sh", "-c", f'until "$0" -q -h 127.0.0.1 -p {port}; do sleep 0.1; done', binaries / "pg_isready"],
                timeout=START_SECONDS,
                check=False,
            )
            if waited.returncode != 0 or server.poll() is not None:
                raise Unavailable(f"postgres ended with {server.poll()} while starting")
            yield url
        finally:
            # Immediate shutdown: the data goes away anyway.
            server.send_signal(signal.SIGQUIT)
            server.wait(timeout=START_SECONDS)
    finally:
        window.release()
        shutil.rmtree(directory, ignore_errors=True)


def start_for(process: int) -> str:
    """The URL of a new cluster that ends by itself when `process` has ended, however it ends."""
    guardian = subprocess.Popen(
        [sys.executable, "-m", "tests.postgres", "--until", str(process)],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert guardian.stdout is not None
    assert guardian.stderr is not None
    with guardian.stdout, guardian.stderr:
        url = guardian.stdout.readline().strip()
        if not url:
            raise Unavailable(guardian.stderr.read().strip() or "the cluster's guardian ended at once")
    # It outlives us on purpose; without this the interpreter warns of a child that still runs.
    guardian.returncode = 0
    return url


def _owner() -> pwd.struct_passwd | None:
    """Whom to run as. PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Unavailable("PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody`")


def _as(owner: pwd.struct_passwd | None) -> list[str]:
    if owner is None:
        return []
    return ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--until", type=int, metavar="PID", help="end when this process has ended")
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        watched = None if arguments.until is None else os.pidfd_open(arguments.until)
        with cluster() as url:
            print(url, flush=True)
            if watched is None:
                signal.pause()
            else:
                select.select([watched], [], [])
    except Unavailable as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
