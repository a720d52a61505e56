"""Bodies of the v1 API, member by member, against the examples of the contract."""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from msgspec import structs

from waymeet.applications.types import (
    Application,
    EnvironmentVariable,
    Probe,
    SessionSettings,
    Version,
    VersionSettings,
    WhitelistEntry,
)
from waymeet.deployments.types import Deployment, DeploymentSettings, LinkedSession, Player, Tag
from waymeet.http.v1.applications import application_body
from waymeet.http.v1.deployments import status_body, status_webhook
from waymeet.http.v1.objects import context_body, port_bodies
from waymeet.http.v1.sessions import session_body, session_webhook
from waymeet.http.v1.version_bodies import version_body
from waymeet.http.v1.webhooks import delivery_body
from waymeet.http.v1.whitelist import whitelist_entry_body
from waymeet.model.ids import DeploymentId, NodeName, OrganisationId, SessionId
from waymeet.model.instant import MICROSECONDS, MINUTE, Instant, after
from waymeet.model.location import Coordinates, Location
from waymeet.model.servers import PortMapping, PortProtocol, PortRequest, ServerSpec
from waymeet.model.states import DeploymentStatus, SessionKind, SessionStatus
from waymeet.sessions.types import SeatedSession, Session, Wish
from waymeet.webhooks.types import Attempt, Delivery, DeliveryStatus

ORGANISATION = OrganisationId("studio")
CREATED = Instant(1_751_371_228_857_725)
"""2025-07-01 12:00:28.857725."""
SECRET = "hunter2"

PORTS = (PortMapping("gameport", 7777, 31669, PortProtocol.UDP),)

DEPLOYMENT = Deployment(
    request_id=DeploymentId("57f84a8e1298"),
    organisation=ORGANISATION,
    version_id=41,
    application_name="arena",
    version_name="2025.07.01",
    node_name=NodeName("frankfurt-1"),
    status=DeploymentStatus.READY,
    last_status=DeploymentStatus.DEPLOYING,
    wanted=True,
    joinable=True,
    kind=SessionKind.SEAT,
    sockets=10,
    sockets_used=2,
    session_count=1,
    location=Location("Frankfurt", "Germany", "Europe", "Hesse", "Central European Time", 50.1109, 8.6821),
    public_ip="192.0.2.44",
    fqdn="57f84a8e1298.pr.edgegap.net",
    ports=PORTS,
    server=ServerSpec("57f84a8e1298", "registry.example", "studio/arena", "1", environment={"KEY": SECRET}),
    settings=DeploymentSettings(SECRET, 17, SECRET, 660, max_duration_minutes=1440, time_to_deploy_seconds=120),
    tags=(Tag("ranked", CREATED, CREATED), Tag("map-a", CREATED, CREATED)),
    crash=None,
    error_detail=None,
    created_at=CREATED,
    ready_at=after(CREATED, 2),
)

SESSION = Session(
    session_id=SessionId("4be09c1d77a2-S"),
    organisation=ORGANISATION,
    version_id=41,
    application_name="arena",
    version_name="2025.07.01",
    kind=SessionKind.SEAT,
    status=SessionStatus.READY,
    deployment_id=DEPLOYMENT.request_id,
    seats=2,
    users=(
        Player("203.0.113.7", Coordinates(48.85, 2.35)),
        Player("198.51.100.23", Coordinates(50.11, 8.68)),
    ),
    selectors=(),
    wish=Wish(),
    webhook_url="https://backend.example.org/hooks/session",
    error=None,
    retention_minutes=60,
    created_at=CREATED,
)

CONTEXT: dict[str, Any] = {
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
    "location": {
        "city": "Frankfurt",
        "country": "Germany",
        "continent": "Europe",
        "administrative_division": "Hesse",
        "timezone": "Central European Time",
        "latitude": 50.1109,
        "longitude": 8.6821,
    },
    "tags": ["ranked", "map-a"],
    "sockets": 10,
    "sockets_usage": 2,
    "is_joinable_by_session": True,
}
"""Contract 2.3, `deployment`; 1.10."""

USERS = [
    {"ip": "203.0.113.7", "latitude": 48.85, "longitude": 2.35},
    {"ip": "198.51.100.23", "latitude": 50.11, "longitude": 8.68},
]


