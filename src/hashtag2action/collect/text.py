"""What strangers wrote, made safe to store and to print: bounded, printable, and never a path."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

CAPTION_CHARACTERS = 4096
RAW_CHARACTERS = 16_384  # of one text in the record kept of a post
RAW_ITEMS = 1000  # of one list or object in it
RAW_DEPTH = 8
INT64_MAX = 2**63 - 1

# Controls other than tab and new line; overrides and isolates that make text read in another order than it is stored.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")


def clean_text(value: object, limit: int = CAPTION_CHARACTERS) -> str | None:
    """Return a text without control characters, in NFC and at most `limit` characters; None for anything else."""
    if not isinstance(value, str):
        return None
    value = value[: limit + 1].encode("utf-8", "replace").decode("utf-8")
    value = unicodedata.normalize("NFC", _UNPRINTABLE.sub("", value)).strip()
    return value if len(value) <= limit else value[: limit - 1] + "…"


def clean_tag(value: object) -> str | None:
    """Return a hashtag in the one form under which it is stored: letters, digits and `_`, folded; None if nothing is left."""
    if not isinstance(value, str):
        return None
    folded = unicodedata.normalize("NFKC", value[:512]).casefold()
    return re.sub(r"[^\w]", "", folded)[:128].encode("utf-8", "ignore").decode() or None


def clean_count(value: object) -> int | None:
    """Return a number of something as an integer that a database can hold; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INT64_MAX else None


def clean_id(value: object) -> str | None:
    """Return a 64-bit id as decimal text, from an integer or text; None for floats, which have lost digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        value = int(value)
    number = clean_count(value)
    return str(number) if number else None


def clean_raw(value: Any, depth: int = RAW_DEPTH) -> Any:
    """Return JSON data with unknown fields and all, but bounded: texts and lists are cut, NUL and broken characters go."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, str):
        return value if value.isprintable() and len(value) <= RAW_CHARACTERS else _bounded(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth == 0:
        return None
    if isinstance(value, dict):
        items = value.items() if len(value) <= RAW_ITEMS else list(value.items())[:RAW_ITEMS]
        return {(key if key.isprintable() else _bounded(key))[:256]: clean_raw(item, depth - 1) for key, item in items}
    return [clean_raw(item, depth - 1) for item in value[:RAW_ITEMS]]


def _bounded(value: str) -> str:
    cut = value if len(value) <= RAW_CHARACTERS else value[: RAW_CHARACTERS - 1] + "…"
    return cut.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
