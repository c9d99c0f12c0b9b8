"""Figures of training and testing: the loss, accuracies, and which classes are taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hashtag2action.report.figures import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    RULE,
    VERMILION,
    WHITE,
    Figure,
    draw_figure,
    shorten,
    whole_numbers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_CLASSES = 20


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
        whole_numbers(axes.xaxis)
        axes.set_ylabel("mean squared error\nof normalised pixels")
        axes.set_ylim(0, max(*losses, baseline or 0) * 1.12)
        axes.grid(axis="y")

    alt = f"Loss {losses[0]:.3f} at step {steps[0]}, {losses[-1]:.3f} at step {steps[-1]}"
    if baseline is not None:
        alt += f"; predicting each patch's mean gives {baseline:.3f}"
    rows = [("step", "loss"), *zip(steps, losses, strict=True)]
    return draw_figure("pretrain-loss", "Pre-training: error of the reconstructed patches", alt, rows, draw, 3.1)


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
        whole_numbers(panels[-1].xaxis)
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
    return draw_figure("finetune", "Fine-tuning", alt, rows, draw, 4.6 if lower else 3.0)


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
    return draw_figure(
        "confusion", f"Held-out videos: true and predicted class{rest}", alt, rows, draw, 2.0 + 0.34 * len(order)
    )


def _curve(axes: Axes, x: Sequence[float], y: Sequence[float], colour: str, label: str) -> None:
    """Draw every value faintly and, where there are many, their running mean on top."""
    span = len(y) // 25
    if span < 2:
        axes.plot(x, y, color=colour, linewidth=2, label=label)
        return
    axes.plot(x, y, color=colour, linewidth=0.8, alpha=0.35)
    smooth = [sum(y[max(0, i - span) : i + span + 1]) / len(y[max(0, i - span) : i + span + 1]) for i in range(len(y))]
    axes.plot(x, smooth, color=colour, linewidth=2.2, label=label)
