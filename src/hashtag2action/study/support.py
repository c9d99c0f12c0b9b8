"""What the measurements can support, in plain words."""

from __future__ import annotations

import math

import numpy as np

from hashtag2action.study.fitting import Points
from hashtag2action.study.needs import MIN_NOISE, Ensemble

FAR = 3.0  # the known-curve check reaches 3 times the largest size
WIDE = 2.0
OFTEN_UNREACHED = 0.05
NO_SPREAD = 1e-10


def doubts(accuracy: float, low: float, need: float, high: float, unreached: float, points: Points) -> list[str]:
    """Return why a target's needed size (clips, with its interval) is not to be relied on; empty if nothing says so."""
    largest, found = float(points.sizes[-1]), []
    if accuracy < float(points.accuracies[0]):
        found.append("lies below the accuracy at the smallest size measured")
    if unreached >= OFTEN_UNREACHED:
        found.append(f"lies above the asymptote in {unreached:.0%} of the votes")
    if need > FAR * largest:
        found.append(
            f"lies {need / largest:.0f} times beyond the largest size measured"
            if math.isfinite(need)
            else "is not reached by most curves"
        )
    if math.isfinite(high) and high > WIDE * low:
        found.append(f"has an interval that spans a factor of {high / low:.1f}")
    return found


def warnings_of(points: Points, ensemble: Ensemble, known_noise: float | None) -> list[str]:
    """Return what is wrong with the measurements themselves."""
    found = []
    spread = float(points.within.sum())
    if spread < NO_SPREAD and known_noise is None:
        found.append(
            "no spread of runs is known: the noise is guessed from how well curves fit, and intervals may be too narrow; "
            "repeat runs, or give the standard deviation of a run with --noise"
        )
    if len(points.sizes) < 6:
        found.append(f"only {len(points.sizes)} sizes: curves with as many parameters cannot be told apart")
    spare = points.runs.sum() - len(points.sizes)
    noise = max(math.sqrt(spread / spare), MIN_NOISE) if spread >= NO_SPREAD else ensemble.noise
    fall = np.diff(points.accuracies)
    error = noise * np.sqrt(1 / points.runs[1:] + 1 / points.runs[:-1])
    for index in np.flatnonzero(fall < -2.5 * error):
        found.append(
            f"accuracy falls from {points.sizes[index]:,.0f} to {points.sizes[index + 1]:,.0f} clips by more than noise: "
            "no rising curve describes that"
        )
    if math.sqrt(ensemble.voters[0].fit.rss / points.runs.sum()) > 2 * noise:
        found.append("the best curve misses the means by more than the runs' spread explains: no curve fits")
    return found
