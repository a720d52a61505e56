"""What makes a good application or version. Pure."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waymeet.applications.drafts import (
    UNSET,
    ApplicationDraft,
    PortDraft,
    ProbeDraft,
    SessionDraft,
    VariableDraft,
    VersionDraft,
)
from waymeet.applications.rules import (
    HIGHEST_PORTS,
    HIGHEST_VARIABLES,
    VersionDefaults,
    application_fields,
    version_fields,
    whitelist_cidr,
)
from waymeet.applications.types import EnvironmentVariable, Probe, SessionSettings, VersionFields
from waymeet.model.errors import Invalid
from waymeet.model.servers import PortProtocol, RestartPolicy
from waymeet.model.states import SessionKind

DEFAULTS = VersionDefaults()
MINIMAL = VersionDraft(
    name="1.0",
    docker_repository="registry.example",
    docker_image="arena",
    docker_tag="1.0",
    req_cpu=100,
    req_memory=100,
)


def made(**members: Any) -> VersionFields:
    return version_fields(replace(MINIMAL, **members), DEFAULTS)


def changed(current: VersionFields, **members: Any) -> VersionFields:
    return version_fields(VersionDraft(**members), DEFAULTS, current)


def wrong(**members: Any) -> list[str]:
    with pytest.raises(Invalid) as caught:
        made(**members)
    return sorted(caught.value.fields)


def test_what_is_left_out_takes_the_contracts_defaults() -> None:
    fields = made()
    assert fields.is_active
    assert fields.settings.max_duration == 1440
    assert fields.settings.restart_policy is RestartPolicy.NEVER
    assert fields.settings.session_config is None
    assert not fields.settings.verify_image


def test_the_operator_chooses_some_defaults_beyond_what_a_caller_may_ask_for() -> None:
    defaults = VersionDefaults(max_duration=10_000, restart_policy=RestartPolicy.ALWAYS)
    fields = version_fields(MINIMAL, defaults)
    assert fields.settings.max_duration == 10_000
    assert fields.settings.restart_policy is RestartPolicy.ALWAYS
    # And a version that has it can still be changed.
    assert version_fields(VersionDraft(req_cpu=200), defaults, fields).settings.max_duration == 10_000


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        version_fields(VersionDraft(docker_tag="", req_cpu=None), DEFAULTS)
    assert sorted(caught.value.fields) == [
        "docker_image",
        "docker_repository",
        "docker_tag",
        "name",
        "req_cpu",
        "req_memory",
    ]
    assert caught.value.fields["req_cpu"] == "'req_cpu' is a required property"


@pytest.mark.parametrize(
    ("member", "good", "bad"),
    [
        ("req_cpu", [100, 100_000_000], [99, 0, -1, 100_000_001, 2**63, 10**400]),
        ("req_video", [None, 0, 1024], [-1, 2**63]),
        ("max_duration", [-1, 0, 1, 1440], [-2, 1441, 2**63]),
        ("time_to_deploy", [15, 86_400], [14, 0, 86_401]),
        ("termination_grace_period_seconds", [5, 3600], [4, 3601]),
        ("cache_min_hour", [0, 23], [-1, 24]),
        ("cache_max_hour", [0, 23], [-1, 24]),
    ],
)
def test_numbers_have_limits(member: str, good: list[int | None], bad: list[int]) -> None:
    for value in good:
        assert getattr(made(**{member: value}).settings, member) == value
    for value in bad:
        assert wrong(**{member: value}) == [member]


def test_memory_is_at_most_twice_the_cpu() -> None:
    assert made(req_cpu=128, req_memory=256).settings.req_memory == 256
    assert wrong(req_cpu=128, req_memory=257) == ["req_memory"]
    with pytest.raises(Invalid, match="at most 200 here"):
        changed(made(req_cpu=200, req_memory=400), req_cpu=100)


@pytest.mark.parametrize("name", ["1", "2025.07.01", "v1.0+build-7", "my game", "a" * 64, "~x", "-"])
def test_good_names(name: str) -> None:
    assert made(name=name).name == name
    assert application_fields(ApplicationDraft(name=name, is_active=True)).name == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a?b", "a#b", "a%2fb", " a", "a ", "a" * 65, "ü", "a\n", "a:b", "\0"]
)
def test_bad_names(name: str) -> None:
    assert wrong(name=name) == ["name"]
    with pytest.raises(Invalid) as caught:
        application_fields(ApplicationDraft(name=name, is_active=True))
    assert list(caught.value.fields) == ["name"]


@pytest.mark.parametrize("text", ["two words", "-option", "a\0b", "x" * 256, "$(reboot)", "tag\n"])
def test_bad_image_references(text: str) -> None:
    for member in ("docker_repository", "docker_image", "docker_tag"):
        assert wrong(**{member: text}) == [member]


def test_texts_are_bounded_and_free_of_nul() -> None:
    for member in ("command", "arguments", "private_username", "private_token", "endpoint_storage"):
        assert wrong(**{member: "x" * 4097}) == [member]
        assert wrong(**{member: "a\0b"}) == [member]
        assert getattr(made(**{member: ""}).settings, member) is None


def test_a_change_keeps_what_was_not_sent() -> None:
    current = made(
        command="run",
        private_token="secret",
        ports=(PortDraft(port=7777, protocol="UDP", name="game"),),
        envs=(VariableDraft(key="A", value="1"),),
        session_config=SessionDraft(kind="Seat", sockets=10),
        probe=ProbeDraft(optimal_ping=60, rejected_ping=180),
        is_active=False,
    )
    assert changed(current) == current
    # What counts as not sent: "" and, where nothing can be absent, null.
    assert (
        changed(
            current, name="", is_active=None, docker_image=None, private_token="", command="", ports=None, envs=None
        )
        == current
    )
    assert changed(current, is_active=True) == replace(current, is_active=True)


def test_null_clears_what_can_be_absent() -> None:
    current = made(
        command="run",
        private_token="secret",
        req_video=1024,
        session_config=SessionDraft(kind="Seat", sockets=10),
        probe=ProbeDraft(optimal_ping=60, rejected_ping=180),
    )
    after = changed(current, command=None, private_token=None, req_video=None, session_config=None, probe=None)
    assert after == made()


def test_empty_lists_remove_ports_and_variables() -> None:
    current = made(
        ports=(PortDraft(port=7777, protocol="UDP"),), envs=(VariableDraft(key="A", value="1", is_secret=True),)
    )
    after = changed(current, ports=(), envs=()).settings
    assert (after.ports, after.envs) == ((), ())


def test_session_settings_need_kind_and_sockets_at_first_and_then_any_part() -> None:
    assert wrong(session_config=SessionDraft()) == ["session_config.kind", "session_config.sockets"]
    current = made(session_config=SessionDraft(kind="match", sockets=5, empty_ttl=3))
    assert current.settings.session_config == SessionSettings(SessionKind.MATCH, 5, False, 3, 60)
    after = changed(current, session_config=SessionDraft(autodeploy=True, empty_ttl=None))
    assert after.settings.session_config == SessionSettings(SessionKind.MATCH, 5, True, None, 60)
    with pytest.raises(Invalid) as caught:
        changed(made(), session_config=SessionDraft(autodeploy=True))
    assert sorted(caught.value.fields) == ["session_config.kind", "session_config.sockets"]


@pytest.mark.parametrize(
    ("member", "bad"),
    [
        ("kind", ["Seats", "0"]),
        ("sockets", [0, -1, 1_000_001, 2**63]),
        ("empty_ttl", [0, -1, 2**63]),
        ("session_max_duration", [59, 0, 2**63]),
    ],
)
def test_session_settings_have_limits(member: str, bad: list[Any]) -> None:
    good = SessionDraft(kind="Seat", sockets=1)
    for value in bad:
        assert wrong(session_config=replace(good, **{member: value})) == [f"session_config.{member}"]


def test_ports_are_read_with_their_defaults() -> None:
    (port,) = made(ports=(PortDraft(port=7777, protocol="tcp/udp"),)).settings.ports
    assert (port.internal, port.protocol, port.name) == (7777, PortProtocol.TCP_UDP, "")
    assert port.to_check
    assert not port.tls_upgrade
    draft = PortDraft(port=0, protocol="WS", name="Game Port", to_check=False, tls_upgrade=True)
    (port,) = made(ports=(draft,)).settings.ports
    assert (port.internal, port.name, port.to_check, port.tls_upgrade) == (0, "Game Port", False, True)


@pytest.mark.parametrize(
    ("ports", "paths"),
    [
        ([PortDraft(port=60_000, protocol="UDP")], ["ports.0.port"]),
        ([PortDraft(port=-1, protocol="UDP")], ["ports.0.port"]),
        ([PortDraft(port=1, protocol="SCTP")], ["ports.0.protocol"]),
        ([PortDraft(port=0, protocol="UDP")], ["ports.0.name"]),
        ([PortDraft(port=1, protocol="UDP", name="a\nb")], ["ports.0.name"]),
        ([PortDraft(port=1, protocol="UDP", name="x" * 65)], ["ports.0.name"]),
        ([PortDraft(port=1, protocol="UDP", tls_upgrade=True)], ["ports.0.tls_upgrade"]),
        ([PortDraft(port=1, protocol="HTTPS", tls_upgrade=True)], ["ports.0.tls_upgrade"]),
        ([PortDraft(port=1, protocol="UDP", name="a"), PortDraft(port=2, protocol="UDP", name="a")], ["ports.1.name"]),
        ([PortDraft(port=1, protocol="UDP"), PortDraft(port=1, protocol="TCP")], ["ports.1.name"]),
        ([PortDraft(port=2, protocol="UDP", name="1"), PortDraft(port=1, protocol="TCP")], ["ports.1.name"]),
        ([PortDraft(port=n + 1, protocol="UDP") for n in range(HIGHEST_PORTS + 1)], ["ports"]),
        ([PortDraft(port=70_000, protocol="X", name="?")], ["ports.0.name", "ports.0.port", "ports.0.protocol"]),
    ],
)
def test_bad_ports(ports: list[PortDraft], paths: list[str]) -> None:
    assert wrong(ports=tuple(ports)) == paths


def test_a_probe_has_limits() -> None:
    assert made(probe=ProbeDraft(optimal_ping=60, rejected_ping=180)).settings.probe == Probe(60, 180)
    assert wrong(probe=ProbeDraft(optimal_ping=0, rejected_ping=-1)) == ["probe.optimal_ping", "probe.rejected_ping"]


@pytest.mark.parametrize(
    ("variables", "paths"),
    [
        ([VariableDraft(key="", value="1")], ["envs.0.key"]),
        ([VariableDraft(key="A=B", value="1")], ["envs.0.key"]),
        ([VariableDraft(key="A\0", value="1")], ["envs.0.key"]),
        ([VariableDraft(key="x" * 256, value="1")], ["envs.0.key"]),
        ([VariableDraft(key="A", value="", is_secret=True)], ["envs.0.value"]),
        ([VariableDraft(key="A", value="x" * 4097)], ["envs.0.value"]),
        ([VariableDraft(key="A", value="a\0b")], ["envs.0.value"]),
        ([VariableDraft(key="A", value="1"), VariableDraft(key="A", value="2")], ["envs.1.key"]),
        ([VariableDraft(key=f"N{n}", value="1") for n in range(HIGHEST_VARIABLES + 1)], ["envs"]),
    ],
)
def test_bad_variables(variables: list[VariableDraft], paths: list[str]) -> None:
    assert wrong(envs=tuple(variables)) == paths


def test_a_secret_sent_back_as_it_was_shown_keeps_its_value() -> None:
    current = made(
        envs=(VariableDraft(key="KEY", value="secret", is_secret=True), VariableDraft(key="MODE", value="ranked"))
    )
    shown = (VariableDraft(key="KEY", value="", is_secret=True), VariableDraft(key="MODE", value="casual"))
    assert changed(current, envs=shown).settings.envs == (
        EnvironmentVariable("KEY", "secret", True),
        EnvironmentVariable("MODE", "casual"),
    )
    replaced = changed(current, envs=(VariableDraft(key="KEY", value="new", is_secret=True),))
    assert replaced.settings.envs == (EnvironmentVariable("KEY", "new", True),)


def test_nobody_reads_a_secret_by_making_it_visible() -> None:
    current = made(envs=(VariableDraft(key="KEY", value="secret", is_secret=True),))
    with pytest.raises(Invalid) as caught:
        changed(current, envs=(VariableDraft(key="KEY", value=""),))
    assert list(caught.value.fields) == ["envs.0.value"]
    assert "secret" not in str(caught.value.fields).replace("secret variable", "")


def test_an_application_needs_a_name_and_whether_it_is_active() -> None:
    with pytest.raises(Invalid) as caught:
        application_fields(ApplicationDraft())
    assert sorted(caught.value.fields) == ["is_active", "name"]
    fields = application_fields(ApplicationDraft(name="arena", is_active=False, image=""))
    assert (fields.image, fields.is_active, fields.is_telemetry_agent_active) == ("", False, False)
    after = application_fields(ApplicationDraft(is_telemetry_agent_active=True), fields)
    assert after == replace(fields, is_telemetry_agent_active=True)
    with pytest.raises(Invalid) as caught:
        application_fields(ApplicationDraft(image="x" * 262_145), fields)
    assert list(caught.value.fields) == ["image"]


@pytest.mark.parametrize(
    ("cidr", "canonical"),
    [
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("203.0.113.7", "203.0.113.7/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
    ],
)
def test_good_networks(cidr: str, canonical: str) -> None:
    assert whitelist_cidr(cidr, "") == canonical


@pytest.mark.parametrize(
    "cidr", ["", "203.0.113.7/24", "203.0.113.0/33", "300.0.0.0/8", "localhost", "::/129", "1.2.3/8"]
)
def test_bad_networks(cidr: str) -> None:
    with pytest.raises(Invalid) as caught:
        whitelist_cidr(cidr, "")
    assert list(caught.value.fields) == ["cidr"]


def test_a_network_with_stray_bits_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(Invalid, match=r"the network is 203\.0\.113\.0/24"):
        whitelist_cidr("203.0.113.7/24", "")


texts = st.text(max_size=80) | st.none() | st.just(UNSET)
numbers = st.integers() | st.none() | st.just(UNSET)
drafts = st.builds(
    VersionDraft,
    name=st.text(max_size=80) | st.just(UNSET),
    docker_repository=texts,
    docker_image=texts,
    docker_tag=texts,
    private_token=texts,
    req_cpu=numbers,
    req_memory=numbers,
    req_video=numbers,
    max_duration=numbers,
    time_to_deploy=numbers,
    restart_policy=texts,
    session_config=st.builds(SessionDraft, kind=texts, sockets=numbers, empty_ttl=numbers) | st.none() | st.just(UNSET),
    ports=st.lists(
        st.builds(PortDraft, port=st.integers(), protocol=st.text(max_size=8), name=st.text(max_size=8) | st.none()),
        max_size=4,
    ).map(tuple),
    envs=st.lists(st.builds(VariableDraft, key=st.text(max_size=4), value=st.text(max_size=4)), max_size=4).map(tuple),
)


@given(draft=drafts)
def test_any_draft_is_accepted_or_refused_with_reasons(draft: VersionDraft) -> None:
    for current in (None, made()):
        reasons: dict[str, str] | None = None
        try:
            fields = version_fields(draft, DEFAULTS, current)
        except Invalid as error:
            reasons = error.fields
        else:
            # Whatever is accepted is at rest: applying nothing to it changes nothing.
            assert version_fields(VersionDraft(), DEFAULTS, fields) == fields
        assert reasons != {}


def test_a_visible_variable_may_be_empty() -> None:
    assert made(envs=(VariableDraft(key="A", value=""),)).settings.envs == (EnvironmentVariable("A", ""),)


@pytest.mark.parametrize("names", [("a b", "a-b"), ("game", "GAME"), ("x.y", "x_y")])
def test_ports_that_would_share_a_variable_are_refused(names: tuple[str, str]) -> None:
    ports = tuple(PortDraft(port=7000 + index, protocol="UDP", name=name) for index, name in enumerate(names))
    assert wrong(ports=ports) == ["ports.1.name"]
