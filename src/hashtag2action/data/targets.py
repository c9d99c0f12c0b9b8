"""What clips have beside a class: any number of labels, or values of 0..1, from a CSV with a line a clip."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashtag2action.data.splits import Sample
from hashtag2action.errors import UserError

RESERVED = ("path", "group")
MAX_OUTPUTS = 100_000


@dataclass(frozen=True)
class Targets:
    """Names of the outputs and, by absolute path, a clip's value in 0..1 for each."""

    file: Path
    names: tuple[str, ...]
    rows: dict[Path, tuple[float, ...]]
    groups: dict[Path, str]

    def samples(self) -> list[Sample]:
        """Return every clip of the file, without a class; where it names no group, each is its own."""
        return [Sample(path, "", self.groups.get(path, str(path))) for path in self.rows]

    def of(self, samples: Sequence[Sample]) -> NDArray[np.float32]:
        """Return `(samples, outputs)`. Raises `UserError` for a clip that the file does not list."""
        for sample in samples:
            if sample.path.absolute() not in self.rows:
                raise UserError(f"{self.file}: has no line for {sample.path}; add it, or leave the clip out")
        values = [self.rows[sample.path.absolute()] for sample in samples]
        return np.array(values, dtype=np.float32).reshape(len(samples), len(self.names))


def read_targets(file: Path, binary: bool) -> Targets:
    """Read `path`, optionally `group`, and a column for each output; paths are relative to the file's folder.

    With `binary` every value must be 0 or 1. Raises `UserError` that names the line for anything else.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            reader = csv.DictReader(opened)
            names = tuple(name for name in reader.fieldnames or () if name not in RESERVED)
            if "path" not in (reader.fieldnames or ()) or not names or len(names) > MAX_OUTPUTS:
                raise UserError(f"{file}: needs a column `path` and one for each output, named in its first line")
            if len(set(names)) < len(names) or "" in names:
                raise UserError(f"{file}: a column's name is empty or there twice; name each output once")
            rows: dict[Path, tuple[float, ...]] = {}
            groups: dict[Path, str] = {}
            for row in reader:
                place = f"{file}, line {reader.line_num}"
                path = (file.parent / (row["path"] or "")).absolute()
                if path in rows:
                    raise UserError(f"{place}: {row['path']} is listed twice; keep one line for each clip")
                rows[path] = tuple(_value(row[name], name, place, binary) for name in names)
                if row.get("group"):
                    groups[path] = row["group"]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file}: cannot be read as CSV ({error}); give UTF-8 text with a line a clip") from error
    if not rows:
        raise UserError(f"{file}: lists no clips; add a line for each")
    return Targets(file, names, rows, groups)


def _value(text: str | None, name: str, place: str, binary: bool) -> float:
    try:
        value = float(text or "")
    except ValueError:
        raise UserError(f"{place}: {name} is {text!r}, not a number; write one of 0..1") from None
    if not 0 <= value <= 1 or (binary and value not in (0, 1)):
        raise UserError(f"{place}: {name} is {text}, which is not {'0 or 1' if binary else 'in 0..1'}")
    return value
