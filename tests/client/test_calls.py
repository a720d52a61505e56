"""Each call as the contract has it: method, path, query and body on the wire, and what its answer reads as."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.client.either import Either
from tests.client.fake_server import FakeServer, Scripted
from waymeet.client import (
    Application,
    Coordinates,
    DeploymentQuery,
    Filter,
    LocatedPlayer,
    NewVersion,
    Port,
    Probe,
    Selector,
    SessionConfig,
    SessionConfigChange,
    Unavailable,
    Variable,
    VersionChange,
    WhitelistEntry,
)

ANY_ANSWER: dict[str, Any] = {
    # Every wrapper of the contract at once: each call picks its own.
    "name": "arena",
    "id": "w1",
    "cidr": "203.0.113.0/24",
    "request_id": "57f84a8e1298",
    "session_id": "4be09c1d77a2-S",
    "status": "Ready",
    "version": {"name": "1"},
    "session_users": [],
    "processable": [],
    "public_ip": "203.0.113.7",
    "ip_address": "203.0.113.7",
    "addresses": [],
    "whitelist_entry": {"id": "w1", "cidr": "203.0.113.0/24"},
    "whitelist_entries": [],
    "is_joinable_by_session": True,
    "secret": "whsec_AAAA",
    "session_user": {"ip_address": "203.0.113.7", "authorization_token": 21986334},
}

PAGED = {"page": "1", "limit": "10"}

VERSION = NewVersion(
    name="2025.07.01",
    docker_repository="registry.example.org",
    docker_image="arena/server",
    docker_tag="v1",
    req_cpu=256,
    req_memory=256,
    session_config=SessionConfig(kind="Seat", sockets=10, autodeploy=True, empty_ttl=5),
    ports=[Port(port=7777, protocol="UDP", name="gameport", to_check=False)],
    probe=Probe(optimal_ping=60, rejected_ping=180),
    envs=[Variable(key="MODE", value="ranked"), Variable(key="KEY", value="k", is_hidden=True)],
)

SESSION_REQUEST = {
    "app_name": "arena",
    "version_name": "2025.07.01",
    "ip_list": ["203.0.113.7", "198.51.100.23"],
    "filters": [{"field": "continent", "values": ["Europe"], "filter_type": "any"}],
    "selectors": [
        {"tag": "ranked"},
        {"tag": "map-a", "env": {"key": "MAP_ID", "value": "1"}},
        {"tag": "party-77", "tag_only": True},
    ],
    "webhook_url": "https://backend.example.org/hooks/session",
    "skip_telemetry": True,
}

CALLS: dict[str, tuple[Callable[[Any], Any], str, str, dict[str, str], Any]] = {
    "application create": (
        lambda c: c.applications.create("arena", is_active=False),
        "POST",
        "/v1/app",
        {},
        {"name": "arena", "is_active": False, "image": "", "is_telemetry_agent_active": False},
    ),
    "application get": (lambda c: c.applications.get("my game"), "GET", "/v1/app/my%20game", {}, None),
    "application update": (
        lambda c: c.applications.update("arena", is_active=False),
        "PATCH",
        "/v1/app/arena",
        {},
        {"is_active": False},
    ),
    "application delete": (lambda c: c.applications.delete("arena"), "DELETE", "/v1/app/arena", {}, None),
    "application page": (
        lambda c: c.applications.page(2, 50),
        "GET",
        "/v1/apps",
        {"page": "2", "limit": "50"},
        None,
    ),
    "version create": (
        lambda c: c.versions.create("arena", VERSION),
        "POST",
        "/v1/app/arena/version",
        {},
        {
            "name": "2025.07.01",
            "docker_repository": "registry.example.org",
            "docker_image": "arena/server",
            "docker_tag": "v1",
            "req_cpu": 256,
            "req_memory": 256,
            "session_config": {"kind": "Seat", "sockets": 10, "autodeploy": True, "empty_ttl": 5},
            "ports": [
                {"port": 7777, "protocol": "UDP", "to_check": False, "tls_upgrade": False, "name": "gameport"},
            ],
            "probe": {"optimal_ping": 60, "rejected_ping": 180},
            "envs": [{"key": "MODE", "value": "ranked"}, {"key": "KEY", "value": "k", "is_hidden": True}],
        },
    ),
    "version get": (lambda c: c.versions.get("arena", "1/2"), "GET", "/v1/app/arena/version/1%2F2", {}, None),
    "version update": (
        lambda c: c.versions.update(
            "arena", "1", VersionChange(is_active=False, session_config=SessionConfigChange(autodeploy=False))
        ),
        "PATCH",
        "/v1/app/arena/version/1",
        {},
        {"is_active": False, "session_config": {"autodeploy": False}},
    ),
    "version delete": (lambda c: c.versions.delete("arena", "1"), "DELETE", "/v1/app/arena/version/1", {}, None),
    "version page": (lambda c: c.versions.page("arena"), "GET", "/v1/app/arena/versions", PAGED, None),
    "whitelist add": (
        lambda c: c.whitelist.add("arena", "1", "203.0.113.0/24", label="office"),
        "POST",
        "/v1/app/arena/version/1/whitelist",
        {},
        {"cidr": "203.0.113.0/24", "label": "office"},
    ),
    "whitelist entries": (
        lambda c: c.whitelist.entries("arena", "1"),
        "GET",
        "/v1/app/arena/version/1/whitelist",
        {},
        None,
    ),
    "whitelist get": (
        lambda c: c.whitelist.get("arena", "1", "w1"),
        "GET",
        "/v1/app/arena/version/1/whitelist/w1",
        {},
        None,
    ),
    "whitelist remove": (
        lambda c: c.whitelist.remove("arena", "1", "w1"),
        "DELETE",
        "/v1/app/arena/version/1/whitelist/w1",
        {},
        None,
    ),
    "deploy": (
        lambda c: c.deployments.deploy(
            "arena",
            "1",
            ips=["203.0.113.7"],
            tags=["ranked"],
            variables=[Variable(key="MAP", value="a", is_hidden=True)],
            location=Coordinates(latitude=48.85, longitude=2.35),
        ),
        "POST",
        "/v1/deploy",
        {},
        {
            "app_name": "arena",
            "version_name": "1",
            "ip_list": ["203.0.113.7"],
            "tags": ["ranked"],
            "env_vars": [{"key": "MAP", "value": "a", "is_hidden": True}],
            "location": {"latitude": 48.85, "longitude": 2.35},
        },
    ),
    "deploy v2": (
        lambda c: c.deployments.deploy_v2(
            "arena",
            "1",
            ips=["203.0.113.7"],
            coordinates=[Coordinates(latitude=48.85, longitude=2.35)],
            webhook_on_ready="https://backend.example.org/ready",
        ),
        "POST",
        "/v2/deployments",
        {},
        {
            "application": "arena",
            "version": "1",
            "users": [
                {"user_type": "ip_address", "user_data": {"ip_address": "203.0.113.7"}},
                {"user_type": "geo_coordinates", "user_data": {"latitude": 48.85, "longitude": 2.35}},
            ],
            "webhook_on_ready": {"url": "https://backend.example.org/ready"},
        },
    ),
    "deployment get": (
        lambda c: c.deployments.get("57f84a8e1298"),
        "GET",
        "/v1/status/57f84a8e1298",
        {},
        None,
    ),
    "deployment stop": (lambda c: c.deployments.stop("57f84a8e1298"), "DELETE", "/v1/stop/57f84a8e1298", {}, None),
    "deployment stop, logs kept": (
        lambda c: c.deployments.stop("57f84a8e1298", store_logs=True),
        "DELETE",
        "/v1/stop/57f84a8e1298",
        {"container_log_storage": "true"},
        None,
    ),
    "deployment page": (
        lambda c: c.deployments.page(query=DeploymentQuery().status("READY")),
        "GET",
        "/v1/deployments",
        {**PAGED, "query": '{"filters":[{"field":"status","operator":"eq","value":"ready"}],"order_by":[]}'},
        None,
    ),
    "deployment bulk stop": (
        lambda c: c.deployments.bulk_stop([Filter.all_of("deployment_tags", "ranked", "eu")]),
        "POST",
        "/v1/deployments/bulk-stop",
        {},
        {"filters": [{"field": "deployment_tags", "values": ["ranked", "eu"], "filter_type": "all"}]},
    ),
    "deployment joinable": (
        lambda c: c.deployments.set_joinable("57f84a8e1298", False),
        "PATCH",
        "/v1/deployments/57f84a8e1298",
        {},
        {"is_joinable_by_session": False},
    ),
    "container logs": (
        lambda c: c.deployments.container_logs("57f84a8e1298"),
        "GET",
        "/v1/deployment/57f84a8e1298/container-logs",
        {},
        None,
    ),
    "metrics": (
        lambda c: c.deployments.metrics("57f84a8e1298", start_time="2025-07-01 12:00:00", steps="1m", raw=False),
        "GET",
        "/v1/metrics/deployment/57f84a8e1298",
        {"start_time": "2025-07-01 12:00:00", "steps": "1m", "raw": "false"},
        None,
    ),
    "tag add": (
        lambda c: c.tags.add("57f84a8e1298", "ranked"),
        "POST",
        "/v1/deployments/57f84a8e1298/tags",
        {},
        {"name": "ranked"},
    ),
    "tag page": (lambda c: c.tags.page("57f84a8e1298"), "GET", "/v1/deployments/57f84a8e1298/tags", PAGED, None),
    "tag get": (
        lambda c: c.tags.get("57f84a8e1298", "a b"),
        "GET",
        "/v1/deployments/57f84a8e1298/tags/a%20b",
        {},
        None,
    ),
    "tag rename": (
        lambda c: c.tags.rename("57f84a8e1298", "ranked", "casual"),
        "PATCH",
        "/v1/deployments/57f84a8e1298/tags/ranked",
        {},
        {"name": "casual"},
    ),
    "tag remove": (
        lambda c: c.tags.remove("57f84a8e1298", "ranked"),
        "DELETE",
        "/v1/deployments/57f84a8e1298/tags/ranked",
        {},
        None,
    ),
    "session create": (
        lambda c: c.sessions.create(
            "arena",
            "2025.07.01",
            ips=["203.0.113.7", "198.51.100.23"],
            filters=[Filter.any_of("continent", "Europe")],
            selectors=[
                Selector(tag="ranked"),
                Selector(tag="map-a", env=Variable(key="MAP_ID", value="1")),
                Selector(tag="party-77", tag_only=True),
            ],
            webhook_url="https://backend.example.org/hooks/session",
            skip_telemetry=True,
        ),
        "POST",
        "/v1/session",
        {},
        SESSION_REQUEST,
    ),
    "session create, located": (
        lambda c: c.sessions.create("arena", players=[LocatedPlayer(ip="203.0.113.7", latitude=0.0, longitude=2.35)]),
        "POST",
        "/v1/session",
        {},
        {"app_name": "arena", "geo_ip_list": [{"ip": "203.0.113.7", "latitude": 0.0, "longitude": 2.35}]},
    ),
    "session get": (
        lambda c: c.sessions.get("4be09c1d77a2-S"),
        "GET",
        "/v1/session/4be09c1d77a2-S",
        {},
        None,
    ),
    "session placement": (
        lambda c: c.sessions.placement("4be09c1d77a2-S"),
        "GET",
        "/v1/session/4be09c1d77a2-S/placement",
        {},
        None,
    ),
    "deployment placement": (
        lambda c: c.deployments.placement("57f84a8e1298"),
        "GET",
        "/v1/deployments/57f84a8e1298/placement",
        {},
        None,
    ),
    "session delete": (
        lambda c: c.sessions.delete("4be09c1d77a2-S"),
        "DELETE",
        "/v1/session/4be09c1d77a2-S",
        {},
        None,
    ),
    "session users": (
        lambda c: c.sessions.users("4be09c1d77a2-S"),
        "GET",
        "/v1/session/4be09c1d77a2-S/users",
        {},
        None,
    ),
    "session add users": (
        lambda c: c.sessions.add_users("4be09c1d77a2-S", ["192.0.2.9"]),
        "PUT",
        "/v1/session/4be09c1d77a2-S/users",
        {},
        {"ip_list": ["192.0.2.9"]},
    ),
    "session remove users": (
        lambda c: c.sessions.remove_users("4be09c1d77a2-S", ["192.0.2.9"]),
        "DELETE",
        "/v1/session/4be09c1d77a2-S/users",
        {},
        {"ip_list": ["192.0.2.9"]},
    ),
    "session page": (lambda c: c.sessions.page(), "GET", "/v1/sessions", PAGED, None),
    "session bulk stop": (
        lambda c: c.sessions.bulk_stop([Filter.any_of("request_id", "57f84a8e1298")]),
        "POST",
        "/v1/sessions/bulk-stop",
        {},
        {"filters": [{"field": "request_id", "values": ["57f84a8e1298"], "filter_type": "any"}]},
    ),
    "relay create": (
        lambda c: c.relays.create(
            ["203.0.113.7", "203.0.113.7"],
            filters=[Filter.any_of("location", "FR", "DE")],
            webhook_url="https://backend.example.org/hooks/relay",
        ),
        "POST",
        "/v1/relays/sessions",
        {},
        {
            "users": [{"ip": "203.0.113.7"}, {"ip": "203.0.113.7"}],
            "filters": [{"field": "location", "values": ["FR", "DE"], "filter_type": "any"}],
            "webhook_url": "https://backend.example.org/hooks/relay",
        },
    ),
    "relay get": (lambda c: c.relays.get("3960c873aafd-S"), "GET", "/v1/relays/sessions/3960c873aafd-S", {}, None),
    "relay delete": (
        lambda c: c.relays.delete("3960c873aafd-S"),
        "DELETE",
        "/v1/relays/sessions/3960c873aafd-S",
        {},
        None,
    ),
    "relay authorize": (
        lambda c: c.relays.authorize("3960c873aafd-S", "198.51.100.23"),
        "POST",
        "/v1/relays/sessions:authorize-user",
        {},
        {"session_id": "3960c873aafd-S", "user_ip": "198.51.100.23"},
    ),
    "relay revoke": (
        lambda c: c.relays.revoke("3960c873aafd-S", 774120093),
        "POST",
        "/v1/relays/sessions:revoke-user",
        {},
        {"session_id": "3960c873aafd-S", "authorization_token": 774120093},
    ),
    "relay statistics": (
        lambda c: c.relays.statistics("3960c873aafd-S"),
        "GET",
        "/v1/relays/sessions/3960c873aafd-S/stats",
        {},
        None,
    ),
    "relay page": (lambda c: c.relays.page(), "GET", "/v1/relays/sessions", PAGED, None),
    "lobby create": (lambda c: c.lobbies.create("duel"), "POST", "/v1/lobbies", {}, {"name": "duel"}),
    "lobby get": (lambda c: c.lobbies.get("duel"), "GET", "/v1/lobbies/duel", {}, None),
    "lobby deploy": (lambda c: c.lobbies.deploy("duel"), "POST", "/v1/lobbies:deploy", {}, {"name": "duel"}),
    "lobby terminate": (lambda c: c.lobbies.terminate("duel"), "POST", "/v1/lobbies:terminate", {}, {"name": "duel"}),
    "lobby delete": (lambda c: c.lobbies.delete("duel"), "DELETE", "/v1/lobbies/duel", {}, None),
    "location page": (
        lambda c: c.locations.page(application="arena", version="1", with_tags=True),
        "GET",
        "/v1/locations",
        {**PAGED, "app": "arena", "version": "1", "tags": "true"},
        None,
    ),
    "latency report": (
        lambda c: c.latencies.report({"Paris": 20.5}, ip="203.0.113.7"),
        "POST",
        "/v1/latencies",
        {},
        {"latencies": {"Paris": 20.5}, "ip": "203.0.113.7"},
    ),
    "latency report of the caller's own": (
        lambda c: c.latencies.report({"Paris": 20.5}),
        "POST",
        "/v1/latencies",
        {},
        {"latencies": {"Paris": 20.5}},
    ),
    "latencies of an address": (
        lambda c: c.latencies.of("2001:db8::7"),
        "GET",
        "/v1/latencies/2001%3Adb8%3A%3A7",
        {},
        None,
    ),
    "beacons": (lambda c: c.beacons.all(), "GET", "/v1/locations/beacons", {}, None),
    "beacon page": (lambda c: c.beacons.page(2, 5), "GET", "/v1/locations/beacons", {"page": "2", "limit": "5"}, None),
    "delivery page": (
        lambda c: c.webhooks.page(status="failed", about="4be09c1d77a2-S"),
        "GET",
        "/v1/webhooks/deliveries",
        {**PAGED, "status": "failed", "object": "4be09c1d77a2-S"},
        None,
    ),
    "delivery get": (lambda c: c.webhooks.get("w1"), "GET", "/v1/webhooks/deliveries/w1", {}, None),
    "delivery replay": (lambda c: c.webhooks.replay("w1"), "POST", "/v1/webhooks/deliveries/w1:replay", {}, None),
    "secret": (lambda c: c.webhooks.secret(), "GET", "/v1/webhooks/secret", {}, None),
    "secret rotate": (lambda c: c.webhooks.rotate_secret(), "POST", "/v1/webhooks/secret:rotate", {}, None),
    "token": (lambda c: c.check_token(), "POST", "/v1/wizard/init-quick-start", {}, {"source": "unity"}),
    "own address": (lambda c: c.ip.own(), "GET", "/v1/ip", {}, None),
    "address": (lambda c: c.ip.look_up("2001:db8::1"), "GET", "/v1/ip/2001%3Adb8%3A%3A1/lookup", {}, None),
    "addresses": (
        lambda c: c.ip.look_up_many(["203.0.113.7", "10.0.0.5"]),
        "POST",
        "/v1/ips/lookup",
        {},
        {"addresses": ["203.0.113.7", "10.0.0.5"]},
    ),
    "alive": (lambda c: c.is_alive(), "GET", "/healthz", {}, None),
    "ready": (lambda c: c.is_ready(), "GET", "/readyz", {}, None),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_call_is_sent_as_the_contract_has_it(name: str, client: Either, server: FakeServer) -> None:
    call, method, path, query, body = CALLS[name]
    # In a session answer `version` is a name, elsewhere the version itself.
    server.script(Scripted(200, {**ANY_ANSWER, "version": "1"} if path == "/v1/session" else ANY_ANSWER))
    client(call)
    assert [(sent.method, sent.path, sent.query, sent.body) for sent in server.asked] == [(method, path, query, body)]
    assert server.last.headers["authorization"] == "token secret"
    assert ("content-type" in server.last.headers) == (body is not None)


def test_a_ready_session_reads_whole(client: Either, server: FakeServer) -> None:
    server.script(
        Scripted(
            200,
            {
                "session_id": "4be09c1d77a2-S",
                "custom_id": None,
                "status": "Ready",
                "ready": True,
                "linked": True,
                "kind": "Seat",
                "user_count": 2,
                "app_version": 41,
                "create_time": "2025-07-01 12:00:28.857725",
                "elapsed": 6,
                "error": None,
                "session_users": [
                    {"ip": "203.0.113.7", "latitude": 48.85, "longitude": 2.35},
                    {"ip": "198.51.100.23", "latitude": None, "longitude": None},
                ],
                "session_ips": [],
                "deployment": {
                    "request_id": "57f84a8e1298",
                    "public_ip": "192.0.2.44",
                    "status": "Status.READY",
                    "ready": True,
                    "whitelisting_active": False,
                    "fqdn": "57f84a8e1298.pr.edgegap.net",
                    "ports": {
                        "gameport": {
                            "external": 31669,
                            "internal": 7777,
                            "protocol": "UDP",
                            "name": "gameport",
                            "tls_upgrade": False,
                            "link": "57f84a8e1298.pr.edgegap.net:31669",
                            "proxy": 0,
                        }
                    },
                    "location": {"city": "Frankfurt", "country": "Germany", "latitude": 50.1109, "longitude": 8.6821},
                    "tags": ["ranked", "map-a"],
                    "sockets": 10,
                    "sockets_usage": 2,
                    "is_joinable_by_session": False,
                },
                "a_member_of_next_year": {"deep": [1]},
            },
        )
    )
    session = client(lambda c: c.sessions.get("4be09c1d77a2-S"))
    assert (session.status, session.ready, session.user_count, session.app_version) == ("Ready", True, 2, 41)
    assert [(user.ip, user.latitude) for user in session.session_users] == [
        ("203.0.113.7", 48.85),
        ("198.51.100.23", None),
    ]
    deployment = session.deployment
    assert (deployment.status, deployment.public_ip) == ("READY", "192.0.2.44")
    assert deployment.ports["gameport"].external == 31669
    assert (deployment.sockets, deployment.sockets_usage, deployment.is_joinable_by_session) == (10, 2, False)
    assert deployment.location.city == "Frankfurt"


def test_null_and_absent_members_read_alike_and_numbers_may_be_text(client: Either, server: FakeServer) -> None:
    server.script(
        Scripted(
            200,
            {
                "session_id": "950dd2eaff09-S",
                "status": "Waiting",
                "user_count": "10",
                "session_users": None,
                "deployment": {"request_id": "57f84a8e1298", "ports": None, "sockets": "5", "tags": None},
            },
        )
    )
    session = client(lambda c: c.sessions.get("950dd2eaff09-S"))
    assert (session.user_count, session.session_users, session.ready) == (10, (), False)
    assert (session.deployment.sockets, session.deployment.ports, session.deployment.tags) == (5, {}, ())


def test_a_deployment_reads_its_status_without_the_prefix(client: Either, server: FakeServer) -> None:
    server.script(Scripted(200, {"request_id": "57f84a8e1298", "current_status": "Status.SEEKED", "app_version": "1"}))
    deployment = client(lambda c: c.deployments.get("57f84a8e1298"))
    assert (deployment.status, deployment.app_version, deployment.running) == ("SEEKED", "1", False)


def test_metrics_keep_gaps(client: Either, server: FakeServer) -> None:
    reading = {"labels": ["cpu"], "datasets": [0.5, None], "timestamps": ["2021-07-14 14:17:37.711"] * 2}
    server.script(Scripted(200, {"cpu": reading, "network": {"receive": reading}, "cpu_throttle_rate": None}))
    metrics = client(lambda c: c.deployments.metrics("57f84a8e1298"))
    assert metrics.cpu.datasets == (0.5, None)
    assert metrics.network.receive.labels == ("cpu",)
    assert (metrics.mem.datasets, metrics.cpu_throttle_rate) == ((), None)


def test_wrapped_answers_are_unwrapped(client: Either, server: FakeServer) -> None:
    server.script(Scripted(200, {"success": True, "version": {"name": "1", "req_cpu": 256}}))
    assert client(lambda c: c.versions.create("arena", VERSION)).req_cpu == 256
    server.script(Scripted(200, {"success": True, "whitelist_entry": {"id": "w1", "cidr": "203.0.113.0/24"}}))
    assert client(lambda c: c.whitelist.remove("arena", "1", "w1")) == WhitelistEntry(id="w1", cidr="203.0.113.0/24")
    server.script(Scripted(202, {"request_id": "57f84a8e1298"}))
    assert client(lambda c: c.deployments.deploy_v2("arena", "1", ips=["203.0.113.7"])) == "57f84a8e1298"
    server.script(Scripted(202, {"processable": [{"request_id": "57f84a8e1298"}]}))
    assert client(lambda c: c.deployments.bulk_stop([Filter.any_of("request_id", "57f84a8e1298")])) == ("57f84a8e1298",)
    server.script(Scripted(200, {"is_joinable_by_session": False}))
    assert client(lambda c: c.deployments.set_joinable("57f84a8e1298", True)) is False


def test_an_empty_answer_to_a_delete_is_success(client: Either, server: FakeServer) -> None:
    server.script(Scripted(200, b""))
    client(lambda c: c.applications.delete("arena"))
    server.script(Scripted(204))
    client(lambda c: c.tags.remove("57f84a8e1298", "ranked"))
    assert [sent.method for sent in server.asked] == ["DELETE", "DELETE"]


def test_an_application_reads_with_only_its_name(client: Either, server: FakeServer) -> None:
    server.script(Scripted(200, {"name": "arena"}))
    assert client(lambda c: c.applications.get("arena")) == Application(name="arena")


RELAY_SESSION = {
    "session_id": "3960c873aafd-S",
    "authorization_token": 1203344871,
    "status": "READY",
    "ready": True,
    "linked": True,
    "error": None,
    "session_users": [
        {"ip_address": "203.0.113.7", "latitude": 48.85, "longitude": 2.35, "authorization_token": 21986334},
        {"ip_address": "203.0.113.7", "latitude": None, "longitude": None, "authorization_token": "4294967295"},
    ],
    "relay": {
        "ip": "192.0.2.80",
        "host": "3960c873aafd.st.example.net",
        "ports": {
            "server": {"port": 32000, "protocol": "UDP", "link": "3960c873aafd.st.example.net:32000"},
            "client": {"port": 32001, "protocol": "UDP", "link": "3960c873aafd.st.example.net:32001"},
        },
    },
    "webhook_url": None,
}


def test_a_ready_relay_session_reads_whole(client: Either, server: FakeServer) -> None:
    server.script(Scripted(200, {"session_id": "3960c873aafd-S", "relay": None}), Scripted(200, RELAY_SESSION))
    session = client(lambda c: c.relays.wait_until_ready("3960c873aafd-S"))
    assert (session.authorization_token, session.relay.ip) == (1203344871, "192.0.2.80")
    assert (session.relay.ports.server.port, session.relay.ports.client.port) == (32000, 32001)
    assert [user.authorization_token for user in session.session_users] == [21986334, 4294967295]
    assert [user.latitude for user in session.session_users] == [48.85, None]


def test_revoking_again_answers_nothing(client: Either, server: FakeServer) -> None:
    server.script(Scripted(200, RELAY_SESSION), Scripted(204))
    assert client(lambda c: c.relays.revoke("3960c873aafd-S", 1)).session_id == "3960c873aafd-S"
    assert client(lambda c: c.relays.revoke("3960c873aafd-S", 1)) is None


def test_a_delete_that_the_relay_has_not_confirmed_is_not_repeated(client: Either, server: FakeServer) -> None:
    server.script(Scripted(503, {"message": "not confirmed"}, {"Retry-After": "2"}), Scripted(404))
    with pytest.raises(Unavailable):
        client(lambda c: c.relays.delete("3960c873aafd-S"))
    assert len(server.asked) == 1


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_change_the_path_is_never_sent(name: str, client: Either, server: FakeServer) -> None:
    with pytest.raises(ValueError, match="cannot name an object"):
        client(lambda c: c.versions.delete("arena", name))
    assert server.asked == []
