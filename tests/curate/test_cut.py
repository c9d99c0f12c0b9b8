from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest

from hashtag2action.curate.cut import ClipInfo, clip_size, cut_clip
from hashtag2action.curate.scan import Scan, scan_video
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.window import Window
from hashtag2action.errors import UserError
from hashtag2action.media.container import MediaError
from hashtag2action.media.probe import Probe, probe_video

SETTINGS = CurateSettings()


def window_of(scan: Scan, start: int, end: int) -> Window:
    return Window(scan.times_s[start], scan.times_s[end], start, end, "whole_scene", 0.0, 0.0)


def cut(
    path: Path,
    start: int,
    end: int,
    clip: Path,
    settings: CurateSettings = SETTINGS,
    content: tuple[float, float, float, float] | None = None,
) -> tuple[ClipInfo, Scan, Probe]:
    probe = probe_video(path)
    scan = scan_video(path, probe, settings)
    info = cut_clip(path, scan, scan.chosen, probe, window_of(scan, start, end), settings, clip, content)
    return info, scan, probe


@pytest.mark.parametrize(
    ("name", "start", "end", "size"),
    [
        ("goldeneye-vfr-drop3.mp4", 60, 140, (752, 320)),
        ("issue-134-rotate.mp4", 5, 60, (320, 752)),
        ("delayed_start.mp4", 3, 24, (480, 320)),
        ("fades.mp4", 0, 40, (480, 320)),
    ],
)
def test_a_clip(name: str, start: int, end: int, size: tuple[int, int], shared_videos: Path, tmp_path: Path) -> None:
    path = shared_videos / "shots" / name
    info, scan, source = cut(path, start, end, tmp_path / "clip.mp4")
    probe = probe_video(tmp_path / "clip.mp4")
    assert (probe.width, probe.height, probe.frames, probe.rotation) == (*size, end - start, 0)
    assert (info.width, info.height, info.frames) == (probe.width, probe.height, probe.frames)
    assert (probe.codec, probe.has_audio) == ("h264", False)
    assert probe.duration_s == pytest.approx(info.end_s - info.start_s, abs=2e-3)
    assert info.size_bytes == (tmp_path / "clip.mp4").stat().st_size
    with av.open(str(tmp_path / "clip.mp4")) as clip, av.open(str(path)) as original:
        frames = list(clip.decode(video=0))
        wanted = list(original.decode(video=0))[start:end]
    assert [number for number, frame in enumerate(frames) if frame.key_frame] == list(range(0, end - start, 16))
    assert "B" not in {av.video.frame.PictureType(frame.pict_type).name for frame in frames}
    times_s = [float(frame.pts * frame.time_base) for frame in frames]
    assert times_s == pytest.approx(np.array(scan.times_s[start:end]) - scan.times_s[start], abs=2e-5)
    for kept, frame in zip(frames[:: len(frames) - 1], wanted[:: len(wanted) - 1], strict=True):
        shown = np.rot90(frame.to_ndarray(format="rgb24"), k=-source.rotation // 90)
        shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(shown)).to_ndarray(width=size[0], height=size[1])
        assert np.abs(kept.to_ndarray(format="rgb24").astype(int) - shown).mean() < 8


@pytest.mark.parametrize("name", ["goldeneye-vfr-drop3.mp4", "issue-134-rotate.mp4", "delayed_start.mp4", "fades.mp4"])
def test_frames_left_by_the_scan_make_the_same_clip(name: str, shared_videos: Path, tmp_path: Path) -> None:
    path = shared_videos / "shots" / name
    again, _, probe = cut(path, 5, 24, tmp_path / "again.mp4")
    scan = scan_video(path, probe, SETTINGS.model_copy(update={"min_clip_s": 0.1}), with_pictures=True)
    assert list(scan.pictures) == list(range(len(scan.stamps)))
    assert cut_clip(path, scan, scan.chosen, probe, window_of(scan, 5, 24), SETTINGS, tmp_path / "clip.mp4") == again


def test_only_scenes_that_last_leave_frames(shared_videos: Path) -> None:
    path = shared_videos / "shots" / "goldeneye-vfr-drop3.mp4"
    probe = probe_video(path)
    scan = scan_video(path, probe, SETTINGS.model_copy(update={"min_clip_s": 3.0}), with_pictures=True)
    frames = {scene.end_frame - scene.start_frame for scene in scan.scenes}
    enough = 3.0 * probe.fps
    assert min(frames) < enough - 4 and max(frames) > enough + 4
    for scene in scan.scenes:
        there = [index in scan.pictures for index in range(scene.start_frame, scene.end_frame)]
        assert all(there) if len(there) > enough + 4 else sum(there) <= 4


