"""The client key and secret of the Research API: read from the environment or a private file, kept out of every record."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hashtag2action.errors import UserError

KEY, SECRET = "TIKTOK_CLIENT_KEY", "TIKTOK_CLIENT_SECRET"


@dataclass(frozen=True)
class Credentials:
    """A client key and secret that do not appear when printed."""

    client_key: str = field(repr=False)
    client_secret: str = field(repr=False)


def load_credentials(file: Path | None = None, environment: Mapping[str, str] = os.environ) -> Credentials:
    """Read TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET from `file` (lines NAME=VALUE, mode 600), else the environment.

    Raises `UserError` where they are missing, or where others than the owner may read the file.
    """
    values = _read(file) if file is not None else environment
    missing = [name for name in (KEY, SECRET) if not values.get(name)]
    if missing:
        where = str(file) if file is not None else "the environment"
        raise UserError(
            f"{where}: {missing[0]} is not set; set {KEY} and {SECRET} as the platform's developer page shows them"
        )
    return Credentials(values[KEY].strip(), values[SECRET].strip())


def _read(file: Path) -> dict[str, str]:
    try:
        mode = file.stat().st_mode
        if sys.platform != "win32" and stat.S_IMODE(mode) & 0o077:
            raise UserError(f"{file}: others may read it (mode {stat.S_IMODE(mode):o}); chmod 600 {file}")
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{file}: cannot be read as credentials; name a text file with lines {KEY}=... and {SECRET}=..."
        ) from error
    pairs = (line.partition("=") for line in lines if line.strip() and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
