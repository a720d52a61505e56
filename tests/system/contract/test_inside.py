"""What a game server finds around it, and what it may call (contract 3.8 to 3.10)."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.system.contract.api import Api
from tests.system.contract.shapes import CONTEXT, ERROR, LOCATION, REQUEST_ID, STOPPED, TAG, TOKEN, assert_fits
from tests.system.contract.studio import PLAYER, Server, Studio, ask, seats, without_sessions


class Inside:
    """A running game server's view: its environment, and calls with nothing but what stands in it."""

    def __init__(self, server: Server, deployment: Any) -> None:
        self.environment: dict[str, str] = ask(deployment)["environment"]
        self.request_id = self.environment["ARBITRIUM_REQUEST_ID"]
        self.context_path = urlsplit(self.environment["ARBITRIUM_CONTEXT_URL"]).path
        self.delete_path = urlsplit(self.environment["ARBITRIUM_DELETE_URL"]).path
        # Bare, as the vendor's SDKs send it.
        self.context = Api(server.url, self.environment["ARBITRIUM_CONTEXT_TOKEN"], server.secrets)
        self.delete = Api(server.url, self.environment["ARBITRIUM_DELETE_TOKEN"], server.secrets)

    def close(self) -> None:
        self.context.close()
        self.delete.close()


@pytest.fixture
def inside(server: Server, studio: Studio) -> Iterator[Inside]:
    found = Inside(server, studio.run(studio.game(session_config=seats(5)), tags=["first", "second"]))
    yield found
    found.close()


class TestVariables:
    def test_all_of_them(self, server: Server, studio: Studio) -> None:
        ports = [
            {"port": 7777, "protocol": "UDP", "name": "game"},
            {"port": 0, "protocol": "TCP/UDP", "name": "Voice Chat"},
            {"port": 8080, "protocol": "WS", "name": "web-socket.v2"},
            {"port": 9000, "protocol": "TCP"},
        ]
        app = studio.game(ports=ports, req_cpu=512, req_memory=1000, **without_sessions())
        status = studio.run(app, tags=["red", "blue"], city="Montreal")
        told = ask(status)["environment"]
        platform = {name: value for name, value in told.items() if name.startswith("ARBITRIUM_")}
        request_id = status["request_id"]
        triples = {
            f"ARBITRIUM_PORT_{name}_{part.upper()}": str(status["ports"][key][part])
            for key, name in (
                ("game", "GAME"),
                ("Voice Chat", "VOICE_CHAT"),
                ("web-socket.v2", "WEB_SOCKET_V2"),
                ("9000", "9000"),
            )
            for part in ("internal", "external", "protocol")
        }
        free_form = {
            "ARBITRIUM_DELETE_URL": rf"{re.escape(server.url)}/v1/self/stop/{request_id}/[1-9][0-9]*",
            "ARBITRIUM_DELETE_TOKEN": TOKEN.pattern,
            "ARBITRIUM_CONTEXT_URL": rf"{re.escape(server.url)}/v1/context/{request_id}/[1-9][0-9]*",
            "ARBITRIUM_CONTEXT_TOKEN": TOKEN.pattern,
            "ARBITRIUM_DEPLOYMENT_LOCATION": r"\{.*\}",
            "ARBITRIUM_PORTS_MAPPING": r"\{.*\}",
            "ARBITRIUM_HOST_ID": "montreal",
            "ARBITRIUM_HOST_BASE_CLOCK_FREQUENCY": "[0-9]+",
            "ARBITRIUM_HOST_BEACON_PORT_UDP_EXTERNAL": "[1-9][0-9]*",
            "ARBITRIUM_HOST_BEACON_PORT_TCP_EXTERNAL": "[1-9][0-9]*",
        }
        for name, pattern in free_form.items():
            assert re.fullmatch(pattern, platform.pop(name)), name
        assert platform == triples | {
            "ARBITRIUM_REQUEST_ID": request_id,
            "ARBITRIUM_PUBLIC_IP": status["public_ip"],
            "ARBITRIUM_DEPLOYMENT_TAGS": "red,blue",
            "ARBITRIUM_DEPLOYMENT_VCPU_UNITS": "512",
            "ARBITRIUM_DEPLOYMENT_MEMORY_MB": "1000",
            "ARBITRIUM_BEACON_ENABLED": "true",
            "ARBITRIUM_HOST_BEACON_PUBLIC_IP": status["public_ip"],
        }
        location = json.loads(told["ARBITRIUM_DEPLOYMENT_LOCATION"])
        assert_fits(location, LOCATION)
        assert location == status["location"]
        assert json.loads(told["ARBITRIUM_PORTS_MAPPING"]) == {
            "ports": {
                key: {name: port[name] for name in ("name", "internal", "external", "protocol")}
                for key, port in status["ports"].items()
            }
        }

    def test_later_wins(self, studio: Studio) -> None:
        """The version's, then the call's; both over the platform's own (contract 3.10)."""
        envs = [
            {"key": "WHO", "value": "version"},
            {"key": "SECRET", "value": "s3cret-but-known-here", "is_secret": True},
            {"key": "ARBITRIUM_DEPLOYMENT_TAGS", "value": "mine"},
        ]
        app = studio.game(envs=envs)
        selectors = [{"tag": "a", "env": {"key": "WHO", "value": "selector"}}]
        told = ask(studio.play(app, selectors=selectors)["deployment"])["environment"]
        assert (told["WHO"], told["SECRET"]) == ("selector", "s3cret-but-known-here")
        assert told["ARBITRIUM_DEPLOYMENT_TAGS"] == "mine"

    def test_last_selector_wins(self, studio: Studio) -> None:
        selectors = [{"tag": name, "env": {"key": "MAP", "value": name}} for name in ("a", "b")]
        assert ask(studio.play(studio.game(), selectors=selectors)["deployment"])["environment"]["MAP"] == "b"

    def test_nothing_of_the_node_leaks(self, server: Server, inside: Inside) -> None:
        """What the node and the control plane have in their own environment is none of a game's business."""
        foreign = [name for name in inside.environment if name.startswith("WAYMEET_") and name != "WAYMEET_SERVER"]
        assert foreign == []
        assert "installation-token" not in inside.environment.values()
        assert "installation-node-token" not in inside.environment.values()