def test_a_long_video_leaves_no_frames(shared_videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shared_videos / "shots" / "delayed_start.mp4"
    monkeypatch.setattr("hashtag2action.curate.scan.PICTURES_MB", 1)
    assert not scan_video(path, probe_video(path), SETTINGS, with_pictures=True).pictures


def test_odd_and_tall_sizes() -> None:
    def size(width: int, height: int) -> tuple[int, int]:
        return clip_size(Probe("mov", "h264", width, height, 30.0, 90, 3.0, 0, False), 320)

    assert size(1920, 1080) == (568, 320)
    assert size(1080, 1920) == (320, 568)
    assert size(321, 241) == (320, 240)  # never enlarged
    assert size(1, 4000) == (2, 4000)


def test_a_single_frame_makes_no_clip(shared_videos: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="still_image"):
        cut(shared_videos / "shots" / "delayed_start.mp4", 3, 4, tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_vanishes_leaves_nothing(shared_videos: Path, tmp_path: Path) -> None:
    path = shared_videos / "shots" / "delayed_start.mp4"
    probe = probe_video(path)
    scan = scan_video(path, probe, SETTINGS)
    with pytest.raises(MediaError, match="missing"):
        cut_clip(
            tmp_path / "gone.mp4", scan, scan.chosen, probe, window_of(scan, 0, 20), SETTINGS, tmp_path / "clip.mp4"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_no_fault_of_the_video(
    shared_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> tuple[int, str]:
        (tmp_path / ".full.part.mp4").symlink_to("/dev/full")
        return os.dup(1), str(tmp_path / ".full.part.mp4")

    monkeypatch.setattr("tempfile.mkstemp", full)
    with pytest.raises(UserError, match="clip cannot be written"):
        cut(shared_videos / "shots" / "delayed_start.mp4", 0, 24, tmp_path / "clip.mp4")


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_copied_clip_is_the_source_itself(shared_videos: Path, tmp_path: Path) -> None:
    """Copied where it begins at a keyframe and fits, encoded anew where not: the right frames either way."""
    path = shared_videos / "panda" / "person" / "f_7ogsgfbok_4.mp4"
    settings = CurateSettings(stream_copy=True, short_side_px=360)
    frames = decoded(path)
    info, scan, _ = cut(path, 0, len(frames), tmp_path / "copy.mp4", settings)
    assert info.frames == len(frames) and (info.width, info.height) == (640, 360)
    assert all(np.array_equal(a, b) for a, b in zip(decoded(tmp_path / "copy.mp4"), frames, strict=True))
    assert probe_video(tmp_path / "copy.mp4").duration_s == pytest.approx(scan.times_s[-1], abs=0.05)
    part, _, _ = cut(path, 3, 40, tmp_path / "part.mp4", settings)
    assert part.frames == 37
    assert np.abs(decoded(tmp_path / "part.mp4")[0].astype(int) - frames[3]).mean() < 8
    small, _, _ = cut(path, 0, 40, tmp_path / "small.mp4", CurateSettings(stream_copy=True))
    assert (small.width, small.height) == (568, 320)


def test_a_rate_for_training(shared_videos: Path, tmp_path: Path) -> None:
    path = shared_videos / "shots" / "issue-134-rotate.mp4"  # 23.98 frames a second
    info, _, _ = cut(path, 5, 60, tmp_path / "clip.mp4", CurateSettings(clip_fps=8.0))
    probe = probe_video(tmp_path / "clip.mp4")
    assert probe.frames == info.frames == 19 and probe.duration_s == pytest.approx(info.end_s - info.start_s, abs=2e-3)
    everything, _, _ = cut(path, 5, 60, tmp_path / "all.mp4", CurateSettings(clip_fps=24.0))
    assert everything.frames == 55
    kept, frames = decoded(tmp_path / "clip.mp4"), decoded(tmp_path / "all.mp4")
    assert all(np.abs(a.astype(int) - b).mean() < 6 for a, b in zip(kept, frames[::3], strict=True))


@pytest.mark.parametrize("name", ["goldeneye-vfr-drop3.mp4", "issue-134-rotate.mp4"])
def test_a_crop_is_that_part_of_the_picture(name: str, shared_videos: Path, tmp_path: Path) -> None:
    path = shared_videos / "shots" / name
    content = (0.25, 0.1, 0.75, 0.9)
    info, _, source = cut(path, 60, 70, tmp_path / "part.mp4", CurateSettings(), content)
    cut(path, 60, 70, tmp_path / "all.mp4", CurateSettings(short_side_px=544))
    part, whole = decoded(tmp_path / "part.mp4")[0], decoded(tmp_path / "all.mp4")[0]
    height, width = whole.shape[:2]
    rows, columns = (content[1::2], content[0::2]) if source.rotation == 0 else (content[0::2], (0.1, 0.9))
    expected = whole[int(rows[0] * height) : int(rows[1] * height), int(columns[0] * width) : int(columns[1] * width)]
    expected = av.VideoFrame.from_ndarray(np.ascontiguousarray(expected)).to_ndarray(
        width=info.width, height=info.height
    )
    assert part.shape == expected.shape
    assert np.abs(part.astype(int) - expected).mean() < 8
