"""The two figures of the studies: accuracy by number of clips (paper, Figure 3), and arms compared (Figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hashtag2action.report.figures import BLUE, GREEN, GREY, INK, ORANGE, VERMILION, Figure, draw_figure, shorten
from hashtag2action.study.results import Mean, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hashtag2action.study.compare import Difference

COLOURS = (BLUE, VERMILION, GREEN, ORANGE)
MARKERS = ("o", "s", "^", "D")


def size_figure(name: str, points: Sequence[Point], chance: float, test_clips: int, top5: bool) -> Figure:
    """Top-1 (and top-5 where it says something) by number of pre-training clips: every run, means, 95 % intervals."""
    sized = sorted((point for point in points if point.size), key=lambda point: point.size)
    scratch = next((point for point in points if not point.size), None)
    series: list[tuple[str, str, str, Any]] = [("top-1", BLUE, "o", lambda p: (p.top1, p.mean_top1))]
    if top5:
        series.append(("top-5", GREEN, "s", lambda p: (p.top5, p.mean_top5)))

    def draw(axes: Axes) -> None:
        sizes = [point.size for point in sized]
        if sizes and max(sizes) > 4 * min(sizes) and not _even(sizes):
            axes.set_xscale("log")
            axes.minorticks_off()
        for label, colour, marker, of in series:
            for point in sized:
                values = of(point)[0].values()
                axes.plot(
                    [point.size] * len(values), [100 * v for v in values], marker, color=colour, alpha=0.55, markersize=4.5,
                    markeredgewidth=0, transform=_beside(axes, 9, 0),
                )  # fmt: skip
            means = [of(point)[1] for point in sized]
            axes.errorbar(
                [point.size for point in sized], [100 * m.mean for m in means], yerr=_bars(means), color=colour,
                marker=marker, markersize=7, linewidth=2, capsize=4, label=f"{label}, mean and 95 % interval",
            )  # fmt: skip
        if scratch:
            level = scratch.mean_top1
            if level.low is not None and level.high is not None:
                axes.axhspan(100 * level.low, 100 * level.high, color=VERMILION, alpha=0.13, linewidth=0)
            axes.axhline(
                100 * level.mean, color=VERMILION, linestyle=(0, (5, 3)), linewidth=1.8,
                label=f"top-1 without pre-training: {100 * level.mean:.1f} %",
            )  # fmt: skip
        axes.axhline(100 * chance, color=GREY, linestyle=(0, (2, 2)), label=f"guessing: {100 * chance:.1f} %")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.set_xlabel(f"clips pre-trained on (number{', log scale' if axes.get_xscale() == 'log' else ''})")
        axes.set_ylabel(f"right of {test_clips:,} held-out clips (%)")
        axes.margins(x=0.06)
        _room(axes, points, chance, top5)
        axes.legend(loc="upper left", bbox_to_anchor=(-0.02, 1.0), frameon=False, fontsize=9.5, ncols=2)
        axes.grid(axis="y")

    rows: list[Sequence[Any]] = [("size", "runs", "top1", "top1_low", "top1_high", "top5", "top5_low", "top5_high")]
    for point in [*([scratch] if scratch else []), *sized]:
        one, five = point.mean_top1, point.mean_top5
        rows.append((point.size, one.runs, *_rounded(one), *_rounded(five)))
    alt = "; ".join(f"{p.size} clips: top-1 {p.mean_top1.mean:.1%}" for p in sized)
    if scratch:
        alt += f"; without pre-training {scratch.mean_top1.mean:.1%}"
    return draw_figure(name, "Accuracy by number of pre-training clips", alt, rows, draw, 3.9, png=True)


def compare_figure(name: str, points: Sequence[Point], differences: Sequence[Difference], test_clips: int) -> Figure:
    """Above, every run of each arm with mean and interval, the runs of a pair joined; below, the differences."""
    names = [point.condition for point in points]
    looks = {name: (COLOURS[i % 4], MARKERS[i % 4]) for i, name in enumerate(names)}

    def draw(axes: Axes) -> None:
        figure: Any = axes.figure
        axes.remove()
        ratio = [len(points) + 0.7, len(differences) + 0.7]
        upper, lower = figure.subplots(2, 1, height_ratios=ratio)
        runs = sorted({run for point in points for run in point.top1})
        for run in runs:
            line = [(100 * p.top1[run], row) for row, p in enumerate(points) if run in p.top1]
            upper.plot(*zip(*line, strict=True), color=GREY, linewidth=0.8, alpha=0.7, zorder=1, transform=_beside(upper, 0, -9))  # fmt: skip
        for row, point in enumerate(points):
            colour, marker = looks[point.condition]
            values, level = list(point.top1.values()), point.mean_top1
            upper.plot([100 * v for v in values], [row] * len(values), marker, color=colour, alpha=0.6, markersize=5, markeredgewidth=0, transform=_beside(upper, 0, -9))  # fmt: skip
            upper.errorbar(
                [100 * level.mean], [row], xerr=_bars([level]), color=colour, marker=marker, markersize=8,
                markeredgecolor=INK, linewidth=2, capsize=4, zorder=3,
            )  # fmt: skip
            upper.annotate(f"{100 * level.mean:.1f} %", (100 * level.mean, row), (0, 9), textcoords="offset points", ha="center")  # fmt: skip
        upper.set_yticks(range(len(points)), [shorten(name) for name in names])
        upper.set_ylim(len(points) - 0.5, -0.6)
        upper.set_xlabel(f"top-1: right of {test_clips:,} held-out clips (%)")
        upper.set_ylabel("pre-trained on")
        upper.grid(axis="x")
        for row, difference in enumerate(differences):
            low, high = (100 * value for value in difference.interval)
            lower.plot([low, high], [row, row], color=INK, linewidth=2, solid_capstyle="butt")
            lower.plot([100 * difference.difference], [row], "D", color=INK, markersize=7)
            label = f"{100 * difference.difference:+.1f} points, p = {difference.p:.2g}"
            lower.annotate(label, (100 * difference.difference, row), (0, 8), textcoords="offset points", ha="center")
        lower.axvline(0, color=VERMILION, linestyle=(0, (5, 3)), linewidth=1.6)
        pairs = [f"{shorten(d.a, 18)}\n− {shorten(d.b, 18)}" for d in differences]
        lower.set_yticks(range(len(differences)), pairs)
        lower.set_ylim(len(differences) - 0.5, -0.6)
        lower.set_xlabel("difference of top-1, 95 % interval (percentage points)")
        lower.set_ylabel("pair")
        lower.grid(axis="x")

    rows: list[Sequence[Any]] = [("what", "runs", "top1_or_difference", "low", "high", "p")]
    rows += [(p.condition, p.mean_top1.runs, *_rounded(p.mean_top1), "") for p in points]
    rows += [
        (f"{d.a} - {d.b}", d.runs, round(d.difference, 6), *(round(v, 6) for v in d.interval), round(d.p, 6))
        for d in differences
    ]
    alt = "; ".join(f"{p.condition}: {p.mean_top1.mean:.1%}" for p in points)
    height = 1.9 + 0.55 * (len(points) + len(differences))
    return draw_figure(name, "Top-1 after pre-training on different clips", alt, rows, draw, height, png=True)


def _beside(axes: Axes, right: float, up: float) -> Any:
    """Return the transform that draws so many points beside the data's place."""
    from matplotlib.transforms import offset_copy

    return offset_copy(axes.transData, fig=axes.figure, x=right, y=up, units="points")  # type: ignore[arg-type]


