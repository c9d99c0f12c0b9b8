"""The sizes that targets need, with intervals: curves that explain the measurements vote by their AICc, and each is
fitted again to resampled accuracies.

Many of SciPy's distributions end in the same curve (Pareto, Lomax and the generalised Pareto, say), so curves that
agree over the sizes of interest share one vote. A curve whose fit did not converge has none.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hashtag2action.study.curves import SCIPY_ERRORS, Array, curve, quietly
from hashtag2action.study.fitting import Fit, Points, fit

MIN_NOISE = 0.001  # standard deviation of one accuracy: no study knows its own better than this
SAME_CURVE = 2e-4
LEAST_WEIGHT = 0.005
MAX_VOTERS = 16
LEAST_RESAMPLES = 10
BOOTSTRAP_S = 10.0
SHARES = (0.05, 0.5, 0.95)  # of a 90 % interval, and the median


@dataclass(frozen=True)
class Voter:
    """A curve that has a vote: its `fit`, its `weight` (all add up to 1), and the names of those that draw the same."""

    fit: Fit
    weight: float
    same: tuple[str, ...]


@dataclass(frozen=True)
class Ensemble:
    """What the voters say together.

    `needs` (3, T) are sizes at the shares of `SHARES`, infinite where the curves stay below the target; `unreached`
    (T,) is the share of votes that never reach it; `band` (3, G) are accuracies at the sizes asked for.
    """

    voters: tuple[Voter, ...]
    noise: float
    needs: Array
    unreached: Array
    band: Array


def criterion(found: Fit, points: Points, noise: float | None = None) -> float:
    """Return the AICc of a fit to single runs; infinite where there are too few values for its parameters.

    The noise is estimated with the curve, but not below `MIN_NOISE`; where it is known there is no correction for it.
    """
    if not found.free:
        return np.inf
    count = float(points.runs.sum())
    rss = found.rss + float(points.within.sum())
    variance = noise**2 if noise else max(rss / count, MIN_NOISE**2)
    deviance = count * np.log(variance) + rss / variance
    parameters = len(found.free) + (noise is None)
    if noise:
        return float(deviance + 2 * parameters)
    spare = count - parameters - 1
    return float(deviance + 2 * parameters * count / spare) if spare > 0 else np.inf


def vote(fits: Sequence[Fit], points: Points, unit: float, horizon: Array, noise: float | None = None) -> list[Voter]:
    """Return the curves that have a vote, the heaviest first. `horizon` are the sizes over which curves are told apart."""
    scored = [(criterion(each, points, noise), each) for each in fits if each.converged]
    scored = sorted((pair for pair in scored if np.isfinite(pair[0])), key=lambda pair: (pair[0], pair[1].name))
    groups: list[tuple[float, Fit, Array, list[str]]] = []
    for score, each in scored:
        if score > scored[0][0] - 2 * np.log(LEAST_WEIGHT / 10):
            break
        drawn = accuracies(each, horizon, unit)
        if not np.all(np.isfinite(drawn)):
            continue
        same = next((group for group in groups if np.max(np.abs(group[2] - drawn)) < SAME_CURVE), None)
        if same:
            same[3].append(each.name)
        else:
            groups.append((score, each, drawn, []))
    weights = np.exp([-0.5 * (group[0] - groups[0][0]) for group in groups]) if groups else np.array([])
    weights = np.where(weights >= LEAST_WEIGHT * weights.sum(), weights, 0)[:MAX_VOTERS]
    weights = weights / weights.sum()
    chosen = zip(groups, weights, strict=False)
    return [Voter(group[1], float(weight), tuple(group[3])) for group, weight in chosen if weight]


def ensemble(
    voters: Sequence[Voter],
    points: Points,
    unit: float,
    targets: Array,
    sizes: Array,
    resamples: int,
    seed: int,
    noise: float | None = None,
) -> Ensemble:
    """Return needed sizes and the band of accuracies at `sizes` by parametric bootstrap.

    The heaviest voter gets `resamples`, the others as many fewer as their weight is less, and none takes over
    `BOOTSTRAP_S` seconds of processor time.
    """
    spread, freedom = _noise(voters, points, noise)
    needs, drawn, weights = [], [], []
    for voter in voters:
        count = max(LEAST_RESAMPLES, round(resamples * voter.weight / voters[0].weight))
        random = np.random.default_rng([seed, zlib.crc32(voter.fit.name.encode())])
        again = _refits(voter.fit, points, unit, spread, freedom, count, random)
        needs += [needed(each, targets, unit) for each in again]
        drawn += [accuracies(each, sizes, unit) for each in again]
        weights += [voter.weight / len(again)] * len(again)
    every, bands, share = np.array(needs), np.array(drawn), np.array(weights)
    share = share / share.sum()
    return Ensemble(
        tuple(voters),
        spread,
        np.array([[quantile(column, share, at) for column in every.T] for at in SHARES]),
        np.array([share[~np.isfinite(column)].sum() for column in every.T]),
        np.array([[quantile(column, share, at) for column in bands.T] for at in SHARES]),
    )


def accuracies(found: Fit, sizes: Array, unit: float) -> Array:
    """Return the accuracies of a fitted curve at `sizes` (clips), NaN where SciPy has none."""
    made = curve(found.name)
    with quietly():
        try:
            return made.accuracy(made.values(found.free), sizes / unit)
        except SCIPY_ERRORS:
            return np.full(len(sizes), np.nan)


def needed(found: Fit, targets: Array, unit: float) -> Array:
    """Return the sizes (clips) at which a fitted curve reaches `targets`, NaN where SciPy finds none."""
    made = curve(found.name)
    with quietly():
        try:
            return made.need(made.values(found.free), targets) * unit
        except SCIPY_ERRORS:
            return np.full(len(targets), np.nan)


def quantile(values: Array, weights: Array, share: float) -> float:
    """Return the weighted quantile of `values` (N,), which may be infinite; NaN are left out."""
    known = ~np.isnan(values)
    order = np.argsort(values[known])
    rising = np.cumsum(weights[known][order])
    index = int(np.searchsorted(rising, share * rising[-1]))
    return float(values[known][order][min(index, len(order) - 1)])


def _noise(voters: Sequence[Voter], points: Points, noise: float | None) -> tuple[float, float]:
    """Return the standard deviation of one accuracy, and how many degrees of freedom it was estimated with."""
    if noise:
        return noise, np.inf
    count, best = float(points.runs.sum()), voters[0].fit
    freedom = max(count - len(best.free), 1.0)
    return max(float(np.sqrt((best.rss + points.within.sum()) / freedom)), MIN_NOISE), freedom


def _refits(
    found: Fit, points: Points, unit: float, noise: float, freedom: float, count: int, random: np.random.Generator
) -> list[Fit]:
    """Return the curve fitted to `count` resamples of its own accuracies; itself where none could be fitted."""
    base, deadline = accuracies(found, points.sizes, unit), time.process_time() + BOOTSTRAP_S
    again = []
    for _ in range(count):
        wide = noise if np.isinf(freedom) else noise * np.sqrt(freedom / random.chisquare(freedom))
        sampled = base + random.normal(size=len(base)) * wide / np.sqrt(points.runs)
        resampled = Points(points.sizes, sampled, points.runs, points.within)
        again.append(fit(found.name, resampled, unit, [found.free], tolerance=1e-4))
        if time.process_time() > deadline:
            break
    return [each for each in again if each.free] or [found]
