"""What a settings mistake is told, which value counts, and that the reference page is complete."""

from pathlib import Path

import msgspec
import pytest

from waymeet.model.location import Location
from waymeet.model.node_messages import Role
from waymeet.settings import Command, Settings, SettingsError, dump, load, restore
from waymeet.settings.load import environment_twins
from waymeet.settings.reference import rewritten

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
HOME = {"HOME": "/home/operator"}


def load_text(
    directory: Path,
    text: str,
    *,
    command: Command = Command.UP,
    environment: dict[str, str] | None = None,
    flags: dict[str, object] | None = None,
) -> Settings:
    file = directory / "waymeet.toml"
    file.write_text(text)
    return load(command, environment=HOME | (environment or {}), config=file, flags=flags)


def told(directory: Path, text: str, **environment: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_text(directory, text, environment=environment)
    return caught.value.message


class TestUnknownKeys:
    @pytest.mark.parametrize(
        ("text", "named", "suggested"),
        [
            ("prot = 3", '"prot"', '"port"'),
            ("[htp]\nbody_limit_bytes = 2048", '"htp"', '"http"'),
            ("[http]\nbody_limit_byte = 2048", '"http.body_limit_byte"', '"http.body_limit_bytes"'),
            ('[[nodes]]\nname = "a"\ncapcity = 3', '"nodes[0].capcity"', '"nodes[0].capacity"'),
            ('[[nodes]]\nname = "a"\nlocation = { cty = "x" }', '"nodes[0].location.cty"', '"nodes[0].location.city"'),
            ('[programs."studio/arena"]\ncomand = ["x"]', '"programs."studio/arena".comand"', ".command"),
            ('level = "debug"', '"level"', '"log.level"'),
        ],
    )
    def test_is_named_with_the_nearest_known_one(self, tmp_path: Path, text: str, named: str, suggested: str) -> None:
        message = told(tmp_path, text)
        assert named in message
        assert suggested in message
        assert str(tmp_path / "waymeet.toml") in message

    def test_all_of_them_at_once(self, tmp_path: Path) -> None:
        message = told(tmp_path, "one = 1\ntwo = 2")
        assert '"one"' in message
        assert '"two"' in message

    def test_nothing_near_lists_what_there_is(self, tmp_path: Path) -> None:
        assert "concurrency, highest_pending, per_host" in told(tmp_path, "[webhooks]\nzzz = 1")


class TestWrongValues:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('port = "x"', "port: expected a whole number, got a text"),
            ("port = 70000", "port: expected a whole number <= 65535"),
            ("[http]\nbody_limit_bytes = 1", "http.body_limit_bytes: expected a whole number >= 1024"),
            ("log = 3", "log: expected a table, got a whole number"),
            (
                '[log]\nlevel = "loud"',
                "log.level: invalid enum value 'loud', expected debug or error or info or warning",
            ),
            ('[[nodes]]\nname = "a"\nroles = ["x"]', "nodes[0].roles[0]: invalid enum value 'x', expected server or"),
            ('[[nodes]]\nname = "Big City"', "nodes[0].name: expected 1 to 63 lower-case letters"),
            ('[[nodes]]\nname = "a"\nports = "9-1"', "nodes[0].ports: ports lie in 1..65535, the lower one first"),
            ('[[nodes]]\nname = "a"\naddress = "0.0.0.0"', "nodes[0].address: 0.0.0.0 is no address"),
            ('[[nodes]]\nname = "a"\naddress = "example.org"', "nodes[0].address: expected an IP address"),
            (
                '[[nodes]]\nname = "a"\nrelay = { engine = "python", workers = 2 }',
                'nodes[0].relay.workers: needs engine "native" or "auto", not "python"',
            ),
            (
                '[[nodes]]\nname = "a"\nrelay = { engine = "python", spin_microseconds = 1 }',
                'nodes[0].relay.spin_microseconds: needs engine "native" or "auto", not "python"',
            ),
            (
                '[[nodes]]\nname = "a"\nrelay = { engine = "rust" }',
                "nodes[0].relay.engine: invalid enum value 'rust', expected auto or native or python",
            ),
            ('[[nodes]]\nname = "a"\nrelay = { workers = 0 }', "nodes[0].relay.workers: expected a whole number >= 1"),
            ('[[nodes]]\nname = "a"\n[[nodes]]\nname = "a"', "nodes: two nodes are named 'a'"),
            ('[http]\ntrusted_proxies = ["10.0.0.1/8"]', "http.trusted_proxies: 10.0.0.1/8 has host bits set"),
            ("port = ", "is not a TOML file"),
            (
                'public_url = "ftp://play.example"',
                "public_url: expected an http:// or https:// URL without query and fragment",
            ),
            (
                "sessions = { latency_steps = [{ max_ms = 120, seconds = 5 }, { max_ms = 80, seconds = 5 }] }",
                "sessions.latency_steps: each step must allow more than the one before, but 80 follows 120",
            ),
        ],
    )
    def test_names_the_key_and_the_limit(self, tmp_path: Path, text: str, message: str) -> None:
        assert message in told(tmp_path, text)

    def test_place_off_the_globe(self, tmp_path: Path) -> None:
        location = dict.fromkeys(("city", "country", "continent", "administrative_division", "timezone"), "x")
        members = ", ".join(f'{name} = "{value}"' for name, value in location.items())
        text = f'[[nodes]]\nname = "a"\nlocation = {{ {members}, latitude = 91, longitude = 0 }}'
        assert "nodes[0].location.latitude: must lie in -90..90" in told(tmp_path, text)

    def test_unreadable_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"absent\.toml"):
            load(Command.UP, environment=HOME, config=tmp_path / "absent.toml")

    def test_environment_variable_is_named(self, tmp_path: Path) -> None:
        assert told(tmp_path, "", WAYMEET_PORT="x") == "WAYMEET_PORT: expected a whole number, got 'x'"
        assert "WAYMEET_LOG_ACCESS: expected true or false" in told(tmp_path, "", WAYMEET_LOG_ACCESS="perhaps")

    def test_variable_that_kubernetes_sets_says_the_way_out(self, tmp_path: Path) -> None:
        assert "enableServiceLinks" in told(tmp_path, "", WAYMEET_PORT="tcp://10.1.2.3:8080")