def wire(body: object) -> Any:
    """What a client reads; `1.0` and `1`, `true` and `1` told apart by `same`."""
    return json.loads(msgspec.json.encode(body))


def same(body: object, expected: object) -> None:
    """Equal in values, in types, and without a member too many or too few."""
    read = wire(body)
    assert read == expected
    assert json.dumps(read, sort_keys=True) == json.dumps(expected, sort_keys=True)


class TestSession:
    def test_a_ready_session_is_the_contracts_example_and_names_its_deployment(self) -> None:
        same(
            session_body(SeatedSession(SESSION, DEPLOYMENT.context), after(CREATED, 6.9)),
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
                "session_users": USERS,
                "session_ips": USERS,
                "deployment": CONTEXT,
                "deployment_request_id": "57f84a8e1298",
                "webhook_url": "https://backend.example.org/hooks/session",
            },
        )

    def test_an_unprocessable_session_has_a_reason_and_no_deployment(self) -> None:
        lost = structs.replace(
            SESSION, status=SessionStatus.UNPROCESSABLE, deployment_id=None, error="no room", users=(Player("::1"),)
        )
        body = wire(session_body(SeatedSession(lost, None), CREATED))
        assert {name: body[name] for name in ("status", "ready", "linked", "error", "deployment", "elapsed")} == {
            "status": "Unprocessable",
            "ready": False,
            "linked": False,
            "error": "no room",
            "deployment": None,
            "elapsed": 0,
        }
        assert body["session_users"] == [{"ip": "::1", "latitude": None, "longitude": None}]

    def test_waiting_is_linked_and_not_ready(self) -> None:
        waiting = structs.replace(SESSION, status=SessionStatus.WAITING)
        starting = replace(DEPLOYMENT, status=DeploymentStatus.DEPLOYING, ports=None, public_ip="")
        body = wire(session_body(SeatedSession(waiting, starting.context), CREATED))
        assert (body["status"], body["linked"], body["ready"]) == ("Waiting", True, False)
        assert body["deployment"]["ports"] is None
        assert body["deployment"]["public_ip"] == ""

    def test_a_clock_set_back_makes_no_negative_time(self) -> None:
        assert session_body(SeatedSession(SESSION, DEPLOYMENT.context), after(CREATED, -60)).elapsed == 0

    def test_the_webhook_sends_the_same(self) -> None:
        seated = SeatedSession(SESSION, DEPLOYMENT.context)
        assert json.loads(session_webhook(seated, CREATED)) == wire(session_body(seated, CREATED))


class TestContext:
    def test_it_is_the_contracts_example(self) -> None:
        same(context_body(DEPLOYMENT.context), CONTEXT)

    def test_without_sessions_there_are_no_sockets(self) -> None:
        body = wire(context_body(replace(DEPLOYMENT, kind=SessionKind.DEFAULT).context))
        assert (body["sockets"], body["sockets_usage"]) == (None, None)

    def test_it_keeps_secrets(self) -> None:
        assert SECRET not in json.dumps(wire(context_body(DEPLOYMENT.context)))

    @pytest.mark.parametrize(
        ("protocol", "tls_upgrade", "host", "link"),
        [
            (PortProtocol.UDP, False, "192.0.2.44", "192.0.2.44:31587"),
            (PortProtocol.TCP_UDP, False, "2001:db8::1", "[2001:db8::1]:31587"),
            (PortProtocol.HTTP, False, "host", "http://host:31587"),
            (PortProtocol.HTTP, True, "host", "https://host:31587"),
            (PortProtocol.HTTPS, False, "host", "https://host:31587"),
            (PortProtocol.WS, False, "host", "ws://host:31587"),
            (PortProtocol.WS, True, "host", "wss://host:31587"),
            (PortProtocol.WSS, False, "host", "wss://host:31587"),
        ],
    )
    def test_links(self, protocol: PortProtocol, tls_upgrade: bool, host: str, link: str) -> None:
        bodies = port_bodies([PortMapping("8080", 8080, 31587, protocol, tls_upgrade)], host)
        assert bodies is not None
        assert (bodies["8080"].link, bodies["8080"].name) == (link, "8080")


