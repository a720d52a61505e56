"""Network namespaces: places with interfaces, addresses and routes of their own, on this machine alone.

A namespace lives as long as the process that holds it, which ends with the tests, however they end: nothing is ever left.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

_CLONE_NEWNET = 0x40000000
_HOLD = "import sys; print('ready', flush=True); sys.stdin.read()"
_libc = ctypes.CDLL(None, use_errno=True)


class Impossible(Exception):
    """This machine, or this user, cannot have such a network; the message says why."""


def enter(path: str) -> None:
    """Put the calling thread, and it alone, into the namespace behind `path`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {path}")
    finally:
        os.close(descriptor)


def command(name: str) -> str:
    """Where a command of the system is: often not in a user's path."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise Impossible(f"there is no `{name}` here (tools/install-iproute2)")
    return found


class Namespace:
    """One namespace, with only its loopback interface at first."""

    def __init__(self, name: str) -> None:
        self.name = name
        command("ip")
        self._holder = subprocess.Popen(
            [command("unshare"), "--net", sys.executable, "-c", _HOLD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            _, said = self._holder.communicate()
            raise Impossible(f"network namespaces cannot be made: {said.decode().strip()}")
        self.path = f"/proc/{self._holder.pid}/ns/net"
        self.within = (command("nsenter"), f"--net={self.path}", "--")
        self._inside = ThreadPoolExecutor(1, initializer=enter, initargs=(self.path,))
        try:
            self.ip("link", "set", "lo", "up")
        except Impossible:
            self.close()
            raise

    @property
    def holder(self) -> int:
        return self._holder.pid

    def ip(self, *arguments: str) -> None:
        """`ip` with these arguments, in here."""
        self.run(command("ip"), *arguments)

    def run(self, *words: str) -> None:
        done = subprocess.run([*self.within, *words], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Impossible(f"`{' '.join(words)}` failed: {done.stderr.strip()}")

    def set(self, setting: str, value: str) -> None:
        """A kernel setting of this namespace, such as `net/ipv4/ip_forward`."""
        self.call(Path(f"/proc/sys/{setting}").write_text, value)

    def call(self, what: Callable[..., Any], *arguments: Any) -> Any:
        """What a function returns that is called in here. One at a time."""
        return self._inside.submit(what, *arguments).result()

    def close(self) -> None:
        self._inside.shutdown(cancel_futures=True)
        self._holder.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
