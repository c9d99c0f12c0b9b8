from __future__ import annotations

import json
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from hashtag2action.catalog.schema import Decision, Reason
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.video import curate_video, examine_video
from hashtag2action.errors import UserError
from hashtag2action.media.probe import probe_video
from hashtag2action.settings import load, recipe_names


@pytest.mark.parametrize("recipe", recipe_names("curate"))
def test_every_recipe_decides_a_real_video(recipe: str, weights: Path, shared_videos: Path, tmp_path: Path) -> None:
    settings = load(CurateSettings, "curate", recipe)
    assert settings.description
    path = shared_videos / "shots" / "goldeneye-vfr-drop3.mp4"
    report = curate_video(path, settings, tmp_path / "clip.mp4")
    looked_at = settings.min_person_frames if settings.stop_early else 10
    assert (report.decision, report.reason, report.person_frames) == (Decision.ACCEPTED, Reason.PERSON, looked_at)
    assert report.cuts == (60, 140) and [scene.start_frame for scene in report.scenes] == [0, 60, 140]
    assert report.chosen == report.scenes[1]
    assert [found.index for found in report.detections] == list(range(67, 140, 8))[:looked_at]
    assert report.clip and report.clip.frames == 80 and (tmp_path / "clip.mp4").stat().st_size == report.clip.size_bytes
    assert all(0 <= v <= 1 for found in report.detections for box in found.boxes for v in asdict(box).values())
    assert json.loads(json.dumps(asdict(replace(report, fingerprint=None))))["reason"] == "person"


def test_too_short(shared_videos: Path, tmp_path: Path) -> None:
    path = shared_videos / "shots" / "goldeneye-vfr-drop3.mp4"
    report = curate_video(path, CurateSettings(min_clip_s=5.5), tmp_path / "clip.mp4")
    assert (report.decision, report.reason) == (Decision.REJECTED, Reason.SCENE_TOO_SHORT)
    assert report.detail == "longest scene 5.00 s, under 5.5 s"
    assert report.scenes and not report.detections and not report.clip and not list(tmp_path.iterdir())


def test_few_person_frames_go_to_a_reviewer_with_a_clip(weights: Path, shared_videos: Path, tmp_path: Path) -> None:
    path = shared_videos / "shots" / "fades.mp4"
    report = curate_video(path, CurateSettings(max_clip_s=4.0), tmp_path / "clip.mp4")
    assert (report.decision, report.reason) == (Decision.REVIEW, Reason.FEW_PERSON_FRAMES)
    assert report.window and report.window.rule == "motion"
    assert report.clip and report.clip.end_s - report.clip.start_s <= 4.0 and report.clip.scene_s == 10.0
    assert report.detail == "a person in 0 of 10 frames"


def test_what_a_worker_did_before_does_not_matter(weights: Path, shared_videos: Path, tmp_path: Path) -> None:
    names = ["fades.mp4", "goldeneye-vfr-drop3.mp4", "fades.mp4", "goldeneye-vfr-drop3.mp4", "fades.mp4"]
    reports = [curate_video(shared_videos / "shots" / name, CurateSettings(), tmp_path / "clip.mp4") for name in names]
    assert reports[0] == reports[2] == reports[4]
    assert reports[1] == reports[3]


@pytest.mark.parametrize(("name", "looked_at"), [("goldeneye-vfr-drop3.mp4", 4), ("fades.mp4", 7)])
def test_stopping_early_decides_the_same(
    name: str, looked_at: int, weights: Path, shared_videos: Path, tmp_path: Path
) -> None:
    """Four frames with a person accept; after seven without one, four of ten are out of reach."""
    path = shared_videos / "shots" / name
    whole = examine_video(path, CurateSettings())
    early = examine_video(path, CurateSettings(stop_early=True))
    assert (early.decision, early.reason) == (whole.decision, whole.reason)
    assert len(early.detections) == looked_at and len(whole.detections) == 10
    for a, b in zip(early.detections, whole.detections, strict=False):
        assert a.index == b.index and len(a.boxes) == len(b.boxes)


def test_a_first_look_at_small_pictures_decides_the_same(weights: Path, shared_videos: Path) -> None:
    path = shared_videos / "shots" / "goldeneye-vfr-drop3.mp4"
    report = examine_video(path, CurateSettings(first_look_px=320))
    assert (report.decision, report.person_frames) == (Decision.ACCEPTED, 10)
    assert all(box.score >= 0.25 for found in report.detections for box in found.boxes)


def test_small_people_do_not_count_where_asked(weights: Path, shared_videos: Path) -> None:
    path = shared_videos / "shots" / "goldeneye-vfr-drop3.mp4"
    largest = max(box.area for found in examine_video(path, CurateSettings()).detections for box in found.boxes)
    report = examine_video(path, CurateSettings(min_person_area=largest + 0.001))
    assert (report.decision, report.person_frames, report.people) == (Decision.REVIEW, 0, 0)


