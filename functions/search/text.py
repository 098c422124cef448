"""Text as it is indexed and compared. In Python, so that every engine folds alike."""

from __future__ import annotations

import hashlib
import unicodedata
from functools import lru_cache

MAX_LENGTH = 8_000
"""Characters of an indexed term; Lucene's limit is 32,766 bytes of UTF-8."""

# Letters that Unicode doesn't decompose, as users without them on their keyboard type them.
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ħ": "h", "ı": "i"}
)


def fold(text: str) -> str:
    """Without case, accents, punctuation and repeated blanks (R4 search, string parameters).

    A dash counts as a blank, other punctuation as nothing: O'Brien is obrien, Smith-Jones is
    smith jones. Of a long text its beginning.
    """
    text = text[:MAX_LENGTH]
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.casefold()).casefold().translate(_LETTERS)
    folded = "".join(_plain(character) for character in text.lower())
    return " ".join(folded.split())[:MAX_LENGTH]


def exact(text: str) -> str:
    """The term of a text that is compared as it is; a very long one is compared by its digest."""
    if len(text) <= MAX_LENGTH:
        return text
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@lru_cache(maxsize=1024)
def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Pd", "Cc") or category[0] == "Z":
        return " "
    return "" if category[0] in "PM" or category == "Cf" else character
