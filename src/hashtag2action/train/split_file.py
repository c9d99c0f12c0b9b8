"""`split.json` of a fine-tuning run: the classes, and which clip was trained on, watched or held out for the test."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hashtag2action.data.splits import Sample, Split
from hashtag2action.errors import UserError
from hashtag2action.files import write_json

NAME = "split.json"


@dataclass(frozen=True)
class SplitFile:
    """A run's class names, in the order of the model's outputs, and its split."""

    classes: tuple[str, ...]
    split: Split


def write_split(folder: Path, classes: tuple[str, ...], split: Split) -> None:
    """Write `split.json` into a run's folder."""
    parts = {part: [asdict(sample) for sample in getattr(split, part)] for part in ("train", "val", "test")}
    write_json(folder / NAME, {"classes": classes, "notes": split.notes, **parts})


def read_split(folder: Path) -> SplitFile:
    """Read the `split.json` of a fine-tuning run. Raises `UserError` where the folder has none."""
    path = Path(folder) / NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: not found; is {folder} the folder of a fine-tuning run?") from error
    parts = {part: tuple(_sample(entry) for entry in content[part]) for part in ("train", "val", "test")}
    return SplitFile(tuple(content["classes"]), Split(**parts, notes=tuple(content["notes"])))


def _sample(entry: dict[str, Any]) -> Sample:
    return Sample(Path(entry["path"]), entry["label"], entry["group"])
