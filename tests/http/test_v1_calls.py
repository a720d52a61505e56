"""The v1 and v2 routes over real domains: what goes in, what comes out, which status."""

import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from tests.stores import Store, postgres_database, sqlite_template, store
from tests.world import FRANKFURT, IMAGE, MONTREAL, ORGANISATION, World, place
from waymeet.accounts.types import Caller, Scope
from waymeet.applications.rules import VersionDefaults
from waymeet.applications.service import ApplicationService
from waymeet.beacons.health import BeaconHealth
from waymeet.beacons.service import BeaconService
from waymeet.beacons.types import beacons_of
from waymeet.geo.database import GeoDatabase
from waymeet.http import v1, v2
from waymeet.http.application import create_app
from waymeet.http.limits import HttpLimits
from waymeet.http.v1.services import Services
from waymeet.latencies.service import LatencyService
from waymeet.latencies.types import OUR_NODES, Record
from waymeet.lobbies.service import LobbyService
from waymeet.main.beacon_sites import BeaconSites
from waymeet.model.errors import Invalid
from waymeet.model.latency import Measurement, Origin
from waymeet.model.location import Location
from waymeet.model.node_messages import BeaconPorts
from waymeet.model.servers import EndReason
from waymeet.store.transaction import Transaction
from waymeet.webhooks.outbox import enqueue
from waymeet.webhooks.service import WebhookService

__all__ = ["postgres_database", "sqlite_template", "store"]

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("store", ["sqlite"], indirect=True)]

KEY, NODE_KEY = "3f0e7c1a-5b1d-4c8e-9a67-2f6d1b0c9e11", "9a5c2f64-5d8e-4b7f-a4c0-1d2e3f405162"
VERSION = {
    "name": "2.0",
    "docker_repository": "registry.example",
    "docker_image": IMAGE,
    "docker_tag": "2.0",
    "req_cpu": 128,
    "req_memory": "256",
    "private_username": "robot",
    "private_token": "hunter2",
    "session_config": {"kind": "Seat", "sockets": 4},
    "ports": [{"port": 7777, "protocol": "UDP", "name": "game"}],
    "envs": [{"key": "HIDDEN", "value": "hunter2", "is_hidden": True}, {"key": "OPEN", "value": "yes"}],
}
DEPLOY: dict[str, Any] = {
    "application": "arena",
    "version": "1.0",
    "users": [
        {"user_type": "ip_address", "user_data": {"ip_address": "203.0.113.7"}},
        {"user_type": "ip_address", "user_data": {"ip_address": "203.0.113.7"}},
        {"user_type": "geo_coordinates", "user_data": {"latitude": 45.5, "longitude": -73.6}},
    ],
    "environment_variables": [{"key": "MAP", "value": "a", "is_hidden": True}],
    "tags": ["ranked", "ranked"],
    "webhook_on_ready": {"url": "https://backend.example.org/ready"},
    "webhook_on_error": {"url": ""},
    "webhook_on_terminated": {"url": "https://backend.example.org/terminated"},
    "resources": {"cpu_units": 512, "memory_mib": 300},
}


class KnownKeys:
    async def caller(self, secret: str) -> Caller | None:
        scopes = {KEY: frozenset({Scope.API}), NODE_KEY: frozenset({Scope.NODE})}
        return Caller(ORGANISATION, "t1", scopes[secret]) if secret in scopes else None


class EveryImage:
    async def can_run(self, repository: str, image: str, tag: str) -> bool:
        return image == IMAGE


def check_url(url: str) -> None:
    if not url.startswith("https://"):
        raise Invalid({"webhook_url": "must start with https://"})


@pytest.fixture
async def world(store: Store, anyio_backend: str) -> World:
    return await World(store).found()


@pytest.fixture
def beacon_health() -> BeaconHealth:
    return BeaconHealth()


