"""What Linux says about processes and their sockets, read from `/proc`.

A process may end between two looks at it: everything here then leaves it out rather than fail. A machine that has no file
descriptor or memory left says nothing about any process: then everything here raises `OSError`.
"""

import errno
import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_LISTENING = b"0A"
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, told from all others that ever had its number by when it started (ticks since boot)."""

    number: int
    started: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process used since its start. Disk totals are 0 where the kernel does not show them."""

    cpu_seconds: float
    resident_bytes: int
    disk_read_bytes: int
    disk_written_bytes: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A bound UDP socket or a listening TCP socket."""

    address: str
    inode: int


def started(number: int) -> int | None:
    """When the process with this number started, in ticks since boot; `None` when there is none."""
    fields = _stat(number)
    return int(fields[19]) if fields else None


def descendants(number: int) -> list[int]:
    """Children of a process, their children, and so on."""
    found: list[int] = []
    level = [number]
    while level:
        level = [child for parent in level for child in _children(parent)]
        found += level
    return found


def _children(number: int) -> Iterator[int]:
    # The kernel lists children under the thread that made them.
    for threads in _read_each(_PROC / str(number) / "task", "children"):
        yield from map(int, threads.split())


def marked(variable: str, value: str) -> list[int]:
    """Processes that were started with `variable=value` in their environment."""
    needle = os.fsencode(f"\0{variable}={value}\0")
    return [
        int(entry.name)
        for entry in os.scandir(_PROC)
        if entry.name.isdigit() and needle in b"\0" + (_read(f"/proc/{entry.name}/environ") or b"") + b"\0"
    ]


def in_session(leader: Identity) -> list[int]:
    """Living processes of the session that `leader` leads or led."""
    now = started(leader.number)
    if now is not None and now != leader.started:
        # The kernel gives a number away only when no process, group or session goes by it: ours has nobody left.
        return []
    found = []
    for entry in os.scandir(_PROC):
        fields = _stat(int(entry.name)) if entry.name.isdigit() else None
        if fields and int(fields[3]) == leader.number and fields[0] not in (b"Z", b"X"):
            found.append(int(entry.name))
    return found


def kill(numbers: Iterable[int]) -> None:
    """SIGKILL to each that is still there and may be killed; a program of another user may not."""
    for number in numbers:
        try:
            os.kill(number, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def usage(number: int) -> Usage | None:
    """What a process used; `None` when it is gone."""
    fields = _stat(number)
    if fields is None:
        return None
    disk = dict(line.split(b": ") for line in (_read(f"/proc/{number}/io") or b"").splitlines())
    return Usage(
        # Own time in user and system mode, and that of children already collected.
        cpu_seconds=sum(map(int, fields[11:15])) / _TICKS_PER_SECOND,
        resident_bytes=int(fields[21]) * _PAGE_BYTES,
        disk_read_bytes=int(disk.get(b"read_bytes", 0)),
        disk_written_bytes=int(disk.get(b"write_bytes", 0)),
    )


def proportional_bytes(number: int) -> int | None:
    """Memory of a process with what it shares divided among the sharers; `None` when the kernel does not tell."""
    for line in (_read(f"/proc/{number}/smaps_rollup") or b"").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return None


def udp_endpoints(port: int) -> list[Endpoint]:
    """UDP sockets of this machine that are bound to `port`."""
    return [endpoint for table in ("udp", "udp6") for endpoint in _endpoints(table, port, state=None)]


def tcp_listeners(port: int) -> list[Endpoint]:
    """TCP sockets of this machine that accept connections on `port`."""
    return [endpoint for table in ("tcp", "tcp6") for endpoint in _endpoints(table, port, state=_LISTENING)]


def socket_inodes(numbers: Iterable[int]) -> set[int]:
    """Inodes of the sockets that any of the processes has open."""
    found = set()
    for number in numbers:
        try:
            for entry in os.scandir(f"/proc/{number}/fd"):
                target = os.readlink(entry.path)  # noqa: PTH115 - hundreds of them, every few milliseconds
                if target.startswith("socket:["):
                    found.add(int(target[8:-1]))
        except OSError as error:
            _raise_exhaustion(error)
    return found


def _endpoints(table: str, port: int, state: bytes | None) -> Iterator[Endpoint]:
    # A busy machine has thousands of lines; only those that can match are taken apart.
    needle = b":%04X " % port
    for line in (_read(f"/proc/net/{table}") or b"").splitlines():
        if needle in line:
            fields = line.split()
            address, _, local_port = fields[1].partition(b":")
            if int(local_port, 16) == port and state in (None, fields[3]):
                yield Endpoint(_address(address), int(fields[9]))


def _address(text: bytes) -> str:
    """An address as the kernel prints it: hexadecimal, in words of four bytes of the machine's own order."""
    packed = bytes.fromhex(text.decode())
    if sys.byteorder == "little":
        packed = b"".join(packed[start : start + 4][::-1] for start in range(0, len(packed), 4))
    if len(packed) == 4:
        return socket.inet_ntop(socket.AF_INET, packed)
    return socket.inet_ntop(socket.AF_INET6, packed).removeprefix("::ffff:")


def _stat(number: int) -> list[bytes] | None:
    """Fields of `/proc/<number>/stat` from the third (state) on: the second, a name, may hold anything, even `)`."""
    content = _read(f"/proc/{number}/stat")
    return content.rpartition(b")")[2].split() if content else None


def _read_each(directory: Path, name: str) -> Iterator[bytes]:
    try:
        entries = list(os.scandir(directory))
    except OSError as error:
        _raise_exhaustion(error)
        return
    for entry in entries:
        if content := _read(f"{entry.path}/{name}"):
            yield content


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - hundreds of them, every few milliseconds
            return file.read()
    except OSError as error:
        _raise_exhaustion(error)
        return None


def _raise_exhaustion(error: OSError) -> None:
    if error.errno in _EXHAUSTED:
        raise error
