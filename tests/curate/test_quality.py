"""Every score must tell a real video from the same one with the fault that it is for.

`H2A_SLOW=1 pytest -s tests/curate/test_quality.py` measures on eight videos and prints the table of docs/curate.md.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import faults
import numpy as np
import pytest

from hashtag2action.catalog.schema import Decision, Reason
from hashtag2action.curate.bars import find_bars
from hashtag2action.curate.quality import Quality, fault
from hashtag2action.curate.scan import scan_video
from hashtag2action.curate.settings import CurateSettings, QualityLimits
from hashtag2action.curate.video import curate_video, examine_video
from hashtag2action.media.probe import probe_video

SOURCES = [
    "panda/person/an1bidtot5q_16.mp4",
    "yoga/bhujangasan/subj00_vid20250127135640.mp4",
    "panda/no_person/cxey8j99jew_19.mp4",
    "panda/person/dy6evkexpoo_15.mp4",
    "panda/no_person/lxodr1ud464_8.mp4",
    "panda/person/vgmntxev7bo_3.mp4",
    "panda/no_person/sijr3wlu_9k_2.mp4",
    "panda/person/7axksthlaok_79.mp4",
]
SECONDS = 4.0


def measure(path: Path) -> Quality:
    quality = scan_video(path, probe_video(path), CurateSettings()).quality
    assert quality is not None
    return quality


@pytest.fixture(scope="module")
def films(shared_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[list[np.ndarray], Quality]]:
    """Return the pictures of real videos, and what they score as they are."""
    folder = tmp_path_factory.mktemp("films")
    chosen = SOURCES if os.environ.get("H2A_SLOW") else SOURCES[:2]
    films = [faults.pictures(shared_videos / name, SECONDS) for name in chosen]
    return [(images, measure(faults.write(folder / f"{n}.mp4", images))) for n, images in enumerate(films)]


@pytest.mark.parametrize("name", faults.FAULTS)
def test_a_score_tells_the_fault(name: str, films: list[tuple[list[np.ndarray], Quality]], tmp_path: Path) -> None:
    change, measured, sign = faults.FAULTS[name]
    spoilt = [measure(faults.write(tmp_path / f"{n}.mp4", change(images))) for n, (images, _) in enumerate(films)]
    before, after = [getattr(quality, measured) for _, quality in films], [getattr(q, measured) for q in spoilt]
    scores = [quality.score for _, quality in films], [quality.score for quality in spoilt]
    bounds = f"{min(before):.3f}-{max(before):.3f} | {min(after):.3f}-{max(after):.3f}"
    print(f"\n| {name} | {measured} | {bounds} | {np.mean(scores[0]):.2f} | {np.mean(scores[1]):.2f} |")
    assert all(sign * (b - a) > 0 for a, b in zip(before, after, strict=True))
    if not os.environ.get("H2A_SLOW"):
        assert max(sign * a for a in before) < min(sign * b for b in after)
    if name != "shaken":
        assert np.mean(scores[1]) < np.mean(scores[0])


def test_bars_are_cut_off_where_asked(weights: Path, shared_videos: Path, tmp_path: Path) -> None:
    images = faults.pictures(shared_videos / SOURCES[0], SECONDS)
    plain = faults.write(tmp_path / "plain.mp4", faults.letterbox(images))
    settings = CurateSettings(min_clip_s=1.0, crop_bars=True, stop_early=True)
    report = curate_video(plain, settings, tmp_path / "clip.mp4")
    assert report.quality and report.quality.bars_kind == "plain"
    assert report.quality.content[1::2] == pytest.approx((100 / 470, 370 / 470), abs=3 / 470)
    assert report.clip and (report.clip.width, report.clip.height) == (480, pytest.approx(270, abs=6))
    untouched = curate_video(plain, CurateSettings(min_clip_s=1.0, stop_early=True), tmp_path / "clip.mp4")
    assert untouched.clip and untouched.clip.width < untouched.clip.height * 480 / 460
    blurred = faults.write(tmp_path / "blurred.mp4", faults.blurred_bars(images))
    report = curate_video(blurred, settings, tmp_path / "clip.mp4")
    assert report.quality and report.quality.bars_kind == "blurred"
    assert report.clip and report.clip.width > 1.6 * report.clip.height


def test_noise_has_no_bars() -> None:
    random = np.random.default_rng(0)
    noise = random.integers(0, 255, (6, 200, 40), dtype=np.uint8)
    assert find_bars(noise, noise) == ((0.0, 0.0, 1.0, 1.0), "none")
    assert find_bars(np.zeros_like(noise), np.zeros_like(noise)) == ((0.0, 0.0, 1.0, 1.0), "none")


def test_limits_send_a_video_away_with_the_reason(weights: Path, shared_videos: Path, tmp_path: Path) -> None:
    path = shared_videos / "shots" / "goldeneye-vfr-drop3.mp4"
    limits = QualityLimits(min_short_side_px=720)
    report = curate_video(path, CurateSettings(quality=limits), tmp_path / "clip.mp4")
    assert (report.decision, report.reason) == (Decision.REVIEW, Reason.LOW_QUALITY)
    assert report.detail == "short side px 544, under 720" and report.clip
    report = examine_video(path, CurateSettings(quality=limits, low_quality="reject"))
    assert (report.decision, report.reason, report.window) == (Decision.REJECTED, Reason.LOW_QUALITY, None)


def test_every_limit_names_a_measure(films: list[tuple[list[np.ndarray], Quality]]) -> None:
    quality = films[0][1]
    measures = {field.name for field in dataclasses.fields(Quality)}
    for name in QualityLimits.model_fields:
        if name != "description":
            assert name.split("_", 1)[1] in measures
            worst = 10_000 if name.startswith("min") else 0
            limits = QualityLimits.model_construct(**{name: worst})
            assert name.startswith("max") or fault(quality, limits)
    assert fault(quality, QualityLimits()) is None
