from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from hashtag2action.media.container import open_video, video_stream
from hashtag2action.media.frames import decode, pixels, upright_rgb


def test_a_damaged_packet_costs_itself(shared_videos: Path, tmp_path: Path) -> None:
    content = bytearray((shared_videos / "shots" / "delayed_start.mp4").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = bytes(4000)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)
    with open_video(path) as container:
        assert 15 <= sum(1 for _ in decode(container, video_stream(container))) <= 24


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_upright(turn: int) -> None:
    """A frame stored turned back counter-clockwise comes out as it was meant to be seen."""
    shown = np.zeros((48, 80, 3), np.uint8)
    shown[:24, :40] = (255, 0, 0)
    stored = np.ascontiguousarray(np.rot90(shown, k=turn // 90))
    found = upright_rgb(av.VideoFrame.from_ndarray(stored, format="rgb24"), 80, 48, turn)
    assert np.abs(found.astype(int) - shown).max() <= 2


def test_pixels_leave_out_the_padding() -> None:
    image = np.arange(50 * 70, dtype=np.uint8).reshape(50, 70)
    frame = av.VideoFrame.from_ndarray(image, format="gray")
    assert np.array_equal(pixels(frame.planes[0]), image)