def test_a_clip_of_every_scene_that_qualifies(weights: Path, shared_videos: Path, tmp_path: Path) -> None:
    path = shared_videos / "shots" / "goldeneye-vfr-drop3.mp4"
    settings = CurateSettings(all_scenes=True, min_clip_s=1.0)
    report = curate_video(path, settings, tmp_path / "clip.mp4")
    kept = [report.chosen, *(more.chosen for more in report.more)]
    assert report.decision is Decision.ACCEPTED and len(kept) >= 2
    assert [scene.duration_s for scene in kept if scene] == sorted((s.duration_s for s in kept if s), reverse=True)
    clips = report.clips(tmp_path / "clip.mp4")
    assert sorted(clip.name for clip, _ in clips) == sorted(path.name for path in tmp_path.iterdir())
    for (clip, info), scene in zip(clips, kept, strict=True):
        assert scene and info.frames == scene.end_frame - scene.start_frame == probe_video(clip).frames
    assert json.loads(json.dumps(asdict(replace(report, fingerprint=None))))["more"]


def test_a_file_of_too_many_bytes(shared_videos: Path) -> None:
    report = examine_video(shared_videos / "shots" / "goldeneye-vfr-drop3.mp4", CurateSettings(max_video_mb=0.1))
    assert report.reason is Reason.TOO_LARGE and report.detail and report.detail.endswith("over 0.1 MB")


def test_the_threshold_is_a_setting(weights: Path, shared_videos: Path, tmp_path: Path) -> None:
    settings = CurateSettings(min_person_frames=0, max_clip_s=4.0)
    report = curate_video(shared_videos / "shots" / "fades.mp4", settings, tmp_path / "clip.mp4")
    assert report.decision is Decision.ACCEPTED


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"not a video", Reason.UNREADABLE),
        (b"\x89PNG\r\n\x1a\n", Reason.STILL_IMAGE),
        (None, Reason.MISSING),
    ],
)
def test_what_is_no_video_is_a_recorded_reject(content: bytes | None, reason: Reason, tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    if content is not None:
        path.write_bytes(content)
    report = curate_video(path, CurateSettings(), tmp_path / "clip.mp4")
    assert (report.decision, report.reason, report.title) == (Decision.REJECTED, reason, "video")
    assert report.detail


def test_too_long(shared_videos: Path, tmp_path: Path) -> None:
    path = shared_videos / "shots" / "goldeneye-vfr-drop3.mp4"
    report = curate_video(path, CurateSettings(max_video_s=9.0), tmp_path / "clip.mp4")
    assert (report.reason, report.detail) == (Reason.TOO_LARGE, "10 s, over 9 s")


def write(path: Path, images: list[np.ndarray], stamps: list[int], codec: str, pixels: str) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=10)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = Fraction(1, 1000)
        for image, stamp in zip(images, stamps, strict=True):
            frame = av.VideoFrame.from_ndarray(image)
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def test_a_slide_show_of_long_frames(weights: Path, tmp_path: Path) -> None:
    images = [np.full((90, 120, 3), value, np.uint8) for value in (0, 40, 80, 120)]
    path = write(tmp_path / "slides.mkv", images, [0, 20_000, 40_000, 60_000], "libx264", "yuv420p")
    report = curate_video(path, CurateSettings(), tmp_path / "clip.mp4")
    assert (report.decision, report.reason) == (Decision.REJECTED, Reason.STILL_IMAGE)


@pytest.mark.parametrize(
    ("codec", "pixels"), [("libx264", "yuv444p"), ("ffv1", "yuv420p10le"), ("mjpeg", "yuvj422p"), ("ffv1", "gray")]
)
def test_other_pixel_formats(codec: str, pixels: str, weights: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = [
        np.kron(random.integers(0, 255, (9, 13, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8)) for _ in range(3)
    ]
    path = write(tmp_path / "video.mkv", images * 5, [100 * n for n in range(15)], codec, pixels)
    settings = CurateSettings(min_clip_s=0.5, min_scene_s=1.0)
    report = curate_video(path, settings, tmp_path / "clip.mp4")
    assert report.decision is Decision.REVIEW and report.clip and report.clip.height == 72


def test_damaged_in_the_middle(weights: Path, shared_videos: Path, tmp_path: Path) -> None:
    content = bytearray((shared_videos / "shots" / "goldeneye-vfr-drop3.mp4").read_bytes())
    random = np.random.default_rng(0)
    for at in random.integers(40_000, len(content) - 40_000, 300):
        content[at] ^= 0xFF
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)
    report = curate_video(path, CurateSettings(min_clip_s=1.0), tmp_path / "clip.mp4")
    assert report.decision is Decision.REVIEW and report.clip and report.clip.frames > 20
    assert curate_video(path, CurateSettings(min_clip_s=1.0), tmp_path / "clip.mp4") == report


def test_no_detector_is_an_error_of_the_user(shared_videos: Path, tmp_path: Path) -> None:
    settings = CurateSettings(detector=f"onnx:{tmp_path}/none.onnx")
    with pytest.raises(UserError, match=r"none\.onnx"):
        curate_video(shared_videos / "shots" / "goldeneye-vfr-drop3.mp4", settings, tmp_path / "clip.mp4")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("detector", "yolov9"),
        ("min_clip_s", 11),
        ("min_person_frames", 11),
        ("frames_checked", 0),
        ("short_side_px", 0),
    ],
)
def test_settings_that_make_no_sense(key: str, value: object) -> None:
    with pytest.raises(UserError):
        load(CurateSettings, "curate", "paper", {key: value})
