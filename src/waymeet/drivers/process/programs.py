"""Which programs the process driver may run, and how an image's name picks one."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from waymeet.model.servers import PortMapping, ServerSpec


@dataclass(frozen=True, slots=True)
class Program:
    """A program that the operator allows.

    `command` may hold `{python}` (our own interpreter), `{port:NAME}` (the port given to the port of that name),
    `{tag}` (the version's image tag) and `{address}` (what the node hands out as its public address), anywhere in an
    argument. The version's `arguments` are split as a shell would and follow; no shell sees them.

    A version's `command` would replace the program by one of the caller's choice, so it is refused unless
    `allow_command` is set: on a machine without containers that is the right to run anything.
    """

    command: tuple[str, ...]
    allow_command: bool = False
    directory: str | None = None
    """Where it runs; by default in an empty directory that goes when the server is forgotten."""


class Unusable(Exception):
    """A server's spec asks for what cannot be had on this node; the message says what, why and the way out."""


def find_program(programs: Mapping[str, Program], spec: ServerSpec) -> Program | None:
    """The operator's entry for the server's image, by `repository/image` or by `image` alone."""
    return programs.get(f"{spec.repository}/{spec.image}") or programs.get(spec.image)


def build_command(
    program: Program, spec: ServerSpec, ports: tuple[PortMapping, ...], *, python: str, address: str
) -> tuple[str, ...]:
    """The arguments to run, the program's path first. Raises `Unusable`."""
    words = {"python": python, "tag": spec.tag, "address": address}
    words |= {f"port:{port.key}": str(port.internal) for port in ports}
    if spec.command and not program.allow_command:
        raise Unusable(
            f"command: the program for {spec.image} does not allow the version to replace it; clear the version's "
            "command, or set allow_command in the node's entry for the program"
        )
    command = _split("command", spec.command) if spec.command else list(program.command)
    filled = tuple(_fill(argument, words, spec.image) for argument in command)
    if not filled:
        raise Unusable(f"the program for {spec.image} has an empty command")
    return (*filled, *_split("arguments", spec.arguments or ""))


def _split(name: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise Unusable(f"{name}: {error}; quote it as for a shell") from None


def _fill(argument: str, words: Mapping[str, str], image: str) -> str:
    """Replace each `{word}`; what is no known form of placeholder, such as JSON, stays as it is."""
    for word, value in words.items():
        argument = argument.replace(f"{{{word}}}", value)
    if "{port:" in argument:
        name = argument.partition("{port:")[2].partition("}")[0]
        raise Unusable(f"the program for {image} needs a port named {name!r}, which the version does not have")
    return argument
