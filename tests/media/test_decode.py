"""Frames by number are those of a plain decode from the start, whatever the file."""

from __future__ import annotations

import itertools
from pathlib import Path

import av
import numpy as np
import pytest

from hashtag2action.media.container import MediaError, open_video, video_stream
from hashtag2action.media.decode import open_frames, pick, read_frames
from hashtag2action.media.frames import decode

FILES = {
    "shots/delayed_start.mp4": 0,
    "shots/fades.mp4": 0,
    "shots/goldeneye-vfr-drop3.mp4": 0,
    "shots/issue-134-rotate.mp4": -1,  # turned clockwise to be displayed
    "signs/000.mp4": 0,
    "yoga/bhujangasan/subj00_vid20250127135640.mp4": 0,
    "panda/no_person/10y6wieug00_62.mp4": 0,
}


def plain_decode(path: Path, turns: int = 0) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [np.rot90(frame.to_ndarray(format="rgb24"), turns) for frame in container.decode(video=0)]


@pytest.mark.parametrize("name", FILES)
def test_frames_equal_a_plain_decode(shared_videos, name):
    path = shared_videos / name
    frames = plain_decode(path, FILES[name])
    rng = np.random.default_rng(0)
    with open_frames(path) as reader:
        assert reader.frames == len(frames)
        for indices in (
            [0],
            [len(frames) - 1],
            sorted(rng.integers(len(frames), size=6).tolist()),
            rng.integers(len(frames), size=4).tolist(),
            [len(frames) // 2] * 2,
        ):
            read = reader.read(indices)
            assert all(np.array_equal(image, frames[i]) for image, i in zip(read, indices, strict=True)), indices


def reencode(source: Path, target: Path, codec: str) -> Path:
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        stream = writing.add_stream(codec, rate=25, options={"bf": "2", "g": "12"})
        stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv420p"
        for frame in reading.decode(video=0):
            writing.mux(stream.encode(av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), format="rgb24")))
        writing.mux(stream.encode(None))
    return target


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("avi", "libx264"),
        ("avi", "mpeg4"),
        ("ts", "mpeg2video"),
        ("mpg", "mpeg2video"),
        ("mkv", "libx264"),
        ("mp4", "libx264"),
    ],
)
def test_containers_with_and_without_display_timestamps(shared_videos, tmp_path, suffix, codec):
    """AVI tells the order of decoding only: a reader that trusts its timestamps returns neighbours of the frames asked."""
    path = reencode(shared_videos / "signs/000.mp4", tmp_path / f"clip.{suffix}", codec)
    frames = plain_decode(path)
    assert len(frames) == 30
    for indices in ([3], [29, 14], [0, 1, 2, 25], list(range(30))):
        read = read_frames(path, indices)
        assert all(np.array_equal(image, frames[i]) for image, i in zip(read, indices, strict=True)), indices


def test_shrinks_to_a_short_side_and_never_enlarges(shared_videos):
    path = shared_videos / "yoga/bhujangasan/subj00_vid20250127135640.mp4"
    assert read_frames(path, [5], short_side=98).shape == (1, 98, 175, 3)
    assert read_frames(path, [5], short_side=4000).shape == (1, 256, 456, 3)


def test_what_is_no_video_says_so(shared_videos, tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("no video at all")
    with pytest.raises(MediaError):
        read_frames(text, [0])
    cut = tmp_path / "cut.mp4"
    whole = (shared_videos / "signs/000.mp4").read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError):
        read_frames(cut, [29])
    with pytest.raises(MediaError, match="truncated"):
        read_frames(shared_videos / "signs/000.mp4", [30])


@pytest.mark.parametrize("name", ["goldeneye-vfr-drop3.mp4", "delayed_start.mp4", "issue-195-aspect-ratio.mp4"])
@pytest.mark.parametrize("stamped", [True, False])
def test_picked_frames_are_the_same_with_and_without_seeking(name: str, stamped: bool, shared_videos: Path) -> None:
    path = shared_videos / "shots" / name
    with open_video(path) as container:
        frames = list(itertools.islice(decode(container, video_stream(container)), 260))
    stamps = [frame.pts if stamped else None for frame in frames]
    keys = [index for index, frame in enumerate(frames) if frame.key_frame]
    first = len(frames) - 10
    wanted = {index: bytes(frames[index].planes[0]) for index in range(first, len(frames))}
    assert {i: bytes(f.planes[0]) for i, f in pick(path, stamps, keys, range(first, len(frames)))} == wanted
    few = [2, first, first + 5]
    assert {i: bytes(f.planes[0]) for i, f in pick(path, stamps, keys, few)} == {
        i: bytes(frames[i].planes[0]) for i in few
    }


def test_picking_from_a_lost_file(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="missing"):
        list(pick(tmp_path / "gone.mp4", [0, 1], [0], [0, 1]))
