"""Texts and paths in the form that every database server takes, whatever file names and captions hold."""

from __future__ import annotations

import math
import re
from typing import Any

import sqlalchemy as sa

_ODD_BYTE = re.compile("[\udc80-\udcff]")  # how Python shows a byte of a file name that is no UTF-8
_STORED_BYTE = re.compile("//x([0-9a-f]{2})")  # a path has no `//` of its own


def storable(text: str, limit: int | None = None) -> str:
    """Return a text without NUL and broken characters, of at most `limit` characters."""
    if "\x00" in text or not text.isprintable():
        text = text.replace("\x00", "").encode("utf-8", "replace").decode()
    return text[:limit]


def storable_json(value: Any) -> Any:
    """Return JSON data without NUL, broken characters and numbers that are none."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {storable(str(key)): storable_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable_json(item) for item in value]
    return value


class PathText(sa.TypeDecorator[str]):
    """A normalised path. Bytes that are no UTF-8, which no server stores as text, are kept as `//xNN`."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Return what is stored for a path."""
        if value is None or value.isascii():
            return value
        return _ODD_BYTE.sub(lambda found: f"//x{ord(found[0]) - 0xDC00:02x}", value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Return the path that is stored."""
        if value is None or "//" not in value:
            return value
        return _STORED_BYTE.sub(lambda found: chr(0xDC00 + int(found[1], 16)), value)