@pytest.fixture
async def api(world: World, beacon_health: BeaconHealth) -> AsyncIterator[httpx.AsyncClient]:
    rng = random.Random(7)
    services = Services(
        applications=ApplicationService(world.store, EveryImage(), world.clock, rng, VersionDefaults()),
        deployments=world.deployments,
        sessions=world.sessions,
        relays=world.relays,
        directory=world.directory,
        beacons=BeaconService(world.directory, beacon_health, world.clock),
        geography=GeoDatabase(tuple),
        latencies=LatencyService(
            world.store, world.store.bells, world.locations, BeaconSites(world.directory, world.clock), world.clock, rng
        ),
        lobbies=LobbyService(world.store, world.clock, rng),
        webhooks=WebhookService(world.store, world.clock, rng),
        clock=world.clock,
        check_url=check_url,
    )
    app = create_app(
        [*v1.endpoints(services), *v2.endpoints(services)],
        authenticator=KnownKeys(),
        clock=world.clock,
        rng=rng,
        limits=HttpLimits(rates={}),
        registry=CollectorRegistry(),
    )
    headers = {"authorization": f"token {KEY}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://waymeet", headers=headers) as client:
        yield client


async def answer(call: Any, status: int = 200) -> Any:
    response: httpx.Response = await call
    assert response.status_code == status, response.text
    return response.json() if response.content else None


class TestApplications:
    async def test_from_creation_to_deletion(self, api: httpx.AsyncClient) -> None:
        made = await answer(api.post("/v1/app", json={"name": "duel", "is_active": True, "image": ""}))
        assert (made["name"], made["is_active"], made["image"]) == ("duel", True, "")
        assert await answer(api.get("/v1/app/duel")) == made
        changed = await answer(api.patch("/v1/app/duel", json={"is_active": False, "image": "aGk="}))
        assert (changed["name"], changed["is_active"], changed["image"]) == ("duel", False, "aGk=")
        assert (await answer(api.patch("/v1/app/duel", json={"image": ""})))["image"] == ""
        listed = await answer(api.get("/v1/apps"))
        assert ([entry["name"] for entry in listed["applications"]], listed["total_count"]) == (["duel"], 1)
        assert await answer(api.delete("/v1/app/duel")) == {}
        await answer(api.get("/v1/app/duel"), 404)

    async def test_refusals(self, api: httpx.AsyncClient) -> None:
        await answer(api.post("/v1/app", json={"name": "duel", "is_active": True}))
        await answer(api.post("/v1/app", json={"name": "duel", "is_active": True}), 409)
        refused = await answer(api.post("/v1/app", json={"name": "duel"}), 400)
        assert refused["errors"] == {"is_active": "'is_active' is a required property"}
        await answer(api.patch("/v1/app/none", json={}), 404)
        await answer(api.delete("/v1/app/none"), 404)


