"""Time as the collecting code sees it: handed in, so that a test can let four days pass in a minute."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> float:
        """Return seconds since 1970, UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait that long."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> float:
        """Return seconds since 1970, UTC."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait that long."""
        time.sleep(max(0.0, seconds))


def day_of(now: float) -> str:
    """Return the day (UTC) of a time as YYYYMMDD."""
    return f"{datetime.fromtimestamp(now, timezone.utc):%Y%m%d}"


def next_midnight(now: float) -> float:
    """Return the next 00:00 UTC, when daily quotas begin anew."""
    day = datetime.fromtimestamp(now, timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    return (day + timedelta(days=1)).timestamp()
