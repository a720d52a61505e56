"""The commands and their flags. Each imports what it needs when it runs, so that `waymeet --help` is quick."""

import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from waymeet import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from waymeet.client import Client
    from waymeet.settings import Command, Settings

app = typer.Typer(
    name="waymeet",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
token_app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API tokens")
app.add_typer(token_app, name="token")
beacons_app = typer.Typer(no_args_is_help=True, help="List beacons, and measure how far they are from here")
app.add_typer(beacons_app, name="beacons")
relay_app = typer.Typer(no_args_is_help=True, help="Find out what keeps players from a relay, and how much it carries")
app.add_typer(relay_app, name="relay")
geo_app = typer.Typer(no_args_is_help=True, help="Install geo data, and look at it")
app.add_typer(geo_app, name="geo")

Host = Annotated[str | None, typer.Option(help="Address to bind (WAYMEET_HOST; default 127.0.0.1)", show_default=False)]
Port = Annotated[int | None, typer.Option(help="TCP port to bind (WAYMEET_PORT; default 8080)", show_default=False)]
Directory = Annotated[
    Path | None,
    typer.Option("--data", help="Directory for all that is kept (WAYMEET_DATA; default ~/.local/share/waymeet)"),
]
Token = Annotated[
    str | None, typer.Option(help="API token that always works (WAYMEET_TOKEN; without one, one is made and kept)")
]
ServeToken = Annotated[str | None, typer.Option("--token", help="API token that always works (WAYMEET_TOKEN)")]
Config = Annotated[Path | None, typer.Option(help="Configuration file (WAYMEET_CONFIG)")]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(help="postgresql://user:password@host/database (WAYMEET_DATABASE_URL; default SQLite in --data)"),
]
LogLevel = Annotated[str | None, typer.Option(help="debug, info, warning or error (WAYMEET_LOG_LEVEL; default info)")]
ServerUrl = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="WAYMEET_URL", help="The server's URL (default http://127.0.0.1:8080)", show_default=False
    ),
]
ServerToken = Annotated[
    str | None,
    typer.Option("--token", help="Its API token (WAYMEET_TOKEN; default the one that `waymeet up` keeps in --data)"),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table")]
Sample = Annotated[bool, typer.Option("--sample", help="Register the sample application echo, version 1.0")]


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with a message."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


def read_settings(command: "Command", config: Path | None, flags: dict[str, object]) -> "Settings":
    """The settings, or the end of the command with what is wrong with them."""
    from waymeet.settings import SettingsError, load

    try:
        return load(command, environment=os.environ, config=config, flags=flags)
    except SettingsError as error:
        fail(error.message, 2)


def _control_plane_flags(
    host: str | None,
    port: int | None,
    data: Path | None,
    token: str | None,
    database_url: str | None,
    log_level: str | None,
) -> dict[str, object]:
    """The flags that `up` and `serve` have in common, as settings."""
    return {
        "host": host,
        "port": port,
        "data": data,
        "token": token,
        "database_url": database_url,
        "log.level": log_level,
    }


def _show_version(wanted: bool) -> None:
    if wanted:
        from waymeet.node.relay.choice import why_not_native

        relay = "native" if why_not_native() is None else "in Python"
        typer.echo(f"waymeet {__version__}, Python {sys.version.split()[0]}, relay {relay}")
        raise typer.Exit


@app.callback()
def waymeet(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit")
    ] = False,
) -> None:
    """The multiplayer edge that you run yourself.

    `waymeet up` runs everything on this machine; `waymeet serve` and `waymeet node` are its halves, for many machines.
    """


@app.command()
def up(
    host: Host = None,
    port: Port = None,
    data: Directory = None,
    token: Token = None,
    config: Config = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
    sample: Sample = False,
) -> None:
    """Run the control plane and this machine's nodes, until Ctrl-C.

    Both are started again when they crash. A stop ends the game servers too.
    """
    from waymeet.cli.up import InUse, become_supervisor
    from waymeet.settings import Command

    flags = _control_plane_flags(host, port, data, token, database_url, log_level)
    settings = read_settings(Command.UP, config, flags)
    try:
        become_supervisor(settings, sample=sample)
    except InUse as error:
        fail(str(error))
    except OSError as error:
        fail(f"cannot use the directory {settings.data}: {error.strerror}; name another with --data")


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    data: Directory = None,
    token: ServeToken = None,
    config: Config = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
    sample: Sample = False,
) -> None:
    """Run the control plane alone. Nodes connect to it with a token of scope `node`."""
    from waymeet.cli.programs import run_control_plane
    from waymeet.settings import Command

    flags = _control_plane_flags(host, port, data, token, database_url, log_level)
    raise typer.Exit(run_control_plane(read_settings(Command.SERVE, config, flags), sample=sample))


