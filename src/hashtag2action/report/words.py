"""Numbers as a reader wants them: filters of the templates."""

from __future__ import annotations

from collections.abc import Callable


def percent(share: float, digits: int = 0) -> str:
    """Return a share (0 to 1) in per cent."""
    return f"{share:.{digits}%}".replace("%", "\u00a0%")


def number(count: int, noun: str = "", plural: str = "") -> str:
    """Return a number with its noun: `1 clip`, `1,200 clips`."""
    if not noun:
        return f"{count:,}"
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """Return a length of time in the unit that suits it."""
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def size(size_bytes: int) -> str:
    """Return a number of bytes in the unit that suits it."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= step:
            return f"{size_bytes / step:.1f} {unit}"
    return f"{size_bytes} bytes"


FILTERS: dict[str, Callable[..., str]] = {"percent": percent, "number": number, "duration": duration, "size": size}
