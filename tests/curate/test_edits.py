"""Cuts found in edits made of real clips: thirty by default, two hundred with `H2A_SLOW=1` (`pytest -s` prints the figures)."""

from __future__ import annotations

import os
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from hashtag2action.curate.scan import scan_video
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.media.probe import probe_video

EDITS = 200 if os.environ.get("H2A_SLOW") else 30
SIZES = [(320, 240), (180, 320), (480, 270)]
NEAR = 2  # frames by which a cut may be off
FADE = 12  # frames


def takes(folder: Path) -> list[list[Path]]:
    """Return clips that hold no cut, those of one camera together: the yoga room, ten neighbours of `fight/`, a signer."""
    fights = [sorted((folder / "fight" / kind).glob("*.mp4")) for kind in ("fight", "nofight")]
    rooms = [clips[i : i + 10] for clips in fights for i in range(0, len(clips), 10)]
    return [
        sorted((folder / "yoga").rglob("*.mp4")),
        *rooms,
        *([path] for path in sorted((folder / "signs").rglob("*.mp4"))),
    ]


def read(path: Path, size: tuple[int, int], frames: int) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [
            frame.to_ndarray(format="rgb24", width=size[0], height=size[1])
            for _, frame in zip(range(frames), container.decode(video=0), strict=False)
        ]


def edit(folder: Path, target: Path, seed: int, fade: bool) -> list[int]:
    """Join parts of 3 to 5 recordings by different cameras, each at least a second; return the first frames of all but the first."""
    random = np.random.default_rng(seed)
    size = SIZES[seed % len(SIZES)]
    cameras = takes(folder)
    shares = np.array([20.0, *(len(clips) for clips in cameras[1:])])
    picked = random.choice(len(cameras), int(random.integers(3, 6)), replace=False, p=shares / shares.sum())
    chosen = [cameras[i][int(random.integers(len(cameras[i])))] for i in picked]
    images: list[np.ndarray] = []
    cuts = []
    for path in chosen:
        part = read(path, size, int(random.integers(30, 60)))
        if len(part) < 24:
            continue
        if images:
            cuts.append(len(images))
            if fade:
                for i in range(FADE):
                    share = (i + 1) / (FADE + 1)
                    images[i - FADE] = cv2.addWeighted(images[i - FADE], 1 - share, part[0], share, 0)
        images += part
    with av.open(str(target), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "26"})
        stream.width, stream.height = size
        for image in images:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode())
    return cuts


def f1(pairs: list[tuple[list[int], list[int]]], near: int) -> tuple[float, float, float]:
    """Return F1, precision and recall of `(found, known)` cuts."""
    hits = sum(any(abs(cut - other) <= near for other in found) for found, known in pairs for cut in known)
    wanted, given = sum(len(known) for _, known in pairs), sum(len(found) for found, _ in pairs)
    return 2 * hits / (wanted + given), hits / given if given else 0.0, hits / wanted


def detect(folder: Path, target: Path, edits: int, fade: bool, settings: CurateSettings) -> tuple[float, float, float]:
    pairs = []
    for seed in range(edits):
        known = edit(folder, target, seed, fade)
        pairs.append((scan_video(target, probe_video(target), settings).cuts, known))
    return f1(pairs, NEAR if not fade else FADE)


@pytest.mark.timeout(1800)
def test_hard_cuts(shared_videos: Path, tmp_path: Path) -> None:
    score, precision, recall = detect(shared_videos, tmp_path / "edit.mp4", EDITS, False, CurateSettings())
    print(f"\nhard cuts, {EDITS} edits: F1 {score:.3f}, precision {precision:.3f}, recall {recall:.3f}")
    assert score >= 0.95


@pytest.mark.timeout(1800)
@pytest.mark.skipif(not os.environ.get("H2A_SLOW"), reason="reports what fades cost; H2A_SLOW=1 runs it")
@pytest.mark.parametrize("detector", ["adaptive", "content", "transnetv2"])
def test_fades_are_reported(detector: str, shared_videos: Path, tmp_path: Path) -> None:
    """Dissolves of 12 frames, found anywhere within them; TransNet V2 is the detector for those."""
    settings = CurateSettings(scene_detector=detector)
    score, precision, recall = detect(shared_videos, tmp_path / "edit.mp4", 20, True, settings)
    print(f"\nfades, 20 edits, {detector}: F1 {score:.3f}, precision {precision:.3f}, recall {recall:.3f}")
    if detector == "transnetv2":
        assert score >= 0.8
