"""The curves that may describe accuracy by size: a CDF of every continuous distribution in SciPy, and two baselines.

Section 7 of the paper takes any CDF as a candidate, because accuracy rises with size and ends at 1. Parameters are
optimised without bounds: a shape in (0, inf) through its logarithm, one in (a, b) through a logistic, `scale` through
its logarithm. Sizes are divided by the largest one measured, so that `loc` and `scale` are of order 1.
"""

from __future__ import annotations

import difflib
import itertools
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashtag2action.errors import UserError

Array = NDArray[np.float64]
Numbers = Sequence[float] | Array

POWER_LAW, SATURATING_EXPONENTIAL = "power law", "saturating exponential"
BASELINES = (POWER_LAW, SATURATING_EXPONENTIAL)
FIXED_INTEGERS = (1, 2, 3, 5, 10, 30)
MAX_STARTS = 18
FARTHEST = 1e6  # largest sizes: a need beyond is as good as none
SCIPY_ERRORS = (ArithmeticError, RuntimeError, ValueError)  # of its root finders and integrals at odd parameters


@dataclass(frozen=True)
class Bounds:
    """An open interval that a parameter lives in, and the transform that leads there from the real line."""

    low: float
    high: float

    def inside(self, free: float) -> float:
        """Return the parameter that the unbounded number `free` stands for."""
        if math.isinf(self.low):
            return free
        if math.isinf(self.high):
            return self.low + math.exp(min(free, 300.0))
        return self.low + (self.high - self.low) / (1 + math.exp(-min(max(free, -300.0), 300.0)))

    def free(self, value: float) -> float:
        """Return the unbounded number that stands for `value`."""
        if math.isinf(self.low):
            return value
        if math.isinf(self.high):
            return math.log(value - self.low)
        share = (value - self.low) / (self.high - self.low)
        return math.log(share / (1 - share))

    def starts(self) -> tuple[float, ...]:
        """Return a few values to begin from."""
        if math.isinf(self.low):
            return (-1.0, -0.1, 0.3, 1.0)
        if math.isinf(self.high):
            return tuple(self.low + step for step in (0.3, 1.0, 3.0, 10.0))
        return tuple(self.low + (self.high - self.low) * share for share in (0.2, 0.5, 0.8))


class Curve(ABC):
    """Accuracy by size, and back. `parameters` names what is fitted, in the order of every vector of parameters."""

    name: str
    parameters: tuple[str, ...]

    @abstractmethod
    def values(self, free: Numbers) -> tuple[float, ...]:
        """Return the parameters that a vector of unbounded numbers stands for."""

    @abstractmethod
    def accuracy(self, values: Numbers, sizes: Array) -> Array:
        """Return accuracies (0..1), NaN where the parameters are not allowed together. `sizes` (N,) as given to fit."""

    @abstractmethod
    def need(self, values: Numbers, targets: Array) -> Array:
        """Return the sizes at which the curve reaches `targets` (N,), infinite above its asymptote."""

    @abstractmethod
    def starts(self, sizes: Array, accuracies: Array) -> Iterator[Array]:
        """Yield vectors of unbounded numbers to begin from."""


