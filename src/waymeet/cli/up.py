"""From `waymeet up` to its supervisor: prepare the directory, write the plan, become the one that carries it out."""

import fcntl
import json
import os
import random
import sys
from pathlib import Path
from typing import NoReturn

import msgspec

from waymeet import supervise
from waymeet.model.ids import new_secret
from waymeet.settings import Settings, dump
from waymeet.settings.types import reachable

NODES_TOKEN_FILE = "node-token"
TOKEN_FILE = "token"


class InUse(Exception):
    """Another `waymeet up` uses the directory."""


def become_supervisor(settings: Settings, *, sample: bool) -> NoReturn:
    """Replace this process with the supervisor. Raises `InUse`, or `OSError` when the directory cannot be used."""
    run = settings.data / "run"
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _lock(run / "up.lock", settings.data)
    given = settings.token
    settings = msgspec.structs.replace(
        settings,
        token=given or kept_token(settings.data / TOKEN_FILE),
        node_token=settings.node_token or kept_token(settings.data / NODES_TOKEN_FILE),
    )
    settings_file = run / "settings.json"
    _write_private(settings_file, dump(settings))
    child = [sys.executable, "-P", "-m", "waymeet.cli.child"]
    descriptors = ["{lifeline}", "{lock}"]
    plan = {
        "lock": lock,
        "children_lock": str(run / "children.lock"),
        "bind": [settings.host, settings.port],
        "reach": [reachable(settings.host), settings.port],
        "banner": banner(settings, kept_in=None if given else settings.data / TOKEN_FILE, sample=sample),
        "children": [
            {
                "name": "the control plane",
                "command": [*child, "serve", str(settings_file), *descriptors, *(["sample"] if sample else [])],
            },
            {
                "name": "the nodes' process",
                "command": [*child, "nodes", str(settings_file), *descriptors],
                "farewell": [*child, "stop-servers", str(settings_file), *descriptors],
            },
        ],
    }
    plan_file = run / "plan.json"
    _write_private(plan_file, json.dumps(plan).encode())
    os.set_inheritable(lock, True)
    sys.stdout.flush()
    # By path and without `site`: it needs nothing that is installed, and is smaller for it.
    os.execv(sys.executable, [sys.executable, "-I", "-S", supervise.__file__, str(plan_file)])


def token_in(directory: Path) -> str:
    """The API token that `waymeet up` keeps in its directory; "" when there is none."""
    return _read(directory / TOKEN_FILE)


def kept_token(file: Path) -> str:
    """The token in `file`; a new one is made, and kept there for its owner alone, when there is none yet."""
    kept = _read(file)
    if not kept:
        kept = new_secret(random.SystemRandom())
        _write_private(file, f"{kept}\n".encode())
    return kept


def banner(settings: Settings, *, kept_in: Path | None, sample: bool) -> str:
    """What `waymeet up` says when it is ready."""
    url = settings.public_url
    where = f"  (kept in {kept_in})" if kept_in is not None else ""
    first_calls = [f"curl -H 'Authorization: token {settings.token}' {url}/v1/apps"]
    if sample:
        body = '{"app_name": "echo", "version_name": "1.0", "ip_list": ["203.0.113.7"]}'
        first_calls.append(f"curl -H 'Authorization: token {settings.token}' -d '{body}' {url}/v1/deploy")
    else:
        first_calls.append(f"curl {url}/readyz")
    lines = [
        "",
        f"  Waymeet is ready at {url}",
        "",
        f"  token      {settings.token}{where}",
        f"  reference  {url}/docs",
        f"  directory  {settings.data}",
        "  stop       Ctrl-C; the game servers stop too",
        "",
        "  Try:",
        *(f"    {call}" for call in first_calls),
        "",
    ]
    return "\n".join(lines)


def _lock(file: Path, directory: Path) -> int:
    lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 32).decode(errors="replace").strip()
        os.close(lock)
        who = f"process {holder}" if holder.isdigit() else "another process"
        raise InUse(
            f"`waymeet up` already runs on {directory} ({who}); stop it, or name another directory with --data"
        ) from None
    os.ftruncate(lock, 0)
    # The same process becomes the supervisor, so the number stays right.
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def _write_private(file: Path, content: bytes) -> None:
    """Replace `file` in one step; only its owner can ever read it."""
    draft = file.with_name(f".{file.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
