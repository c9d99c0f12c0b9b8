"""Figures of a data set and of training, as SVG that is the same bytes for the same numbers.

Colours are those of Okabe and Ito, told apart with any colour vision; where two meet, a hatch or a line style tells
them apart as well. Every figure is drawn 600 px wide.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hashtag2action.catalog.statistics import HashtagCount

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#8a8f98"
INK, RULE, PAPER = "#1f2430", "#d8dbe2", "#ffffff"
WIDTH_IN, DPI = 6.25, 96  # 600 px
MAX_BARS = 25
MAX_CLASSES = 20

Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Figure:
    """A drawn figure: `svg` to look at, `rows` (the first is the header) to calculate with, `alt` to be read aloud."""

    name: str
    title: str
    alt: str
    svg: str
    rows: Rows

    @property
    def csv(self) -> str:
        """The rows as CSV text."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self.rows)
        return text.getvalue()


def hashtags(counts: Sequence[HashtagCount]) -> Figure:
    """Clips kept, waiting for review and rejected, a bar for each hashtag; the most frequent ones where there are many."""
    shown = counts[:MAX_BARS]
    parts = {
        "kept": ([row.kept for row in shown], BLUE, ""),
        "in review": ([row.review for row in shown], ORANGE, "///"),
        "not kept": ([row.registered - row.kept - row.review for row in shown], RULE, ""),
    }

    def draw(axes: Axes) -> None:
        left = [0] * len(shown)
        names = [shorten(row.hashtag) for row in shown]
        for name, (values, colour, hatch) in parts.items():
            axes.barh(
                range(len(shown)),
                values,
                left=left,
                color=colour,
                hatch=hatch,
                edgecolor=PAPER,
                linewidth=0.6,
                label=name,
            )
            left = [a + b for a, b in zip(left, values, strict=True)]
        axes.set_yticks(range(len(shown)), names)
        axes.invert_yaxis()
        axes.set_xlabel("videos")
        axes.set_ylabel("hashtag")
        _whole_numbers(axes.xaxis)
        for y, row in enumerate(shown):
            axes.annotate(
                f"{row.kept} of {row.registered}", (row.registered, y), (4, 0), textcoords="offset points", va="center"
            )
        axes.margins(x=0.16)
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, borderaxespad=0.1)
        axes.grid(axis="x")

    rest = f" (the {len(shown)} most frequent of {len(counts)})" if len(counts) > len(shown) else ""
    alt = "; ".join(f"{row.hashtag}: {row.kept} of {row.registered} kept" for row in shown[:10])
    rows = [("hashtag", "registered", "kept", "review"), *((c.hashtag, c.registered, c.kept, c.review) for c in counts)]
    return _figure("hashtags", f"Videos and clips per hashtag{rest}", alt, rows, draw, 1.5 + 0.29 * len(shown))


def durations(bins: Mapping[str, int]) -> Figure:
    """Clips by length of the scene they come from, before the cap to the longest clip allowed."""
    return _bars(
        "durations", "How long the chosen scenes are", bins, "length of the scene before the cap", "clips", BLUE
    )


def count_ranges(bins: Mapping[str, int]) -> Figure:
    """Hashtags by number of clips."""
    return _bars("count-ranges", "How many clips a hashtag has", bins, "clips of the hashtag", "hashtags", BLUE)


def rejects(reasons: Mapping[str, int]) -> Figure:
    """Rejected videos by reason."""

    def draw(axes: Axes) -> None:
        axes.barh(range(len(reasons)), list(reasons.values()), color=VERMILION, height=0.66)
        axes.set_yticks(range(len(reasons)), [name.replace("_", " ") for name in reasons])
        axes.invert_yaxis()
        axes.set_xlabel("videos")
        axes.set_ylabel("reason")
        _whole_numbers(axes.xaxis)
        for y, count in enumerate(reasons.values()):
            axes.annotate(f"{count:,}", (count, y), (4, 0), textcoords="offset points", va="center")
        axes.margins(x=0.1)
        axes.grid(axis="x")

    alt = "; ".join(f"{name.replace('_', ' ')}: {count}" for name, count in reasons.items())
    rows = [("reason", "videos"), *reasons.items()]
    return _figure("rejects", "Why videos were rejected", alt, rows, draw, 1.2 + 0.31 * len(reasons))