class TestContext:
    def test_what_it_says(self, studio: Studio, inside: Inside) -> None:
        assert re.search(r"/[1-9][0-9]*$", inside.context_path)
        context = inside.context.get(inside.context_path)
        assert_fits(context, CONTEXT)
        status = studio.status(inside.request_id)
        assert context == {name: status.get(name, context[name]) for name in context} | {
            "status": "Status.READY",
            "ready": True,
            "is_joinable_by_session": True,
            "tags": ["first", "second"],
        }
        assert (type(context["sockets"]), context["sockets"], context["sockets_usage"]) == (int, 5, 0)

    def test_follows_its_sessions(self, studio: Studio, inside: Inside) -> None:
        app = studio.status(inside.request_id)["app_name"]
        session_id = studio.seat(app, PLAYER, PLAYER, deployment_request_id=inside.request_id)
        assert inside.context.get(inside.context_path)["sockets_usage"] == 2
        studio.api.delete(f"/v1/session/{session_id}")
        assert inside.context.get(inside.context_path)["sockets_usage"] == 0

    def test_same_object_as_in_a_session(self, studio: Studio, inside: Inside) -> None:
        app = studio.status(inside.request_id)["app_name"]
        session = studio.play(app, deployment_request_id=inside.request_id)
        assert inside.context.get(inside.context_path) == session["deployment"]

    def test_token_in_any_accepted_form(self, server: Server, inside: Inside) -> None:
        token = inside.environment["ARBITRIUM_CONTEXT_TOKEN"]
        for form in (token, f"token {token}", f"Token   {token}"):
            with server.caller(form) as caller:
                assert caller.get(inside.context_path)["request_id"] == inside.request_id

    def test_other_credentials(self, server: Server, studio: Studio, inside: Inside) -> None:
        """Neither an API key nor the other token opens it; without any it is a 401 as well."""
        assert_fits(inside.delete.refused(401, "GET", inside.context_path), ERROR)
        studio.api.refused(401, "GET", inside.context_path)
        for nothing in (None, "", "token", "Bearer x", "token " + "0" * 32):
            with server.caller(nothing) as caller:
                caller.refused(401, "GET", inside.context_path)
                caller.refused(401, "POST", f"{inside.context_path}/tags", {"name": "x"})
                caller.refused(401, "DELETE", f"{inside.context_path}/tags/first")
        assert studio.status(inside.request_id)["tags"] == ["first", "second"]

    def test_another_number_or_deployment(self, server: Server, studio: Studio, inside: Inside) -> None:
        base, _, number = inside.context_path.rpartition("/")
        for other in (str(int(number) + 1), "0", f"0{number}", "x", f"+{number}"):
            inside.context.refused(404, "GET", f"{base}/{other}")
        inside.context.refused(404, "GET", f"/v1/context/000000000000/{number}")
        neighbour = Inside(server, studio.run(studio.game(**without_sessions())))
        try:
            assert inside.context.call("GET", neighbour.context_path).status_code in (401, 404)
            assert inside.delete.call("DELETE", neighbour.delete_path).status_code in (401, 403, 404)
        finally:
            neighbour.close()
        assert studio.status(neighbour.request_id)["running"] is True

    def test_own_tags(self, studio: Studio, inside: Inside) -> None:
        path = f"{inside.context_path}/tags"
        added = inside.context.post(path, {"name": "full house"})
        assert_fits(added, TAG)
        assert inside.context.get(inside.context_path)["tags"] == ["first", "second", "full house"]
        assert studio.status(inside.request_id)["tags"] == ["first", "second", "full house"]
        assert_fits(inside.context.refused(409, "POST", path, {"name": "first"}), ERROR)
        assert "name" in inside.context.refused(400, "POST", path, {})["errors"]
        assert inside.context.delete(f"{path}/full%20house", status=204) is None
        assert_fits(inside.context.refused(404, "DELETE", f"{path}/full%20house"), ERROR)
        assert inside.context.get(inside.context_path)["tags"] == ["first", "second"]

    def test_own_tags_change_placement(self, studio: Studio) -> None:
        app = studio.game(session_config=seats(5, autodeploy=False))
        inside = Inside(studio.server, studio.run(app))
        try:
            inside.context.post(f"{inside.context_path}/tags", {"name": "lobby"})
            found = studio.session(studio.seat(app, selectors=[{"tag": "lobby"}]))
            assert found["deployment"]["request_id"] == inside.request_id
        finally:
            inside.close()


