"""Fit one curve to accuracies by least squares, in bounded time, and say whether the fit converged."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hashtag2action.study.curves import SCIPY_ERRORS, Array, Curve, Numbers, curve, quietly

POLISHED_STARTS = 5
MAX_EVALUATIONS = 120  # for each parameter and start
SOFT_S = 2.0
TOLERANCE = 1e-9  # relative change of parameters or squared error at which a fit has converged
AGREEMENT = 0.01  # two starts that end with residuals this close have found the same minimum


@dataclass(frozen=True)
class Points:
    """Mean accuracies (0..1) at sizes (clips), each from `runs` runs; all (N,), sizes rising.

    `within` are the sums of squared differences of single runs from their mean.
    """

    sizes: Array
    accuracies: Array
    runs: Array
    within: Array

    def first(self, count: int) -> Points:
        """Return the points at the `count` smallest sizes."""
        return Points(self.sizes[:count], self.accuracies[:count], self.runs[:count], self.within[:count])


@dataclass(frozen=True)
class Fit:
    """A fitted curve. `rss` sums squared errors of means, each times its number of runs; infinite without a fit.

    `free` are the unbounded numbers that stand for the parameters (see `curves`); `note` says why a fit failed.
    """

    name: str
    free: tuple[float, ...]
    rss: float
    converged: bool
    note: str = ""


def fit(
    name: str,
    points: Points,
    unit: float,
    starts: Sequence[Numbers] = (),
    soft_s: float = SOFT_S,
    tolerance: float = TOLERANCE,
) -> Fit:
    """Fit the curve called `name`; sizes are divided by `unit` clips. From `starts` alone, where there are any.

    After `soft_s` seconds of processor time the best so far is returned as not converged. One call of SciPy may last
    longer: run it in a process that can be killed.
    """
    made = curve(name)
    if len(points.sizes) < len(made.parameters):
        return Fit(name, (), np.inf, False, "more parameters than sizes")
    with quietly():
        return _Search(made, points, unit, time.process_time() + soft_s, tolerance).run(starts)


class _OutOfTime(Exception):
    pass


class _Search:
    """Least squares from several starts, which keeps the best seen so that running out of time loses nothing."""

    def __init__(self, made: Curve, points: Points, unit: float, deadline: float, tolerance: float) -> None:
        self.curve, self.deadline, self.tolerance = made, deadline, tolerance
        self.sizes, self.accuracies, self.root = points.sizes / unit, points.accuracies, np.sqrt(points.runs)
        self.best: Array = np.array([])
        self.rss = np.inf

    def run(self, starts: Sequence[Numbers]) -> Fit:
        ends: list[tuple[float, bool]] = []
        try:
            begun = [(self._rss(start), index, start) for index, start in enumerate(self._starts(starts))]
            for _, _, start in sorted(begun, key=lambda each: each[:2])[:POLISHED_STARTS]:
                ends.append(self._polish(start))
                lowest, settled = min(ends, key=lambda end: (end[0], not end[1]))
                if settled and sum(rss <= lowest * (1 + AGREEMENT) + 1e-14 for rss, _ in ends) >= 2:
                    break
            note = "" if ends and min(ends, key=lambda end: end[0])[1] else "evaluations spent before convergence"
        except _OutOfTime:
            note = "time spent before convergence"
        if not np.isfinite(self.rss):
            return Fit(self.curve.name, (), np.inf, False, note or "no start")
        return Fit(self.curve.name, tuple(float(value) for value in self.best), self.rss, not note, note)

    def _starts(self, given: Sequence[Numbers]) -> list[Array]:
        if given:
            return [np.asarray(start, dtype=float) for start in given]
        starts = []
        for start in self.curve.starts(self.sizes, self.accuracies):
            self._check_time()
            starts.append(start)
        return starts

    def _polish(self, start: Numbers) -> tuple[float, bool]:
        """Return the lowest sum of squares found from `start`, and whether the optimiser's own tests were met."""
        from scipy.optimize import least_squares

        evaluations = MAX_EVALUATIONS * len(start)
        found = least_squares(
            self._errors, start, method="lm", max_nfev=evaluations, xtol=self.tolerance, ftol=self.tolerance
        )
        return 2 * float(found.cost), found.status > 0

    def _rss(self, free: Numbers) -> float:
        errors = self._errors(free)
        return float(errors @ errors)

    def _errors(self, free: Numbers) -> Array:
        self._check_time()
        try:
            errors = self.root * (self.curve.accuracy(self.curve.values(free), self.sizes) - self.accuracies)
        except SCIPY_ERRORS:
            return self.root
        errors = np.where(np.isfinite(errors), errors, self.root)  # parameters that are not allowed: an error of 1
        rss = float(errors @ errors)
        if rss < self.rss:
            self.rss, self.best = rss, np.array(free)
        return errors

    def _check_time(self) -> None:
        if time.process_time() > self.deadline:
            raise _OutOfTime