class TestWhichValueCounts:
    def test_flag_over_environment_over_file_over_default(self, tmp_path: Path) -> None:
        file = "port = 1001\n[log]\nlevel = 'error'"
        environment = {"WAYMEET_PORT": "1002"}
        assert load(Command.SERVE, environment=HOME).port == 8080
        assert load_text(tmp_path, file).port == 1001
        assert load_text(tmp_path, file, environment=environment).port == 1002
        loaded = load_text(tmp_path, file, environment=environment, flags={"port": 1003, "log.level": None})
        assert loaded.port == 1003
        assert loaded.log.level == "error"

    def test_empty_variable_is_absent(self, tmp_path: Path) -> None:
        assert load_text(tmp_path, "port = 1001", environment={"WAYMEET_PORT": ""}).port == 1001

    def test_variable_names_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.toml").write_text("port = 1001")
        assert load(Command.UP, environment=HOME | {"WAYMEET_CONFIG": str(tmp_path / "a.toml")}).port == 1001

    def test_section_variable(self) -> None:
        loaded = load(Command.UP, environment=HOME | {"WAYMEET_HTTP_SLOW_BODY_SECONDS": "2.5"})
        assert loaded.http.slow_body_seconds == 2.5

    def test_private_webhook_targets_only_under_up(self, tmp_path: Path) -> None:
        assert load(Command.UP, environment=HOME).webhooks.allow_private_targets is True
        assert load(Command.SERVE, environment=HOME).webhooks.allow_private_targets is False
        assert load_text(tmp_path, "[webhooks]\nallow_private_targets = false").webhooks.allow_private_targets is False


