"""The selection as a flowchart (as the paper's Figure 1), with the number of hashtags on every arrow."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from hashtag2action.files import atomic_path
from hashtag2action.hashtags.choose import Chosen
from hashtag2action.hashtags.knowledge import CATEGORIES
from hashtag2action.hashtags.principles import PRINCIPLES
from hashtag2action.hashtags.selection import DROP, REPLACE, REVIEW, kept

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by people of every colour vision; the fills are light, the edges carry the colour.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#555555"
SIZE = 11  # points; at 600 pixels of width about 10 pixels high


def counts(chosen: Chosen) -> dict[str, dict[str, int]]:
    """Return the number of hashtags on each arrow: by source, by principle, by what became of them, by category.

    What a principle puts in the place of others counts as new only if it was not a candidate already.
    """
    sources = Counter(name for c in chosen.candidates for name in {source.partition(":")[0] for source in c.sources})
    replaced = Counter(choice.principle for choice in chosen.choices if choice.decision == REPLACE)
    new = Counter(choice.sources.partition(":")[0] for choice in chosen.choices)
    social = sum(choice.principle == "social / cultural" for choice in chosen.choices)
    return {
        "sources": dict(sources),
        "replaced": {name: replaced[name] for name in PRINCIPLES if name != "social / cultural"}
        | {"social / cultural": social},
        "new": {name: new[name] for name in (*PRINCIPLES, "override")},
        "outcome": {
            "candidates": len(chosen.candidates),
            "left": sum(choice.decision != REPLACE and choice.principle != "override" for choice in chosen.choices),
            "kept": len(kept(chosen.choices)),
            "dropped": sum(choice.decision == DROP for choice in chosen.choices),
            "to be reviewed": sum(choice.decision == REVIEW for choice in chosen.choices),
            "by hand": sum(bool(choice.override) for choice in chosen.choices),
        },
        "overruled": dict(Counter(choice.decision for choice in chosen.choices if choice.principle == "override")),
        "categories": {name: sum(choice.category == name for choice in kept(chosen.choices)) for name in CATEGORIES},
    }


def draw_flowchart(chosen: Chosen, min_views: str) -> Figure:
    """Return the figure; 6 inches wide, for 600 pixels and more."""
    from matplotlib.figure import Figure

    number = counts(chosen)
    figure = Figure(figsize=(6, 8.6))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 6), ylim=(0, 8.6))
    axes.set_axis_off()
    _sources(axes, number)
    _principles(axes, number)
    _end(axes, number, min_views)
    return figure


def save_flowchart(path: Path, chosen: Chosen, min_views: str) -> None:
    """Write the figure as SVG, or as what the suffix of `path` says."""
    figure = draw_flowchart(chosen, min_views)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100, metadata={"Date": None} if path.suffix == ".svg" else None)


NAMES = {
    "ucf101": "UCF101",
    "hmdb51": "HMDB51",
    "kinetics400": "Kinetics-400",
    "list": "your list",
    "metadata": "metadata",
}


def _sources(axes: Axes, number: dict[str, dict[str, int]]) -> None:
    shown = [name for name in NAMES if number["sources"].get(name)]
    width = 5.6 / max(1, len(shown))
    for place, name in enumerate(shown):
        x = 0.2 + width * (place + 0.5)
        _box(axes, x, 8.25, width - 0.15, 0.42, NAMES[name], BLUE)
        _arrow(axes, (x, 8.03), (3 + (x - 3) * 0.25, 7.42), f"{number['sources'][name]}", GREY)
    _box(axes, 3, 7.2, 2.8, 0.42, f"{number['outcome']['candidates']} different hashtags", BLUE)


def _principles(axes: Axes, number: dict[str, dict[str, int]]) -> None:
    top, step = 6.45, 0.66
    left = number["outcome"]["candidates"] + number["new"]["override"]
    left -= sum(number["overruled"].values())
    for place, name in enumerate(PRINCIPLES):
        y = top - place * step
        _arrow(
            axes, (2.1, y + step - 0.23 if place else 6.98), (2.1, y + 0.23), f"{left}", GREY, side=0.3, backed=False
        )
        _box(axes, 2.1, y, 3.0, 0.44, f"{place + 1}  {name}", GREEN)
        if name == "social / cultural":
            _arrow(axes, (5.8, y), (3.62, y), f"{number['replaced'][name]} taken in", GREEN)
        else:
            out, into = number["replaced"][name], number["new"][name]
            left += into - out
            _arrow(axes, (3.62, y), (5.8, y), f"{out} replaced, {into} new", ORANGE if out else GREY)


def _end(axes: Axes, number: dict[str, dict[str, int]], min_views: str) -> None:
    outcome = number["outcome"]
    _arrow(axes, (2.1, 2.92), (2.1, 2.38), f"{outcome['left']}", GREY, side=0.3)
    _box(axes, 2.1, 2.15, 3.0, 0.44, f"at least {min_views} views?", GREEN)
    drop = f"{outcome['dropped']} dropped" + (
        f", {outcome['to be reviewed']} to review" if outcome["to be reviewed"] else ""
    )
    _arrow(axes, (3.62, 2.15), (5.8, 2.15), drop, ORANGE)
    _arrow(axes, (2.1, 1.93), (2.1, 1.53), f"{outcome['kept']}", GREY, side=0.3)
    by_hand = f" ({outcome['by hand']} by hand)" if outcome["by hand"] else ""
    _box(axes, 2.1, 1.3, 3.6, 0.44, f"{outcome['kept']} hashtags to collect{by_hand}", BLUE)
    for place, name in enumerate(CATEGORIES):
        x = 0.65 + place * 1.175
        _arrow(axes, (2.1 + (x - 2.1) * 0.5, 1.08), (x, 0.62), f"{number['categories'][name]}", GREY)
        _box(axes, x, 0.4, 1.1, 0.42, name, BLUE)


def _box(axes: Axes, x: float, y: float, width: float, height: float, text: str, colour: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.08"
    axes.add_patch(
        FancyBboxPatch((x - width / 2, y - height / 2), width, height, boxstyle=style, fc="white", ec=colour, lw=1.6)
    )
    axes.text(x, y, text, ha="center", va="center", fontsize=SIZE)


def _arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    text: str,
    colour: str,
    side: float = 0.0,
    *,
    backed: bool = True,
) -> None:
    axes.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    )
    if text:
        level = abs(start[1] - end[1]) < 0.05
        x, y = (start[0] + end[0]) / 2 + side, (start[1] + end[1]) / 2 + (0.13 if level else 0)
        axes.text(x, y, text, ha="center", va="center", fontsize=SIZE, color="black",
                  bbox=None if level or not backed else {"fc": "white", "ec": "none", "pad": 1.5})  # fmt: skip