class TestVersions:
    async def test_create_read_change_delete(self, api: httpx.AsyncClient) -> None:
        await answer(api.post("/v1/app", json={"name": "duel", "is_active": True, "image": ""}))
        made = await answer(api.post("/v1/app/duel/version", json=VERSION))
        assert made["success"] is True
        version = made["version"]
        assert (version["req_memory"], version["is_active"], version["session_config"]["sockets"]) == (256, True, 4)
        assert await answer(api.get("/v1/app/duel/version/2.0")) == version
        await answer(api.post("/v1/app/duel/version", json=VERSION), 409)
        listed = await answer(api.get("/v1/app/duel/versions"))
        assert (listed["versions"], listed["total_count"]) == ([version], 1)
        deleted = await answer(api.delete("/v1/app/duel/version/2.0"))
        assert (deleted["success"], type(deleted["message"])) == (True, str)
        await answer(api.get("/v1/app/duel/version/2.0"), 404)

    async def test_what_was_read_can_be_sent_back_and_changes_nothing(
        self, api: httpx.AsyncClient, world: World
    ) -> None:
        """The mask of a secret is not the secret."""
        await answer(api.post("/v1/app", json={"name": "duel", "is_active": True, "image": ""}))
        version = (await answer(api.post("/v1/app/duel/version", json=VERSION)))["version"]
        assert "hunter2" not in str(version)
        assert (await answer(api.patch("/v1/app/duel/version/2.0", json=version)))["version"] == version

        async def unit(tx: Transaction) -> Any:
            return await tx.applications.find_version(ORGANISATION, "duel", "2.0")

        settings = (await world.store.read(unit)).settings
        assert (settings.private_token, settings.envs[0].value) == ("hunter2", "hunter2")

    async def test_a_change_touches_only_what_was_sent(self, api: httpx.AsyncClient) -> None:
        await answer(api.post("/v1/app", json={"name": "duel", "is_active": True, "image": ""}))
        before = (await answer(api.post("/v1/app/duel/version", json=VERSION)))["version"]
        sent: dict[str, object] = {
            "session_config": {"autodeploy": True},
            "ports": [],
            "private_token": None,
            "docker_tag": "",
        }
        after = (await answer(api.patch("/v1/app/duel/version/2.0", json=sent)))["version"]
        assert {name for name in before if before[name] != after[name]} <= {
            "session_config",
            "ports",
            "private_token",
            "last_updated",
        }
        assert after["session_config"] == {**before["session_config"], "autodeploy": True}
        assert (after["ports"], after["private_token"]) == ([], None)

    async def test_refusals(self, api: httpx.AsyncClient) -> None:
        await answer(api.post("/v1/app/duel/version", json=VERSION), 404)
        await answer(api.post("/v1/app", json={"name": "duel", "is_active": True, "image": ""}))
        refused = await answer(
            api.post("/v1/app/duel/version", json={**VERSION, "req_cpu": 1, "ports": [{"port": 0, "protocol": "X"}]}),
            400,
        )
        assert set(refused["errors"]) == {"req_cpu", "ports.0.name", "ports.0.protocol"}
        unknown_image = {**VERSION, "docker_image": "studio/other", "verify_image": True}
        await answer(api.post("/v1/app/duel/version", json=unknown_image), 424)

    async def test_the_access_list(self, api: httpx.AsyncClient) -> None:
        await answer(api.post("/v1/app", json={"name": "duel", "is_active": True, "image": ""}))
        await answer(api.post("/v1/app/duel/version", json=VERSION))
        path = "/v1/app/duel/version/2.0/whitelist"
        made = await answer(api.post(path, json={"cidr": "203.0.113.0/24", "label": "office"}))
        entry = made["whitelist_entry"]
        assert (made["success"], entry["cidr"], entry["is_active"]) == (True, "203.0.113.0/24", True)
        assert await answer(api.get(path)) == {"whitelist_entries": [entry]}
        assert await answer(api.get(f"{path}/{entry['id']}")) == entry
        assert await answer(api.delete(f"{path}/{entry['id']}")) == made
        await answer(api.get(f"{path}/{entry['id']}"), 404)
        await answer(api.post(path, json={"cidr": "everyone"}), 400)