def pretrain_loss(steps: Sequence[int], losses: Sequence[float], baseline: float | None) -> Figure:
    """Reconstruction loss by step; `baseline` is the loss of predicting each hidden patch by its mean."""

    def draw(axes: Axes) -> None:
        _curve(axes, steps, losses, BLUE, "the model")
        if baseline is not None:
            label = f"predicting each patch's mean: {baseline:.2f}"
            axes.axhline(baseline, color=VERMILION, linestyle=(0, (5, 3)), linewidth=1.6, label=label)
        axes.annotate(
            f"{losses[-1]:.2f}",
            (steps[-1], losses[-1]),
            (0, -13),
            ha="right",
            textcoords="offset points",
            color=BLUE,
            weight="bold",
        )
        axes.legend(loc="lower left", frameon=False)
        axes.set_xlabel("optimiser step")
        _whole_numbers(axes.xaxis)
        axes.set_ylabel("mean squared error\nof normalised pixels")
        axes.set_ylim(0, max(*losses, baseline or 0) * 1.12)
        axes.grid(axis="y")

    alt = f"Loss {losses[0]:.3f} at step {steps[0]}, {losses[-1]:.3f} at step {steps[-1]}"
    if baseline is not None:
        alt += f"; predicting each patch's mean gives {baseline:.3f}"
    rows = [("step", "loss"), *zip(steps, losses, strict=True)]
    return _figure("pretrain-loss", "Pre-training: error of the reconstructed patches", alt, rows, draw, 3.1)


def finetune_curves(
    losses: Sequence[tuple[int, float]], accuracies: Mapping[str, Sequence[tuple[int, float]]], chance: float | None
) -> Figure:
    """Classification loss by step above; below, where it was measured, accuracy (0..1) on each part of the data."""
    lower = {name: points for name, points in accuracies.items() if points}

    def draw(axes: Axes) -> None:
        panels = [axes]
        if lower:
            figure: Any = axes.figure
            axes.remove()
            panels = list(figure.subplots(2, 1, sharex=True))
        _curve(panels[0], [step for step, _ in losses], [loss for _, loss in losses], BLUE, "loss")
        panels[0].set_ylabel("cross-entropy (nats)")
        panels[0].set_ylim(bottom=0)
        panels[-1].set_xlabel("optimiser step")
        _whole_numbers(panels[-1].xaxis)
        styles = [(VERMILION, "-", "o"), (GREEN, "--", "s"), (ORANGE, ":", "^")]
        for (name, points), (colour, line, marker) in zip(lower.items(), styles, strict=False):
            x, y = zip(*points, strict=True)
            panels[1].plot(
                x, [100 * value for value in y], color=colour, linestyle=line, marker=marker, markersize=4, label=name
            )
        if lower:
            panels[1].set_ylabel("top-1 (%)")
            panels[1].set_ylim(0, 104)
            if chance is not None:
                panels[1].axhline(100 * chance, color=GREY, linestyle=(0, (2, 2)), linewidth=1.4, label="chance")
            panels[1].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False, borderaxespad=0.1)
        for panel in panels:
            panel.grid(axis="y")

    alt = f"Loss {losses[0][1]:.3f} at step {losses[0][0]}, {losses[-1][1]:.3f} at step {losses[-1][0]}"
    alt += "".join(f"; {name} top-1 at the end {points[-1][1]:.1%}" for name, points in lower.items())
    rows = [("series", "step", "value"), *(("loss", *point) for point in losses)]
    rows += [(f"{name} top-1", *point) for name, points in lower.items() for point in points]
    return _figure("finetune", "Fine-tuning", alt, rows, draw, 4.6 if lower else 3.0)


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """Held-out videos by true class (row) and predicted class (column); the classes most confused where there are many."""
    order = list(range(len(classes)))
    if len(order) > MAX_CLASSES:
        wrong = [sum(matrix[i]) - matrix[i][i] + sum(row[i] for row in matrix) - matrix[i][i] for i in order]
        order = sorted(sorted(order, key=lambda i: (-wrong[i], i))[:MAX_CLASSES])
    shown = [[matrix[i][j] for j in order] for i in order]
    largest = max(1, *(value for row in shown for value in row))

    def draw(axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        axes.set(xlim=(-0.5, len(order) - 0.5), ylim=(len(order) - 0.5, -0.5))
        names = [shorten(classes[i]) for i in order]
        axes.set_xticks(
            range(len(order)),
            names,
            rotation=40 if len(order) > 3 else 0,
            ha="right" if len(order) > 3 else "center",
            rotation_mode="anchor",
        )
        axes.set_yticks(range(len(order)), names)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.set_xticks([i - 0.5 for i in range(len(order) + 1)], minor=True)
        axes.set_yticks([i - 0.5 for i in range(len(order) + 1)], minor=True)
        axes.grid(which="minor", color=RULE, linewidth=0.8)
        axes.tick_params(which="minor", length=0)
        for y, row in enumerate(shown):
            for x, value in enumerate(row):
                if value:
                    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, color=BLUE, alpha=value / largest, linewidth=0))
                    weight = "bold" if x == y else "normal"
                    axes.text(
                        x,
                        y,
                        str(value),
                        ha="center",
                        va="center",
                        weight=weight,
                        color=WHITE if value > 0.45 * largest else INK,
                    )

    correct, total = sum(matrix[i][i] for i in range(len(classes))), sum(map(sum, matrix))
    rest = f" ({len(order)} most confused of {len(classes)})" if len(order) < len(classes) else ""
    rows = [("true \\ predicted", *classes), *((name, *row) for name, row in zip(classes, matrix, strict=True))]
    alt = f"{correct} of {total} held-out videos lie on the diagonal"
    return _figure(
        "confusion", f"Held-out videos: true and predicted class{rest}", alt, rows, draw, 2.0 + 0.34 * len(order)
    )