class TestStatus:
    def test_every_member_and_no_other(self) -> None:
        linked = LinkedSession("4be09c1d77a2-S", SessionStatus.READY, SessionKind.SEAT, 2)
        same(
            status_body(DEPLOYMENT, [linked], after(CREATED, 62)),
            {
                "request_id": "57f84a8e1298",
                "fqdn": "57f84a8e1298.pr.edgegap.net",
                "app_name": "arena",
                "app_version": "2025.07.01",
                "current_status": "Status.READY",
                "running": True,
                "whitelisting_active": False,
                "start_time": "2025-07-01 12:00:30.857725",
                "removal_time": None,
                "elapsed_time": 60,
                "last_status": "Status.DEPLOYING",
                "error": False,
                "error_detail": None,
                "ports": CONTEXT["ports"],
                "public_ip": "192.0.2.44",
                "sessions": [
                    {
                        "session_id": "4be09c1d77a2-S",
                        "status": "Ready",
                        "ready": True,
                        "linked": True,
                        "kind": "Seat",
                        "user_count": 2,
                    }
                ],
                "location": CONTEXT["location"],
                "tags": ["ranked", "map-a"],
                "command": None,
                "arguments": None,
                "sockets": 10,
                "sockets_usage": 2,
                "max_duration": 1440,
            },
        )

    def test_a_starting_deployment_counts_from_its_creation(self) -> None:
        starting = replace(DEPLOYMENT, status=DeploymentStatus.DEPLOYING, ready_at=None, ports=None, public_ip="")
        body = wire(status_body(starting, [], after(CREATED, 5)))
        assert (body["running"], body["ports"], body["public_ip"]) == (False, None, "")
        assert (body["start_time"], body["elapsed_time"]) == ("2025-07-01 12:00:28.857725", 5)

    @pytest.mark.parametrize("status", [DeploymentStatus.DEPLOYING, DeploymentStatus.TERMINATING])
    def test_what_a_starting_deployment_waits_for_is_no_failure(self, status: DeploymentStatus) -> None:
        waiting = replace(DEPLOYMENT, status=status, ready_at=None, error_detail="nothing is bound to UDP 7777 yet")
        body = wire(status_body(waiting, [], CREATED))
        assert (body["error"], body["error_detail"]) == (False, None)

    def test_a_failed_deployment_says_why_and_its_time_stands_still(self) -> None:
        failed = replace(
            DEPLOYMENT, status=DeploymentStatus.ERROR, error_detail="exited with 1", ended_at=after(CREATED, 12)
        )
        body = wire(status_body(failed, [], Instant(CREATED + 60 * MINUTE)))
        assert (body["current_status"], body["error"], body["error_detail"], body["running"]) == (
            "Status.ERROR",
            True,
            "exited with 1",
            False,
        )
        assert (body["removal_time"], body["elapsed_time"]) == ("2025-07-01 12:00:40.857725", 10)

    @pytest.mark.parametrize("status", list(DeploymentStatus))
    def test_no_status_is_mistaken_for_an_error_message(self, status: DeploymentStatus) -> None:
        body = wire(status_body(replace(DEPLOYMENT, status=status), [], CREATED))
        assert "message" not in body
        assert body["current_status"] == f"Status.{status.name}"

    def test_the_webhook_sends_the_same_and_keeps_secrets(self) -> None:
        sent = status_webhook(DEPLOYMENT, [], CREATED)
        assert json.loads(sent) == wire(status_body(DEPLOYMENT, [], CREATED))
        assert SECRET.encode() not in sent


VERSION = Version(
    id=41,
    application_id=3,
    organisation=ORGANISATION,
    application_name="arena",
    application_is_active=True,
    name="2025.07.01",
    is_active=True,
    settings=VersionSettings(
        docker_repository="registry.example",
        docker_image="studio/arena",
        docker_tag="1",
        req_cpu=512,
        req_memory=1024,
        private_username="robot",
        private_token=SECRET,
        session_config=SessionSettings(SessionKind.MATCH, 5, True, 10, 120),
        ports=(PortRequest("gameport", 7777, PortProtocol.UDP), PortRequest("", 80, PortProtocol.WS, False, True)),
        probe=Probe(60, 180),
        envs=(EnvironmentVariable("OPEN", "yes"), EnvironmentVariable("HIDDEN", SECRET, True)),
        command="/run",
    ),
    created_at=CREATED,
    updated_at=Instant(CREATED - CREATED % MICROSECONDS),
)


