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


def mean_average_precision(scores: Scores, targets: NDArray[np.bool_]) -> float:
    """Return the mean over classes of the average precision of `scores` `(N, classes)` against `targets` of that shape.

    A class without a positive video is left out of the mean, NaN where none has one. Videos of equal scores stand at one
    threshold, as in scikit-learn; a video without scores (NaN) is ranked last in every class.
    """
    ranked = np.where(np.isnan(scores), -np.inf, scores)
    precisions = [
        _average_precision(ranked[:, i], targets[:, i]) for i in range(scores.shape[1]) if targets[:, i].any()
    ]
    return float(np.mean(precisions)) if precisions else float("nan")


def mean_pearson(predicted: Scores, targets: Scores) -> float:
    """Return the mean over outputs of Pearson's correlation of `predicted` and `targets`, both `(N, outputs)`.

    An output whose targets do not vary is left out (NaN where none varies); one whose prediction does not vary counts 0.
    A video without prediction (NaN) counts as the mean prediction, which can only lower the correlation.
    """
    readable = ~np.isnan(predicted).any(axis=1)
    if not readable.any():
        return 0.0
    guess = predicted[readable].mean(axis=0)
    x = np.where(np.isnan(predicted).any(axis=1, keepdims=True), guess, predicted) - guess
    y = targets - targets.mean(axis=0)
    varies: NDArray[np.bool_] = targets.max(axis=0) > targets.min(axis=0)
    if not varies.any():
        return float("nan")
    norm = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    moved: NDArray[np.bool_] = x.max(axis=0) > x.min(axis=0)
    return float(np.where(moved, (x * y).sum(axis=0) / np.where(moved & varies, norm, 1), 0.0)[varies].mean())


def calibration_error(scores: Scores, labels: Labels, bins: int = 15) -> float:
    """Return the expected calibration error: |accuracy - confidence| over `bins` even bins, weighted by their videos.

    Over videos with scores (Guo et al. 2017); NaN where there are none.
    """
    readable = ~np.isnan(scores).any(axis=1)
    if not readable.any():
        return float("nan")
    confidence = scores[readable].max(axis=1)
    right = hits(scores, labels)[readable]
    number = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(number, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / readable.sum())


def _average_precision(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the area under the precision steps, a step for each distinct score."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(order) - 1)
    found = np.cumsum(positive[order])[ends]
    recall_steps = np.diff(found, prepend=0) / found[-1]
    return float((recall_steps * found / (ends + 1)).sum())