def shorten(text: str, length: int = 26) -> str:
    """Return `text` with its middle cut out where it is longer than `length` characters."""
    return text if len(text) <= length else text[: length * 2 // 3] + "…" + text[-(length // 3 - 1) :]


WHITE = "#fffffe"  # stays white where PAPER is exchanged for a dark page's own


def _bars(name: str, title: str, bins: Mapping[str, int], x: str, y: str, colour: str) -> Figure:
    def draw(axes: Axes) -> None:
        axes.bar(range(len(bins)), list(bins.values()), color=colour, width=0.66)
        axes.set_xticks(range(len(bins)), list(bins))
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        _whole_numbers(axes.yaxis)
        total = sum(bins.values()) or 1
        for index, count in enumerate(bins.values()):
            axes.annotate(
                f"{count:,} ({count / total:.0%})", (index, count), (0, 3), textcoords="offset points", ha="center"
            )
        axes.margins(y=0.14)
        axes.grid(axis="y")

    alt = "; ".join(f"{key}: {count}" for key, count in bins.items())
    return _figure(name, title, alt, [(x, y), *bins.items()], draw, 2.9)


def _curve(axes: Axes, x: Sequence[float], y: Sequence[float], colour: str, label: str) -> None:
    """Draw every value faintly and, where there are many, their running mean on top."""
    span = len(y) // 25
    if span < 2:
        axes.plot(x, y, color=colour, linewidth=2, label=label)
        return
    axes.plot(x, y, color=colour, linewidth=0.8, alpha=0.35)
    smooth = [sum(y[max(0, i - span) : i + span + 1]) / len(y[max(0, i - span) : i + span + 1]) for i in range(len(y))]
    axes.plot(x, smooth, color=colour, linewidth=2.2, label=label)


def _whole_numbers(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _figure(name: str, title: str, alt: str, rows: Rows, draw: Callable[[Axes], None], height_in: float) -> Figure:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(_style(name)):
        figure = Canvas(figsize=(WIDTH_IN, height_in), dpi=DPI, layout="constrained")
        axes = figure.subplots()
        draw(axes)
        figure.suptitle(title, x=0.012, ha="left", fontsize=12, fontweight="bold", color=INK)
        file = io.StringIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None, "Creator": None, "Title": title})
    return Figure(name, title, alt, file.getvalue(), rows)


def _style(salt: str) -> Any:
    from matplotlib import rcParamsDefault

    style: dict[Any, Any] = dict(rcParamsDefault)
    return style | {
        "svg.hashsalt": salt,
        "svg.fonttype": "none",  # text stays text: small, searchable, and in any script that the reader's fonts cover
        "text.parse_math": False,
        "font.family": "DejaVu Sans",
        "font.size": 10.5,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": GREY,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.facecolor": PAPER,
        "figure.facecolor": PAPER,
        "grid.color": RULE,
        "grid.linewidth": 0.8,
        "hatch.color": PAPER,
        "xtick.color": INK,
        "ytick.color": INK,
        "ytick.major.size": 0,
    }
