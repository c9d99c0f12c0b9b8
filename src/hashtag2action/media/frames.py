"""All frames of a video, as planes or upright and in colour."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hashtag2action.media.container import MediaError, packets

if TYPE_CHECKING:
    import numpy as np
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.plane import VideoPlane
    from av.video.stream import VideoStream


_mine = threading.local()


def reformat(
    frame: VideoFrame, width: int | None, height: int | None, form: str, interpolation: str = "BILINEAR"
) -> VideoFrame:
    """Return a frame in another size (None: its own) and pixel format, as `VideoFrame.reformat` does.

    By one thread and with a scaler that is kept: PyAV makes a scaler, with a thread for every core, for every frame.
    """
    from av.video.reformatter import VideoReformatter

    if not hasattr(_mine, "scaler"):
        _mine.scaler = VideoReformatter()
    scaled: VideoFrame = _mine.scaler.reformat(frame, width, height, form, interpolation=interpolation, threads=1)
    return scaled


def decode(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield the frames from where the container stands, in display order, skipping packets too damaged to decode.

    Raises `MediaError` where reading itself fails.
    """
    import av

    source = packets(container, stream)
    while True:
        try:
            packet = next(source, None)
            if packet is None:
                return
            yield from packet.decode()
        except av.InvalidDataError:
            continue
        except av.EOFError:
            return
        except av.FFmpegError as error:
            raise MediaError.from_ffmpeg(error) from error


def pixels(plane: VideoPlane) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a plane of one byte a pixel as (height, width), without copying it."""
    import numpy as np

    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def upright_rgb(frame: VideoFrame, width: int, height: int, rotation: int) -> np.ndarray[Any, Any]:
    """Return a frame as displayed, turned clockwise by `rotation` degrees and scaled: (height, width, 3), RGB, uint8."""
    import numpy as np

    turned = rotation % 180 == 90
    scaled = reformat(frame, *((height, width) if turned else (width, height)), "rgb24").to_ndarray()
    return np.ascontiguousarray(np.rot90(scaled, k=-rotation // 90))


def upright_yuv(frame: VideoFrame, width: int, height: int, rotation: int) -> VideoFrame:
    """Return a frame as displayed, turned clockwise by `rotation` degrees and scaled, as 8-bit 4:2:0; sides are even."""
    import numpy as np
    from av import VideoFrame

    across, down = (height, width) if rotation % 180 else (width, height)
    shrunk = across < frame.width
    scaled = reformat(frame, across, down, "yuv420p", "AREA" if shrunk else "BICUBIC")
    if rotation == 0:
        return scaled
    turned = [np.rot90(pixels(plane), k=-rotation // 90).ravel() for plane in scaled.planes]
    return VideoFrame.from_ndarray(np.concatenate(turned).reshape(height * 3 // 2, width), format="yuv420p")