class TestDeployV2:
    async def test_it_is_accepted_near_the_players(self, api: httpx.AsyncClient, world: World) -> None:
        await world.version()
        await world.node("frankfurt")
        await world.node("montreal", MONTREAL)
        accepted = await answer(api.post("/v2/deployments", json=DEPLOY), 202)
        assert set(accepted) == {"request_id"}
        deployment = await world.deployment(accepted["request_id"])
        webhooks = deployment.settings.webhooks
        assert deployment.node_name == "montreal"
        assert (webhooks.ready, webhooks.error) == ("https://backend.example.org/ready", None)
        assert webhooks.terminated == "https://backend.example.org/terminated"
        assert (deployment.settings.user_count, [tag.name for tag in deployment.tags]) == (3, ["ranked"])
        assert deployment.server.environment == {"MAP": "a"}
        assert (deployment.server.cpu_units, deployment.server.memory_mb) == (512, 300)

    async def test_no_room_is_422_with_a_request_id(self, api: httpx.AsyncClient, world: World) -> None:
        await world.version()
        refused = await answer(api.post("/v2/deployments", json=DEPLOY), 422)
        assert (set(refused), refused["request_id"]) == ({"request_id", "message"}, "")

    @pytest.mark.parametrize(
        ("changed", "member"),
        [
            ({"users": []}, "users"),
            ({"users": [{"user_type": "name", "user_data": {}}]}, "users.0.user_type"),
            (
                {"users": [{"user_type": "ip_address", "user_data": {"ip_address": "x"}}]},
                "users.0.user_data.ip_address",
            ),
            ({"webhook_on_error": {"url": "ftp://x"}}, "webhook_on_error.url"),
            ({"tags": ["a,b"]}, "tags.0"),
            ({"version": "9.9"}, "version"),
            ({"version": "off"}, "version"),
            ({"resources": {"cpu_units": 1}}, "resources.cpu_units"),
        ],
    )
    async def test_bad_input_is_400_in_the_form_of_v2(
        self, api: httpx.AsyncClient, world: World, changed: Any, member: str
    ) -> None:
        await world.version()
        await world.version("off", is_active=False)
        refused = await answer(api.post("/v2/deployments", json={**DEPLOY, **changed}), 400)
        assert (set(refused), set(refused["details"])) == ({"message", "details"}, {member})

    async def test_strangers_get_401_in_the_form_of_v2(self, api: httpx.AsyncClient) -> None:
        refused = await answer(api.post("/v2/deployments", json=DEPLOY, headers={"authorization": "token x"}), 401)
        assert refused["details"] == {}


class TestDeployments:
    async def test_a_ready_deployment_is_stopped_with_200_then_202_then_410(
        self, api: httpx.AsyncClient, world: World
    ) -> None:
        await world.version()
        await world.node("frankfurt")
        made = await answer(api.post("/v1/deploy", json={"app_name": "arena", "ip_list": ["::1"], "geo_ip_list": []}))
        request_id = made["request_id"]
        assert (made["request_app"], made["request_version"], made["request_user_count"]) == ("arena", "1.0", 1)
        await world.ready(request_id)
        assert (await answer(api.get(f"/v1/status/{request_id}")))["current_status"] == "Status.READY"
        stopped = await answer(api.delete(f"/v1/stop/{request_id}"))
        assert stopped["deployment_summary"]["current_status"] == "Status.TERMINATING"
        assert set(await answer(api.delete(f"/v1/stop/{request_id}"), 202)) == {"message"}
        await world.ended(request_id, EndReason.STOPPED)
        await answer(api.delete(f"/v1/stop/{request_id}"), 410)
        assert (await answer(api.get(f"/v1/status/{request_id}")))["removal_time"] is not None

    async def test_the_list_tags_and_flags(self, api: httpx.AsyncClient, world: World) -> None:
        await world.version()
        await world.node("frankfurt")
        request_id = (await answer(api.post("/v1/deploy", json={"app_name": "arena"})))["request_id"]
        path = f"/v1/deployments/{request_id}"
        tag = await answer(api.post(f"{path}/tags", json={"name": "ranked"}))
        assert (set(tag), tag["name"]) == ({"name", "create_time", "last_updated"}, "ranked")
        await answer(api.post(f"{path}/tags", json={"name": "ranked"}), 409)
        await answer(api.patch(f"{path}/tags/ranked", json={"name": "casual"}))
        listed = await answer(api.get(f"{path}/tags"))
        assert (listed["count"], listed["total_count"], listed["tags"][0]["name"]) == (1, 1, "casual")
        await answer(api.delete(f"{path}/tags/casual"), 204)
        await answer(api.get(f"{path}/tags/casual"), 404)
        assert await answer(api.patch(path, json={"is_joinable_by_session": False})) == {
            "is_joinable_by_session": False
        }
        query = '{"filters": [{"field": "status", "operator": "neq", "value": "ready"}]}'
        (entry,) = (await answer(api.get("/v1/deployments", params={"query": query})))["data"]
        assert (entry["request_id"], entry["is_joinable_by_session"], entry["tags"]) == (request_id, False, [])
        await answer(api.get("/v1/deployments", params={"query": "{"}), 400)

    async def test_calls_from_inside_take_the_deployments_own_tokens(
        self, api: httpx.AsyncClient, world: World
    ) -> None:
        await world.version()
        await world.node("frankfurt")
        request_id = (await answer(api.post("/v1/deploy", json={"app_name": "arena"})))["request_id"]
        settings = (await world.deployment(request_id)).settings
        context, stop = {"authorization": settings.context_token}, {"authorization": settings.delete_token}
        path = f"/v1/context/{request_id}/{settings.security_number}"
        assert (await answer(api.get(path, headers=context)))["request_id"] == request_id
        await answer(api.get(path, headers=stop), 401)
        await answer(api.post(f"{path}/tags", json={"name": "full"}, headers=context))
        await answer(api.delete(f"{path}/tags/full", headers=context), 204)
        path = f"/v1/self/stop/{request_id}/{settings.access_point_id}"
        await answer(api.delete(path, headers=context), 403)
        await answer(api.delete(path, headers=stop), 202)


