"""The folder of a run: begun with settings that must not change, finished where it has a summary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hashtag2action.errors import UserError
from hashtag2action.files import write_json


def begin(folder: Path, run: str, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """Write `settings.json` with the digest `run`, or check it, and return the summary where the run is finished.

    Raises `UserError` for a folder that was begun with another digest.
    """
    path = folder / "settings.json"
    if not path.exists():
        write_json(path, {"run": run, **about})
        return None
    if json.loads(path.read_text(encoding="utf-8")).get("run") != run:
        raise UserError(
            f"{folder}: begun with other settings or clips, or from other weights; give a new folder or remove this one"
        )
    return read_summary(folder) if (folder / "summary.json").exists() else None


def read_summary(folder: Path) -> dict[str, Any]:
    """Return the summary of a finished run."""
    return dict(json.loads((folder / "summary.json").read_text(encoding="utf-8")))
