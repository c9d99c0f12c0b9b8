from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from hashtag2action.catalog.schema import Decision, Reason
from hashtag2action.catalog.slice_facts import slice_facts
from hashtag2action.catalog.store import Catalog, Entry
from hashtag2action.curate.people import Box, Detection


def test_facts_are_those_of_the_report_by_the_clips_file(tmp_path: Path) -> None:
    """People cover 0.1, 0.3 and 0.5 of the frames that show any: the median is 0.3; a frame without people is left out."""
    catalog = Catalog(tmp_path)
    catalog.register([Entry(Path("/videos/1.mp4"), ("yoga", "asana")), Entry(Path("/videos/2.mp4"))])
    boxes = [(Box(0, 0, 0.5, 0.2, 0.9),), (Box(0, 0, 0.5, 0.6, 0.9),), (), (Box(0, 0, 0.5, 1, 0.9),)]
    report = {
        "detections": [asdict(Detection(i, float(i), each)) for i, each in enumerate(boxes)],
        "people": 1,
        "motion": 0.2,
    }
    clip = {
        "start_s": 0.0, "end_s": 5.0, "scene_s": 5.0, "frames": 90, "fps": 30.0, "width": 320, "height": 568, "size_bytes": 9,
        "sha256": "0" * 64,
    }  # fmt: skip
    for video, told in zip(catalog.videos(), (report, None), strict=True):
        path = f"clips/{video.id}.mp4"
        catalog.set_decision(video.id, Decision.ACCEPTED, Reason.PERSON, clips=[{"path": path, **clip}], report=told)
    facts = slice_facts(catalog)
    first = catalog.workspace / catalog.clips()[0].path
    assert facts["person_area"] == {first: pytest.approx(0.3)}
    assert facts == {
        "hashtag": {first: "asana"},
        "person_area": facts["person_area"],
        "people": {first: 1.0},
        "motion": {first: 0.2},
    }
