"""What studies left in `report/studies`, as far as it is there: a figure each, and what has to be said with it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from hashtag2action.report.figures import Figure
from hashtag2action.report.runs import read_json

MAX_STUDIES = 8
MAX_SVG_BYTES = 400_000


@dataclass(frozen=True)
class StudyPart:
    """A study on the page."""

    name: str
    figure: Figure
    sentences: tuple[str, ...]


def read_studies(workspace: Path) -> list[StudyPart]:
    """Return the studies of a workspace by name; what is torn or too large is left out."""
    found = []
    for path in sorted((workspace / "report" / "studies").glob("*.json"))[:MAX_STUDIES]:
        about, svg, rows = read_json(path), path.with_suffix(".svg"), path.with_suffix(".csv")
        if not svg.is_file() or not rows.is_file() or svg.stat().st_size > MAX_SVG_BYTES or not about.get("title"):
            continue
        with rows.open(newline="", encoding="utf-8") as file:
            table = list(csv.reader(file))
        figure = Figure(path.stem, about["title"], about.get("alt", ""), svg.read_text(encoding="utf-8"), table)
        found.append(StudyPart(path.stem, figure, tuple(about.get("sentences") or ())))
    return found