class DistributionCurve(Curve):
    """The CDF of one SciPy distribution, with its shapes, `loc` and `scale`."""

    def __init__(self, name: str) -> None:
        from scipy import stats

        self.name = name
        self.distribution: Any = getattr(stats, name)
        shapes = self.distribution._shape_info()  # the only place where SciPy keeps the domains of shapes
        self.parameters = (*(shape.name for shape in shapes), "loc", "scale")
        self.integers = tuple(bool(shape.integrality) for shape in shapes)
        self.bounds = tuple(Bounds(float(s.domain[0]) - 0.5 * s.integrality, float(s.domain[1])) for s in shapes)

    def values(self, free: Numbers) -> tuple[float, ...]:
        """Return the shapes, `loc` and `scale`."""
        *shapes, loc, log_scale = free
        inside = (bound.inside(shape) for bound, shape in zip(self.bounds, shapes, strict=True))
        rounded = (round(shape) if whole else shape for shape, whole in zip(inside, self.integers, strict=True))
        return (*rounded, loc, math.exp(min(log_scale, 300.0)))

    def accuracy(self, values: Numbers, sizes: Array) -> Array:
        """Return the CDF at `sizes`."""
        return np.asarray(self.distribution.cdf(sizes, *values), dtype=float)

    def need(self, values: Numbers, targets: Array) -> Array:
        """Return the inverse CDF at `targets`, by bisection of the CDF where SciPy's own inverse fails."""
        try:
            sizes = np.asarray(self.distribution.ppf(targets, *values), dtype=float)
        except SCIPY_ERRORS:
            sizes = np.full(len(targets), np.nan)
        lost = np.abs(self.accuracy(values, sizes) - targets) > 1e-6
        lost |= ~np.isfinite(sizes)
        sizes[lost] = [self._bisect(values, float(target)) for target in targets[lost]]
        return sizes

    def _bisect(self, values: Numbers, target: float) -> float:
        """Return the size at which the CDF reaches `target`, infinite where it does not by `FARTHEST`, NaN where it jumps."""
        low, high = 0.0, 1.0
        while self._reaches(values, high) < target:
            low, high = high, 2 * high
            if high > FARTHEST:
                return math.inf
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self._reaches(values, middle) < target else (low, middle)
        return high if abs(self._reaches(values, high) - target) < 1e-4 else math.nan

    def _reaches(self, values: Numbers, size: float) -> float:
        return float(self.accuracy(values, np.array([size]))[0])

    def starts(self, sizes: Array, accuracies: Array) -> Iterator[Array]:
        """Yield shapes from a grid, with the `loc` and `scale` that pass through the first point and the last."""
        ends = np.clip(accuracies[[0, -1]], 0.01, 0.999)
        choices = [
            FIXED_INTEGERS if whole else bound.starts() for whole, bound in zip(self.integers, self.bounds, strict=True)
        ]
        grid = list(itertools.product(*choices))
        for shapes in grid[:: max(1, len(grid) // MAX_STARTS)]:
            try:
                low, high = self.distribution.ppf(ends, *shapes)
            except SCIPY_ERRORS:
                continue
            scale = (sizes[-1] - sizes[0]) / (high - low) if high > low else math.nan
            if math.isfinite(scale) and scale > 0:
                free = [bound.free(shape) for bound, shape in zip(self.bounds, shapes, strict=True)]
                yield np.array([*free, sizes[0] - scale * low, math.log(scale)])


class BaselineCurve(Curve):
    """A curve of the literature on learning curves, whose asymptote (at most 1) is fitted too."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.parameters = ("asymptote", "gap", "rate")

    def values(self, free: Numbers) -> tuple[float, ...]:
        """Return the asymptote (0..1), the gap to it and the rate at which it closes, both positive."""
        asymptote, gap, rate = free
        return Bounds(0, 1).inside(asymptote), math.exp(min(gap, 300.0)), math.exp(min(rate, 300.0))

    def accuracy(self, values: Numbers, sizes: Array) -> Array:
        """Return the asymptote less what is left of the gap."""
        asymptote, gap, rate = values
        if self.name == POWER_LAW:
            return asymptote - gap * sizes**-rate
        return asymptote - gap * np.exp(-rate * sizes)

    def need(self, values: Numbers, targets: Array) -> Array:
        """Return where the gap has closed enough; infinite for targets at or above the asymptote."""
        asymptote, gap, rate = values
        short = np.where(targets < asymptote, asymptote - targets, np.nan)
        sizes = (gap / short) ** (1 / rate) if self.name == POWER_LAW else np.log(gap / short) / rate
        return np.where(np.isnan(short), np.inf, sizes)

    def starts(self, sizes: Array, accuracies: Array) -> Iterator[Array]:
        """Yield straight-line fits of the logarithm of the gap, for a few asymptotes."""
        best = float(accuracies.max())
        for asymptote in (best + (1 - best) * share for share in (0.1, 0.5, 0.95)):
            short = np.log(np.clip(asymptote - accuracies, 1e-4, None))
            x = np.log(sizes) if self.name == POWER_LAW else sizes
            slope, constant = np.polyfit(x, short, 1)
            yield np.array([Bounds(0, 1).free(asymptote), constant, math.log(max(-slope, 1e-3))])


@cache
def curve(name: str) -> Curve:
    """Return the curve of that name: a baseline, or a distribution's name in `scipy.stats`."""
    return BaselineCurve(name) if name in BASELINES else DistributionCurve(name)


@contextmanager
def quietly() -> Iterator[None]:
    """Keep NumPy and SciPy from warning: parameters far from any sensible ones are tried, and judged by the outcome."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def curve_names(wanted: Sequence[str] | None = None) -> list[str]:
    """Return the names of all curves, or `wanted` itself. Raises `UserError` for a name that is none."""
    known = [*distribution_names(), *BASELINES]
    for name in wanted or ():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise UserError(f"--curves {name}: no such curve" + (f"; did you mean `{close[0]}`?" if close else ""))
    return list(wanted or known)


def distribution_names() -> list[str]:
    """Return the names of all continuous distributions that the installed SciPy has, sorted."""
    from scipy import stats

    return sorted(name for name, value in vars(stats).items() if isinstance(value, stats.rv_continuous))
