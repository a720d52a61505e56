"""The two programs that `waymeet` is made of, as the commands and the supervisor's children start them."""

import sys

import msgspec

from waymeet.model.errors import WaymeetError
from waymeet.settings import NodeSettings, Settings, SettingsError


def choose_nodes(settings: Settings, name: str | None) -> Settings:
    """`settings` with the nodes that `waymeet node` is to run: those of the file, or the one called `name`.

    Without any `[[nodes]]`, `name` gives a node with default settings. Raises `SettingsError` when none is left.
    """
    if not settings.nodes and name is not None:
        try:
            node = msgspec.convert({"name": name}, NodeSettings)
        except msgspec.ValidationError as error:
            raise SettingsError("--name: expected 1 to 63 lower-case letters, digits and inner hyphens") from error
        return msgspec.structs.replace(settings, nodes=(node,))
    if not settings.nodes:
        raise SettingsError("there is no node to run: give --name, or --config with a file that has [[nodes]]")
    if name is None:
        return settings
    chosen = tuple(node for node in settings.nodes if node.name == name)
    if not chosen:
        known = ", ".join(node.name for node in settings.nodes)
        raise SettingsError(f"--name: the configuration has no node {name!r}; it has {known}")
    return msgspec.structs.replace(settings, nodes=chosen)


def run_control_plane(settings: Settings, *, sample: bool = False, lifeline: int | None = None) -> int:
    """Serve until told to stop; the exit code. `lifeline` is a descriptor whose end-of-file means: stop as well."""
    from waymeet.main import serve

    try:
        serve(settings, sample=sample, supervised_fd=lifeline)
    except WaymeetError as error:
        return _report(error)
    return 0


def run_nodes(
    settings: Settings,
    *,
    url: str,
    token: str,
    stop_servers: bool,
    stop_at_once: bool = False,
    lifeline: int | None = None,
) -> int:
    """Run `settings.nodes` until told to stop; the exit code.

    `stop_servers` says whether that stops their game servers; end-of-file on `lifeline` never does. `stop_at_once` only
    stops those that an earlier run left.
    """
    from waymeet.main import run_nodes as run

    try:
        run(
            settings, url=url, token=token, stop_servers=stop_servers, stop_at_once=stop_at_once, supervised_fd=lifeline
        )
    except WaymeetError as error:
        return _report(error)
    return 0


def _report(error: WaymeetError) -> int:
    print(error.message, file=sys.stderr)
    return 1
