"""Countries and continents: their codes, English names and the other names they go by.

Codes and names follow ISO 3166-1 (all 249 entries, with the short names that people use), and Kosovo, whose user-assigned
code `XK` stands in every geo database. Continents are the seven of the contract (2.11).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from waymeet.geo.names import name_key


@dataclass(frozen=True, slots=True)
class Continent:
    """One of seven. `code` is one of AF, AN, AS, EU, NA, OC, SA."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Country:
    """A country: ISO 3166-1 alpha-2 and alpha-3 codes in upper case, its English name."""

    code: str
    alpha_3: str
    name: str
    continent: Continent
    aliases: tuple[str, ...] = ()
    """Other names in common use, above all those that geo data and operators write."""

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that stands for it: both codes, its name, its aliases."""
        return (self.code, self.alpha_3, self.name, *self.aliases)


CONTINENTS: Mapping[str, Continent] = {
    code: Continent(code, name)
    for code, name in (
        ("AF", "Africa"),
        ("AN", "Antarctica"),
        ("AS", "Asia"),
        ("EU", "Europe"),
        ("NA", "North America"),
        ("OC", "Oceania"),
        ("SA", "South America"),
    )
}
"""By code."""

# alpha-2, alpha-3, continent, English name, and after it the aliases.
_TABLE = """
AD AND EU Andorra
AE ARE AS United Arab Emirates; UAE; Emirates
AF AFG AS Afghanistan
AG ATG NA Antigua and Barbuda; Antigua & Barbuda
AI AIA NA Anguilla
AL ALB EU Albania
AM ARM AS Armenia
AO AGO AF Angola
AQ ATA AN Antarctica
AR ARG SA Argentina
AS ASM OC American Samoa
AT AUT EU Austria
AU AUS OC Australia
AW ABW NA Aruba
AX ALA EU Åland Islands; Aland
AZ AZE AS Azerbaijan
BA BIH EU Bosnia and Herzegovina; Bosnia & Herzegovina; Bosnia
BB BRB NA Barbados
BD BGD AS Bangladesh
BE BEL EU Belgium
BF BFA AF Burkina Faso
BG BGR EU Bulgaria
BH BHR AS Bahrain
BI BDI AF Burundi
BJ BEN AF Benin
BL BLM NA Saint Barthélemy; St. Barthélemy; St. Barts
BM BMU NA Bermuda
BN BRN AS Brunei; Brunei Darussalam
BO BOL SA Bolivia; Bolivia, Plurinational State of; Plurinational State of Bolivia
BQ BES NA Caribbean Netherlands; Bonaire, Sint Eustatius and Saba; Bonaire
BR BRA SA Brazil; Brasil
BS BHS NA Bahamas; The Bahamas
BT BTN AS Bhutan
BV BVT AN Bouvet Island
BW BWA AF Botswana
BY BLR EU Belarus; Byelorussia
BZ BLZ NA Belize
CA CAN NA Canada
CC CCK AS Cocos Islands; Cocos (Keeling) Islands; Keeling Islands
CD COD AF Democratic Republic of the Congo; DR Congo; DRC; Congo-Kinshasa; Congo (Kinshasa); Zaire
CF CAF AF Central African Republic
CG COG AF Republic of the Congo; Congo; Congo Republic; Congo-Brazzaville; Congo (Brazzaville)
CH CHE EU Switzerland; Schweiz; Suisse
CI CIV AF Ivory Coast; Côte d'Ivoire
CK COK OC Cook Islands
CL CHL SA Chile
CM CMR AF Cameroon
CN CHN AS China; People's Republic of China; PRC; Mainland China
CO COL SA Colombia
CR CRI NA Costa Rica
CU CUB NA Cuba
CV CPV AF Cape Verde; Cabo Verde
CW CUW NA Curaçao
CX CXR AS Christmas Island
CY CYP EU Cyprus
CZ CZE EU Czechia; Czech Republic
DE DEU EU Germany; Deutschland; Federal Republic of Germany
DJ DJI AF Djibouti
DK DNK EU Denmark; Danmark
DM DMA NA Dominica
DO DOM NA Dominican Republic
DZ DZA AF Algeria
EC ECU SA Ecuador
EE EST EU Estonia
EG EGY AF Egypt
EH ESH AF Western Sahara
ER ERI AF Eritrea
ES ESP EU Spain; España
ET ETH AF Ethiopia
FI FIN EU Finland; Suomi
FJ FJI OC Fiji
FK FLK SA Falkland Islands; Falkland Islands (Malvinas); Islas Malvinas
FM FSM OC Micronesia; Federated States of Micronesia; Micronesia, Federated States of
FO FRO EU Faroe Islands; Faeroe Islands
FR FRA EU France; French Republic
GA GAB AF Gabon
GB GBR EU United Kingdom; UK; Great Britain; Britain; United Kingdom of Great Britain and Northern Ireland
GD GRD NA Grenada
GE GEO AS Georgia; Republic of Georgia
GF GUF SA French Guiana; Guyane
GG GGY EU Guernsey
GH GHA AF Ghana
GI GIB EU Gibraltar
GL GRL NA Greenland
GM GMB AF Gambia; The Gambia
GN GIN AF Guinea
GP GLP NA Guadeloupe
GQ GNQ AF Equatorial Guinea
GR GRC EU Greece; Hellas; EL
GS SGS AN South Georgia and the South Sandwich Islands; South Georgia & South Sandwich Islands; South Georgia
GT GTM NA Guatemala
GU GUM OC Guam
GW GNB AF Guinea-Bissau
GY GUY SA Guyana
HK HKG AS Hong Kong; Hong Kong SAR; Hong Kong SAR China
HM HMD AN Heard Island and McDonald Islands; Heard & McDonald Islands
HN HND NA Honduras
HR HRV EU Croatia; Hrvatska
HT HTI NA Haiti
HU HUN EU Hungary; Magyarország
ID IDN AS Indonesia
IE IRL EU Ireland; Republic of Ireland; Éire
IL ISR AS Israel
IM IMN EU Isle of Man
IN IND AS India; Bharat
IO IOT AS British Indian Ocean Territory
IQ IRQ AS Iraq
IR IRN AS Iran; Iran, Islamic Republic of; Islamic Republic of Iran
IS ISL EU Iceland; Ísland
IT ITA EU Italy; Italia
JE JEY EU Jersey
JM JAM NA Jamaica
JO JOR AS Jordan; Hashemite Kingdom of Jordan
JP JPN AS Japan; Nippon
KE KEN AF Kenya
KG KGZ AS Kyrgyzstan; Kyrgyz Republic
KH KHM AS Cambodia
KI KIR OC Kiribati
KM COM AF Comoros
KN KNA NA Saint Kitts and Nevis; St. Kitts and Nevis; St. Kitts & Nevis
KP PRK AS North Korea; Democratic People's Republic of Korea; Korea, Democratic People's Republic of; DPRK
KR KOR AS South Korea; Korea; Republic of Korea; Korea, Republic of; Korea, South
KW KWT AS Kuwait
KY CYM NA Cayman Islands
KZ KAZ AS Kazakhstan
LA LAO AS Laos; Lao People's Democratic Republic; Lao PDR
LB LBN AS Lebanon
LC LCA NA Saint Lucia; St. Lucia
LI LIE EU Liechtenstein
LK LKA AS Sri Lanka
LR LBR AF Liberia
LS LSO AF Lesotho
LT LTU EU Lithuania; Republic of Lithuania
LU LUX EU Luxembourg; Luxemburg
LV LVA EU Latvia
LY LBY AF Libya
MA MAR AF Morocco
MC MCO EU Monaco
MD MDA EU Moldova; Moldova, Republic of; Republic of Moldova
ME MNE EU Montenegro; Crna Gora
MF MAF NA Saint Martin; St. Martin; Saint Martin (French part)
MG MDG AF Madagascar
MH MHL OC Marshall Islands
MK MKD EU North Macedonia; Macedonia; FYROM; Republic of North Macedonia
ML MLI AF Mali
MM MMR AS Myanmar; Burma
MN MNG AS Mongolia
MO MAC AS Macao; Macau; Macao SAR
MP MNP OC Northern Mariana Islands
MQ MTQ NA Martinique
MR MRT AF Mauritania
MS MSR NA Montserrat
MT MLT EU Malta
MU MUS AF Mauritius
MV MDV AS Maldives
MW MWI AF Malawi
MX MEX NA Mexico; México
MY MYS AS Malaysia
MZ MOZ AF Mozambique
NA NAM AF Namibia
NC NCL OC New Caledonia
NE NER AF Niger
NF NFK OC Norfolk Island
NG NGA AF Nigeria
NI NIC NA Nicaragua
NL NLD EU Netherlands; The Netherlands; Holland; Nederland
NO NOR EU Norway; Norge
NP NPL AS Nepal
NR NRU OC Nauru
NU NIU OC Niue
NZ NZL OC New Zealand; Aotearoa
OM OMN AS Oman
PA PAN NA Panama
PE PER SA Peru
PF PYF OC French Polynesia
PG PNG OC Papua New Guinea
PH PHL AS Philippines; The Philippines
PK PAK AS Pakistan
PL POL EU Poland; Polska
PM SPM NA Saint Pierre and Miquelon; St. Pierre and Miquelon; St. Pierre & Miquelon
PN PCN OC Pitcairn Islands; Pitcairn
PR PRI NA Puerto Rico
PS PSE AS Palestine; Palestine, State of; State of Palestine; Palestinian Territories
PT PRT EU Portugal
PW PLW OC Palau
PY PRY SA Paraguay
QA QAT AS Qatar
RE REU AF Réunion
RO ROU EU Romania; România
RS SRB EU Serbia; Srbija
RU RUS EU Russia; Russian Federation
RW RWA AF Rwanda
SA SAU AS Saudi Arabia; KSA
SB SLB OC Solomon Islands
SC SYC AF Seychelles
SD SDN AF Sudan
SE SWE EU Sweden; Sverige
SG SGP AS Singapore
SH SHN AF Saint Helena; Saint Helena, Ascension and Tristan da Cunha; St. Helena
SI SVN EU Slovenia
SJ SJM EU Svalbard and Jan Mayen; Svalbard & Jan Mayen; Svalbard
SK SVK EU Slovakia; Slovak Republic
SL SLE AF Sierra Leone
SM SMR EU San Marino
SN SEN AF Senegal
SO SOM AF Somalia
SR SUR SA Suriname
SS SSD AF South Sudan
ST STP AF São Tomé and Príncipe; São Tomé & Príncipe; Sao Tome
SV SLV NA El Salvador
SX SXM NA Sint Maarten; Sint Maarten (Dutch part)
SY SYR AS Syria; Syrian Arab Republic
SZ SWZ AF Eswatini; Swaziland
TC TCA NA Turks and Caicos Islands; Turks & Caicos Islands; Turks and Caicos
TD TCD AF Chad
TF ATF AN French Southern Territories
TG TGO AF Togo
TH THA AS Thailand
TJ TJK AS Tajikistan
TK TKL OC Tokelau
TL TLS AS Timor-Leste; East Timor
TM TKM AS Turkmenistan
TN TUN AF Tunisia
TO TON OC Tonga
TR TUR AS Turkey; Türkiye; Republic of Türkiye
TT TTO NA Trinidad and Tobago; Trinidad & Tobago; Trinidad
TV TUV OC Tuvalu
TW TWN AS Taiwan; Taiwan, Province of China; Republic of China; Chinese Taipei
TZ TZA AF Tanzania; Tanzania, United Republic of; United Republic of Tanzania
UA UKR EU Ukraine
UG UGA AF Uganda
UM UMI OC U.S. Outlying Islands; United States Minor Outlying Islands
US USA NA United States; United States of America; U.S.A.; U.S.; The United States; America
UY URY SA Uruguay
UZ UZB AS Uzbekistan
VA VAT EU Vatican City; Holy See; Vatican
VC VCT NA Saint Vincent and the Grenadines; St. Vincent and the Grenadines; St. Vincent & Grenadines
VE VEN SA Venezuela; Venezuela, Bolivarian Republic of; Bolivarian Republic of Venezuela
VG VGB NA British Virgin Islands; Virgin Islands, British
VI VIR NA U.S. Virgin Islands; Virgin Islands, U.S.; US Virgin Islands
VN VNM AS Vietnam; Viet Nam
VU VUT OC Vanuatu
WF WLF OC Wallis and Futuna; Wallis & Futuna
WS WSM OC Samoa; Western Samoa
XK XKX EU Kosovo
YE YEM AS Yemen
YT MYT AF Mayotte
ZA ZAF AF South Africa; RSA
ZM ZMB AF Zambia
ZW ZWE AF Zimbabwe
"""


def _countries() -> dict[str, Country]:
    made: dict[str, Country] = {}
    for row in _TABLE.strip().splitlines():
        code, alpha_3, continent, names = row.split(" ", 3)
        name, *aliases = names.split("; ")
        made[code] = Country(code, alpha_3, name, CONTINENTS[continent], tuple(aliases))
    return made


COUNTRIES: Mapping[str, Country] = _countries()
"""By alpha-2 code."""

# Geo data carries a few codes that ISO keeps reserved for what has one of its own.
_FORMER_CODES = {"UK": "GB", "EL": "GR", "AN": "CW"}

_COUNTRY_OF: Mapping[str, Country] = {
    name_key(text): country for country in COUNTRIES.values() for text in country.names
}
_CONTINENT_OF: Mapping[str, Continent] = {
    name_key(text): continent for continent in CONTINENTS.values() for text in (continent.code, continent.name)
} | {name_key("Australia and Oceania"): CONTINENTS["OC"], name_key("Antarctic"): CONTINENTS["AN"]}


def country_by_code(code: str) -> Country | None:
    """The country with an alpha-2 code in any letter case."""
    code = code.upper()
    return COUNTRIES.get(_FORMER_CODES.get(code, code))


def country_named(text: str) -> Country | None:
    """The country that a code (alpha-2, alpha-3), name or alias stands for, however it is written."""
    return _COUNTRY_OF.get(name_key(text))


def continent_named(text: str) -> Continent | None:
    """The continent that a code or an English name stands for, however it is written."""
    return _CONTINENT_OF.get(name_key(text))
