"""Names however they are written, and the table of countries."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waymeet.geo.countries import CONTINENTS, COUNTRIES, continent_named, country_by_code, country_named
from waymeet.geo.names import name_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("São Paulo", "sao paulo"),
        ("SAO-PAULO", "São  Paulo "),
        ("Zürich", "Zurich"),
        ("Zürich", "Zu\u0308rich"),
        ("Straßburg", "STRASSBURG"),
        ("København", "Kobenhavn"),
        ("Łódź", "lodz"),
        ("Reykjavík", "Reykjavik"),
        ("Ærøskøbing", "Aeroskobing"),
        ("Đà Nẵng", "Da Nang"),
        ("İstanbul", "ISTANBUL"),
        ("Iğdır", "IGDIR"),
        ("L’Aquila", "L'Aquila"),
        ("St. Louis", "St Louis"),
        ("Frankfurt am Main", "frankfurt-am-main"),
        ("Ｔｏｋｙｏ", "Tokyo"),
        ("ﬁeld", "FIELD"),
        ("Αθήνα", "ΑΘΗΝΑ"),
        ("Йошкар-Ола", "йошкар ола"),
        ("Þórshöfn", "Thorshofn"),
    ],
)
def test_the_same(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Paris", "Pari"), ("が", "か"), ("York", "New York"), ("-", "."), ("कि", "क"), ("Lyon", "Lion"), ("1", "11")],
)
def test_not_the_same(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


ACCENTS = st.sampled_from(["\u0300", "\u0301", "\u0302", "\u0303", "\u0308", "\u030a", "\u030c", "\u0327", "\u0328"])
LATIN = st.text(st.characters(min_codepoint=0x41, max_codepoint=0x24F, categories=["L"]), min_size=1, max_size=30)


@given(st.text(max_size=60))
def test_a_key_is_its_own_key(text: str) -> None:
    assert name_key(name_key(text)) == name_key(text)


@given(st.text(max_size=60))
def test_a_name_of_something_has_a_key(text: str) -> None:
    assert bool(name_key(text)) == bool(text.split())


@given(st.text(max_size=60))
def test_letter_case_and_form_do_not_matter(text: str) -> None:
    key = name_key(text)
    assert name_key(text.casefold()) == key
    assert name_key(f"  {text}\t") == key
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert name_key(unicodedata.normalize(form, text)) == key


@given(LATIN)
def test_upper_and_lower_case(text: str) -> None:
    assert name_key(text.upper()) == name_key(text.lower()) == name_key(text)


@given(LATIN, st.data())
def test_accents_do_not_matter(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(text)))
    assert name_key(text[:at] + data.draw(ACCENTS) + text[at:]) == name_key(text)


class TestCountries:
    def test_all_of_iso_3166_1_and_kosovo(self) -> None:
        assert len(COUNTRIES) == 249 + 1
        assert len({country.alpha_3 for country in COUNTRIES.values()}) == 250
        assert len({country.name for country in COUNTRIES.values()}) == 250
        for code, country in COUNTRIES.items():
            assert country.code == code
            assert len(code) == 2
            assert len(country.alpha_3) == 3
            assert (code + country.alpha_3).isascii()
            assert (code + country.alpha_3).isupper()
            assert CONTINENTS[country.continent.code] is country.continent

    def test_the_continents_are_the_contracts(self) -> None:
        assert sorted(CONTINENTS) == ["AF", "AN", "AS", "EU", "NA", "OC", "SA"]

    def test_no_name_stands_for_two_countries(self) -> None:
        owners: dict[str, str] = {}
        for country in COUNTRIES.values():
            for text in (country.code, country.alpha_3, country.name, *country.aliases):
                assert owners.setdefault(name_key(text), country.code) == country.code, text

    @given(st.sampled_from(sorted(COUNTRIES)), st.data())
    def test_every_name_is_found_however_it_is_written(self, code: str, data: st.DataObject) -> None:
        country = COUNTRIES[code]
        text = data.draw(st.sampled_from([code, country.alpha_3, country.name, *country.aliases]))
        write = data.draw(st.sampled_from([str.upper, str.lower, str.title, lambda name: f" {name} "]))
        assert country_named(write(text)) is country

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("USA", "US"), ("u.s.a.", "US"), ("United States of America", "US"), ("UK", "GB"), ("great britain", "GB"),
            ("Czech Republic", "CZ"), ("cote d'ivoire", "CI"), ("Holland", "NL"), ("South Korea", "KR"), ("Türkiye", "TR"),
            ("viet nam", "VN"), ("DEU", "DE"), ("Reunion", "RE"), ("Burma", "MM"), ("Swaziland", "SZ"),
        ],
    )  # fmt: skip
    def test_names_in_common_use(self, text: str, code: str) -> None:
        assert country_named(text) is COUNTRIES[code]

    @pytest.mark.parametrize("text", ["", " ", "X", "Atlantis", "EU", "Europe", "."])
    def test_no_country(self, text: str) -> None:
        assert country_named(text) is None

    def test_codes(self) -> None:
        assert country_by_code("gb") is country_by_code("UK") is COUNTRIES["GB"]
        assert country_by_code("ZZ") is None

    @pytest.mark.parametrize(
        ("text", "code"), [("europe", "EU"), ("eu", "EU"), ("NORTH-AMERICA", "NA"), ("Oceania", "OC")]
    )
    def test_continents(self, text: str, code: str) -> None:
        assert continent_named(text) is CONTINENTS[code]
        assert continent_named("America East") is None
