"""`waymeet relay ping`: what keeps a player from a relay, step by step."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from waymeet.client import ClientError, RelayClient, RelayHost, RelayState, StillWaiting, Unreachable
from waymeet.client.relays.peers import LONGEST_PAYLOAD

TRIES = 3
"""Of everything that goes by UDP: one lost datagram proves nothing."""
ROUNDS = 5
SMALLER_PAYLOADS = (1000, 500)
"""Where the longest does not pass, these say what does."""


@dataclass(frozen=True, slots=True)
class Target:
    """A relay, and the tokens of a session on it."""

    host: str
    server_port: int
    client_port: int
    session_token: int
    user_token: int
    host_token: int | None = None
    """Of the user who hosts while this looks; `None`: the same user, which relays allow."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried. `well` is `None` for what could not be tried; `remedy` says what to do about the rest."""

    name: str
    well: bool | None
    seen: str
    remedy: str | None = None


def ping(target: Target, *, timeout: float, as_json: bool) -> int:
    """Try everything that a host and a player need, and print it; the exit code, 1 when something fails."""
    steps = asyncio.run(_all(target, timeout))
    if as_json:
        print(json.dumps({"steps": [asdict(step) for step in steps]}))
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        marks = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]-[/]"}
        for step in steps:
            table.add_row(marks[step.well], step.name, step.seen)
            if step.remedy is not None:
                table.add_row("", "", f"[yellow]→ {step.remedy}[/]")
        Console().print(table)
    return 1 if any(step.well is False for step in steps) else 0


async def _all(target: Target, timeout: float) -> list[Step]:
    return [step async for step in steps(target, timeout)]


async def steps(target: Target, timeout: float) -> AsyncIterator[Step]:
    """Each step as it is done; the first that fails is the last."""
    name = await _name(target.host)
    yield name
    if not name.well:
        return
    async with AsyncExitStack() as stack:
        address = name.seen.split(",")[0]
        player = await stack.enter_async_context(
            RelayClient(
                address,
                target.client_port,
                session_token=target.session_token,
                user_token=target.user_token,
                ping_seconds=None,
            )
        )
        host = await stack.enter_async_context(
            RelayHost(
                address,
                target.server_port,
                session_token=target.session_token,
                user_token=target.host_token or target.user_token,
                ping_seconds=None,
            )
        )
        async for step in _through(target, player, host, timeout):
            yield step
            if not step.well:
                return


async def _name(host: str) -> Step:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        return Step(
            "name", False, f"{host}: {error}", "correct the name, or this machine's DNS; an IP address needs none"
        )
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    return Step("name", True, ", ".join(addresses))


async def _port(name: str, port: int, peer: RelayClient | RelayHost, timeout: float) -> Step:
    """Whether anything answers a ping, whatever it says."""
    for attempt in range(TRIES):
        try:
            round_trip = await peer.ping(timeout)
        except Unreachable:
            remedy = "start the node, or look up its relay's ports: its log and GET /v1/relays/sessions/{id} have them"
            return Step(name, False, f"UDP {port} is closed", remedy)
        except StillWaiting:
            continue
        lost = f", {attempt} lost" if attempt else ""
        return Step(name, True, f"UDP {port} answers, {round_trip:.2f} ms{lost}")
    remedy = "let UDP to this port through the firewalls on the way; a relay is also silent to those who guess tokens"
    return Step(name, False, f"UDP {port} is silent", remedy)


async def _through(target: Target, player: RelayClient, host: RelayHost, timeout: float) -> AsyncIterator[Step]:
    yield await _port("client port", target.client_port, player, timeout)
    # Before the other port: relays tell strangers that their tokens are wrong twice a second at most.
    yield _token(player.state)
    yield await _port("server port", target.server_port, host, timeout)
    if host.state is not RelayState.VALID:
        reason = "somebody else hosts the session, or the host's token is wrong"
        seen = reason if host.state is RelayState.INVALID else f"the relay answers the host {host.state.name.lower()}"
        yield Step("echo", None, f"not tried: {seen}", "make a session for this, or give --host-token")
        return
    yield await _echo(player, host, timeout)
    yield await _longest(player, host, timeout)


_REMEDIES = {
    RelayState.CHECKING: "the node is not connected to its control plane yet: try again, and read its log",
    RelayState.INVALID: "compare both tokens with GET /v1/relays/sessions/{id}; the user must not be revoked, the session "
    "not deleted, and a relay may insist on the IP address that the user was registered with",
    RelayState.ERROR: "the node is being stopped: make a session on another relay",
}


def _token(state: RelayState) -> Step:
    # The session may have had a host before this one: that is no fault of the tokens.
    if state in (RelayState.VALID, RelayState.SESSION_TIMEOUT):
        return Step("tokens", True, "the relay lets this user in")
    return Step("tokens", False, f"the relay answers {state.name.lower()}", _REMEDIES.get(state))


async def _echo(player: RelayClient, host: RelayHost, timeout: float) -> Step:
    samples = [await _there_and_back(player, host, b"ping %d" % number, timeout) for number in range(ROUNDS)]
    came = [sample for sample in samples if sample is not None]
    if not came:
        return Step(
            "echo", False, f"{ROUNDS} datagrams to the host and back, all lost", "read the relay's drops by reason"
        )
    return Step("echo", True, f"player to host and back, {min(came):.2f} ms at best, {ROUNDS - len(came)} lost")


async def _longest(player: RelayClient, host: RelayHost, timeout: float) -> Step:
    for size in (LONGEST_PAYLOAD, *SMALLER_PAYLOADS):
        for attempt in range(TRIES):
            payload = (b"%d of %d " % (attempt, size)).ljust(size, b".")
            if await _there_and_back(player, host, payload, timeout) is None:
                continue
            if size == LONGEST_PAYLOAD:
                return Step("MTU", True, f"{size} bytes pass both ways")
            remedy = "datagrams of 1228 bytes must pass: look for a tunnel with a low MTU, or lower the game's limit"
            return Step("MTU", False, f"{LONGEST_PAYLOAD} bytes do not pass, {size} do", remedy)
    return Step("MTU", False, f"not even {SMALLER_PAYLOADS[-1]} bytes pass", "look for a firewall that drops fragments")


async def _there_and_back(player: RelayClient, host: RelayHost, payload: bytes, timeout: float) -> float | None:
    """Milliseconds from the player to the host and back; `None` when the datagram was lost."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            start = loop.time()
            player.send(payload)
            connection, came = await host.receive()
            while came != payload:  # A late one of an earlier try.
                connection, came = await host.receive()
            host.send(connection, payload)
            while await player.receive() != payload:
                pass
            return (loop.time() - start) * 1000
    except (TimeoutError, ClientError):
        return None
