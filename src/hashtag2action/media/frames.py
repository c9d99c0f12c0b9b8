"""Frames of a video: all of them, a span of them or chosen ones, as planes or upright and in colour."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashtag2action.media.container import MediaError, open_video, video_stream

if TYPE_CHECKING:
    import numpy as np
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.plane import VideoPlane
    from av.video.stream import VideoStream


def decode(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield the frames from where the container stands, in display order, skipping packets too damaged to decode.

    Raises `MediaError` where reading itself fails.
    """
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            yield from packet.decode()
        except av.InvalidDataError:
            continue
        except av.EOFError:
            return
        except av.FFmpegError as error:
            raise MediaError.from_ffmpeg(error) from error


def span(path: Path, stamps: Sequence[int | None], start: int, end: int) -> Iterator[tuple[int, VideoFrame]]:
    """Yield `(index, frame)` for the frames `start` to `end - 1` of a video, counted in display order from 0.

    `stamps` holds the timestamp of every frame, as decoding the video from its beginning gave them. They allow seeking to
    the keyframe before `start`; where they are missing or repeat, or seeking goes wrong, decoding begins at the first
    frame. Raises `MediaError`.
    """
    index_of = {stamp: index for index, stamp in enumerate(stamps)}
    if start and None not in index_of and len(index_of) == len(stamps):
        with open_video(path) as container:
            stream = video_stream(container)
            container.seek(stamps[start] or 0, stream=stream)
            frames = decode(container, stream)
            first = next(frames, None)
            if first is not None and index_of.get(first.pts, end) <= start:
                for frame in itertools.chain([first], frames):
                    index = index_of.get(frame.pts, -1)
                    if index >= end:
                        return
                    if index >= start:
                        yield index, frame
                return
    with open_video(path) as container:
        yield from itertools.islice(enumerate(decode(container, video_stream(container))), start, end)


def pick(
    path: Path, stamps: Sequence[int | None], keys: Sequence[int], wanted: Sequence[int]
) -> Iterator[tuple[int, VideoFrame]]:
    """Yield `(index, frame)` for each of the ascending indices `wanted`, decoding from the nearest keyframe before.

    `keys` holds the indices of the keyframes, ascending; the rest is as for `span`.
    """
    for _, group in itertools.groupby(wanted, key=lambda index: bisect.bisect_right(keys, index)):
        indices = list(group)
        for index, frame in span(path, stamps, indices[0], indices[-1] + 1):
            if index in indices:
                yield index, frame


def pixels(plane: VideoPlane) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a plane of one byte a pixel as (height, width), without copying it."""
    import numpy as np

    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def upright_rgb(frame: VideoFrame, width: int, height: int, rotation: int) -> np.ndarray[Any, Any]:
    """Return a frame as displayed, turned clockwise by `rotation` degrees and scaled: (height, width, 3), RGB, uint8."""
    import numpy as np

    turned = rotation % 180 == 90
    scaled = frame.reformat(*((height, width) if turned else (width, height)), format="rgb24").to_ndarray()
    return np.ascontiguousarray(np.rot90(scaled, k=-rotation // 90))