@app.command()
def node(
    url: Annotated[str, typer.Option(envvar="WAYMEET_URL", help="The control plane's URL")],
    token: Annotated[
        str,
        typer.Option(envvar="WAYMEET_NODE_TOKEN", help="A token of scope node"),
    ],
    name: Annotated[
        str | None, typer.Option(help="Run only this one of the [[nodes]]; without any, a default one")
    ] = None,
    config: Config = None,
    data: Directory = None,
    log_level: LogLevel = None,
    stop_servers: Annotated[
        bool,
        typer.Option("--stop-servers", help="Stop the game servers when told to stop; otherwise they keep running"),
    ] = False,
) -> None:
    """Run this machine's nodes against a control plane somewhere else.

    They connect outwards only. Stopping, upgrading and starting the command again leaves game servers running.
    """
    from waymeet.cli.programs import choose_nodes, run_nodes
    from waymeet.settings import Command, SettingsError

    settings = read_settings(Command.NODE, config, {"data": data, "log.level": log_level})
    try:
        settings = choose_nodes(settings, name)
    except SettingsError as error:
        fail(error.message, 2)
    raise typer.Exit(run_nodes(settings, url=url, token=token, stop_servers=stop_servers))


@app.command()
def demo(
    url: ServerUrl = None,
    token: ServerToken = None,
    data: Directory = None,
) -> None:
    """Take a guided tour of a running server, through its public API only.

    Makes a game of its own, plays players and backend, explains each step, and takes everything away again.
    """
    from waymeet.cli.demo import demo as tour

    raise typer.Exit(tour(*_server(url, token, data)))


def _server(url: str | None, token: str | None, data: Path | None) -> tuple[str, str]:
    """URL and token of the server to talk to; the end of the command when no token is known."""
    from waymeet.cli.up import token_in
    from waymeet.settings import Command

    settings = read_settings(Command.UP, None, {"data": data})
    # As it was given: many keep it with the word `token` before it, which the client takes off.
    secret = token or settings.token or token_in(settings.data)
    if not secret:
        fail(f"no token: {settings.data} keeps none; give --token or WAYMEET_TOKEN, or the --data of `waymeet up`", 2)
    return url or settings.local_url, secret


