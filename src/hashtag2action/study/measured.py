"""Read measured accuracies by size from a CSV, and targets from the command line."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hashtag2action.errors import UserError
from hashtag2action.study.fitting import Points

DEFAULT_TARGETS = (0.95, 0.96, 0.97, 0.98, 0.99)
LEAST_SIZES = 4
MAX_ROWS = 100_000


def read_points(path: Path) -> Points:
    """Read columns `size` (clips) and `accuracy` or `top1` (0..1, or % where one exceeds 1); a row a run or a mean.

    A column `runs` says how many runs a row is the mean of. Rows of size 0, no pre-training, are left out. Raises
    `UserError` that names the row at fault, also where fewer than `LEAST_SIZES` sizes are left.
    """
    rows = [row for row in _rows(path) if row[0] > 0]
    sizes = sorted({size for size, _, _ in rows})
    if len(sizes) < LEAST_SIZES:
        raise UserError(f"{path}: accuracies at {len(sizes)} sizes; measure at {LEAST_SIZES} or more")
    percent = 100.0 if max(value for _, value, _ in rows) > 1 else 1.0
    means, counts, within = [], [], []
    for size in sizes:
        values = [(value / percent, runs) for at, value, runs in rows if at == size]
        count = sum(runs for _, runs in values)
        mean = sum(value * runs for value, runs in values) / count
        means.append(mean)
        counts.append(count)
        within.append(sum(runs * (value - mean) ** 2 for value, runs in values))
    import numpy as np

    return Points(np.array(sizes), np.array(means), np.array(counts), np.array(within))


def parse_targets(words: Sequence[str]) -> list[float]:
    """Return accuracies in (0, 1), rising, from words such as `.95`, `.95,.96`, `95%`; 95 to 99 % without any."""
    targets = set()
    for word in (part.strip() for text in words for part in text.split(",")):
        try:
            value = float(word.rstrip("%"))
        except ValueError as error:
            raise UserError(f"--targets {word}: not an accuracy; write .95 or 95%") from error
        value = value / 100 if value > 1 or word.endswith("%") else value
        if not 0 < value < 1:
            raise UserError(f"--targets {word}: an accuracy between 0 and 1 is needed, such as .95")
        targets.add(value)
    return sorted(targets) or list(DEFAULT_TARGETS)


def _rows(path: Path) -> list[tuple[float, float, float]]:
    """Return size, accuracy and number of runs of each row."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
            column = names.get("accuracy") or names.get("top1")
            if column is None or "size" not in names:
                raise UserError(f"{path}: no columns `size` and `accuracy` (or `top1`); its first line is to name them")
            rows: list[tuple[float, float, float]] = []
            conditions = set()
            for row in reader:
                if len(rows) >= MAX_ROWS:
                    raise UserError(f"{path}: more than {MAX_ROWS:,} rows; one a run is expected")
                of = partial(_number, path, reader.line_num, row)
                rows.append((of(names["size"]), of(column), of(names["runs"]) if "runs" in names else 1.0))
                if rows[-1][0] > 0:
                    conditions.add(row.get("condition") or "")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as CSV ({error})") from error
    if len(conditions) > 1:
        raise UserError(f"{path}: several conditions ({', '.join(sorted(conditions))[:80]}); keep the rows of one")
    return rows


def _number(path: Path, line: int, row: dict[str, str], name: str) -> float:
    text = row.get(name) or ""
    try:
        value = float(text.strip().rstrip("%"))
    except ValueError as error:
        raise UserError(f"{path}: line {line}: `{name}` is {text!r}, no number") from error
    kind = name.strip().lower()
    low, high = (1.0, 1e4) if kind == "runs" else (0.0, 1e12 if kind == "size" else 100.0)
    if not (math.isfinite(value) and low <= value <= high):
        raise UserError(f"{path}: line {line}: `{name}` is {text!r}, outside {low:g} to {high:g}")
    return value
