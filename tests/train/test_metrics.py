from __future__ import annotations

import numpy as np
import pytest

from hashtag2action.train.metrics import bootstrap_interval, class_accuracy, confusion, hits, mean_class_accuracy

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