class TestSessions:
    async def test_the_life_of_a_session(self, api: httpx.AsyncClient, world: World) -> None:
        await world.version()
        await world.node("frankfurt")
        sent = {"app_name": "arena", "ip_list": ["203.0.113.7"], "filters": [], "webhook_url": ""}
        made = await answer(api.post("/v1/session", json=sent))
        path = f"/v1/session/{made['session_id'].lower()}"
        session = await answer(api.get(path))
        assert (session["status"], session["linked"], session["webhook_url"]) == ("Waiting", True, None)
        await world.ready(session["deployment_request_id"])
        assert (await answer(api.get(path)))["ready"] is True
        users = await answer(api.put(f"{path}/users", json={"ip_list": ["203.0.113.7", "192.0.2.9"]}))
        assert [user["ip"] for user in users["session_users"]] == ["203.0.113.7", "203.0.113.7", "192.0.2.9"]
        await answer(api.put(f"{path}/users", json={"ip_list": ["192.0.2.1", "192.0.2.2"]}), 422)
        gone = {"ip_list": ["203.0.113.7", "192.0.2.77"]}
        users = await answer(api.request("DELETE", f"{path}/users", json=gone))
        assert await answer(api.get(f"{path}/users")) == users
        assert len(users["session_users"]) == 2
        listed = await answer(api.get("/v1/sessions"))
        assert (listed["total_count"], listed["data"][0]["session_id"]) == (1, made["session_id"])
        deleted = await answer(api.delete(path))
        assert deleted["session_id"] == made["session_id"]
        await answer(api.delete(path), 410)

    async def test_refusals(self, api: httpx.AsyncClient, world: World) -> None:
        await world.version()
        for sent, member in (
            ({"ip_list": ["::1"]}, "app_name"),
            ({"app_name": "arena"}, "ip_list"),
            ({"app_name": "arena", "ip_list": ["x"]}, "ip_list.0"),
            ({"app_name": "arena", "ip_list": ["::1"], "webhook_url": "ftp://x"}, "webhook_url"),
        ):
            assert set((await answer(api.post("/v1/session", json=sent), 400))["errors"]) == {member}
        await answer(api.get("/v1/session/nonsense"), 400)
        await answer(api.get("/v1/session/950dd2eaff09-S"), 404)
        await answer(api.post("/v1/sessions/bulk-stop", json={"filters": []}), 400)


