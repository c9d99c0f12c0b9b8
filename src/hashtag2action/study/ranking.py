"""Every curve tried: fitted to all sizes, fitted without the last ones, and ranked by how well it foretells those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hashtag2action.study.curves import curve
from hashtag2action.study.fitting import Fit, Points, fit
from hashtag2action.study.needs import accuracies, criterion


@dataclass(frozen=True)
class Trial:
    """A curve's fit to all sizes, and to all but the last two (`early`).

    `held_out` is the root mean squared error (0..1) of the last size foretold from those before it and of the last two
    foretold from those before them; infinite where a curve cannot be fitted to so few.
    """

    fit: Fit
    early: Fit
    held_out: float


@dataclass(frozen=True)
class Ranked:
    """A trial with its AICc and its places, 1 the best: by fit alone as in the paper, by AICc, by held-out error.

    `place` orders by the mean of the last two; curves that did not converge come last.
    """

    trial: Trial
    aicc: float
    by_fit: int
    by_aicc: int
    by_held_out: int
    place: int


def early_count(count: int) -> int:
    """Return how many of `count` sizes the check run is fitted to."""
    return max(count - 2, 3)


def try_curve(points: Points, unit: float, soft_s: float, name: str) -> Trial:
    """Fit a curve to all sizes and, from there, to fewer; with at most `soft_s` seconds of processor time each."""
    whole = fit(name, points, unit, soft_s=soft_s)
    count, early = len(points.sizes), Fit(name, (), np.inf, False, whole.note)
    errors: list[float] = []
    for kept in (count - 1, early_count(count)):
        if not whole.converged or kept >= count:
            break
        early = fit(name, points.first(kept), unit, [whole.free], soft_s)
        if not early.free:
            errors.append(np.inf)
            break
        errors += list(accuracies(early, points.sizes[kept:], unit) - points.accuracies[kept:])
    finite = bool(errors) and bool(np.all(np.isfinite(errors)))
    return Trial(whole, early, float(np.sqrt(np.mean(np.square(errors)))) if finite else np.inf)


def rank(trials: Sequence[Trial], points: Points, noise: float | None) -> list[Ranked]:
    """Return the trials with their places, the best first. Values that agree to three digits share a place."""
    scores = [criterion(trial.fit, points, noise) for trial in trials]
    by_fit = _places([trial.fit.rss for trial in trials])
    by_aicc = _places(scores)
    by_held_out = _places([trial.held_out for trial in trials])
    order = sorted(
        range(len(trials)),
        key=lambda i: (
            not trials[i].fit.converged, by_held_out[i] + by_aicc[i], by_fit[i], len(trials[i].fit.free), trials[i].fit.name,
        ),
    )  # fmt: skip
    return [
        Ranked(trials[i], scores[i], by_fit[i], by_aicc[i], by_held_out[i], place + 1) for place, i in enumerate(order)
    ]


def parameters(found: Fit) -> dict[str, float]:
    """Return the fitted parameters by name, in the units of the fit (sizes divided by the largest)."""
    made = curve(found.name)
    return dict(zip(made.parameters, made.values(found.free), strict=True)) if found.free else {}


def _places(values: Sequence[float]) -> list[int]:
    rounded = [float(f"{value:.3g}") for value in values]
    return [1 + sum(other < value for other in rounded) for value in rounded]
