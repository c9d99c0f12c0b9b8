"""The figure of an extrapolation: what was measured, the curves that vote, their band, and what the targets need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hashtag2action.report.figures import BLUE, GREEN, GREY, INK, ORANGE, RULE, VERMILION, Figure, draw_figure
from hashtag2action.study.needs import accuracies

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hashtag2action.study.extrapolate import Extrapolation, Need

DRAWN_CURVES = 3
Y_MARKS = (0, 10, 20, 30, 40, 50, 60, 70, 80, 85, 90, 93, 95, 96, 97, 98, 99, 99.5, 99.9)


def needs_figure(result: Extrapolation) -> Figure:
    """Accuracy (%) by number of clips on a logarithmic axis: means, curves, 90 % band, and a bar for each target."""
    points, voters = result.points, result.ensemble.voters
    smallest, largest = float(points.sizes[0]), float(points.sizes[-1])
    ends = [end for need in result.needs for end in (need.size, need.high) if math.isfinite(end)]
    right = min(max([1.3 * largest, *(1.15 * end for end in ends)]), float(result.band_sizes[-1]))
    sizes = np.geomspace(0.85 * smallest, right, 200)

    def draw(axes: Axes) -> None:
        axes.set_xscale("log")
        axes.axvspan(largest, right, color=RULE, alpha=0.35, linewidth=0)
        low, _, high = 100 * result.ensemble.band
        axes.fill_between(result.band_sizes, low, high, color=BLUE, alpha=0.22, linewidth=0, label="90 % of all votes")
        styles = [(BLUE, "-"), (GREEN, (0, (6, 2))), (VERMILION, (0, (2, 1.5)))]
        for voter, (colour, line) in zip(voters[:DRAWN_CURVES], styles, strict=False):
            alike = f" and {len(voter.same)} alike" if voter.same else ""
            label = f"{voter.fit.name}{alike}: {voter.weight:.0%} of the votes"
            axes.plot(sizes, 100 * accuracies(voter.fit, sizes, largest), color=colour, linestyle=line, linewidth=1.8, label=label)  # fmt: skip
        axes.plot(
            points.sizes,
            100 * points.accuracies,
            "o",
            color=INK,
            markersize=6,
            label="measured, mean of runs",
            zorder=5,
        )
        for need in result.needs:
            _target(axes, need, right)
        axes.plot(
            [],
            [],
            "D-",
            color=ORANGE,
            markeredgecolor=INK,
            linewidth=4,
            label="needed, with its 90 % interval",
        )
        axes.set_xlim(sizes[0], right)
        axes.set_yscale("function", functions=(_missing, _reached))
        bottom = 100 * float(points.accuracies.min())
        top = 100 - 0.7 * (100 - 100 * max([need.target for need in result.needs] + [float(points.accuracies.max())]))
        axes.set_ylim(100 - 1.12 * (100 - bottom), top)
        axes.set_yticks([mark for mark in Y_MARKS if axes.get_ylim()[0] <= mark <= top])
        _ticks(axes, sizes[0], right)
        axes.set_xlabel("clips pre-trained on (number, logarithmic)")
        axes.set_ylabel("top-1 accuracy (%), spaced by\nthe logarithm of what is missing")
        axes.annotate("not measured", (largest, bottom), (5, 0), textcoords="offset points", color=INK, fontsize=9.5)
        axes.figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=9.5, columnspacing=1.2)
        axes.grid(axis="y")

    rows: list[Sequence[Any]] = [("what", "size", "accuracy", "low", "high")]
    rows += [("measured", *pair, "", "") for pair in zip(points.sizes, points.accuracies, strict=True)]
    for size, *band in zip(result.band_sizes, *result.ensemble.band[[1, 0, 2]], strict=True):
        rows.append(("median of the votes", round(float(size), 1), *(round(float(value), 6) for value in band)))
    alt = "; ".join(f"{need.target:.3g} needs {need.size:,.0f} clips ({need.low:,.0f} to {need.high:,.0f})" for need in result.needs)  # fmt: skip
    wanted = [f"{100 * need.target:.4g}" for need in result.needs]
    title = f"Clips needed for {' to '.join(dict.fromkeys((wanted[0], wanted[-1])))} % accuracy"
    return draw_figure("extrapolation", title, alt, rows, draw, 4.9, png=True)


def _target(axes: Axes, need: Need, right: float) -> None:
    """Draw a target's interval as a bar at its height: full where the measurements support it, hollow where not."""
    height = 100 * need.target
    axes.annotate(_short(need), (0.012, height), (0, 3), xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=9.5)  # fmt: skip
    axes.axhline(height, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
    if need.low < right:
        end = min(need.high, right)
        axes.plot([need.low, end], [height, height], color=ORANGE, linewidth=4, alpha=0.9 if not need.doubts else 0.45, solid_capstyle="butt", zorder=4)  # fmt: skip
        if need.high > right:
            axes.plot([right], [height], marker=">", color=ORANGE, markersize=9, clip_on=False, zorder=6)
    if need.size < right:
        face = ORANGE if not need.doubts else "white"
        axes.plot(
            [need.size],
            [height],
            "D",
            color=ORANGE,
            markerfacecolor=face,
            markeredgecolor=INK,
            markersize=6.5,
            zorder=6,
        )


def _short(need: Need) -> str:
    size = f"{need.size:,.0f}" if math.isfinite(need.size) else "never"
    return f"{100 * need.target:.4g} %: {size}{'' if not need.doubts else ' (not supported)'}"


def _missing(percent: Any) -> Any:
    """Return a height that rises as the error falls by equal factors."""
    return -np.log10(np.clip(100 - np.asarray(percent, dtype=float), 1e-6, None))


def _reached(height: Any) -> Any:
    return 100 - 10 ** -np.asarray(height, dtype=float)


def _ticks(axes: Axes, left: float, right: float) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    marks = [step * 10**power for power in range(0, 16) for step in (1, 2, 5) if left <= step * 10**power <= right]
    axes.xaxis.set_major_locator(FixedLocator(marks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{mark:,}" for mark in marks])
