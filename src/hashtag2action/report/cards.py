"""Cards: documents of headings, sentences and short tables, as Markdown for a repository and as parts of the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

Rows = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Section:
    """A heading with sentences, and a table of names and values."""

    heading: str
    sentences: tuple[str, ...] = ()
    rows: Rows = ()


@dataclass(frozen=True)
class Card:
    """A document about a data set or a model."""

    name: str  # of its file
    title: str
    lead: str
    sections: tuple[Section, ...]


def markdown(card: Card) -> str:
    """Return a card as Markdown; what strangers wrote in it stays text."""
    parts = [f"# {escape(card.title)}", escape(card.lead)]
    for section in card.sections:
        parts.append(f"## {escape(section.heading)}")
        if section.sentences:
            parts.append("\n".join(f"- {escape(sentence)}" for sentence in section.sentences))
        if section.rows:
            lines = [f"| {escape(name)} | {escape(value)} |" for name, value in section.rows]
            parts.append("\n".join(["| | |", "|---|---|", *lines]))
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Return text that Markdown (and HTML in it) shows as it is, on one line."""
    line = re.sub(r"\s+", " ", text.replace("\u00a0", " ")).strip()
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#|~])", r"\\\1", line)


def shares(counts: dict[str, int], most: int = 8) -> str:
    """Return counts in one line, the largest first, with shares: `en 120 (60 %), unknown 80 (40 %)`."""
    total = sum(counts.values()) or 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    told = [f"{name} {count:,} ({count / total:.0%})".replace("%)", " %)") for name, count in ranked[:most]]
    rest = len(ranked) - most
    return ", ".join(told) + (f", and {rest} more" if rest > 0 else "")


def quantiles(values: Sequence[float], digits: int = 2) -> str:
    """Return the middle half of values and their median: `0.41 (0.33 to 0.52)`."""
    import numpy as np

    low, middle, high = np.percentile(list(values), [25, 50, 75])
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
