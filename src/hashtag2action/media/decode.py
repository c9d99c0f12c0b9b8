"""Chosen frames of a video, exact to the frame, at the cost of the group of pictures that holds them.

Packets are listed without decoding; their sorted timestamps say which frame is number `i` and from which keyframe it
can be reached. Where a file's timestamps do not allow that (missing, repeated, or not what the decoder returns) the
video is decoded from its start instead, so the frames are the same either way.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hashtag2action.media.container import MediaError, open_video, packets, video_stream
from hashtag2action.media.frame_folder import FrameFolder, is_frame_folder
from hashtag2action.media.frames import decode, reformat

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

Frames = NDArray[np.uint8]  # (N, H, W, 3), RGB, 0..255

SEEK_AHEAD = 24  # frames: nearer keyframes are cheaper reached by decoding on


@contextmanager
def open_frames(path: Path, threads: int = 1) -> Iterator[FrameReader | FrameFolder]:
    """Open a video, or a folder of pictures, to read frames by number. Raises `MediaError` where it cannot be read."""
    if is_frame_folder(path):
        yield FrameFolder(path)
        return
    with open_video(path) as container:
        stream = video_stream(container, threads)
        yield FrameReader(container, stream, _index(container, stream))


def read_frames(path: Path, indices: Sequence[int] | NDArray[np.int64], short_side: int | None = None) -> Frames:
    """Return the frames numbered `indices` (any order, repeats allowed) as `(N, H, W, 3)` RGB, rotated as displayed.

    `short_side` shrinks larger frames to that short side while converting. Raises `MediaError` where the video is
    unreadable or has fewer frames.
    """
    with open_frames(path) as reader:
        return reader.read(indices, short_side)


def pick(
    path: Path, stamps: Sequence[int | None], keys: Sequence[int], wanted: Sequence[int]
) -> Iterator[tuple[int, VideoFrame]]:
    """Yield `(index, frame)` for each of the ascending indices `wanted` of a video that was decoded before.

    `stamps` holds the timestamp of every frame as that pass gave them, `keys` the indices of the keyframes. Packets too
    damaged to decode are skipped, as they were then. Raises `MediaError`.
    """
    with open_video(path) as container:
        stream = video_stream(container)
        yield from FrameReader(container, stream, _known(stamps, keys), tolerant=True).select(wanted)


@dataclass(frozen=True)
class _Index:
    """The frames of a stream in display order, as its packets announce them."""

    pts: list[int]  # sorted
    keys: list[tuple[int, int]]  # (number of the frame, timestamp to seek to) of each keyframe, in display order
    regular: bool  # whether every packet had a timestamp of its own


class FrameReader:
    """An open video; `frames` is how many frames it announces."""

    def __init__(self, container: InputContainer, stream: VideoStream, index: _Index, tolerant: bool = False) -> None:
        self._container = container
        self._stream = stream
        self._index = index
        self._tolerant = tolerant
        self.frames = len(index.pts) if index.regular or tolerant else sum(1 for _ in self._from_start())
        if self.frames == 0:
            raise MediaError("empty", "no frame")

    @property
    def fps(self) -> float:
        """Average frames a second, 0 where the container does not say."""
        rate = self._stream.average_rate or self._stream.guessed_rate
        return float(rate) if rate else 0.0

    @property
    def size(self) -> tuple[int, int]:
        """Coded width and height in pixels, before rotation."""
        return self._stream.codec_context.width, self._stream.codec_context.height

    def read(self, indices: Sequence[int] | NDArray[np.int64], short_side: int | None = None) -> Frames:
        """Return the frames numbered `indices`, as `read_frames` does."""
        wanted = [int(i) for i in indices]
        unique = sorted(set(wanted))
        if unique[0] < 0 or unique[-1] >= self.frames:
            raise MediaError("truncated", f"frame {unique[-1]} asked of {self.frames}")
        found = {number: to_rgb(frame, short_side) for number, frame in self.select(unique)}
        first = found[unique[0]].shape
        if any(image.shape != first for image in found.values()):
            raise MediaError("unreadable", "the picture size changes within the clip")
        return np.stack([found[i] for i in wanted])

    def select(self, wanted: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Yield `(index, frame)` for each of the ascending, distinct indices. Raises `MediaError` where one is missing."""
        left = list(wanted)
        if self._index.regular:
            for number, frame in self._by_timestamp(left):
                yield number, frame
                left = left[1:]
        if left:
            yield from self._by_counting(left)

    def _by_timestamp(self, wanted: list[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Yield each wanted frame; stop early where the decoder does not return what the packets announced."""
        number_of = {pts: number for number, pts in enumerate(self._index.pts)}
        numbers = [number for number, _ in self._index.keys]
        frames: Iterator[VideoFrame] | None = None
        at = -1
        for target in wanted:
            nearest = bisect.bisect_right(numbers, target) - 1
            if nearest < 0:
                return
            number, seek_to = self._index.keys[nearest]
            if frames is None or number > at + SEEK_AHEAD:
                self._container.seek(seek_to, stream=self._stream)
                frames, at = self._decode(), -1
            for frame in frames:
                number = number_of.get(frame.pts, -1) if frame.pts is not None else -1
                if number < 0 or (at >= 0 and number != at + 1):
                    return  # timestamps that only count packets, or a frame that was dropped
                at = number
                if at >= target:
                    break
            if at != target:
                return
            yield target, frame

    def _by_counting(self, wanted: list[int]) -> Iterator[tuple[int, VideoFrame]]:
        left, count = set(wanted), 0
        for count, frame in enumerate(self._from_start()):
            if count in left:
                yield count, frame
                left.remove(count)
            if not left:
                return
        raise MediaError("truncated", f"frame {max(left)} asked, {count + 1} could be decoded of {self.frames}")

    def _from_start(self) -> Iterator[VideoFrame]:
        self._container.seek(self._index.keys[0][1] if self._index.keys else 0, stream=self._stream)
        yield from self._decode()

    def _decode(self) -> Iterator[VideoFrame]:
        if self._tolerant:
            return decode(self._container, self._stream)
        return (frame for packet in packets(self._container, self._stream) for frame in packet.decode())


def to_rgb(frame: VideoFrame, short_side: int | None = None) -> Frames:
    """Return a frame as `(H, W, 3)` RGB, rotated as displayed, shrunk to `short_side` where it is larger."""
    width, height, how = frame.width, frame.height, "BILINEAR"
    if short_side and min(width, height) > short_side:
        scale = short_side / min(width, height)
        width, height, how = round(width * scale), round(height * scale), "AREA"
    image: Frames = reformat(frame, width, height, "rgb24", how).to_ndarray()  # type: ignore[assignment]
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _index(container: InputContainer, stream: VideoStream) -> _Index:
    found = []
    regular = True
    for packet in packets(container, stream):
        if packet.size == 0 or packet.is_discard:
            continue
        if packet.pts is None or packet.dts is None:
            regular = False
            continue
        found.append((packet.pts, packet.dts, packet.is_keyframe))
    order = sorted(found)
    pts = [packet[0] for packet in order]
    keys = [(number, min(packet[0], packet[1])) for number, packet in enumerate(order) if packet[2]]
    regular = regular and bool(keys) and keys[0][0] == 0 and all(a < b for a, b in pairwise(pts))
    return _Index(pts, keys, regular)


def _known(stamps: Sequence[int | None], keys: Sequence[int]) -> _Index:
    """Return the index of a video all of whose frames were decoded; `stamps` are theirs."""
    pts = [stamp for stamp in stamps if stamp is not None]
    regular = len(pts) == len(stamps) and bool(keys) and keys[0] == 0 and all(a < b for a, b in pairwise(pts))
    return _Index([stamp or 0 for stamp in stamps], [(key, stamps[key] or 0) for key in keys], regular)