class TestWebhooks:
    async def test_deliveries_can_be_read_filtered_and_replayed(self, api: httpx.AsyncClient, world: World) -> None:
        async def unit(tx: Transaction) -> list[str]:
            return [
                await enqueue(
                    tx,
                    organisation=ORGANISATION,
                    object_key=f"session:{name}",
                    event_type="session.ready",
                    url="https://backend.example.org/hook",
                    body="{}",
                    now=world.clock.now(),
                    rng=world.rng,
                )
                for name in ("a", "b")
            ]

        first, _ = await world.store.write(unit)
        listed = await answer(api.get("/v1/webhooks/deliveries"))
        assert (listed["total_count"], listed["pagination"]["has_next"]) == (2, False)
        path = "/v1/webhooks/deliveries"
        narrowed = await answer(api.get(path, params={"object": "session:a", "status": "pending"}))
        assert [entry["id"] for entry in narrowed["data"]] == [first]
        assert (await answer(api.get(path, params={"status": "failed"})))["data"] == []
        await answer(api.get(path, params={"status": "lost"}), 400)
        again = await answer(api.post(f"{path}/{first}:replay"))
        assert (again["replay_of"], again["body"], again["id"] != first) == (first, "{}", True)
        assert await answer(api.get(f"{path}/{again['id']}")) == again
        await answer(api.post(f"{path}/msg_none:replay"), 404)

    async def test_the_secret_can_be_read_and_rotated(self, api: httpx.AsyncClient) -> None:
        old = await answer(api.get("/v1/webhooks/secret"))
        new = await answer(api.post("/v1/webhooks/secret:rotate"))
        assert set(new) == {"secret"}
        assert new["secret"].startswith("whsec_")
        assert new != old
        assert await answer(api.get("/v1/webhooks/secret")) == new


class TestLocations:
    async def test_all_on_one_page_unless_pages_are_asked_for(self, api: httpx.AsyncClient, world: World) -> None:
        await world.version()
        for index in range(12):
            await world.node(f"n{index}", Location(f"City {index}", "C", "C", "A", "T", 1.0, 2.0))
        whole = await answer(api.get("/v1/locations/"))
        assert (len(whole["locations"]), whole["total_count"], whole["pagination"]["has_next"]) == (12, 12, False)
        page = await answer(api.get("/v1/locations", params={"page": "2", "limit": "5"}))
        assert (len(page["locations"]), page["pagination"]["number"]) == (5, 2)
        await answer(api.get("/v1/locations", params={"page": "0"}), 400)

    async def test_capacity_for_a_version_and_tags(self, api: httpx.AsyncClient, world: World) -> None:
        await world.version()
        await world.node("full", capacity=0)
        await world.node("free", MONTREAL, tags={"tier": "gold"})
        query = {"app": "arena", "version": "1.0", "tags": "true"}
        (entry,) = (await answer(api.get("/v1/locations", params=query)))["locations"]
        assert (entry["city"], entry["type"], entry["tags"]) == (
            "Montreal",
            "standard",
            [{"key": "tier", "value": "gold"}],
        )
        assert {tuple(one["tags"]) for one in (await answer(api.get("/v1/locations")))["locations"]} == {()}
        await answer(api.get("/v1/locations", params={"app": "none"}), 400)
        await answer(api.get("/v1/locations", params={"app": "arena", "version": "9"}), 400)