@app.command()
def doctor(
    host: Host = None,
    port: Port = None,
    data: Directory = None,
    config: Config = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Check this machine, the configuration and, when it runs, the server; say what to do about each finding."""
    from waymeet.cli.doctor import examine
    from waymeet.settings import Command

    flags: dict[str, object] = {"host": host, "port": port, "data": data, "database_url": database_url}
    raise typer.Exit(examine(read_settings(Command.UP, config, flags)))


Organisation = Annotated[str, typer.Option(help="Who owns it")]


def _settings_for_tokens(config: Path | None, data: Path | None, database_url: str | None) -> "Settings":
    from waymeet.settings import Command

    return read_settings(Command.SERVE, config, {"data": data, "database_url": database_url})


@token_app.command("create")
def token_create(
    name: Annotated[str, typer.Option(help="What it is for, to recognise it later")] = "token",
    organisation: Organisation = "default",
    scope: Annotated[str, typer.Option(help="What it may do: api, relay, node, separated by commas")] = "api,relay",
    config: Config = None,
    data: Directory = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a token and print its secret, once."""
    from waymeet.cli import tokens
    from waymeet.model.errors import WaymeetError

    scopes = [part.strip() for part in scope.split(",") if part.strip()]
    try:
        tokens.create(_settings_for_tokens(config, data, database_url), organisation, name, scopes)
    except WaymeetError as error:
        fail(error.message)


@token_app.command("list")
def token_list(
    organisation: Organisation = "default",
    config: Config = None,
    data: Directory = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show the tokens of an organisation, without their secrets."""
    from waymeet.cli import tokens
    from waymeet.model.errors import WaymeetError

    try:
        tokens.show(_settings_for_tokens(config, data, database_url), organisation)
    except WaymeetError as error:
        fail(error.message)


@token_app.command("revoke")
def token_revoke(
    token_id: Annotated[str, typer.Argument(help="Its id, as `waymeet token list` shows it", show_default=False)],
    organisation: Organisation = "default",
    config: Config = None,
    data: Directory = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Refuse a token from now on."""
    from waymeet.cli import tokens
    from waymeet.model.errors import WaymeetError

    try:
        tokens.revoke(_settings_for_tokens(config, data, database_url), organisation, token_id)
    except WaymeetError as error:
        fail(error.message)


GeoDirectory = Annotated[
    Path | None,
    typer.Option("--directory", help="Where it is installed (WAYMEET_GEO_DIRECTORY; default in Waymeet's environment)"),
]


def _settings_for_geo(config: Path | None, directory: Path | None) -> "Settings":
    from waymeet.settings import Command

    return read_settings(Command.SERVE, config, {"geo.directory": directory})


@geo_app.command("update")
def geo_update(
    directory: GeoDirectory = None,
    source: Annotated[
        str | None, typer.Option(help="Only from here: npm or publisher; otherwise from the first that works")
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Only say whether there is newer data; ends with 0 when there is none, 1 when there is, 2 when that "
            "could not be found out",
        ),
    ] = False,
    config: Config = None,
) -> None:
    """Download the newest city-level data (DB-IP City Lite) and put it in use, without a restart.

    Verified before it is used; a download that broke off is gone on from. Running servers notice within seconds.
    """
    from waymeet.cli import geo
    from waymeet.datasets.errors import DatasetError

    try:
        code = geo.update(_settings_for_geo(config, directory).geo, source=source, check=check)
    except DatasetError as error:
        fail(str(error), 2 if check else 1)
    except typer.Exit:
        raise  # The settings are wrong, and it has been said.
    except Exception:
        if not check:
            raise
        # Python would end with 1, which says that there is newer data.
        traceback.print_exc()
        raise typer.Exit(2) from None
    raise typer.Exit(code)


@geo_app.command("status")
def geo_status(directory: GeoDirectory = None, config: Config = None) -> None:
    """Show the geo data in use, its age, and what is wrong with it; ends with 1 when there is none."""
    from waymeet.cli import geo

    raise typer.Exit(geo.status(_settings_for_geo(config, directory).geo))


@beacons_app.command("list")
def beacons_list(
    url: ServerUrl = None,
    token: ServerToken = None,
    data: Directory = None,
    as_json: Json = False,
) -> None:
    """Show the beacons that answer the server. Exit code 1 when there is none."""
    from waymeet.cli.beacons import show

    _ask_beacons(url, token, data, lambda client: show(client, as_json=as_json))


@beacons_app.command("ping")
def beacons_ping(
    url: ServerUrl = None,
    token: ServerToken = None,
    data: Directory = None,
    count: Annotated[int, typer.Option(min=1, max=40, help="Questions to each beacon")] = 5,
    timeout: Annotated[float, typer.Option(min=0.01, max=60, help="Seconds to wait for each answer")] = 1.0,
    tcp: Annotated[bool, typer.Option("--tcp", help="Measure by TCP connections instead of UDP echo")] = False,
    as_json: Json = False,
    report: Annotated[
        bool, typer.Option("--report", help="Tell the server what was measured, as a player's game would")
    ] = False,
) -> None:
    """Measure all beacons from here, all at once, and show the nearest first. Exit code 1 when none answers."""
    from waymeet.cli.beacons import measure
    from waymeet.client import PingTransport

    transport = PingTransport.TCP if tcp else PingTransport.UDP

    def work(client: "Client") -> int:
        return measure(client, count=count, timeout=timeout, transport=transport, as_json=as_json, report=report)

    _ask_beacons(url, token, data, work)


def _ask_beacons(url: str | None, token: str | None, data: Path | None, work: "Callable[[Client], int]") -> NoReturn:
    from waymeet.client import Client, ClientError

    try:
        with Client(*_server(url, token, data)) as client:
            raise typer.Exit(work(client))
    except (ClientError, ValueError) as error:
        fail(str(error))


@relay_app.command("ping")
def relay_ping(
    host: Annotated[str, typer.Argument(help="The relay's name or address", show_default=False)],
    server_port: Annotated[int, typer.Option(min=1, max=65535, help="Its UDP port for hosts", show_default=False)],
    client_port: Annotated[int, typer.Option(min=1, max=65535, help="Its UDP port for clients", show_default=False)],
    session_token: Annotated[
        int,
        typer.Option(
            min=1,
            max=2**32 - 1,
            envvar="WAYMEET_RELAY_SESSION_TOKEN",
            help="The session's authorization_token",
            show_default=False,
        ),
    ],
    user_token: Annotated[
        int,
        typer.Option(
            min=1,
            max=2**32 - 1,
            envvar="WAYMEET_RELAY_USER_TOKEN",
            help="A user's authorization_token",
            show_default=False,
        ),
    ],
    host_token: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=2**32 - 1,
            envvar="WAYMEET_RELAY_HOST_TOKEN",
            help="The token of the user who is to host meanwhile; default the same user",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.01, max=60, help="Seconds to wait for each answer")] = 1.0,
    as_json: Json = False,
) -> None:
    """Play host and player of a relay session from here, and say step by step what fails: name, ports, tokens, the way
    through, the longest datagram. Exit code 1 when something does.

    Takes the places of both users, as a player does who comes back from another address: use a session made for it.
    """
    from waymeet.cli.relay.ping import Target, ping

    target = Target(host, server_port, client_port, session_token, user_token, host_token)
    raise typer.Exit(ping(target, timeout=timeout, as_json=as_json))


