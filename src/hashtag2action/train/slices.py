"""Where a model is right and where it is not: accuracy by hashtag, brightness, length, size of people, group."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashtag2action.train.metrics import bootstrap_interval

Value = str | float | None
Columns = Mapping[str, Sequence[Value]]
"""A fact of every video, by name: words, or numbers (which are cut into quarters of equal size). None: not known."""

LEAST = 5
"""Videos below which a part's share says nothing: such parts are shown, but not in the gap."""
MOST_PARTS = 50
"""Parts of a column of words that are shown, the largest first."""
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Slice:
    """Top-1 of a part of the videos, with its 95 % bootstrap interval over sources."""

    part: str
    videos: int
    top1: float
    low: float
    high: float


@dataclass(frozen=True)
class Gap:
    """The parts of a column that differ most, of those with `LEAST` videos or more."""

    best: str
    worst: str
    difference: float


def accuracy_by(
    right: NDArray[np.bool_], columns: Columns, groups: Sequence[str], draws: int = 2000, seed: int = 0
) -> dict[str, list[Slice]]:
    """Return for each column the parts with their top-1; `right` and each column have one value a video.

    Columns of which nothing is known are left out.
    """
    found = {}
    for name, values in columns.items():
        parts = _parts(values)
        if set(parts) <= {UNKNOWN}:
            continue
        order = sorted(dict.fromkeys(parts), key=lambda part: (-parts.count(part), part))[:MOST_PARTS]
        if not any(isinstance(value, str) for value in values):
            order.sort(key=_lower_bound)
        found[name] = [_slice(part, parts, right, groups, draws, seed) for part in order]
    return found


def gap(slices: Sequence[Slice]) -> Gap | None:
    """Return the widest difference between parts of `LEAST` videos or more; None where fewer than two have so many."""
    counted = [part for part in slices if part.videos >= LEAST and part.part != UNKNOWN]
    if len(counted) < 2:
        return None
    best, worst = max(counted, key=lambda part: part.top1), min(counted, key=lambda part: part.top1)
    return Gap(best.part, worst.part, best.top1 - worst.top1)


def _slice(
    part: str, parts: Sequence[str], right: NDArray[np.bool_], groups: Sequence[str], draws: int, seed: int
) -> Slice:
    inside = np.array([each == part for each in parts])
    sources = [group for group, chosen in zip(groups, inside, strict=True) if chosen]
    low, high = bootstrap_interval(right[inside], sources, draws, seed)
    return Slice(part, int(inside.sum()), float(right[inside].mean()), low, high)


def _parts(values: Sequence[Value]) -> list[str]:
    """Return the part of each value: itself, or the quarter of the numbers in which it lies."""
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if not numbers or any(isinstance(value, str) for value in values):
        return [str(value) if value is not None and value != "" else UNKNOWN for value in values]
    edges = np.unique(np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1]))
    if len(edges) == 1:
        edges = np.append(edges, edges)
    names = [f"{low:.3g} to {high:.3g}" for low, high in itertools.pairwise(edges)]
    place = np.searchsorted(edges[1:-1], numbers, side="left")
    quarter = iter(place)
    return [UNKNOWN if value is None else names[next(quarter)] for value in values]


def _lower_bound(part: str) -> float:
    return np.inf if part == UNKNOWN else float(part.split(" to ")[0])
