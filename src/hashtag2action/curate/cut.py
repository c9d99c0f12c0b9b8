"""A part of a video written as a clip that trains fast: small, upright, without B-frames, keyframes close together.

One encoder thread and no macroblock tree (whose result depends on what the process did before), so that the same
frames give the same bytes in every worker of a cluster.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hashtag2action.curate.remux import copy_packets
from hashtag2action.curate.scan import Scan, Shares, clip_size
from hashtag2action.curate.scenes import Scene
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.window import Window
from hashtag2action.errors import UserError
from hashtag2action.files import atomic_path, sha256_of
from hashtag2action.media.container import MediaError
from hashtag2action.media.decode import pick
from hashtag2action.media.frames import pixels, reformat, upright_yuv
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
    path: Path,
    scan: Scan,
    scene: Scene,
    probe: Probe,
    window: Window,
    settings: CurateSettings,
    clip_path: Path,
    content: Shares | None = None,
) -> ClipInfo:
    """Write a window of a video as H.264 in mp4, whole or not at all, and describe it.

    Timestamps are the source's, moved to begin at 0; pixels become square, rotation and 8 bits a channel are baked in. Only
    `content` is kept of every frame: left, top, right, bottom as shares of the stored picture. Raises `MediaError` where the
    window is a single frame or cannot be decoded, `UserError` where the clip cannot be written.
    """
    kept = _thinned(range(window.start_frame, window.end_frame), scan.times_s, settings.clip_fps)
    if len(kept) < 2:
        raise MediaError("still_image", f"a single frame that lasts {window.end_s - window.start_s:.2f} s")
    crop = None if content in (None, (0.0, 0.0, 1.0, 1.0)) else content
    size = clip_size(probe, settings.short_side_px, crop)
    stamps = _ticks([*(scan.times_s[index] for index in kept), scan.times_s[window.end_frame]])
    at = dict(zip(kept, stamps, strict=False))
    with atomic_path(clip_path) as temporary:
        written = 0
        if settings.stream_copy and not crop and len(kept) == window.end_frame - window.start_frame:
            with _writing(temporary):
                written = copy_packets(path, scan, probe, window, size, temporary)
        if not written:
            frames = _pictures(path, scan, kept, size, crop, probe.rotation)
            written = _encode(temporary, frames, at, stamps, size, settings)
        if written == 0:
            raise MediaError("unreadable", "no frame of the chosen window can be decoded a second time")
    return ClipInfo(
        start_s=window.start_s,
        end_s=window.end_s,
        scene_s=round(scene.duration_s, 6),
        frames=written,
        fps=round(written / (window.end_s - window.start_s), 4),
        width=size[0],
        height=size[1],
        size_bytes=clip_path.stat().st_size,
        sha256=sha256_of(clip_path),
    )


def _thinned(indices: Sequence[int], times_s: Sequence[float], fps: float | None) -> list[int]:
    """Return the frames left when no more than `fps` a second are kept: the first of each `1 / fps` seconds."""
    if fps is None:
        return list(indices)
    kept: list[int] = []
    due = 0
    for index in indices:
        at = (times_s[index] - times_s[indices[0]]) * fps + 0.01  # a hundredth of a frame early is in time
        if at >= due:
            kept.append(index)
            due = int(at) + 1
    return kept


def _ticks(times_s: Sequence[float]) -> list[int]:
    """Return times in ticks from the first, each later than the one before."""
    ticks = [0]
    for time_s in times_s[1:]:
        ticks.append(max(round((time_s - times_s[0]) / TIME_BASE), ticks[-1] + 1))
    return ticks


def encoder_options(settings: CurateSettings) -> dict[str, str]:
    """Return what x264 is told, so that training reads clips fast.

    A keyframe every `gop_frames` and no B-frames: few frames to decode for one that is wanted. Without CABAC and weighted
    prediction decoding takes a third less time and a file 8 % more bytes. Macroblock trees are off because their
    outcome depends on what the process encoded before.
    """
    gop = settings.gop_frames
    return {
        "preset": settings.preset,
        "crf": str(settings.crf),
        "bf": "0",
        "threads": "1",
        "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:mbtree=0:cabac=0:weightp=0",
    }


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


def _pictures(
    path: Path, scan: Scan, kept: list[int], size: tuple[int, int], crop: Shares | None, rotation: int
) -> Iterator[tuple[int, VideoFrame]]:
    """Yield the clip's frames with their indices: those that the scan left, or else decoded again."""
    if crop is None and all(index in scan.pictures for index in kept):
        yield from ((index, scan.pictures[index]) for index in kept)
        return
    for index, frame in pick(path, scan.stamps, scan.keys, kept):
        yield index, upright_yuv(_cropped(frame, crop) if crop else frame, *size, rotation)


def _encode(
    path: Path,
    frames: Iterator[tuple[int, VideoFrame]],
    at: Mapping[int, int],
    stamps: list[int],
    size: tuple[int, int],
    settings: CurateSettings,
) -> int:
    """Encode `(index, frame)` pairs and return how many there were; `at` holds their times in ticks, `stamps` these and the end."""
    import av
    from av.video.frame import PictureType

    count = 0
    with _writing(path), av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as clip:
        stream: VideoStream | None = None
        for index, picture in frames:
            if stream is None:
                stream = _add_stream(clip, picture, size, len(stamps) - 1, stamps[-1], settings)
            picture.pict_type = PictureType.NONE  # the encoder decides, not the source
            picture.pts, picture.time_base = at[index], TIME_BASE
            _mux(clip, stream.encode(picture), stamps)
            count += 1
        if stream is not None:
            _mux(clip, stream.encode(), stamps)
    return count


def _add_stream(
    clip: OutputContainer, like: VideoFrame, size: tuple[int, int], frames: int, ticks: int, settings: CurateSettings
) -> VideoStream:
    rate = max(Fraction(frames, ticks) / TIME_BASE, Fraction(1, 1000))
    stream = clip.add_stream("libx264", rate=rate.limit_denominator(1001), options=encoder_options(settings))
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = TIME_BASE
    context.thread_count = 1
    context.color_range, context.colorspace = like.color_range, like.colorspace
    context.color_primaries, context.color_trc = like.color_primaries, like.color_trc
    return stream


def _cropped(frame: VideoFrame, crop: Shares) -> VideoFrame:
    """Return the part of a frame that the shares of its sides name, from even pixel to even pixel, as 4:2:0."""
    from av import VideoFrame

    frame = reformat(frame, None, None, "yuv420p")
    left, top = (round(share * side / 2) for share, side in zip(crop[:2], (frame.width, frame.height), strict=True))
    right, bottom = (int(share * side / 2) for share, side in zip(crop[2:], (frame.width, frame.height), strict=True))
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    luma, *chroma = (pixels(plane) for plane in frame.planes)
    parts = [luma[2 * top : 2 * bottom, 2 * left : 2 * right], *(plane[top:bottom, left:right] for plane in chroma)]
    joined = np.concatenate([part.ravel() for part in parts])
    return VideoFrame.from_ndarray(joined.reshape(3 * (bottom - top), 2 * (right - left)), format="yuv420p")


def _mux(clip: OutputContainer, packets: Any, stamps: list[int]) -> None:
    """Write packets with the time that their frame lasts in the source, the last one's too."""
    for packet in packets:
        at = round(packet.pts * packet.time_base / TIME_BASE)
        packet.duration = round((stamps[bisect.bisect_right(stamps, at)] - at) * TIME_BASE / packet.time_base)
        clip.mux(packet)