class TestVersion:
    def test_every_member_and_no_other(self) -> None:
        same(
            version_body(VERSION),
            {
                "name": "2025.07.01",
                "is_active": True,
                "docker_repository": "registry.example",
                "docker_image": "studio/arena",
                "docker_tag": "1",
                "private_username": "robot",
                "private_token": "",
                "req_cpu": 512,
                "req_memory": 1024,
                "req_video": 0,
                "max_duration": 1440,
                "time_to_deploy": 120,
                "termination_grace_period_seconds": 5,
                "restart_policy": "never",
                "verify_image": False,
                "force_cache": False,
                "cache_min_hour": 0,
                "cache_max_hour": 0,
                "enable_all_locations": False,
                "use_telemetry": True,
                "inject_context_env": True,
                "caching_percent": 0.0,
                "whitelisting_active": False,
                "session_config": {
                    "kind": "Match",
                    "sockets": 5,
                    "autodeploy": True,
                    "empty_ttl": 10,
                    "session_max_duration": 120,
                },
                "ports": [
                    {"port": 7777, "protocol": "UDP", "to_check": True, "tls_upgrade": False, "name": "gameport"},
                    {"port": 80, "protocol": "WS", "to_check": False, "tls_upgrade": True, "name": ""},
                ],
                "probe": {"optimal_ping": 60, "rejected_ping": 180},
                "envs": [
                    {"key": "OPEN", "value": "yes", "is_secret": False, "is_hidden": False},
                    {"key": "HIDDEN", "value": "", "is_secret": True, "is_hidden": True},
                ],
                "endpoint_storage": None,
                "command": "/run",
                "arguments": None,
                "create_time": "2025-07-01 12:00:28.857725",
                "last_updated": "2025-07-01 12:00:28.000000",
            },
        )

    def test_what_is_absent_is_null(self) -> None:
        bare = replace(VERSION, settings=VersionSettings("registry.example", "studio/arena", "1", 100, 100))
        body = wire(version_body(bare))
        assert {name for name, value in body.items() if value is None} == {
            "private_username",
            "private_token",
            "session_config",
            "probe",
            "endpoint_storage",
            "command",
            "arguments",
        }
        assert (body["ports"], body["envs"]) == ([], [])


def test_an_application() -> None:
    same(
        application_body(Application(3, ORGANISATION, "arena", True, False, "", CREATED, after(CREATED, 1))),
        {
            "name": "arena",
            "is_active": True,
            "is_telemetry_agent_active": False,
            "image": "",
            "create_time": "2025-07-01 12:00:28.857725",
            "last_updated": "2025-07-01 12:00:29.857725",
        },
    )


def test_an_entry_of_an_access_list() -> None:
    same(
        whitelist_entry_body(WhitelistEntry("e1", "203.0.113.0/24", "office")),
        {"id": "e1", "cidr": "203.0.113.0/24", "label": "office", "is_active": True},
    )


def test_a_webhook_delivery() -> None:
    delivery = Delivery(
        id="msg_1",
        organisation=ORGANISATION,
        object_key="session:4be09c1d77a2-S",
        event_type="session.ready",
        url="https://backend.example.org/hooks/session",
        body="{}",
        created_at=CREATED,
        status=DeliveryStatus.PENDING,
        attempts=1,
        attempt_log=(Attempt(after(CREATED, 1), 12, 503),),
        due_at=after(CREATED, 6),
    )
    same(
        delivery_body(delivery),
        {
            "id": "msg_1",
            "event_type": "session.ready",
            "object": "session:4be09c1d77a2-S",
            "url": "https://backend.example.org/hooks/session",
            "status": "pending",
            "attempts": 1,
            "attempt_log": [{"at": "2025-07-01 12:00:29.857725", "status_code": 503, "error": None, "duration_ms": 12}],
            "body": "{}",
            "replay_of": None,
            "created_at": "2025-07-01 12:00:28.857725",
            "finished_at": None,
            "next_attempt_at": "2025-07-01 12:00:34.857725",
        },
    )
