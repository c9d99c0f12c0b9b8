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


def cut(path: Path, start: int, end: int, clip: Path) -> tuple[ClipInfo, Scan, Probe]:
    probe = probe_video(path)
    scan = scan_video(path, probe, SETTINGS)
    return cut_clip(path, scan, probe, window_of(scan, start, end), SETTINGS, clip), scan, probe


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
        cut_clip(tmp_path / "gone.mp4", scan, probe, window_of(scan, 0, 20), SETTINGS, tmp_path / "clip.mp4")
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
