"""What a classifier got right, counted over videos and with the doubt that so many videos leave.

A video without scores (it could not be read) is a row of NaN: it counts as wrong, in every denominator.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]  # (N, classes); NaN rows: no scores
Labels = NDArray[np.int64]  # (N,), class numbers; -1: a class that the model does not know


def hits(scores: Scores, labels: Labels, k: int = 1) -> NDArray[np.bool_]:
    """Return for each video whether its class is among the `k` highest scores; of equal scores the lower number wins."""
    readable = ~np.isnan(scores).any(axis=1)
    order = np.argsort(-np.nan_to_num(scores), axis=1, kind="stable")[:, :k]
    return readable & (order == labels[:, None]).any(axis=1)


def confusion(scores: Scores, labels: Labels) -> NDArray[np.int64]:
    """Return counts (classes, classes): row true, column predicted; videos without scores or known class are in none."""
    counted = ~np.isnan(scores).any(axis=1) & (labels >= 0)
    table = np.zeros((scores.shape[1], scores.shape[1]), dtype=np.int64)
    np.add.at(table, (labels[counted], scores[counted].argmax(axis=1)), 1)
    return table


def class_accuracy(scores: Scores, labels: Labels) -> list[float | None]:
    """Return top-1 of each class, None for a class that has no video."""
    right = hits(scores, labels)
    classes = range(scores.shape[1])
    return [float(right[labels == number].mean()) if (labels == number).any() else None for number in classes]


def mean_class_accuracy(scores: Scores, labels: Labels) -> float:
    """Return the mean of the classes' top-1, each class counting alike however many videos it has."""
    present = [value for value in class_accuracy(scores, labels) if value is not None]
    return float(np.mean(present)) if present else 0.0


def bootstrap_interval(
    right: NDArray[np.bool_], groups: Sequence[str] | None = None, draws: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % percentile interval of the share of `right`, by drawing sources, not clips, with replacement.

    Clips of one group (one source or person) tend to be right or wrong together, so a group is drawn as a whole. With
    `groups=None` every clip is its own.
    """
    names = [str(number) for number in range(len(right))] if groups is None else list(groups)
    _, index = np.unique(np.array(names), return_inverse=True)
    sizes = np.bincount(index)
    sums = np.bincount(index, weights=right)
    number = len(sizes)
    times = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), size=draws)
    low, high = np.percentile(times @ sums / (times @ sizes), [2.5, 97.5])
    return float(low), float(high)
