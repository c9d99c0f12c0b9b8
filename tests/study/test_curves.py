"""Curves: every continuous distribution is one, parameters stay in their domains, needs undo accuracies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hashtag2action.errors import UserError
from hashtag2action.study.curves import BASELINES, POWER_LAW, SATURATING_EXPONENTIAL, curve, curve_names

SIZES = np.arange(1.0, 7.0) / 6
ACCURACIES = np.array([0.7405, 0.8437, 0.8846, 0.9071, 0.9215, 0.9316])
SLOW_STARTS = {"studentized_range", "levy_stable", "genhyperbolic", "norminvgauss", "gausshyper", "dpareto_lognorm"}


def test_every_continuous_distribution_of_scipy_is_a_curve() -> None:
    names = curve_names()
    assert len(names) >= 100 + len(BASELINES)
    assert all(isinstance(getattr(stats, name), stats.rv_continuous) for name in names if name not in BASELINES)
    assert {each.name for each in vars(stats).values() if isinstance(each, stats.rv_continuous)} <= set(names)


def test_an_unknown_curve_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="did you mean `lomax`"):
        curve_names(["lomaks"])


@pytest.mark.parametrize("name", sorted(set(curve_names()) - SLOW_STARTS))
def test_starts_are_allowed_parameters(name: str) -> None:
    made = curve(name)
    with np.errstate(all="ignore"):
        starts = [made.values(start) for start in made.starts(SIZES, ACCURACIES)]
    if name not in ("kstwo",):  # no K-S statistic of few values spreads as widely as these accuracies
        assert starts
    for values in starts:
        assert len(values) == len(made.parameters)
        if name not in BASELINES:
            *shapes, _, scale = values
            assert scale > 0 and np.all(made.distribution._argcheck(*shapes))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["lomax", "t", "burr12", "invweibull", "lognorm", "gompertz", *BASELINES])
def test_needs_undo_accuracies(name: str) -> None:
    made = curve(name)
    values = made.values(next(made.starts(SIZES, ACCURACIES)))
    sizes = np.array([0.4, 0.7, 1.0])
    assert made.need(values, made.accuracy(values, sizes)) == pytest.approx(sizes, rel=1e-6)


@pytest.mark.parametrize("name", BASELINES)
def test_no_size_is_enough_for_a_target_above_the_asymptote(name: str) -> None:
    needs = curve(name).need((0.95, 0.2, 1.0), np.array([0.94, 0.95, 0.96]))
    assert np.isfinite(needs[0]) and np.all(np.isinf(needs[1:]))


def test_baselines_are_what_their_names_say() -> None:
    values = (0.9, 0.2, 2.0)
    assert curve(POWER_LAW).accuracy(values, np.array([2.0])) == pytest.approx([0.9 - 0.2 / 4])
    assert curve(SATURATING_EXPONENTIAL).accuracy(values, np.array([2.0])) == pytest.approx([0.9 - 0.2 * np.exp(-4)])
