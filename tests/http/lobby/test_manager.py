"""The manager's six calls on the wire (contract 2.22 to 2.28); what each status allows, the domain's tests say."""

import pytest

from tests.http.lobby.served import LobbyServer
from tests.lobbies.world import LobbyWorld
from tests.world import ORGANISATION

pytestmark = pytest.mark.anyio


async def test_a_life(service: LobbyServer, world: LobbyWorld) -> None:
    async def says(status: int, method: str, path: str, body: object = None) -> object:
        response = await service.manage(method, path, body)
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/json"
        return response.json()

    released = {"name": "duel", "url": "https://lobbies.example.org/l/duel", "status": "Released"}
    assert await says(200, "GET", "/v1/lobbies") == [released]
    assert "'race' not found" in str(await says(404, "GET", "/v1/lobbies/race"))
    created = {"name": "race", "url": "", "status": "Created"}
    assert await says(200, "POST", "/v1/lobbies", {"name": "race", "unknown": 1}) == created
    assert "exists already" in str(await says(409, "POST", "/v1/lobbies", {"name": "race"}))
    assert await says(200, "GET", "/v1/lobbies") == [released, created]
    deploying = created | {"status": "Deploying"}
    assert await says(202, "POST", "/v1/lobbies:deploy", {"name": "race"}) == deploying
    await says(409, "POST", "/v1/lobbies:deploy", {"name": "race"})
    await says(400, "DELETE", "/v1/lobbies/race")
    world.answers.problem = "connection refused"
    world.clock.pass_seconds(31)
    await world.lobby_loop.step()
    failed = await says(200, "GET", "/v1/lobbies/race")
    assert isinstance(failed, dict)
    assert failed | {"error": "?"} == created | {"status": "Error", "error": "?"}
    assert "connection refused" in failed["error"]
    terminated = created | {"status": "Terminated"}
    # Nothing was running: it is terminated now.
    assert await says(200, "POST", "/v1/lobbies:terminate", {"name": "race"}) == terminated
    await says(409, "POST", "/v1/lobbies:terminate", {"name": "race"})
    assert await says(200, "DELETE", "/v1/lobbies/race") == terminated
    await says(404, "DELETE", "/v1/lobbies/race")
    await says(404, "POST", "/v1/lobbies:terminate", {"name": "race"})
    assert "create it first" in str(await says(400, "POST", "/v1/lobbies:deploy", {"name": "race"}))
    assert await says(202, "POST", "/v1/lobbies:terminate", {"name": "duel"}) == released | {
        "url": "",
        "status": "Terminating",
    }
    assert (await service.call("GET", "/lobbies")).status_code == 404


@pytest.mark.parametrize(
    "name", ["", " ", "-a", "Duel", "a_b", "é", "x" * 64, "a/b", "a\0", "🎲", 7, None, [], {}, True]
)
async def test_names_that_are_none(service: LobbyServer, name: object) -> None:
    for path in ("/v1/lobbies", "/v1/lobbies:deploy", "/v1/lobbies:terminate"):
        response = await service.manage("POST", path, {"name": name})
        assert response.status_code == 400, response.text
        assert "name" in response.json()["message"]
    assert len(await service.lobbies.manager.all(ORGANISATION)) == 1


async def test_no_body_no_name(service: LobbyServer) -> None:
    bodies: list[object] = [None, {}, [], "duel"]
    for path in ("/v1/lobbies", "/v1/lobbies:deploy", "/v1/lobbies:terminate"):
        for body in bodies:
            assert (await service.manage("POST", path, body)).status_code == 400


@pytest.mark.parametrize("name", ["Duel", "%20", "x" * 300, "%2F", "a%2Fb", "%C3%A9", "..", "a:b"])
async def test_malformed_names_in_paths_are_unknown(service: LobbyServer, name: str) -> None:
    for method in ("GET", "DELETE"):
        response = await service.manage(method, f"/v1/lobbies/{name}")
        assert response.status_code in (404, 405), response.text
        assert "message" in response.json()


async def test_no_calls_without_a_key(service: LobbyServer) -> None:
    for method, path in (
        ("GET", "/v1/lobbies"),
        ("POST", "/v1/lobbies"),
        ("GET", "/v1/lobbies/duel"),
        ("DELETE", "/v1/lobbies/duel"),
        ("POST", "/v1/lobbies:deploy"),
        ("POST", "/v1/lobbies:terminate"),
    ):
        for key in (None, "9a5c2f64-5d8e-4b7f-a4c0-1d2e3f405162"):
            # No 403 is documented for these.
            assert (await service.manage(method, path, {"name": "duel"}, key=key)).status_code == 401