class TestBeacons:
    async def listed(self, world: World, health: BeaconHealth, count: int) -> None:
        for index in range(count):
            await world.node(f"n{index:02}", MONTREAL, beacon=BeaconPorts(32000 + index, 32100 + index))
        beacons = beacons_of(world.directory.nodes, world.clock.now())
        health.know(beacons)
        for beacon in beacons:
            health.answered(beacon, world.clock.monotonic())

    async def test_none(self, api: httpx.AsyncClient) -> None:
        assert await answer(api.get("/v1/locations/beacons")) == {"locations": [], "count": 0}

    async def test_two_at_one_place(self, api: httpx.AsyncClient, world: World, beacon_health: BeaconHealth) -> None:
        await self.listed(world, beacon_health, 2)
        place = {
            "country": MONTREAL.country,
            "continent": MONTREAL.continent,
            "administrative_division": MONTREAL.administrative_division,
            "timezone": MONTREAL.timezone,
            "latitude": MONTREAL.latitude,
            "longitude": MONTREAL.longitude,
        }
        assert await answer(api.get("/v1/locations/beacons")) == {
            "locations": [
                {
                    "host": "192.0.2.1",
                    "fqdn": "",
                    "udp_port": 32000 + index,
                    "tcp_port": 32100 + index,
                    "location": {"city": city} | place,
                }
                for index, city in enumerate(("Montreal", "Montreal (n01)"))
            ],
            "count": 2,
        }

    async def test_all_at_once_unless_pages_are_asked_for(
        self, api: httpx.AsyncClient, world: World, beacon_health: BeaconHealth
    ) -> None:
        await self.listed(world, beacon_health, 12)
        whole = await answer(api.get("/v1/locations/beacons"))
        assert (len(whole["locations"]), whole["count"]) == (12, 12)
        for query, expected in (
            ({"limit": "5"}, whole["locations"][:5]),
            ({"page": "3", "limit": "5"}, whole["locations"][10:]),
            ({"page": "4", "limit": "5"}, []),
            ({"page": "1"}, whole["locations"]),
            ({"limit": "9" * 18}, whole["locations"]),
        ):
            page = await answer(api.get("/v1/locations/beacons", params=query))
            assert (page["locations"], page["count"]) == (expected, len(expected))

    @pytest.mark.parametrize(
        "query", ["page=0", "page=-1", "page=x", "limit=0", "limit=1.5", "limit=", "page=1&page=1"]
    )
    async def test_pages_out_of_form(self, api: httpx.AsyncClient, query: str) -> None:
        await answer(api.get(f"/v1/locations/beacons?{query}"), 400)


