"""A part of a video written as a clip that trains fast: small, upright, without B-frames, keyframes close together.

One encoder thread and no macroblock tree (whose result depends on what the process did before), so that the same
frames give the same bytes in every worker of a cluster.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hashtag2action.curate.scan import Scan
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.window import Window
from hashtag2action.errors import UserError
from hashtag2action.files import atomic_path, sha256_of
from hashtag2action.media.container import MediaError
from hashtag2action.media.frames import pixels, span
from hashtag2action.media.probe import Probe

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

TIME_BASE = Fraction(1, 90_000)  # fine enough for every frame rate, NTSC's too


@dataclass(frozen=True)
class ClipInfo:
    """A clip's place in its source, `scene_s` of the scene before any cap, and what the file is."""

    start_s: float
    end_s: float
    scene_s: float
    frames: int
    fps: float
    width: int
    height: int
    size_bytes: int
    sha256: str


def cut_clip(
    path: Path, scan: Scan, probe: Probe, window: Window, settings: CurateSettings, clip_path: Path
) -> ClipInfo:
    """Write a window of a video as H.264 in mp4, whole or not at all, and describe it.

    Timestamps are the source's, moved to begin at 0; pixels become square, rotation and 8 bits a channel are baked in.
    Raises `MediaError` where the window is a single frame or cannot be decoded, `UserError` where the clip cannot be written.
    """
    if window.end_frame - window.start_frame < 2:
        raise MediaError("still_image", f"a single frame that lasts {window.end_s - window.start_s:.2f} s")
    width, height = clip_size(probe, settings.short_side_px)
    times_s = scan.times_s[window.start_frame : window.end_frame + 1]
    stamps = _ticks(times_s)
    frames = span(path, scan.stamps, window.start_frame, window.end_frame)
    with atomic_path(clip_path) as temporary:
        written = _encode(temporary, frames, stamps, window.start_frame, (width, height), probe.rotation, settings)
        if written == 0:
            raise MediaError("unreadable", "no frame of the chosen window can be decoded a second time")
    return ClipInfo(
        start_s=window.start_s,
        end_s=window.end_s,
        scene_s=round(scan.chosen.duration_s, 6),
        frames=written,
        fps=round(written / (window.end_s - window.start_s), 4),
        width=width,
        height=height,
        size_bytes=clip_path.stat().st_size,
        sha256=sha256_of(clip_path),
    )


def clip_size(probe: Probe, short_side_px: int) -> tuple[int, int]:
    """Return `(width, height)` of the clip: even, the shorter side as asked, never enlarged."""
    scale = min(1.0, short_side_px / min(probe.width, probe.height))
    return max(2, round(probe.width * scale / 2) * 2), max(2, round(probe.height * scale / 2) * 2)


def _ticks(times_s: Sequence[float]) -> list[int]:
    """Return times in ticks from the first, each later than the one before."""
    ticks = [0]
    for time_s in times_s[1:]:
        ticks.append(max(round((time_s - times_s[0]) / TIME_BASE), ticks[-1] + 1))
    return ticks


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Tell FFmpeg's errors about the clip from those about the video, which arrive as `MediaError`."""
    import av

    try:
        yield
    except av.FFmpegError as error:
        raise UserError(
            f"{path}: the clip cannot be written ({error.strerror}); free or choose another disk"
        ) from error


def _encode(
    path: Path,
    frames: Any,
    stamps: list[int],
    first: int,
    size: tuple[int, int],
    rotation: int,
    settings: CurateSettings,
) -> int:
    """Encode `(index, frame)` pairs and return how many there were; `stamps` are the window's times in ticks, and its end."""
    import av
    from av.video.frame import PictureType

    count = 0
    with _writing(path), av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as clip:
        stream: VideoStream | None = None
        for index, frame in frames:
            if stream is None:
                stream = _add_stream(clip, frame, size, len(stamps) - 1, stamps[-1], settings)
            picture = _upright(frame, size, rotation)
            picture.pict_type = PictureType.NONE  # the encoder decides, not the source
            picture.pts, picture.time_base = stamps[index - first], TIME_BASE
            _mux(clip, stream.encode(picture), stamps)
            count += 1
        if stream is not None:
            _mux(clip, stream.encode(), stamps)
    return count


def _add_stream(
    clip: OutputContainer, like: VideoFrame, size: tuple[int, int], frames: int, ticks: int, settings: CurateSettings
) -> VideoStream:
    gop = settings.gop_frames
    rate = max(Fraction(frames, ticks) / TIME_BASE, Fraction(1, 1000))
    options = {
        "preset": settings.preset,
        "crf": str(settings.crf),
        "bf": "0",
        "threads": "1",
        "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:mbtree=0",
    }
    stream = clip.add_stream("libx264", rate=rate.limit_denominator(1001), options=options)
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = TIME_BASE
    context.thread_count = 1
    context.color_range, context.colorspace = like.color_range, like.colorspace
    context.color_primaries, context.color_trc = like.color_primaries, like.color_trc
    return stream


def _upright(frame: VideoFrame, size: tuple[int, int], rotation: int) -> VideoFrame:
    """Return a frame as 4:2:0, scaled and turned to stand as displayed."""
    from av import VideoFrame

    width, height = size[::-1] if rotation % 180 else size
    scaled = frame.reformat(width, height, "yuv420p")
    if rotation == 0:
        return scaled
    turned = [np.rot90(pixels(plane), k=-rotation // 90).ravel() for plane in scaled.planes]
    return VideoFrame.from_ndarray(np.concatenate(turned).reshape(size[1] * 3 // 2, size[0]), format="yuv420p")


def _mux(clip: OutputContainer, packets: Any, stamps: list[int]) -> None:
    """Write packets with the time that their frame lasts in the source, the last one's too."""
    for packet in packets:
        at = round(packet.pts * packet.time_base / TIME_BASE)
        packet.duration = round((stamps[bisect.bisect_right(stamps, at)] - at) * TIME_BASE / packet.time_base)
        clip.mux(packet)
