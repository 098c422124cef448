"""File names as clients declare them: one name without a path, used only in Content-Disposition."""

import unicodedata
from urllib.parse import quote

_MAX_CHARACTERS = 255
_JOINERS = "\u200c\u200d"  # belong to the spelling of several languages
_UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def is_file_name(text: str) -> bool:
    """Whether `text` names one file: no folder, no control or direction-changing character."""
    return (
        0 < len(text) <= _MAX_CHARACTERS
        and text.strip(" .") != ""
        and not any(character in "/\\" or _is_unsafe(character) for character in text)
    )


def content_disposition(name: str) -> str:
    """`attachment` with the name for old and new clients (RFC 6266, RFC 8187).

    Always an attachment: a browser must not render uploaded bytes.
    """
    fallback = "".join(
        character if " " <= character <= "~" and character not in '"\\%' else "_"
        for character in unicodedata.normalize("NFKD", name)
        if not unicodedata.combining(character)
    )
    return f"attachment; filename=\"{fallback}\"; filename*=UTF-8''{quote(name, safe='')}"


def _is_unsafe(character: str) -> bool:
    return character not in _JOINERS and unicodedata.category(character) in _UNSAFE_CATEGORIES
