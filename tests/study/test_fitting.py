"""Fits: the truth is found again, time is bounded, and what did not converge is said."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats

from hashtag2action.study.curves import curve
from hashtag2action.study.fitting import Points, fit

SIZES = np.arange(1000.0, 9000.0, 1000.0)


def points(accuracies: np.ndarray, runs: float = 3.0) -> Points:
    return Points(SIZES, accuracies, np.full(len(SIZES), runs), np.zeros(len(SIZES)))


TRUTHS = {
    "lomax": (0.8, 100.0, 200.0),
    "t": (0.73, 206.0, 723.0),
    "weibull_min": (0.5, 50.0, 900.0),
    "lognorm": (1.4, -100.0, 600.0),
    "invgamma": (0.76, 35.0, 163.0),
}


@pytest.mark.parametrize("name", TRUTHS)
def test_a_curve_is_found_again_from_its_own_accuracies(name: str) -> None:
    truth = getattr(stats, name)
    found = fit(name, points(truth.cdf(SIZES, *TRUTHS[name])), SIZES[-1])
    assert found.converged and not found.note
    made = curve(name)
    need = made.need(made.values(found.free), np.array([0.97]))[0] * SIZES[-1]
    assert need == pytest.approx(truth.ppf(0.97, *TRUTHS[name]), rel=1e-3)


def test_errors_are_counted_once_a_run() -> None:
    accuracies = stats.lomax.cdf(SIZES, 0.8, 100, 200) + 0.003 * np.array([1, -1, 1, -1, 1, -1, 1, -1])
    one, three = fit("lomax", points(accuracies, 1.0), SIZES[-1]), fit("lomax", points(accuracies, 3.0), SIZES[-1])
    assert three.rss == pytest.approx(3 * one.rss, rel=1e-4)
    assert one.rss < 8 * 0.003**2


def test_a_fit_that_takes_too_long_is_ended_and_says_so() -> None:
    begun = time.process_time()
    found = fit("studentized_range", points(stats.lomax.cdf(SIZES, 0.8, 100, 200)), SIZES[-1], soft_s=0.2)
    assert time.process_time() - begun < 8
    assert not found.converged and found.note == "time spent before convergence"


def test_more_parameters_than_sizes_are_not_fitted() -> None:
    accuracies = stats.lomax.cdf(SIZES, 0.8, 100, 200)
    found = fit("burr12", points(accuracies).first(3), SIZES[-1])
    assert (found.free, found.converged, found.note) == ((), False, "more parameters than sizes")
