from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from scenedetect import AdaptiveDetector, ContentDetector, FrameTimecode

from hashtag2action.curate.scan import frames_to_check, scan_video
from hashtag2action.curate.scenes import DETECTORS, CutFinder, Scene, longest, scenes_between, small_frame
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.media.probe import probe_video

SHOTS = {  # first frames of every scene but the first
    "testvideo.mp4": [30, 180, 394],
    "issue-195-aspect-ratio.mp4": [70, 170, 301, 421, 484],
    "issue-134-rotate.mp4": [90, 210],
    "goldeneye-vfr-drop3.mp4": [60, 140],  # the one before, with every third frame left out
    "delayed_start.mp4": [],
}


def cuts_of(path: Path, **settings: object) -> list[int]:
    return scan_video(path, probe_video(path), CurateSettings(**settings)).cuts


@pytest.mark.parametrize("name", SHOTS)
def test_known_cuts_are_found_exactly(name: str, shared_videos: Path) -> None:
    assert cuts_of(shared_videos / "shots" / name) == SHOTS[name]


def test_cuts_are_looked_for_in_upright_pictures(shared_videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, settings = shared_videos / "shots" / "issue-134-rotate.mp4", CurateSettings()
    seen: list[np.ndarray] = []
    monkeypatch.setattr(CutFinder, "add", lambda _, index, picture: seen.append(picture) or [])
    probe = probe_video(path)
    scan = scan_video(path, probe, settings)
    index, upright = next(frames_to_check(path, scan, scan.chosen, probe, settings))
    there = cv2.resize(upright, (seen[index].shape[1], seen[index].shape[0]), interpolation=cv2.INTER_AREA)
    assert there.shape[0] > there.shape[1]
    difference, overturned = (cv2.norm(there[..., ::-1], seen[index][::k, ::k], cv2.NORM_L1) for k in (1, -1))
    assert difference < 0.5 * overturned


@pytest.mark.parametrize("detector", sorted(DETECTORS.keys() - {"threshold", "transnetv2"}))
def test_every_detector_for_hard_cuts_finds_them(detector: str, shared_videos: Path) -> None:
    name = "goldeneye-vfr-drop3.mp4"
    assert cuts_of(shared_videos / "shots" / name, scene_detector=detector) == SHOTS[name]


def test_fades(shared_videos: Path) -> None:
    found = cuts_of(shared_videos / "shots" / "fades.mp4", scene_detector="threshold")
    assert len(found) == 2
    assert all(abs(cut - expected) <= 5 for cut, expected in zip(found, [84, 167], strict=True))


def test_a_higher_threshold_finds_fewer(shared_videos: Path) -> None:
    path = shared_videos / "shots" / "goldeneye-vfr-drop3.mp4"
    assert cuts_of(path, scene_detector="content", scene_threshold=250.0) == []


def test_no_scene_is_shorter_than_asked(shared_videos: Path) -> None:
    path = shared_videos / "shots" / "issue-195-aspect-ratio.mp4"  # at 25 frames a second
    cuts = cuts_of(path, min_scene_s=3.0)
    assert cuts and min(np.diff([0, *cuts])) >= 75


@pytest.mark.parametrize(("ours", "theirs"), [("adaptive", AdaptiveDetector), ("content", ContentDetector)])
def test_scores_are_those_of_pyscenedetect(ours: str, theirs: type, shared_videos: Path) -> None:
    mine, published = DETECTORS[ours](CurateSettings(), 15), theirs(min_scene_len=15)
    with av.open(str(shared_videos / "shots" / "goldeneye-vfr-drop3.mp4")) as container:
        for index, frame in zip(range(70), container.decode(video=0), strict=False):
            bgr, _ = small_frame(frame)
            for detector in (mine, published):
                detector.process_frame(FrameTimecode(index, fps=16.0), bgr)
            assert mine._frame_score == pytest.approx(published._frame_score, abs=1e-9)


def test_scenes_cover_the_video() -> None:
    scenes = scenes_between([2, 3], [0.0, 0.5, 1.0, 9.0, 9.1])
    assert scenes == [Scene(0.0, 1.0, 0, 2), Scene(1.0, 9.0, 2, 3), Scene(9.0, 9.1, 3, 4)]
    assert longest(scenes) == scenes[1]  # in seconds, not in frames


def test_the_first_of_equal_scenes_is_the_longest() -> None:
    scenes = scenes_between([2], [0.0, 1.0, 2.0, 3.0, 4.0])
    assert longest(scenes) == scenes[0]


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p10le", "nv12", "rgb24", "gray"])
@pytest.mark.parametrize("size", [(640, 360), (361, 641), (97, 1280), (20, 12), (4, 4)])
def test_small_frames_look_like_the_large_ones(size: tuple[int, int], pixels: str) -> None:
    y, x = np.mgrid[: size[1], : size[0]]
    image = np.stack([x * 200 // size[0], y * 200 // size[1], np.full_like(x, 90)], axis=2).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
    bgr, luma = small_frame(frame)
    assert 16 <= min(luma.shape) <= max(150, min(size) // 4)
    assert all(0 <= side // 2 - small < 4 and small >= 4 for side, small in zip(luma.shape, bgr.shape, strict=False))
    whole = frame.to_ndarray(format="bgr24")
    expected = cv2.resize(whole, bgr.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(bgr.astype(int) - expected).mean() < (12 if min(size) > 20 else 60)
    grey = cv2.resize(frame.to_ndarray(format="gray"), luma.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(luma.astype(int) - grey).mean() < (12 if min(size) > 20 else 60)