class TestFilledIn:
    def test_public_url_from_host_and_port(self) -> None:
        def url(host: str) -> str:
            return load(Command.UP, environment=HOME, flags={"host": host, "port": 9}).public_url

        assert url("127.0.0.1") == "http://127.0.0.1:9"
        assert url("0.0.0.0") == "http://127.0.0.1:9"
        assert url("::") == "http://[::1]:9"

    def test_data_directory(self) -> None:
        def data(**environment: str) -> str:
            return str(load(Command.UP, environment=environment).data)

        assert data(HOME="/h") == "/h/.local/share/waymeet"
        assert data(HOME="/h", XDG_DATA_HOME="/x") == "/x/waymeet"
        assert data(HOME="/h", WAYMEET_DATA="/d") == "/d"
        with pytest.raises(SettingsError, match="--data"):
            data()

    def test_paths_in_a_file_start_at_the_file(self, tmp_path: Path) -> None:
        loaded = load_text(tmp_path, 'data = "kept"\n[geo]\ndatabase = ["a.mmdb", "/b.mmdb"]')
        assert loaded.data == tmp_path / "kept"
        assert loaded.geo.database == (tmp_path / "a.mmdb", Path("/b.mmdb"))

    def test_sqlite_file_unless_postgresql(self) -> None:
        assert load(Command.UP, environment={"WAYMEET_DATA": "/d"}).sqlite_file == Path("/d/waymeet.sqlite3")
        other = {"WAYMEET_DATA": "/d", "WAYMEET_DATABASE_URL": "postgresql://u:p@127.0.0.1/w"}
        assert load(Command.UP, environment=other).sqlite_file is None

    def test_up_without_nodes_runs_one_where_the_api_is(self) -> None:
        (node,) = load(Command.UP, environment=HOME, flags={"host": "127.0.0.9"}).nodes
        assert (node.name, node.address) == ("local", "127.0.0.9")
        assert load(Command.UP, environment=HOME, flags={"host": "localhost"}).nodes[0].address == "127.0.0.1"
        assert load(Command.SERVE, environment=HOME).nodes == ()

    def test_echo_is_built_in_and_can_be_replaced(self, tmp_path: Path) -> None:
        assert load(Command.UP, environment=HOME).programs["waymeet/echo"].command[0] == "{python}"
        loaded = load_text(tmp_path, '[programs."waymeet/echo"]\ncommand = ["mine"]\n[programs."a/b"]\ncommand = ["b"]')
        assert loaded.programs["waymeet/echo"].command == ("mine",)
        assert loaded.programs["a/b"].command == ("b",)


def test_inline_table_may_span_lines(tmp_path: Path) -> None:
    # TOML 1.1; Python's own parser knows 1.0 only, where the documented example would be an error.
    loaded = load_text(
        tmp_path,
        """
        [[nodes]]
        name = "montreal"
        roles = ["server", "relay", "beacon"]
      location = { city = "Montreal", country = "Canada", continent = "North America",
                     administrative_division = "Quebec",
                     timezone = "Eastern Time", latitude = 45.5, longitude = -73.56 }
        tags = { tier = "gold" }
        relay = { server_port = 32000, client_port = 32001 }
        beacon = { udp_port = 32167, tcp_port = 32561 }
        """,
    )
    (node,) = loaded.nodes
    assert node.location == Location("Montreal", "Canada", "North America", "Quebec", "Eastern Time", 45.5, -73.56)
    assert node.roles == (Role.SERVER, Role.RELAY, Role.BEACON)
    assert (node.relay.client_port, node.beacon.udp_port) == (32001, 32167)


def test_survives_the_way_to_another_process(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, '[[nodes]]\nname = "a"\ntags = { tier = "gold" }\n[geo]\ndatabase = ["a.mmdb"]')
    assert restore(dump(loaded)) == loaded


def test_secrets_stay_out_of_the_representation() -> None:
    loaded = load(
        Command.UP,
        environment=HOME | {"WAYMEET_TOKEN": "s3cret", "WAYMEET_DATABASE_URL": "postgresql://u:s3cret@127.0.0.1/w"},
    )
    assert loaded.token == "s3cret"
    assert "s3cret" not in repr(loaded)


def test_settings_cannot_be_changed() -> None:
    loaded = load(Command.UP, environment=HOME)
    with pytest.raises(AttributeError):
        loaded.port = 1  # type: ignore[misc]
    assert msgspec.structs.replace(loaded, port=1).port == 1


class TestReferencePage:
    def test_is_up_to_date(self) -> None:
        page = PAGE.read_text()
        assert rewritten(page) == page, "run `make docs`"

    def test_lists_every_variable(self) -> None:
        page = PAGE.read_text()
        variables = [variable for _, variable, _ in environment_twins()]
        assert {"WAYMEET_HOST", "WAYMEET_PORT", "WAYMEET_DATA", "WAYMEET_TOKEN", "WAYMEET_DATABASE_URL"} <= set(
            variables
        )
        assert [variable for variable in variables if f"`{variable}`" not in page] == []

    def test_its_example_is_valid(self, tmp_path: Path) -> None:
        example = PAGE.read_text().partition("```toml\n")[2].partition("```")[0]
        assert load_text(tmp_path, example).nodes[0].name == "montreal"
