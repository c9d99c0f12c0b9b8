"""What the catalog knows of clips by which an evaluation can be broken down."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashtag2action.catalog.store import Catalog

Facts = dict[str, dict[Path, str | float]]


def slice_facts(catalog: Catalog) -> Facts:
    """Return facts by name and by the clip's file: `hashtag` (the first), `person_area`, `people`, `motion`.

    `person_area` is the share of the picture that people cover, the median over the frames checked that show any.
    """
    facts: Facts = {"hashtag": {}, "person_area": {}, "people": {}, "motion": {}}
    for clip in catalog.clips():
        path, report = catalog.workspace / clip.path, clip.video.report or {}
        if clip.video.hashtags:
            facts["hashtag"][path] = clip.video.hashtags[0].hashtag
        if areas := [area for found in report.get("detections") or () if (area := _area(found)) > 0]:
            facts["person_area"][path] = median(areas)
        for name in ("people", "motion"):
            if (value := report.get(name)) is not None:
                facts[name][path] = float(value)
    return {name: values for name, values in facts.items() if values}


def _area(detection: dict[str, Any]) -> float:
    boxes = detection.get("boxes") or ()
    return min(1.0, sum((box["x2"] - box["x1"]) * (box["y2"] - box["y1"]) for box in boxes))
