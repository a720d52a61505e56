"""Lookups in files that stand still, change, break and go."""

import errno
import os
import random
import threading
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.geo.mmdb import BUILT, LONDON, TOKYO, database
from waymeet.geo.database import GONE, NOT_INSTALLED, SLOW, GeoDatabase
from waymeet.geo.files import Source, has_fast_reader
from waymeet.geo.records import place_of
from waymeet.model.instant import MICROSECONDS, Instant
from waymeet.model.location import Coordinates

FLAT = {"81.2.69.0/24": LONDON}
NESTED = {"89.160.20.0/24": TOKYO, "2001:218::/32": TOKYO}

OURS = pytest.mark.parametrize("ours", [True, False], ids=["installed", "the operator's"])


def test_the_fast_reader_is_here() -> None:
    assert has_fast_reader()


def replace(path: Path, content: bytes) -> None:
    """As careful programs do: the name goes over to a new file at once."""
    draft = path.with_suffix(".new")
    draft.write_bytes(content)
    draft.rename(path)


def opened(*paths: Path, ours: bool = False, fast: bool | None = None) -> GeoDatabase:
    made = GeoDatabase(lambda: [Source(path, ours) for path in paths], fast=fast)
    made.refresh()
    return made


class TestLookups:
    @pytest.mark.parametrize("fast", [True, False], ids=["extension", "pure Python"])
    @pytest.mark.parametrize("record_bits", [24, 28, 32])
    def test_both_shapes(self, tmp_path: Path, fast: bool, record_bits: int) -> None:
        flat, nested = tmp_path / "flat.mmdb", tmp_path / "nested.mmdb"
        flat.write_bytes(database(FLAT, ip_version=4, record_bits=record_bits))
        nested.write_bytes(database(NESTED, record_bits=record_bits))
        geography = opened(flat, nested, fast=fast)
        london = geography.lookup("81.2.69.142")
        assert london is not None
        assert (london.continent and london.continent.code, london.country and london.country.name) == (
            "EU",
            "United Kingdom",
        )
        assert geography.coordinates_of("81.2.69.142") == Coordinates(51.5072, -0.1276)
        for ip in ("89.160.20.5", "::ffff:89.160.20.5", "::ffff:59a0:1405", "2001:218::1", "2001:218:ffff::"):
            tokyo = geography.lookup(ip)
            assert tokyo is not None
            assert tokyo.country is not None
            assert (tokyo.country.code, tokyo.latitude, tokyo.longitude) == ("JP", 35.6897, 139.6895)
        assert geography.state.problems == (() if fast else (SLOW,))

    @pytest.mark.parametrize(
        "ip", ["81.2.70.1", "10.0.0.1", "2001:219::", "::1", "", "x", "1.2.3", "81.2.69.256", "fe80::1%eth0", "\0", ":"]
    )
    def test_what_is_not_known(self, tmp_path: Path, ip: str) -> None:
        flat, nested = tmp_path / "flat.mmdb", tmp_path / "nested.mmdb"
        flat.write_bytes(database(FLAT, ip_version=4))
        nested.write_bytes(database(NESTED))
        geography = opened(flat, nested)
        assert geography.lookup(ip) is None
        assert geography.coordinates_of(ip) is None

    def test_the_first_file_that_knows_coordinates_is_believed(self, tmp_path: Path) -> None:
        country_only = {"country": {"iso_code": "FR"}, "continent": {"code": "EU"}}
        first, second, third = (tmp_path / f"{number}.mmdb" for number in range(3))
        first.write_bytes(database({"81.2.69.0/24": country_only, "81.2.70.0/24": country_only}))
        second.write_bytes(database(FLAT, ip_version=4))
        third.write_bytes(database({"81.2.0.0/16": TOKYO}))
        geography = opened(first, second, third)
        assert geography.coordinates_of("81.2.69.1") == Coordinates(51.5072, -0.1276)
        assert geography.coordinates_of("81.2.70.1") == Coordinates(35.6897, 139.6895)
        france = opened(first).lookup("81.2.70.1")
        assert france is not None
        assert (france.country and france.country.code, france.coordinates) == ("FR", None)

    @given(st.dictionaries(st.integers(0, 2**24 - 1), st.integers(0, 80), min_size=1, max_size=20), st.randoms())
    def test_agrees_with_what_was_written(
        self, tmp_path_factory: pytest.TempPathFactory, networks: dict[int, int], rng: random.Random
    ) -> None:
        path = tmp_path_factory.mktemp("geo") / "a.mmdb"
        records = {
            f"{IPv4Address(number << 8)}/24": {"country_code": "FR", "latitude": latitude, "longitude": 1.5}
            for number, latitude in networks.items()
        }
        path.write_bytes(database(records, ip_version=rng.choice([4, 6])))
        geography = opened(path)
        for number, latitude in networks.items():
            inside = str(IPv4Address(number << 8 | rng.randrange(256)))
            assert geography.coordinates_of(inside) == Coordinates(latitude, 1.5)
            beside = number ^ 1
            if beside not in networks:
                assert geography.lookup(str(IPv4Address(beside << 8))) is None

    @given(st.text() | st.ip_addresses().map(str))
    def test_never_raises(self, tmp_path_factory: pytest.TempPathFactory, ip: str) -> None:
        path = tmp_path_factory.mktemp("geo") / "a.mmdb"
        path.write_bytes(database(NESTED))
        opened(path).lookup(ip)
        GeoDatabase(tuple).lookup(ip)