@relay_app.command("load")
def relay_load(
    host: Annotated[
        str | None,
        typer.Argument(help="A relay's name or address, to play in a session that exists", show_default=False),
    ] = None,
    sessions: Annotated[int, typer.Option(min=1, max=1_000, help="Relay sessions to make")] = 10,
    clients: Annotated[int, typer.Option(min=1, max=100, help="Clients in each, beside its host")] = 3,
    rate: Annotated[float, typer.Option(min=0.1, max=4_000, help="Datagrams per second from each client")] = 20.0,
    size: Annotated[int, typer.Option(min=32, max=1_187, help="Bytes of each payload")] = 100,
    seconds: Annotated[float, typer.Option(min=0.1, max=3_600, help="How long clients send")] = 10.0,
    max_loss: Annotated[float, typer.Option(min=0, max=100, help="Percent that may be lost")] = 1.0,
    location: Annotated[
        list[str] | None,
        typer.Option(help="Name or code of a place that the relays must be at; may be repeated", show_default=False),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--base-url",
            "--url",
            envvar="WAYMEET_URL",
            help="The server's URL (default http://127.0.0.1:8080)",
            show_default=False,
        ),
    ] = None,
    token: ServerToken = None,
    data: Directory = None,
    server_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The relay's UDP port for hosts", show_default=False)
    ] = None,
    client_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Its UDP port for clients", show_default=False)
    ] = None,
    session_token: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=2**32 - 1,
            envvar="WAYMEET_RELAY_SESSION_TOKEN",
            help="The session's authorization_token",
            show_default=False,
        ),
    ] = None,
    host_token: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=2**32 - 1,
            envvar="WAYMEET_RELAY_HOST_TOKEN",
            help="The token of the user who is to host",
            show_default=False,
        ),
    ] = None,
    user_token: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=2**32 - 1,
            envvar="WAYMEET_RELAY_USER_TOKEN",
            help="The token of a user who is to be a client; once for each",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make relay sessions, play in them with many hosts and clients at once, and tell what became of the datagrams: lost,
    late, come twice or to somebody else. The sessions are deleted at the end, also after Ctrl-C.

    With a relay and tokens it plays in that session instead, takes its users' places, and deletes nothing.

    Exit code 1 when sessions or players fail, a datagram comes to somebody else, or more than --max-loss are lost.
    """
    from waymeet.cli.relay.load.command import Server, load
    from waymeet.cli.relay.load.plan import LoadPlan, PlayedSession
    from waymeet.client import ClientError
    from waymeet.clock import SystemClock

    source: Server | PlayedSession
    if host is None:
        source = Server(*_server(url, token, data), tuple(location or ()))
    elif server_port and client_port and session_token and host_token and user_token:
        source = PlayedSession(host, server_port, client_port, session_token, host_token, tuple(user_token))
        sessions, clients = 1, len(user_token)
    else:
        fail(
            "a session that exists takes --server-port, --client-port, --session-token, --host-token and at least one "
            "--user-token; without a relay's name, sessions are made at the server",
            2,
        )
    try:
        plan = LoadPlan(sessions, clients, rate, size, seconds, max_loss)
    except ValueError as error:
        fail(str(error), 2)
    try:
        raise typer.Exit(load(plan, source, SystemClock().monotonic, as_json=as_json))
    except (ClientError, ValueError) as error:
        fail(str(error))
