"""When two spellings of a name mean the same: letter case, accents and punctuation do not matter."""

import unicodedata
from functools import lru_cache

# Letters that Unicode does not take apart, as they are written where they cannot be typed.
_PLAIN = str.maketrans(
    {
        "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ı": "i", "ŧ": "t", "ŋ": "n",
        "ĸ": "k", "ƒ": "f", "ə": "e", "ɓ": "b", "ɗ": "d", "ƙ": "k", "ʒ": "z",
        # Ways to write an apostrophe, and dots: `Côte d’Ivoire`, `St. Louis`, `U.S.A.`
        **dict.fromkeys("'`´’‘ʼʻʹʿʾ.", ""),
        # Ways to write a gap: `Guinea-Bissau`, `Bad_Homburg`.
        **dict.fromkeys("-‐‑‒–—_/,", " "),
    }
)  # fmt: skip
_FIRST_MARK, _LAST_MARK = "\u0300", "\u036f"
"""The marks that make accents. Those of other scripts are letters' own: without its voicing mark が would be か."""


@lru_cache(maxsize=8192)
def name_key(text: str) -> str:
    """The same text for all spellings of a name: `São  Paulo`, `sao paulo` and `SAO-PAULO` are one.

    Letter case, accents (of Latin, Greek and Cyrillic letters), apostrophes, dots and the kind of gap make no difference; a
    ligature equals its letters, ß equals ss, ø equals o, ł equals l. A name of punctuation alone keeps it.
    """
    # Folding and taking apart each leave work for the other, as in Unicode's compatibility caseless match (D146).
    folded = _apart(_apart(_apart(text).casefold()).casefold())
    plain = _apart(folded.translate(_PLAIN))
    key = " ".join("".join(c for c in plain if not _FIRST_MARK <= c <= _LAST_MARK).translate(_PLAIN).split())
    return key or " ".join(folded.split())


def _apart(text: str) -> str:
    return unicodedata.normalize("NFKD", text)