def _bars(means: Sequence[Mean]) -> Any:
    low = [100 * (m.mean - (m.mean if m.low is None else m.low)) for m in means]
    high = [100 * ((m.mean if m.high is None else m.high) - m.mean) for m in means]
    return [low, high]


def _rounded(value: Mean) -> tuple[float | str, ...]:
    return tuple("" if number is None else round(number, 6) for number in (value.mean, value.low, value.high))


def _room(axes: Axes, points: Sequence[Point], chance: float, top5: bool) -> None:
    """Leave the upper part to the legend."""
    values = [chance, *(v for p in points for v in p.top1.values())]
    values += [v for p in points for v in p.top5.values()] if top5 else []
    means = [mean for p in points for mean in ([p.mean_top1, p.mean_top5] if top5 else [p.mean_top1])]
    values += [v for m in means for v in (m.low, m.high) if v is not None]
    low, high = 100 * min(values), 100 * max(values)
    span = max(high - low, 5)
    axes.set_ylim(max(0, low - 0.08 * span), high + 0.38 * span)
    axes.set_yticks([tick for tick in axes.get_yticks() if tick <= 100.5 and tick >= axes.get_ylim()[0]])


def _even(sizes: Sequence[int]) -> bool:
    """Whether sizes grow by equal steps."""
    steps = {after - before for before, after in pairwise(sizes)}
    return len(steps) <= 1
