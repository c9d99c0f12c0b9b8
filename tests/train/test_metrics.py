from __future__ import annotations

import numpy as np
import pytest

from hashtag2action.train.metrics import (
    bootstrap_interval,
    calibration_error,
    class_accuracy,
    confusion,
    hits,
    mean_average_precision,
    mean_class_accuracy,
    mean_pearson,
)

SCORES = np.array([[0.7, 0.2, 0.1], [0.4, 0.4, 0.2], [0.1, 0.3, 0.6], [np.nan] * 3, [0.2, 0.5, 0.3], [0.1, 0.8, 0.1]])
LABELS = np.array([0, 1, 2, 0, 2, -1])


def test_top_k_counts_ties_unreadable_and_unknown_as_they_are() -> None:
    assert hits(SCORES, LABELS).tolist() == [True, False, True, False, False, False]
    assert hits(SCORES, LABELS, 2).tolist() == [True, True, True, False, True, False]
    assert hits(SCORES, LABELS, 3).tolist() == [True, True, True, False, True, False]


def test_confusion_and_class_accuracy() -> None:
    assert confusion(SCORES, LABELS).tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 1]]
    assert class_accuracy(SCORES, LABELS) == [0.5, 0.0, 0.5]
    assert mean_class_accuracy(SCORES, LABELS) == pytest.approx(1 / 3)
    assert class_accuracy(SCORES[:1], LABELS[:1]) == [1.0, None, None]


def test_against_plain_loops_on_random_scores() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.random((200, 7)), rng.integers(7, size=200)
    table = np.zeros((7, 7), int)
    for row, label in zip(scores, labels, strict=True):
        table[label, int(np.argmax(row))] += 1
    assert (confusion(scores, labels) == table).all()
    right = [
        label in sorted(range(7), key=lambda c, row=row: -row[c])[:5] for row, label in zip(scores, labels, strict=True)
    ]
    assert hits(scores, labels, 5).tolist() == right
    assert mean_class_accuracy(scores, labels) == pytest.approx(np.mean(np.diag(table) / table.sum(1)))


def test_interval_is_that_of_the_binomial_and_wider_where_clips_hang_together() -> None:
    right = np.arange(400) % 4 != 0
    low, high = bootstrap_interval(right)
    spread = 1.96 * (0.75 * 0.25 / 400) ** 0.5
    assert (low, high) == pytest.approx((0.75 - spread, 0.75 + spread), abs=0.006)
    in_tens = np.arange(400) // 10 % 4 != 0
    low, high = bootstrap_interval(in_tens, [str(i // 10) for i in range(400)])
    spread = 1.96 * (0.75 * 0.25 / 40) ** 0.5
    assert (low, high) == pytest.approx((0.75 - spread, 0.75 + spread), abs=0.02)
    assert bootstrap_interval(right) == bootstrap_interval(right)
    assert bootstrap_interval(np.array([True])) == (1.0, 1.0)


def test_average_precision_by_hand() -> None:
    """Ranked + - + -: precision 1 at the first hit, 2/3 at the second; the other class is all positive, the third has none."""
    scores = np.array([[0.9, 0.1, 0.5], [0.8, 0.2, 0.5], [0.7, 0.3, 0.5], [0.6, 0.4, 0.5]])
    targets = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 0], [0, 1, 0]], dtype=bool)
    assert mean_average_precision(scores, targets) == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)
    assert mean_average_precision(np.full((4, 1), 0.5), targets[:, :1]) == pytest.approx(0.5)  # equal scores: one step
    unreadable = scores.copy()
    unreadable[0] = np.nan  # the first hit now comes last: - + - +
    assert mean_average_precision(unreadable[:, :1], targets[:, :1]) == pytest.approx((1 / 2 + 2 / 4) / 2)
    unreadable[2] = np.nan  # both hits are unreadable, and stand at one threshold: - - (+ +)
    assert mean_average_precision(unreadable[:, :1], targets[:, :1]) == pytest.approx(2 / 4)
    assert np.isnan(mean_average_precision(scores[:, 2:], targets[:, 2:]))


def test_pearson_is_numpys_and_counts_what_is_missing_or_constant() -> None:
    rng = np.random.default_rng(1)
    predicted, targets = rng.random((40, 7)), rng.random((40, 7))
    each = [np.corrcoef(predicted[:, i], targets[:, i])[0, 1] for i in range(7)]
    assert mean_pearson(predicted, targets) == pytest.approx(np.mean(each))
    assert mean_pearson(np.full((40, 7), 0.2), targets) == 0.0
    assert mean_pearson(targets, targets) == pytest.approx(1)
    assert np.isnan(mean_pearson(targets, np.full((40, 7), 3.0)))
    hole = targets.copy()
    hole[3] = np.nan
    assert 0.9 < mean_pearson(hole, targets) < 1


def test_calibration_error_by_hand() -> None:
    """Two videos at confidence 0.9 of which one is right, two at 0.6 of which both are: (2 * 0.4 + 2 * 0.4) / 4."""
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [np.nan, np.nan]])
    assert calibration_error(scores, np.array([0, 1, 0, 0, 0])) == pytest.approx(0.4)
    assert calibration_error(scores[:1], np.array([0])) == pytest.approx(0.1)
    assert np.isnan(calibration_error(scores[4:], np.array([0])))
