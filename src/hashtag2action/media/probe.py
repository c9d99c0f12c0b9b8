"""What a video file is, told from its packets and its first frame."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from hashtag2action.media.container import MediaError, open_video, packets, video_stream
from hashtag2action.media.frames import decode

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

COMPLETE = 0.9  # share of the promised duration that must be there


@dataclass(frozen=True)
class Probe:
    """Facts about a video file; `width` and `height` in pixels as displayed, `rotation` clockwise in degrees."""

    container: str
    codec: str
    width: int
    height: int
    fps: float  # average
    frames: int  # packets counted, not what the header says
    duration_s: float
    rotation: int
    has_audio: bool


def probe_video(path: Path) -> Probe:
    """Read every packet and decode one frame of a video.

    Raises `MediaError`: missing, unreadable, empty (no frames), still_image (one frame), too_large (frames beyond the
    bound) or truncated (packets for less than 90 % of the duration that the header promises).
    """
    with open_video(path) as container:
        stream = video_stream(container)
        frame = next(decode(container, stream), None)
        if frame is None:
            raise MediaError("empty" if not stream.frames else "unreadable", "no frame can be decoded")
        rotation = clockwise_rotation(frame)
        width, height = displayed_size(frame, stream)
        container.seek(0, stream=stream)
        frames, duration_s = _measure(container, stream)
        return Probe(
            container=container.format.name.split(",")[0],
            codec=stream.codec_context.name,
            width=width,
            height=height,
            fps=round(frames / duration_s, 4),
            frames=frames,
            duration_s=round(duration_s, 4),
            rotation=rotation,
            has_audio=bool(container.streams.audio),
        )


def clockwise_rotation(frame: VideoFrame) -> int:
    """Return by how much a frame is to be turned clockwise for display: 0, 90, 180 or 270 degrees."""
    return round(-frame.rotation / 90) * 90 % 360


def displayed_size(frame: VideoFrame, stream: VideoStream) -> tuple[int, int]:
    """Return `(width, height)` after rotation and with square pixels; an implausible pixel shape counts as square."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if not Fraction(1, 4) <= aspect <= 4:
        aspect = Fraction(1)
    width, height = round(frame.width * aspect), frame.height
    return (height, width) if clockwise_rotation(frame) % 180 else (width, height)


def _measure(container: InputContainer, stream: VideoStream) -> tuple[int, float]:
    """Count the video packets and return them with the seconds from the first to the end of the last."""
    count, ticks, starts, end_s = 0, 0, [], 0.0
    for packet in packets(container):
        stamp = packet.pts if packet.pts is not None else packet.dts
        if packet.is_discard:
            continue
        if not packet.size or stamp is None or packet.time_base is None:
            count += packet.stream is stream and packet.size > 0
            continue
        end_s = max(end_s, float((stamp + (packet.duration or 0)) * packet.time_base))
        if packet.stream is stream:
            count += 1
            starts.append(stamp)
            ticks = packet.duration or ticks
    if count == 0:
        raise MediaError("empty", "no video frames")
    if count == 1:
        raise MediaError("still_image", "a single frame")
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    base = float(stream.time_base or 0)
    spread_s = (max(starts) - min(starts)) * base if starts else 0.0
    duration_s = spread_s + (ticks * base or 1 / rate) if spread_s > 0 else count / rate
    _check_complete(container, stream, duration_s, end_s)
    return count, duration_s


def _check_complete(container: InputContainer, stream: VideoStream, duration_s: float, end_s: float) -> None:
    """Raise `MediaError` where the header promises much more than there is; `end_s` covers all streams."""
    if stream.duration and stream.time_base:
        promised_s, found_s = float(stream.duration * stream.time_base), duration_s
    else:
        promised_s, found_s = (container.duration or 0) / 1_000_000, end_s
    if found_s < COMPLETE * promised_s:
        raise MediaError("truncated", f"{found_s:.2f} s of the {promised_s:.2f} s that its header promises")