class TestSelfStop:
    def test_until_it_is_gone(self, studio: Studio, inside: Inside) -> None:
        first = inside.delete.delete(inside.delete_path)
        assert_fits(first, STOPPED)
        assert first["message"] == f"{inside.request_id} - Delete request will be processed soon"
        ended = studio.wait_for(inside.request_id, "TERMINATED")
        assert ended["error"] is False
        assert set(inside.delete.refused(410, "DELETE", inside.delete_path)) == {"message"}

    def test_token_in_any_accepted_form(self, server: Server, inside: Inside) -> None:
        with server.caller(f"token {inside.environment['ARBITRIUM_DELETE_TOKEN']}") as caller:
            assert caller.call("DELETE", inside.delete_path).status_code == 200

    def test_other_credentials(self, server: Server, studio: Studio, inside: Inside) -> None:
        base, _, number = inside.delete_path.rpartition("/")
        assert_fits(inside.context.refused(403, "DELETE", inside.delete_path), ERROR)
        studio.api.refused(403, "DELETE", inside.delete_path)
        inside.delete.refused(403, "DELETE", f"{base}/{int(number) + 1}")
        inside.delete.refused(404, "DELETE", f"/v1/self/stop/000000000000/{number}")
        inside.delete.refused(404, "DELETE", f"/v1/self/stop/x/{number}")
        with server.caller(None) as caller:
            caller.refused(401, "DELETE", inside.delete_path)
        assert studio.status(inside.request_id)["running"] is True

    def test_tokens_open_nothing_else(self, inside: Inside) -> None:
        for caller in (inside.context, inside.delete):
            for method, path in (
                ("GET", f"/v1/status/{inside.request_id}"),
                ("GET", "/v1/sessions"),
                ("GET", f"/v1/deployments/{inside.request_id}/tags"),
            ):
                caller.refused(401, method, path)
            caller.refused(403, "DELETE", f"/v1/stop/{inside.request_id}")

    def test_tokens_are_shown_to_nobody(self, studio: Studio, inside: Inside) -> None:
        """The caller checks every answer of this server from here on for them."""
        studio.api.secrets |= {inside.environment[f"ARBITRIUM_{kind}_TOKEN"] for kind in ("CONTEXT", "DELETE")}
        inside.context.get(inside.context_path)
        studio.status(inside.request_id)
        studio.running()
        studio.api.get(f"/v1/deployment/{inside.request_id}/container-logs")


def test_ids_are_of_the_documented_forms(inside: Inside) -> None:
    assert_fits(inside.request_id, REQUEST_ID)
    for path in (inside.context_path, inside.delete_path):
        assert 1 <= int(path.rpartition("/")[2]) <= 999