def json_like() -> st.SearchStrategy[Any]:
    names = st.sampled_from(
        ["country_code", "country", "continent", "location", "latitude", "longitude", "iso_code", "code"]
    )
    leaves = (
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["FR", "EU"])
    )
    return st.recursive(
        leaves, lambda inner: st.dictionaries(names, inner, max_size=5) | st.lists(inner, max_size=3), max_leaves=15
    )


class TestRecords:
    @given(json_like())
    def test_strange_records_say_nothing_wrong(self, record: Any) -> None:
        place = place_of(record)
        if place is None:
            return
        assert place.continent is not None or place.latitude is not None
        assert (place.latitude is None) == (place.longitude is None)
        if place.latitude is not None and place.longitude is not None:
            assert -90 <= place.latitude <= 90
            assert -180 <= place.longitude <= 180
        if place.country is not None:
            assert place.continent is not None

    def test_former_codes_and_those_of_nobody(self) -> None:
        greece = place_of({"country_code": "EL", "latitude": 38.0, "longitude": 23.7})
        nobody = place_of({"country_code": "ZZ", "latitude": 38.0, "longitude": 23.7})
        assert greece is not None
        assert greece.country is not None
        assert greece.country.name == "Greece"
        assert nobody is not None
        assert (nobody.country, nobody.continent, nobody.coordinates) == (None, None, Coordinates(38.0, 23.7))
        assert place_of({"country_code": "ZZ"}) is None

    def test_floats_of_half_precision_are_rounded(self) -> None:
        place = place_of({"country_code": "US", "latitude": 37.422000885009766, "longitude": -122.08499908447266})
        assert place is not None
        assert place.coordinates == Coordinates(37.422, -122.085)


