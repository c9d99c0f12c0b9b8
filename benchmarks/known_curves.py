"""Learning curves whose needs are known, and measurements drawn from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from hashtag2action.study.fitting import Points

Array = NDArray[np.float64]

NOISE = 0.003
TARGET = 0.95


@dataclass(frozen=True)
class Known:
    """A curve, the size (clips) at which it reaches 95 %, and rows (size, run, accuracy) measured with noise."""

    family: str
    need: float
    rows: list[tuple[int, int, float]]

    def points(self) -> Points:
        """Return the rows as `h2a study extrapolate` reads them."""
        values = np.array([row[2] for row in self.rows]).reshape(-1, self.rows[-1][1] + 1)
        sizes = np.unique([float(row[0]) for row in self.rows])
        means = values.mean(axis=1)
        return Points(sizes, means, np.full(len(sizes), float(values.shape[1])), ((values.T - means) ** 2).sum(axis=0))


def known_curves(seed: int, count: int = 20) -> Iterator[Known]:
    """Yield curves of ten families in turn, each with 6 to 10 sizes and 2 to 4 runs a size.

    The first size has an accuracy of 30 to 85 %; 95 % is reached at .8 to 3 times the largest size.
    """
    random = np.random.default_rng(seed)
    for index in range(count):
        family = list(FAMILIES)[index % len(FAMILIES)]
        sizes = np.arange(1, random.integers(6, 11) + 1) * 1000.0
        runs = int(random.integers(2, 5))
        accuracy, need = _curve(family, *FAMILIES[family](random), sizes, random)
        rows = [
            (int(size), run, float(min(accuracy(size) + random.normal() * NOISE, 1.0)))
            for size in sizes
            for run in range(runs)
        ]
        yield Known(family, need, rows)


def _power(x: Array, rate: float) -> Array:
    return 1 - (1 + x) ** -rate


def _power_below_one(x: Array, rate: float, top: float) -> Array:
    return top * (1 - (1 + x) ** -rate)


def _weibull(x: Array, shape: float) -> Array:
    return 1 - np.exp(-(x**shape))


def _log_logistic(x: Array, shape: float) -> Array:
    return 1 / (1 + x**-shape)


def _gompertz(x: Array, shape: float) -> Array:
    return np.exp(-shape * np.exp(-x))


def _lognormal(x: Array, shape: float) -> Array:
    return special.ndtr(np.log(x) / shape)


def _gamma(x: Array, shape: float) -> Array:
    return special.gammainc(shape, x)


def _inverse_weibull(x: Array, shape: float) -> Array:
    return np.exp(-(x**-shape))


def _exponential_below_one(x: Array, top: float) -> Array:
    return top * (1 - np.exp(-x))


def _exponential_with_start(x: Array, start: float) -> Array:
    return 1 - (1 - start) * np.exp(-x)


FAMILIES: dict[str, Callable[[np.random.Generator], tuple[Callable[..., Array], dict[str, float]]]] = {
    "power law": lambda r: (_power, {"rate": r.uniform(0.6, 1.5)}),
    "exponential with a start": lambda r: (_exponential_with_start, {"start": r.uniform(0.3, 0.6)}),
    "Weibull": lambda r: (_weibull, {"shape": r.uniform(0.35, 0.8)}),
    "log-logistic": lambda r: (_log_logistic, {"shape": r.uniform(0.7, 1.5)}),
    "Gompertz": lambda r: (_gompertz, {"shape": r.uniform(0.5, 2.0)}),
    "lognormal": lambda r: (_lognormal, {"shape": r.uniform(1.0, 2.2)}),
    "gamma": lambda r: (_gamma, {"shape": r.uniform(0.25, 0.8)}),
    "inverse Weibull": lambda r: (_inverse_weibull, {"shape": r.uniform(0.7, 1.4)}),
    "power law below 1": lambda r: (_power_below_one, {"rate": r.uniform(0.9, 1.8), "top": r.uniform(0.97, 0.99)}),
    "exponential below 1": lambda r: (_exponential_below_one, {"top": r.uniform(0.965, 0.985)}),
}


def _curve(
    family: str, function: Callable[..., Array], shapes: dict[str, float], sizes: Array, random: np.random.Generator
) -> tuple[Callable[[float], float], float]:
    """Return accuracy by size, stretched so that the first accuracy and the need lie in their ranges, and the need."""
    for _ in range(1000):
        need = random.uniform(0.8, 3.0) * sizes[-1]
        root = optimize.brentq(partial(_short, function, shapes), -12, 25)
        accuracy = partial(_stretched, function, shapes, np.exp(root) / need)
        if 0.3 <= accuracy(sizes[0]) <= 0.85:
            return accuracy, float(need)
        shapes = FAMILIES[family](random)[1]
    raise RuntimeError(f"{family}: no curve fits the ranges")


def _short(function: Callable[..., Array], shapes: dict[str, float], log_x: float) -> float:
    return float(function(np.exp(log_x), **shapes)) - TARGET


def _stretched(function: Callable[..., Array], shapes: dict[str, float], stretch: float, size: float) -> float:
    return float(function(size * stretch, **shapes))
