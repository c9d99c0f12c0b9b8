"""Figures of a data set: its hashtags, how long its scenes are, why videos were rejected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hashtag2action.catalog.statistics import HashtagCount
from hashtag2action.report.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAPER,
    RULE,
    VERMILION,
    Figure,
    bars,
    draw_figure,
    shorten,
    whole_numbers,
)
from hashtag2action.report.words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_BARS = 25


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
        whole_numbers(axes.xaxis)
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
    return draw_figure("hashtags", f"Videos and clips per hashtag{rest}", alt, rows, draw, 1.5 + 0.29 * len(shown))


def durations(bins: Mapping[str, int]) -> Figure:
    """Clips by length of the scene they come from, before the cap to the longest clip allowed."""
    return bars(
        "durations", "How long the chosen scenes are", bins, "length of the scene before the cap", "clips", BLUE
    )


def count_ranges(bins: Mapping[str, int]) -> Figure:
    """Hashtags by number of clips."""
    return bars("count-ranges", "How many clips a hashtag has", bins, "clips of the hashtag", "hashtags", BLUE)


def rejects(reasons: Mapping[str, int]) -> Figure:
    """Rejected videos by reason."""
    shown = {name.replace("_", " "): count for name, count in reasons.items()}
    figure = ranking("rejects", "Why videos were rejected", shown, "reason", "videos", VERMILION)
    return replace(figure, rows=[("reason", "videos"), *reasons.items()])


def ranking(
    name: str, title: str, counts: Mapping[str, int], what: str = "hashtag", unit: str = "clips", colour: str = BLUE
) -> Figure:
    """Draw a bar to the right for each count, in the order given."""

    def draw(axes: Axes) -> None:
        axes.barh(range(len(counts)), list(counts.values()), color=colour, height=0.66)
        axes.set_yticks(range(len(counts)), list(counts))
        axes.invert_yaxis()
        axes.set_xlabel(unit)
        axes.set_ylabel(what)
        whole_numbers(axes.xaxis)
        for y, count in enumerate(counts.values()):
            axes.annotate(f"{count:,}", (count, y), (4, 0), textcoords="offset points", va="center")
        axes.margins(x=0.1)
        axes.grid(axis="x")

    alt = "; ".join(f"{name}: {count}" for name, count in counts.items())
    return draw_figure(name, title, alt, [(what, unit), *counts.items()], draw, 1.2 + 0.31 * len(counts))


def count_pie(bins: Mapping[str, int]) -> Figure:
    """Hashtags by number of clips, as shares of a pie (paper, Figure 2); empty ranges are left out."""
    shown = {name: count for name, count in bins.items() if count}
    looks = ((BLUE, ""), (ORANGE, "///"), (GREEN, ""), (VERMILION, "..."), (GREY, ""))
    total = sum(shown.values()) or 1

    def draw(axes: Axes) -> None:
        wedges, *_ = axes.pie(
            list(shown.values()),
            startangle=90,
            counterclock=False,
            colors=[looks[i % 5][0] for i in range(len(shown))],
            hatch=[looks[i % 5][1] for i in range(len(shown))],
            wedgeprops={"edgecolor": PAPER, "linewidth": 1.5},
        )
        named = [f"{name}: {count:,} ({percent(count / total, 1)})" for name, count in shown.items()]
        axes.legend(
            wedges, named, title="clips: hashtags (share)", loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False
        )

    alt = "; ".join(f"{name} clips: {count} of {total} hashtags" for name, count in shown.items())
    rows = [("clips of the hashtag", "hashtags", "share"), *((n, c, round(c / total, 4)) for n, c in bins.items())]
    return draw_figure("count-ranges-pie", "Hashtags by how many clips they have", alt, rows, draw, 2.9)


def duration_table(bins: Mapping[str, int]) -> Figure:
    """Clips by length of their scene before the cap, as a table (paper, Table 6)."""
    total = sum(bins.values())
    body = [(name, f"{count:,}", percent(count / (total or 1), 1)) for name, count in bins.items()]
    lines = [("scene length", "clips (number)", "share (%)"), *body, ("all", f"{total:,}", percent(1.0, 1))]

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        axes.set(xlim=(0, 1), ylim=(len(lines) - 0.4, -0.6))
        for row, line in enumerate(lines):
            bold = "bold" if row in (0, len(lines) - 1) else "normal"
            for text, place, side in zip(line, (0.02, 0.62, 0.94), ("left", "right", "right"), strict=True):
                axes.text(place, row, text, ha=side, va="center", fontweight=bold)
            if row in (0, len(lines) - 2):
                axes.axhline(row + 0.5, color=GREY, linewidth=1)

    alt = "; ".join(f"{name}: {count}" for name, count in bins.items())
    rows = [("scene length before the cap", "clips"), *bins.items()]
    return draw_figure(
        "duration-table", "Length of the chosen scenes, before the cap", alt, rows, draw, 0.75 + 0.3 * len(lines)
    )