class TestChanges:
    def test_nothing_installed(self) -> None:
        geography = GeoDatabase(tuple)
        geography.refresh()
        assert geography.state.problems == (NOT_INSTALLED,)
        assert geography.state.age_seconds(Instant(0)) is None
        assert geography.lookup("81.2.69.1") is None

    @OURS
    def test_a_swapped_file_is_opened_anew(self, tmp_path: Path, ours: bool) -> None:
        path = tmp_path / "a.mmdb"
        path.write_bytes(database(FLAT))
        geography = opened(path, ours=ours)
        assert not geography.refresh()
        replace(path, database({"81.2.69.0/24": TOKYO}, built=BUILT + 86_400))
        assert geography.coordinates_of("81.2.69.1") == Coordinates(51.5072, -0.1276)
        assert geography.refresh()
        assert geography.coordinates_of("81.2.69.1") == Coordinates(35.6897, 139.6895)
        assert geography.state.age_seconds(Instant((BUILT + 86_400 + 60) * MICROSECONDS)) == 60
        assert not geography.refresh()

    def test_a_file_that_comes_later(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mmdb"
        geography = opened(path)
        assert "there is no such file" in geography.state.problems[0]
        path.write_bytes(database(FLAT))
        assert geography.refresh()
        assert geography.state.problems == ()
        assert geography.lookup("81.2.69.1")

    @OURS
    @pytest.mark.parametrize(
        "broken",
        [b"", b"garbage" * 1000, database(FLAT)[:-40], database(FLAT)[:100]],
        ids=["empty", "garbage", "cut", "cut short"],
    )
    def test_a_broken_file_leaves_what_was(self, tmp_path: Path, ours: bool, broken: bytes) -> None:
        path = tmp_path / "a.mmdb"
        path.write_bytes(database(FLAT))
        geography = opened(path, ours=ours)
        replace(path, broken)
        assert geography.refresh()
        (problem,) = geography.state.problems
        assert str(path) in problem
        assert "what was there before stays in use" in problem
        assert geography.lookup("81.2.69.1")
        # It is not looked into again while it stays as it is.
        assert not geography.refresh()
        replace(path, database(FLAT))
        assert geography.refresh()
        assert geography.state.problems == ()

    @OURS
    def test_a_file_that_is_broken_from_the_start(self, tmp_path: Path, ours: bool) -> None:
        path, good = tmp_path / "a.mmdb", tmp_path / "b.mmdb"
        path.write_bytes(b"garbage")
        good.write_bytes(database(FLAT))
        assert opened(path, good, ours=ours).lookup("81.2.69.1")
        alone = opened(path, ours=ours)
        assert alone.lookup("81.2.69.1") is None
        assert "waymeet geo update" in alone.state.problems[0]

    def test_a_directory_or_a_file_nobody_may_read(self, tmp_path: Path) -> None:
        assert "cannot be used" in opened(tmp_path).state.problems[0]
        assert "cannot be used" in opened(tmp_path, ours=True).state.problems[0]

    @OURS
    def test_a_file_that_goes_stays_open(self, tmp_path: Path, ours: bool) -> None:
        path = tmp_path / "a.mmdb"
        path.write_bytes(database(FLAT))
        geography = opened(path, ours=ours)
        path.unlink()
        assert geography.refresh()
        assert geography.lookup("81.2.69.1")
        assert geography.state.problems

    def test_an_installation_that_goes_stays_open(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mmdb"
        path.write_bytes(database(FLAT))
        sources = [Source(path, ours=True)]
        geography = GeoDatabase(lambda: tuple(sources))
        geography.refresh()
        sources.clear()
        assert geography.refresh()
        assert geography.lookup("81.2.69.1")
        assert geography.state.problems == (GONE,)
        assert not geography.refresh(), "once it is said"

    def test_an_installation_that_moves_to_a_broken_release_keeps_the_one_before(self, tmp_path: Path) -> None:
        good, broken = tmp_path / "good.mmdb", tmp_path / "broken.mmdb"
        good.write_bytes(database(FLAT))
        broken.write_bytes(b"garbage")
        sources = [Source(good, ours=True)]
        geography = GeoDatabase(lambda: tuple(sources))
        geography.refresh()
        sources[:] = [Source(broken, ours=True)]
        good.unlink()
        geography.refresh()
        assert geography.lookup("81.2.69.1")
        assert geography.state.problems

    @OURS
    def test_a_file_may_be_overwritten_in_place(self, tmp_path: Path, ours: bool) -> None:
        """A mapped file that is cut kills its reader by a signal: what we map must not be what others can write to."""
        path = tmp_path / "a.mmdb"
        many = {f"81.{second}.{third}.0/24": dict(LONDON) for second in range(20) for third in range(256)}
        path.write_bytes(database(many))
        geography = opened(path, ours=ours)
        os.truncate(path, 0)
        assert geography.lookup("81.19.255.1")
        path.write_bytes(b"garbage")
        assert geography.lookup("81.19.254.1")
        geography.refresh()
        assert geography.lookup("81.19.253.1")

    def test_installed_data_is_served_where_there_is_no_room_for_a_copy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.mmdb"
        path.write_bytes(database(FLAT))

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("waymeet.geo.files.shutil.copyfile", full)
        assert opened(path, ours=True).lookup("81.2.69.1")
        assert "No space left on device" in opened(path, ours=False).state.problems[0]

    @pytest.mark.parametrize("fast", [True, False], ids=["extension", "pure Python"])
    def test_damage_inside_is_met_by_lookups_only(self, tmp_path: Path, fast: bool) -> None:
        path, second = tmp_path / "a.mmdb", tmp_path / "b.mmdb"
        content = database(FLAT)
        # The record's first byte: it claims to be a pointer, far out of the file.
        at = content.index(b"country_code") - 2
        path.write_bytes(content[:at] + b"\x3f\xff\xff\xff\xff" + content[at + 5 :])
        second.write_bytes(database({"81.2.69.0/24": TOKYO}))
        geography = opened(path, second, fast=fast)
        assert geography.coordinates_of("81.2.69.1") == Coordinates(35.6897, 139.6895)
        assert f"{path} is damaged inside; replace it" in geography.state.problems

    def test_swaps_while_others_read(self, tmp_path: Path) -> None:
        """Every answer is one of the two releases', none is missing, however reads and swaps fall together."""
        path = tmp_path / "a.mmdb"
        releases = [database({"81.2.69.0/24": LONDON}), database({"81.2.69.0/24": TOKYO})]
        path.write_bytes(releases[0])
        geography = opened(path, ours=True)
        wanted = {Coordinates(51.5072, -0.1276), Coordinates(35.6897, 139.6895)}
        seen: list[set[Coordinates | None]] = [set(), set()]
        ended = threading.Event()

        def read(found: set[Coordinates | None]) -> None:
            while True:
                found.add(geography.coordinates_of("81.2.69.1"))
                if ended.is_set():
                    return

        readers = [threading.Thread(target=read, args=(found,)) for found in seen]
        for reader in readers:
            reader.start()
        try:
            for number in range(1, 200):
                replace(path, releases[number % 2])
                assert geography.refresh()
        finally:
            ended.set()
            for reader in readers:
                reader.join()
        assert all(found <= wanted for found in seen)
        assert all(found for found in seen)


@given(st.ip_addresses(v=6))
def test_an_ipv6_database_answers_for_every_spelling(address: IPv6Address) -> None:
    assert GeoDatabase(tuple).lookup(address.exploded) is None
