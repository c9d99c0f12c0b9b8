from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hashtag2action.curate.scan import checked_frames, frames_to_check, scan_video
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.media.container import open_video, video_stream
from hashtag2action.media.frames import decode, upright_rgb
from hashtag2action.media.probe import probe_video


@pytest.mark.parametrize(
    ("start", "end", "count", "expected"),
    [
        (0, 101, 10, [9, 19, 29, 39, 49, 59, 69, 79, 89, 99]),  # the paper's example: every 10th from the 10th on
        (50, 150, 10, [59, 69, 79, 89, 99, 109, 119, 129, 139, 149]),
        (0, 19, 10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (5, 8, 10, [5, 6, 7]),
        (0, 8, 2, [3, 7]),
        (0, 1, 1, [0]),
    ],
)
def test_which_frames_are_checked(start: int, end: int, count: int, expected: list[int]) -> None:
    assert checked_frames(start, end, count) == expected


@pytest.mark.parametrize("name", ["fades.mp4", "issue-134-rotate.mp4", "goldeneye-vfr-drop3.mp4"])
def test_checked_frames_are_those_of_the_file(name: str, shared_videos: Path) -> None:
    """The last scene's come from the pass, a middle one's are decoded again: both must be the real frames."""
    path = shared_videos / "shots" / name
    settings = CurateSettings(detector_size_px=320)
    probe = probe_video(path)
    scan = scan_video(path, probe, settings)
    found = dict(frames_to_check(path, scan, scan.chosen, probe, settings))
    assert list(found) == checked_frames(scan.chosen.start_frame, scan.chosen.end_frame, 10)
    size = next(iter(found.values())).shape[1::-1]
    assert max(size) == 320
    with open_video(path) as container:
        for index, frame in enumerate(decode(container, video_stream(container))):
            if index in found:
                assert np.array_equal(found[index], upright_rgb(frame, *size, probe.rotation))


def test_times_follow_the_timestamps(shared_videos: Path) -> None:
    path = shared_videos / "shots" / "goldeneye-vfr-drop3.mp4"
    scan = scan_video(path, probe_video(path), CurateSettings())
    steps = np.diff(scan.times_s[:-1])
    assert len(scan.times_s) == 161 and scan.times_s[0] == 0.0
    assert steps.min() == pytest.approx(1001 / 24000, abs=1e-3)
    assert steps.max() == pytest.approx(2 * 1001 / 24000, abs=1e-3)


def test_motion_is_where_things_move(shared_videos: Path) -> None:
    path = shared_videos / "shots" / "issue-134-rotate.mp4"
    scan = scan_video(path, probe_video(path), CurateSettings())
    assert scan.motion.shape == (240,)
    assert all(scan.motion[cut] == 0.0 for cut in scan.cuts)
    assert 0.0 < scan.motion.max() < 0.5
