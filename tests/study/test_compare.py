"""The test and the interval of a difference, against cases that can be counted by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hashtag2action.catalog.jobs import Cell
from hashtag2action.study.compare import bootstrap, compare_sentences, difference, sign_flip


@pytest.mark.parametrize("runs", [2, 3, 5, 8])
def test_sign_flip_counts_every_flip(runs: int) -> None:
    rng = np.random.default_rng(runs)
    a, b = rng.random(runs), rng.random(runs)
    gains = a - b
    flips = [abs(np.dot(signs, gains)) for signs in itertools.product((-1, 1), repeat=runs)]
    expected = np.mean([flip >= abs(gains.sum()) - 1e-12 for flip in flips])
    assert sign_flip(list(a), list(b)) == pytest.approx(expected)


def test_sign_flip_of_runs_that_all_agree_is_the_smallest_there_is() -> None:
    assert sign_flip([0.9, 0.8, 0.85], [0.5, 0.6, 0.7]) == pytest.approx(0.25)
    assert sign_flip([0.5, 0.5], [0.5, 0.5]) == 1.0
    assert sign_flip([0.9], [0.1]) == 1.0


def test_bootstrap_covers_the_truth_as_often_as_it_says() -> None:
    """Gains with an effect of runs and one of sources: the 95 % interval holds their mean, .1, about that often."""
    rng = np.random.default_rng(1)
    groups = [str(number // 4) for number in range(120)]
    inside = 0
    for trial in range(200):
        by_run, by_group = rng.normal(0, 0.05, 8), rng.normal(0, 0.1, 30)
        chance = np.clip(0.1 + by_run[:, None] + np.repeat(by_group, 4)[None], -1, 1)
        gains = (rng.random(chance.shape) < abs(chance)) * np.sign(chance)
        low, high = bootstrap(gains, groups, draws=400, seed=trial)
        inside += low <= 0.1 <= high
    assert 0.88 <= inside / 200 <= 1.0


def cells(condition: str, right: list[list[int]]) -> list[Cell]:
    results = [{"right": row, "groups": ["a", "a", "b", "c"], "top1": sum(row) / 4} for row in right]
    return [Cell(condition, 9, run, f"{condition}{run}", result) for run, result in enumerate(results)]


def test_difference_uses_the_runs_that_both_have() -> None:
    better, worse = cells("A", [[1, 1, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0]]), cells("B", [[1, 0, 0, 0], [0, 0, 0, 1]])
    found = difference([*better, *worse, Cell("B", 9, 2, "waiting")], "A", "B")
    assert found is not None
    assert (found.runs, found.difference, found.p) == (2, pytest.approx(0.625), 0.5)
    assert difference(better, "A", "B") is None
    told = " ".join(compare_sentences([found], 4))
    assert "+62.5 points over 2 paired runs" in told
    assert "cannot come below p = 0.5" in told
