"""A figure's SVG made part of a page: no names in common with other figures, and the page's own colours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hashtag2action.report import figures
from hashtag2action.report.figures import Figure

if TYPE_CHECKING:
    from markupsafe import Markup

_COLOURS = {
    figures.INK: "ink",
    figures.RULE: "rule",
    figures.PAPER: "card",
    figures.GREY: "grey",
    figures.BLUE: "blue",
    figures.ORANGE: "orange",
    figures.GREEN: "green",
    figures.VERMILION: "vermilion",
}


def inline_svg(figure: Figure) -> Markup:
    """Return the figure as an `<svg>` element that follows the page's light or dark colours."""
    from markupsafe import Markup, escape

    svg = figure.svg[figure.svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"<title>.*?</title>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{figure.name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{figure.name}-", svg)
    svg = re.sub(r'href="#', f'href="#{figure.name}-', svg)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    for colour, name in _COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    svg = svg.replace("font-family: 'DejaVu Sans'", "font-family: var(--sans)")
    label = escape(f"{figure.title}. {figure.alt}")
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1))
