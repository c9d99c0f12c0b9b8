"""What a reader makes of a data set's own lists, before any video is looked for."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hashtag2action.data.splits import Part
from hashtag2action.errors import UserError

MAX_LIST_BYTES = 1 << 30
"""The largest list that is read; Kinetics-700's is 40 MB."""


@dataclass(frozen=True)
class Row:
    """A video as a list names it: the file may have any of `names` (paths below the root, with any suffix)."""

    names: tuple[str, ...]
    label: str
    group: str
    span: tuple[int, int] | None = None
    """First picture and count, for a video that is a folder of pictures."""


@dataclass(frozen=True)
class Lists:
    """A data set's lists. `classes` is the official order of the outputs; `val` is absent where none is published."""

    title: str
    classes: tuple[str, ...]
    parts: dict[Part, list[Row]]
    problems: list[str] = field(default_factory=list)
    """What is wrong with labels, in sentences: training refuses them, `h2a dataset check` lists them."""
    notes: list[str] = field(default_factory=list)
    loose: bool = False
    """Whether files are also found by letters and digits alone, as extracting tools rename odd characters."""


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line that is not empty. Raises `UserError` for a file that is no list."""
    _check(path)
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if text := line.strip():
                    yield number, text
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file in UTF-8; give the data set's own list") from error


def read_table(path: Path, required: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV with a head; `required` columns must be there. Raises `UserError` otherwise."""
    _check(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            missing = [name for name in required if name not in (rows.fieldnames or ())]
            if missing:
                raise UserError(f"{path}: no column `{missing[0]}`; its first line must name {', '.join(required)}")
            yield from ({key: value or "" for key, value in row.items() if key is not None} for row in rows)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV file in UTF-8 ({error}); give the data set's own list") from error


def read_json_list(path: Path) -> Any:
    """Return the content of a JSON file. Raises `UserError` where it is none."""
    _check(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a JSON file ({error}); give the data set's own list") from error


def first_of(root: Path, names: Sequence[str], what: str) -> Path:
    """Return the first of `names` that exists below `root`. Raises `UserError` that says where it was looked for."""
    for name in names:
        if (root / name).exists():
            return root / name
    raise UserError(f"{root}: no {what}; expected {' or '.join(names)} in it")


def _check(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path}: no such list; extract the data set's annotations there")
    if path.stat().st_size > MAX_LIST_BYTES:
        raise UserError(f"{path}: larger than {MAX_LIST_BYTES >> 20} MB, which no list of videos is")
