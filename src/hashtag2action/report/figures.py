"""What every figure is made with: size, colours, and SVG that is the same bytes for the same numbers.

Colours are those of Okabe and Ito, told apart with any colour vision; where two meet, a hatch or a line style tells
them apart as well. Every figure is drawn 600 px wide.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashtag2action.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#8a8f98"
INK, RULE, PAPER = "#1f2430", "#d8dbe2", "#ffffff"
WIDTH_IN, DPI = 6.25, 96  # 600 px
WHITE = "#fffffe"  # stays white where PAPER is exchanged for a dark page's own

Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Figure:
    """A drawn figure: `svg` to look at, `rows` (the first is the header) to calculate with, `alt` to be read aloud.

    `png` is empty unless it was asked for.
    """

    name: str
    title: str
    alt: str
    svg: str
    rows: Rows
    png: bytes = b""

    @property
    def csv(self) -> str:
        """The rows as CSV text."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self.rows)
        return text.getvalue()


def draw_figure(
    name: str, title: str, alt: str, rows: Rows, draw: Callable[[Axes], None], height_in: float, png: bool = False
) -> Figure:
    """Draw what `draw` puts on the axes under a title, as SVG and, if asked, as PNG (600 px wide)."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
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
            pixels = io.BytesIO()
            if png:
                figure.set_dpi(DPI)  # writing SVG leaves 72
                FigureCanvasAgg(figure).print_png(pixels, metadata={"Software": None})
    return Figure(name, title, alt, file.getvalue(), rows, pixels.getvalue())


def save_figure(figure: Figure, folder: Path) -> list[Path]:
    """Write `NAME.svg`, `NAME.csv` and, where it was drawn, `NAME.png` into a folder; return their paths."""
    parts: dict[str, str | bytes] = {"svg": figure.svg, "csv": figure.csv} | ({"png": figure.png} if figure.png else {})
    for suffix, content in parts.items():
        atomic_write(folder / f"{figure.name}.{suffix}", content)
    return [folder / f"{figure.name}.{suffix}" for suffix in parts]


def bars(name: str, title: str, bins: Mapping[str, int], x: str, y: str, colour: str) -> Figure:
    """Draw a bar for each bin, with its count and its share."""

    def draw(axes: Axes) -> None:
        axes.bar(range(len(bins)), list(bins.values()), color=colour, width=0.66)
        axes.set_xticks(range(len(bins)), list(bins))
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        whole_numbers(axes.yaxis)
        total = sum(bins.values()) or 1
        for index, count in enumerate(bins.values()):
            axes.annotate(
                f"{count:,} ({count / total:.0%})", (index, count), (0, 3), textcoords="offset points", ha="center"
            )
        axes.margins(y=0.14)
        axes.grid(axis="y")

    alt = "; ".join(f"{key}: {count}" for key, count in bins.items())
    return draw_figure(name, title, alt, [(x, y), *bins.items()], draw, 2.9)


def whole_numbers(axis: Any) -> None:
    """Have an axis count in whole numbers, thousands separated."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def shorten(text: str, length: int = 26) -> str:
    """Return `text` with its middle cut out where it is longer than `length` characters."""
    return text if len(text) <= length else text[: length * 2 // 3] + "…" + text[-(length // 3 - 1) :]


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