class TestLatencies:
    PLAYER = "8.8.8.8"

    async def listed(self, world: World) -> None:
        await world.node("paris", place("Paris", 48.86, 2.35), beacon=BeaconPorts(32000, 32001))
        await world.node("silent", FRANKFURT)

    async def test_what_is_reported_is_known_of_the_whole_network(self, api: httpx.AsyncClient, world: World) -> None:
        await self.listed(world)
        report = {"ip": "::ffff:8.8.8.8", "latencies": {"Paris": 41.25}}
        assert await answer(api.post("/v1/latencies", json=report)) == {
            "ip": self.PLAYER,
            "network": "8.8.8.0/24",
            "recorded": 1,
        }
        world.clock.pass_seconds(90)
        found = await answer(api.get("/v1/latencies/8.8.8.200"))
        (entry,) = found.pop("latencies")
        assert found == {"ip": "8.8.8.200", "network": "8.8.8.0/24"}
        assert entry.pop("location")["city"] == "Paris"
        assert entry.pop("uncertainty_ms") > 0
        assert entry == {"ms": 41.25, "origin": "reported", "age_seconds": 90.0, "jitter_ms": 0.0, "samples": 1}
        assert (await answer(api.get("/v1/latencies/2001:db8::7"))) == {
            "ip": "2001:db8::7",
            "network": "2001:db8::/48",
            "latencies": [],
        }

    async def test_what_a_node_measured_is_shown_coarsely(self, api: httpx.AsyncClient, world: World) -> None:
        await self.listed(world)
        site = next(site.key for site in world.directory.fleet.sites if site.nodes[0].name == "paris")
        now = world.clock.now()

        async def unit(tx: Transaction) -> None:
            known = Measurement("8.8.8.0/24", site, 41.26, 1.4, 7, Origin.MEASURED, now)
            await tx.latencies.put([Record(OUR_NODES, known.prefix, site, now, known)])

        await world.store.write(unit)
        world.clock.pass_seconds(90)
        (entry,) = (await answer(api.get(f"/v1/latencies/{self.PLAYER}")))["latencies"]
        assert entry.pop("location")["city"] == "Paris"
        assert entry.pop("uncertainty_ms") > 0
        assert entry == {"ms": 41.0, "origin": "measured", "age_seconds": 3600.0, "jitter_ms": 1.0}

    async def test_without_an_address_it_is_the_callers(self, api: httpx.AsyncClient, world: World) -> None:
        await self.listed(world)
        for ip in ({}, {"ip": None}, {"ip": ""}):
            reported = await answer(api.post("/v1/latencies", json={"latencies": {"Paris": 5, "Pariss": 0}} | ip), 400)
            assert "latencies.Pariss" in reported["errors"]
            reported = await answer(api.post("/v1/latencies", json={"latencies": {"Paris": 5}} | ip))
            assert reported["ip"] == "127.0.0.1"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "latencies"),
            ({"latencies": {"Frankfurt": 5}}, "latencies.Frankfurt"),  # A node without a beacon.
            ({"latencies": {"Nowhere": 5}}, "latencies.Nowhere"),
            ({"latencies": {"": 5}}, "latencies"),
            ({"latencies": {"Paris": 10_000}}, "latencies"),
            ({"latencies": {"Paris": -10_000}}, "latencies"),
            ({"latencies": {"Paris": "5"}}, "latencies"),
            ({"latencies": {f"c{number}": 5 for number in range(65)}}, "latencies"),
            ({"latencies": {"Paris": 5}, "ip": "8.8.8.0/24"}, "ip"),
            ({"latencies": {"Paris": 5}, "ip": "fe80::1%eth0"}, "ip"),
            ({"latencies": {"Paris": 5}, "ip": "player.example"}, "ip"),
        ],
    )
    async def test_bad_reports(self, api: httpx.AsyncClient, world: World, body: Any, field: str) -> None:
        await self.listed(world)
        refused = await answer(api.post("/v1/latencies", json={"ip": self.PLAYER} | body), 400)
        assert list(refused["errors"]) == [field]
        assert (await answer(api.get(f"/v1/latencies/{self.PLAYER}")))["latencies"] == []

    async def test_not_measured_is_ignored(self, api: httpx.AsyncClient, world: World) -> None:
        await self.listed(world)
        for ms in (0, -1, -0.5):
            report = {"ip": self.PLAYER, "latencies": {"Paris": ms}}
            assert (await answer(api.post("/v1/latencies", json=report)))["recorded"] == 0

    @pytest.mark.parametrize("ip", ["nobody", "8.8.8", "8.8.8.8%2F24", "8.8.8.8%00", "%20", "1" * 200])
    async def test_no_address(self, api: httpx.AsyncClient, ip: str) -> None:
        await answer(api.get(f"/v1/latencies/{ip}"), 400)


class TestTable:
    async def test_a_key_without_the_scope_of_the_api_is_refused(self, api: httpx.AsyncClient) -> None:
        for path in ("/v1/apps", "/v1/sessions", "/v1/webhooks/secret"):
            await answer(api.get(path, headers={"authorization": f"token {NODE_KEY}"}), 403)

    async def test_an_unknown_key_is_403_only_where_the_contract_lists_it(self, api: httpx.AsyncClient) -> None:
        stranger = {"authorization": "token 00000000-5b1d-4c8e-9a67-2f6d1b0c9e11"}
        await answer(api.get("/v1/apps", headers=stranger), 403)
        await answer(api.delete("/v1/stop/57f84a8e1298", headers=stranger), 403)
        await answer(api.get("/v1/sessions", headers=stranger), 401)
