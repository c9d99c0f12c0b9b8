"""One pass over a video: its times, cuts, motion and, where it can be foreseen, the frames to look for people in.

Which frames are to be checked is known only when the longest scene is, at the end. While a scene lasts, it is taken
to last to the end of the video, and the frames that this would make the checked ones are kept. For the last scene,
which in most short-form videos is the only one, that is exact; for another one they are decoded again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hashtag2action.curate.fingerprint import Fingerprinter
from hashtag2action.curate.quality import Quality, QualityMeter
from hashtag2action.curate.scenes import CutFinder, Scene, longest, scenes_between, small_frame
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.media.container import MediaError, open_video, video_stream
from hashtag2action.media.decode import pick
from hashtag2action.media.frames import decode, upright_rgb, upright_yuv
from hashtag2action.media.probe import COMPLETE, Probe

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Image = np.ndarray[Any, np.dtype[np.uint8]]
Shares = tuple[float, float, float, float]  # left, top, right, bottom

KEPT_PX = 3840 * 2160  # larger frames to check are made small at once, others when they are looked at
PICTURES_MB = 192  # of memory for frames as clips have them; a longer video is decoded a second time for its clip
WAITING_MB = 144  # of memory for frames of a scene that may yet turn out too short for a clip


@dataclass(frozen=True)
class Scan:
    """What one pass over n frames found.

    `stamps` are the container's timestamps, `times_s` (n + 1 values) the start of every frame, from 0, and the end of the
    last; `keys` the indices of keyframes; `motion` (n values) the mean absolute difference of luma to the frame before,
    0 to 1, and 0 across a cut; `frames` the scene's frames to check, by index, as decoded or as upright RGB images; `pictures` the
    frames of scenes long enough as a clip has them, by index, where they were asked for and take no more memory than `PICTURES_MB`.
    """

    stamps: list[int | None]
    times_s: list[float]
    keys: list[int]
    cuts: list[int]
    scenes: list[Scene]
    chosen: Scene
    motion: np.ndarray[Any, np.dtype[np.float64]]
    frames: dict[int, VideoFrame | Image]
    pictures: dict[int, VideoFrame]
    quality: Quality | None = None
    fingerprint: bytes | None = None


def scan_video(path: Path, probe: Probe, settings: CurateSettings, with_pictures: bool = False) -> Scan:
    """Decode a video once. Raises `MediaError` where it cannot be read or under 90 % of its frames decode."""
    finder = CutFinder(settings, probe.fps)
    size = checked_size(probe, settings)
    prints = Fingerprinter(probe.fps)
    meter = QualityMeter(probe)
    stamps: list[int | None] = []
    keys: list[int] = []
    motion: list[float] = []
    kept: dict[int, VideoFrame | Image] = {}
    pictures = _Pictures(probe, settings, with_pictures)
    planned = set(checked_frames(0, probe.frames, settings.frames_checked))
    with open_video(path) as container:
        stream = video_stream(container)
        last: Image | None = None
        for index, frame in enumerate(decode(container, stream)):
            stamps.append(frame.pts)
            if frame.key_frame:
                keys.append(index)
            bgr, luma = small_frame(frame)
            prints.add(luma, frame.time)
            meter.add(frame, luma)
            motion.append(_difference(last, luma))
            last = luma
            if cuts := finder.add(index, np.rot90(bgr, k=-probe.rotation // 90)):
                kept.clear()
                pictures.cut(cuts[-1])
                planned = set(checked_frames(cuts[-1], probe.frames, settings.frames_checked))
            if index in planned:
                large = frame.width * frame.height > KEPT_PX
                kept[index] = upright_rgb(frame, *size, probe.rotation) if large else frame
            pictures.add(index, frame)
        times_s = _times(stamps, float(stream.time_base or 0), probe)
    if len(stamps) < COMPLETE * probe.frames:
        raise MediaError("truncated", f"{len(stamps)} of {probe.frames} frames can be decoded")
    cuts = finder.finish()
    scenes = scenes_between(cuts, times_s)
    still = np.array(motion)
    still[cuts] = 0.0
    quality, fingerprint = meter.finish(), prints.finish(probe.rotation)
    return Scan(stamps, times_s, keys, cuts, scenes, longest(scenes), still, kept, pictures.made, quality, fingerprint)


class _Pictures:
    """Makes frames into what a clip has of them, those of a scene once it has lasted long enough: short ones cost nothing."""

    def __init__(self, probe: Probe, settings: CurateSettings, wanted: bool) -> None:
        self.made: dict[int, VideoFrame] = {}
        self._size = clip_size(probe, settings.short_side_px)
        self._rotation = probe.rotation
        self._most = int((PICTURES_MB << 20) / (1.5 * self._size[0] * self._size[1])) if wanted else 0
        self._off = probe.frames > self._most
        self._waits = settings.min_clip_s * probe.fps - 1
        self._waiting: dict[int, VideoFrame] = {}
        self._long = False

    def add(self, index: int, frame: VideoFrame) -> None:
        """Take in the next frame."""
        if self._off or index >= self._most:
            return
        self._waiting[index] = frame
        bits = frame.width * frame.height * frame.format.padded_bits_per_pixel
        count = len(self._waiting)
        self._long = self._long or count > self._waits or count * bits > WAITING_MB << 23
        if self._long:
            made = (upright_yuv(frame, *self._size, self._rotation) for frame in self._waiting.values())
            self.made.update(zip(self._waiting, made, strict=True))
            self._waiting.clear()

    def cut(self, start: int) -> None:
        """Begin a scene at frame `start`, some frames back at most."""
        self._waiting = {index: frame for index, frame in self._waiting.items() if index >= start}
        self._long = False


def frames_to_check(
    path: Path, scan: Scan, scene: Scene, probe: Probe, settings: CurateSettings
) -> Iterator[tuple[int, Image]]:
    """Yield the frames of a scene to look for people in, with their indices: those of the pass, or decoded again."""
    wanted = checked_frames(scene.start_frame, scene.end_frame, settings.frames_checked)
    there = all(index in scan.frames for index in wanted)
    found = ((index, scan.frames[index]) for index in wanted) if there else pick(path, scan.stamps, scan.keys, wanted)
    size = checked_size(probe, settings)
    for index, frame in found:
        yield index, frame if isinstance(frame, np.ndarray) else upright_rgb(frame, *size, probe.rotation)


def checked_frames(start: int, end: int, count: int) -> list[int]:
    """Return which frames of a scene of n = `end - start` are checked: every floor(n / count)-th, from that one on.

    Paper, 3.2: of 101 frames, 10 at every 10th, "starting from the 10th frame". A scene with fewer than `count` frames
    has all of them checked.
    """
    step = max(1, (end - start) // count)
    return list(range(start + step - 1, end, step))[:count]


def checked_size(probe: Probe, settings: CurateSettings) -> tuple[int, int]:
    """Return `(width, height)` of a checked frame: the longer side as the detector takes it, never enlarged."""
    scale = min(1.0, settings.detector_size_px / max(probe.width, probe.height))
    return max(1, round(probe.width * scale)), max(1, round(probe.height * scale))


def clip_size(probe: Probe, short_side_px: int, content: Shares | None = None) -> tuple[int, int]:
    """Return `(width, height)` of the clip: even, the shorter side as asked, never enlarged."""
    wide, high = (1.0, 1.0) if content is None else (content[2] - content[0], content[3] - content[1])
    if probe.rotation % 180:
        wide, high = high, wide
    scale = min(1.0, short_side_px / min(probe.width * wide, probe.height * high))
    return max(2, round(probe.width * wide * scale / 2) * 2), max(2, round(probe.height * high * scale / 2) * 2)


def _difference(before: Image | None, luma: Image) -> float:
    import cv2

    if before is None or before.shape != luma.shape:
        return 0.0
    return cv2.norm(before, luma, cv2.NORM_L1) / (255.0 * luma.size)


def _times(stamps: list[int | None], time_base_s: float, probe: Probe) -> list[float]:
    """Return the start of every frame in seconds from the first, never going back, and the end of the last."""
    if not stamps:
        return [0.0]
    known = [stamp for stamp in stamps if stamp is not None]
    step_s = probe.duration_s / probe.frames
    if len(known) < len(stamps) or len(set(known)) == 1:
        return [index * step_s for index in range(len(stamps) + 1)]
    ticks = np.maximum.accumulate(np.array(known, dtype=np.int64) - known[0])
    times = [round(float(value), 6) for value in ticks * time_base_s]
    return [*times, round(max(times[-1] + 1e-6, times[-1] + step_s), 6)]
