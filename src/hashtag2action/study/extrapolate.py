"""Which sizes do target accuracies need? Section 7 of the paper, with intervals, a check and its limits said.

Every continuous distribution of SciPy and two baselines are fitted to the measured accuracies, each in bounded time;
the curves that explain them vote on the needed sizes; and the same is done without the last sizes, to see how well
those are foretold.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from hashtag2action.console import track
from hashtag2action.engine import Engine, make_engine
from hashtag2action.errors import UserError
from hashtag2action.study.curves import Array, curve_names
from hashtag2action.study.fitting import SOFT_S, Fit, Points
from hashtag2action.study.measured import read_points
from hashtag2action.study.needs import Ensemble, ensemble, needed, vote
from hashtag2action.study.ranking import Ranked, Trial, early_count, rank, try_curve
from hashtag2action.study.support import FAR, doubts, warnings_of

BAND_SIZES = 100
BAND_REACH = 20.0  # times the largest size measured
CHECK_RESAMPLES = 60
TIMEOUT_S = 60.0  # generous: a busy machine must not lose fits, which bound their own processor time


@dataclass(frozen=True)
class Need:
    """The size (clips) that a target accuracy needs, with its 90 % interval, and why to doubt it; may be infinite."""

    target: float
    size: float
    low: float
    high: float
    unreached: float
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """The measured accuracy of a size that was left out, and what the smaller sizes foretell, with a 90 % interval.

    The interval is of a mean of as many runs as were measured.
    """

    size: float
    measured: float
    foretold: float
    low: float
    high: float

    @property
    def inside(self) -> bool:
        """Whether the measured accuracy lies in the interval."""
        return self.low <= self.measured <= self.high


@dataclass(frozen=True)
class Extrapolation:
    """The whole result. `band_sizes` (G,) clips go with `ensemble.band`; `fitted_to` is the check's largest size."""

    points: Points
    needs: tuple[Need, ...]
    ranked: tuple[Ranked, ...]
    ensemble: Ensemble
    band_sizes: Array
    fitted_to: float
    check: tuple[Check, ...]
    warnings: tuple[str, ...]
    seconds: float

    @property
    def unit(self) -> float:
        """The largest size (clips), which fits are scaled by."""
        return float(self.points.sizes[-1])

    def need_of(self, found: Fit) -> Array:
        """Return the sizes (T,) in clips that one curve alone needs for the targets."""
        return needed(found, np.array([need.target for need in self.needs]), self.unit)


def extrapolate(
    results: Path | Points,
    targets: Sequence[float],
    *,
    resamples: int = 200,
    seed: int = 0,
    noise: float | None = None,
    workers: int = 0,
    timeout_s: float = TIMEOUT_S,
    names: Sequence[str] | None = None,
) -> Extrapolation:
    """Return the sizes that `targets` (0..1) need, from a CSV (see `measured`) or from points.

    `noise` is the standard deviation of one run, where it is known; `names` are the curves to try, all without it. A
    fit that takes over `timeout_s` seconds is killed. Raises `UserError` where nothing can be fitted.
    """
    begun = time.monotonic()
    points = read_points(results) if isinstance(results, Path) else results
    engine, unit, wanted = (
        make_engine("local", workers, timeout_s=timeout_s),
        float(points.sizes[-1]),
        np.array(targets),
    )
    trials = _try_all(points, unit, curve_names(names), engine, timeout_s)
    ranked = rank(trials, points, noise)
    band_sizes = np.geomspace(points.sizes[0], BAND_REACH * unit, BAND_SIZES)
    near = np.geomspace(points.sizes[0], FAR * unit, BAND_SIZES)
    voters = vote([each.trial.fit for each in ranked], points, unit, near, noise)
    if not voters:
        raise UserError(
            f"{len(points.sizes)} sizes with {points.runs.sum():.0f} runs: too few values to judge any curve"
        )
    together = ensemble(voters, points, unit, wanted, band_sizes, resamples, seed, noise)
    needs = []
    for target, (low, size, high), unreached in zip(targets, together.needs.T, together.unreached, strict=True):
        reasons = doubts(target, low, size, high, unreached, points)
        needs.append(Need(target, size, low, high, unreached, tuple(reasons)))
    kept = early_count(len(points.sizes))
    check = _check(trials, points, kept, min(resamples, CHECK_RESAMPLES), seed, noise)
    warnings = warnings_of(points, together, noise)
    if check and not all(each.inside for each in check):
        warnings.append("the check run misses a size that was measured: take the needed sizes with caution")
    return Extrapolation(
        points, tuple(needs), tuple(ranked), together, band_sizes, float(points.sizes[kept - 1]), tuple(check), tuple(warnings),
        time.monotonic() - begun,
    )  # fmt: skip


def _try_all(points: Points, unit: float, names: Sequence[str], engine: Engine, timeout_s: float) -> list[Trial]:
    work = partial(try_curve, points, unit, min(SOFT_S, timeout_s / 2))
    trials = []
    for outcome in track(engine.map(work, names), len(names), "fits"):
        lost = Fit(outcome.item, (), np.inf, False, outcome.failure.value if outcome.failure else "")
        trials.append(outcome.result or Trial(lost, lost, np.inf))
    return sorted(trials, key=lambda trial: trial.fit.name)


def _check(
    trials: Sequence[Trial], points: Points, kept: int, resamples: int, seed: int, noise: float | None
) -> list[Check]:
    """Foretell the sizes after the first `kept` from those; nothing where these are too few."""
    known, left = points.first(kept), points.sizes[kept:]
    early = [trial.early for trial in trials]
    unit = float(points.sizes[-1])
    voters = vote(early, known, unit, np.geomspace(points.sizes[0], unit, BAND_SIZES), noise)
    if not voters or not len(left):
        return []
    together = ensemble(voters, known, unit, np.array([]), left, resamples, seed, noise)
    own = 1.645 * together.noise / np.sqrt(points.runs[kept:])
    low, middle, high = together.band
    low, high = middle - np.hypot(middle - low, own), middle + np.hypot(high - middle, own)
    columns = zip(left, points.accuracies[kept:], middle, low, high, strict=True)
    return [Check(*(float(value) for value in column)) for column in columns]
