"""Requests to receivers on loopback, good and bad; and which addresses are never connected to."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpcore
import pytest

from tests.conftest import missing
from tests.polling import GENEROUS_SECONDS
from tests.webhooks.receivers import babble, drip, hang, receiving, reset, status, talk_for_ever
from waymeet.webhooks.network import CheckedNetwork, ForbiddenTarget
from waymeet.webhooks.resolver import SystemResolver
from waymeet.webhooks.sender import HttpSender

pytestmark = pytest.mark.anyio


@dataclass
class FakeResolver:
    """Answers from a script, one list after the other; the last one stays."""

    answers: list[list[str]]
    asked: list[str] = field(default_factory=list)

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
async def sender(anyio_backend: str) -> AsyncIterator[HttpSender]:
    made = HttpSender(timeout_seconds=GENEROUS_SECONDS, concurrency=4, allow_private_targets=True)
    yield made
    await made.close()


def guarded(resolver: FakeResolver) -> HttpSender:
    return HttpSender(timeout_seconds=GENEROUS_SECONDS, concurrency=4, allow_private_targets=False, resolver=resolver)


async def test_a_request_arrives_as_it_was_handed_over(sender: HttpSender) -> None:
    async with receiving(status(204)) as receiver:
        reply = await sender.post(
            receiver.url, {"webhook-id": "msg_1", "Content-Type": "application/json"}, b'{"a": 1}'
        )
    assert reply.status_code == 204
    assert reply.error is None
    (request,) = receiver.requests
    assert request.line == "POST /hook?a=1 HTTP/1.1"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["webhook-id"] == "msg_1"
    assert request.body == b'{"a": 1}'


async def test_a_connection_serves_several_requests(sender: HttpSender) -> None:
    async with receiving(status(200, b"thanks")) as receiver:
        for _ in range(3):
            assert (await sender.post(receiver.url, {}, b"{}")).status_code == 200
        await sender.close()
    assert receiver.connections == 1


async def test_statuses_are_reported_as_they_are(sender: HttpSender) -> None:
    for code in (400, 404, 410, 429, 500, 503):
        async with receiving(status(code)) as receiver:
            assert (await sender.post(receiver.url, {}, b"{}")).status_code == code


async def test_redirects_are_not_followed(sender: HttpSender) -> None:
    async with receiving(status(200)) as elsewhere:
        for code in (301, 302, 307, 308):
            async with receiving(status(code, headers=f"Location: {elsewhere.url}\r\n")) as receiver:
                reply = await sender.post(receiver.url, {}, b"{}")
            assert reply.status_code == code
            assert "redirects are not followed" in (reply.error or "")
    assert elsewhere.requests == []


async def test_a_receiver_that_hangs_is_given_up_in_time(anyio_backend: str) -> None:
    impatient = HttpSender(timeout_seconds=1.5, concurrency=4, allow_private_targets=True)
    for behaviour in (hang, drip):
        async with receiving(behaviour) as receiver:
            reply = await impatient.post(receiver.url, {}, b"{}")
        assert reply.status_code is None
        assert reply.error == "no answer within 1.5 s"
    await impatient.close()


async def test_a_receiver_that_breaks_the_connection_is_a_failure(sender: HttpSender) -> None:
    for behaviour in (reset, babble):
        async with receiving(behaviour) as receiver:
            reply = await sender.post(receiver.url, {}, b"{}")
        assert reply.status_code is None
        assert "the connection broke" in (reply.error or "")


async def test_an_answer_without_an_end_is_cut_off(sender: HttpSender) -> None:
    async with receiving(talk_for_ever) as receiver:
        assert (await sender.post(receiver.url, {}, b"{}")).status_code == 200


async def test_nobody_listening_is_a_failure(sender: HttpSender) -> None:
    async with receiving(status(200)) as receiver:
        pass
    reply = await sender.post(receiver.url, {}, b"{}")
    assert "cannot connect" in (reply.error or "")


async def test_a_name_that_does_not_exist_is_a_failure(anyio_backend: str) -> None:
    class Unknown:
        # Not the system's: that would ask name servers, which may be slow to answer, or not be there at all.
        async def resolve(self, host: str, port: int) -> list[str]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    sender = HttpSender(timeout_seconds=GENEROUS_SECONDS, concurrency=4, allow_private_targets=True, resolver=Unknown())
    reply = await sender.post("http://nothing.invalid/hook", {}, b"{}")
    await sender.close()
    assert "cannot be looked up" in (reply.error or "")


async def test_the_system_resolver_knows_this_machine(anyio_backend: str) -> None:
    resolver = SystemResolver()
    assert "127.0.0.1" in await resolver.resolve("127.0.0.1", 80)
    with pytest.raises(OSError, match="no host name"):
        await resolver.resolve("a" * 64 + ".example", 80)


async def test_a_name_with_a_private_address_is_refused(anyio_backend: str) -> None:
    async with receiving(status(200)) as receiver:
        for addresses in (["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::ffff:127.0.0.1"], ["fe80::1%lo"]):
            sender = guarded(FakeResolver([addresses]))
            reply = await sender.post(f"http://innocent.example:{receiver.port}/hook", {}, b"{}")
            assert reply.status_code is None
            assert "allow_private_targets" in (reply.error or "")
            await sender.close()
    assert receiver.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "127.1"])
async def test_a_private_address_in_the_url_is_refused_in_every_notation(host: str, anyio_backend: str) -> None:
    async with receiving(status(200)) as receiver:
        sender = HttpSender(timeout_seconds=GENEROUS_SECONDS, concurrency=4, allow_private_targets=False)
        reply = await sender.post(f"http://{host}:{receiver.port}/hook", {}, b"{}")
        await sender.close()
    assert "allow_private_targets" in (reply.error or "")
    assert receiver.connections == 0


class RecordingNetwork(httpcore.AsyncNetworkBackend):
    """Connects to nothing, and remembers where it should have."""

    def __init__(self) -> None:
        self.targets: list[tuple[str, int]] = []

    async def connect_tcp(
        self, host: str, port: int, *_args: object, **_options: object
    ) -> httpcore.AsyncNetworkStream:
        self.targets.append((host, port))
        raise httpcore.ConnectError("this is a test")


async def test_the_address_that_was_checked_is_the_one_connected_to(anyio_backend: str) -> None:
    # Public when checked, loopback when asked again.
    resolver = FakeResolver([["93.184.216.34"], ["127.0.0.1"]])
    plain = RecordingNetwork()
    network = CheckedNetwork(resolver, allow_private=False, plain=plain)
    with pytest.raises(httpcore.ConnectError):
        await network.connect_tcp("rebinding.example", 80)
    assert plain.targets == [("93.184.216.34", 80)]
    assert resolver.asked == ["rebinding.example"]
    with pytest.raises(ForbiddenTarget):
        await network.connect_tcp("rebinding.example", 80)
    assert len(plain.targets) == 1


async def test_a_later_address_is_tried_when_the_first_refuses(anyio_backend: str) -> None:
    async with receiving(status(200)) as receiver:
        resolver = FakeResolver([["127.0.0.2", "127.0.0.1"]])
        sender = HttpSender(
            timeout_seconds=GENEROUS_SECONDS, concurrency=4, allow_private_targets=True, resolver=resolver
        )
        reply = await sender.post(f"http://two.example:{receiver.port}/hook", {}, b"{}")
        await sender.close()
    assert reply.status_code == 200
    assert receiver.requests[0].headers["host"] == f"two.example:{receiver.port}"


async def test_proxies_from_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch, sender: HttpSender) -> None:
    async with receiving(status(500)) as proxy, receiving(status(200)) as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await sender.post(receiver.url, {}, b"{}")).status_code == 200
    assert proxy.connections == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for hook.example, with its key beside it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        missing("openssl", "openssl is not installed")
        raise AssertionError("unreachable: `missing` always raises")
    path = tmp_path_factory.mktemp("tls") / "hook.pem"
    command = [openssl, "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=hook.example"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-addext", "subjectAltName=DNS:hook.example"]
    command += ["-keyout", str(path.with_suffix(".key")), "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


async def test_certificates_are_checked_against_the_hosts_name(certificate: Path) -> None:
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, certificate.with_suffix(".key"))
    trusted = ssl.create_default_context(cafile=str(certificate))
    async with receiving(status(200), served) as receiver:
        for trust, name, good in (
            (trusted, "hook.example", True),
            (trusted, "other.example", False),
            (None, "hook.example", False),
        ):
            sender = HttpSender(
                timeout_seconds=GENEROUS_SECONDS,
                concurrency=4,
                allow_private_targets=True,
                resolver=FakeResolver([["127.0.0.1"]]),
                certificates=trust,
            )
            reply = await sender.post(f"https://{name}:{receiver.port}/hook", {}, b"{}")
            await sender.close()
            assert (reply.status_code == 200) is good
            assert good or "certificate verify failed" in (reply.error or "").lower()
