"""Small clips cut from the sample videos, so that training in a test takes seconds."""

from __future__ import annotations

import csv
from pathlib import Path

import av
import pytest


@pytest.fixture(scope="session")
def small_clips(sample_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight real clips of 32 frames, short side 96."""
    with sample_videos.open(newline="") as table:
        names = [row["file"] for row in csv.DictReader(table)]
    folder = tmp_path_factory.mktemp("clips")
    clips = []
    for title, count in (("carphone", 3), ("bikes", 5)):
        source = sample_videos.parent / next(name for name in names if title in name)
        clips += [_cut(source, 32 * i, 32, folder / f"{title}-{i}.mp4") for i in range(count)]
    return clips


def _cut(source: Path, first: int, count: int, target: Path) -> Path:
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        stream = None
        for number, frame in enumerate(reading.decode(video=0)):
            if number < first:
                continue
            if number == first + count:
                break
            if stream is None:
                stream = writing.add_stream("libx264", rate=25)
                scale = 96 / min(frame.width, frame.height)
                stream.width, stream.height = (round(side * scale / 2) * 2 for side in (frame.width, frame.height))
                stream.pix_fmt = "yuv420p"
                stream.options = {"preset": "ultrafast", "g": "16"}
            small = frame.reformat(stream.width, stream.height, "yuv420p")
            small.pts = None
            writing.mux(stream.encode(small))
        assert stream is not None
        writing.mux(stream.encode(None))
    return target
