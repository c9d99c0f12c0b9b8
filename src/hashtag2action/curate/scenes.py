"""Where a video is cut: PySceneDetect's detectors or TransNet V2, fed with small frames.

The small frames are taken from every n-th pixel of the decoded planes instead of being scaled, which costs a
fraction of it and finds the same cuts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hashtag2action.curate.settings import CurateSettings
from hashtag2action.media.frames import pixels, reformat

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from scenedetect.detector import SceneDetector

SMALL_SIDE_PX = 96  # about the shorter side of a small frame's luma; its colours have half of it


@dataclass(frozen=True)
class Scene:
    """Frames `start_frame` to `end_frame - 1` between two cuts, with the times at which the first begins and the last ends."""

    start_s: float
    end_s: float
    start_frame: int
    end_frame: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


class CutFinder:
    """Finds cuts in frames handed over one by one."""

    def __init__(self, settings: CurateSettings, fps: float) -> None:
        self._fps = max(fps, 1e-3)
        self._detector = DETECTORS[settings.scene_detector](settings, max(1, round(settings.min_scene_s * fps)))
        self._found: list[int] = []
        self._last = -1
        self._shape: tuple[int, ...] = ()

    def add(self, index: int, small_bgr: np.ndarray[Any, Any]) -> list[int]:
        """Take frame `index` and return the cuts found by it: first frames of new scenes, possibly some frames back."""
        import cv2

        self._last = index
        self._shape = self._shape or small_bgr.shape[:2]
        if small_bgr.shape[:2] != self._shape:  # the picture size changed within the file
            small_bgr = cv2.resize(small_bgr, self._shape[::-1])
        return self._keep(self._detector.process_frame(self._time(index), small_bgr))

    def finish(self) -> list[int]:
        """Return all cuts in order, with those that only the end of the video shows."""
        if self._last >= 0:
            self._keep(self._detector.post_process(self._time(self._last)))
        return sorted({cut for cut in self._found if 0 < cut <= self._last})

    def _time(self, index: int) -> Any:
        from scenedetect import FrameTimecode

        return FrameTimecode(index, fps=self._fps)

    def _keep(self, cuts: Sequence[Any]) -> list[int]:
        found = [cut.frame_num for cut in cuts]
        self._found += found
        return found


def scenes_between(cuts: Sequence[int], times_s: Sequence[float]) -> list[Scene]:
    """Return the scenes that `cuts` make; `times_s` holds the start of every frame and, last, the end of the video."""
    bounds = [0, *cuts, len(times_s) - 1]
    return [Scene(times_s[a], times_s[b], a, b) for a, b in itertools.pairwise(bounds)]


def longest(scenes: Sequence[Scene]) -> Scene:
    """Return the longest scene in seconds; of equals the first."""
    return max(scenes, key=lambda scene: (round(scene.duration_s, 3), -scene.start_frame))


def small_frame(frame: VideoFrame) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return a frame made small, both uint8: BGR (h, w, 3) with a shorter side of about 48 px, luma (H, W) of about 96."""
    import cv2

    step = max(1, round(min(frame.width, frame.height) / SMALL_SIDE_PX))
    if frame.format.name not in ("yuv420p", "yuvj420p") or min(frame.width, frame.height) < 16:
        width, height = max(16, frame.width // step), max(16, frame.height // step)
        frame, step = reformat(frame, width, height, "yuv420p"), 1
    planes = [pixels(plane)[::step, ::step] for plane in frame.planes]
    rows = min(len(planes[0]), 2 * len(planes[1])) & ~3
    columns = min(planes[0].shape[1], 2 * planes[1].shape[1]) & ~1
    luma = np.ascontiguousarray(planes[0][:rows, :columns])
    height, width = rows // 2 & ~3, columns // 2 & ~1
    i420 = np.empty((height * 3 // 2, width), np.uint8)
    i420[:height] = luma[: 2 * height : 2, : 2 * width : 2]
    for part, plane in zip(i420[height:].reshape(2, height // 2, width // 2), planes[1:], strict=True):
        part[:] = plane[:height:2, :width:2]
    return cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420), luma


class _QuickScore:
    """PySceneDetect's score of how far a frame is from the one before, in hue, saturation and value: equal, but computed at once."""

    _before: np.ndarray[Any, Any] | None = None

    def _calculate_frame_score(self, timecode: Any, frame_img: np.ndarray[Any, Any]) -> float:
        import cv2

        hsv = cv2.cvtColor(frame_img, cv2.COLOR_BGR2HSV)
        before, self._before = self._before, hsv
        return 0.0 if before is None else cv2.norm(hsv, before, cv2.NORM_L1) / hsv.size


def _adaptive(settings: CurateSettings, min_frames: int) -> SceneDetector:
    from scenedetect import AdaptiveDetector

    class Adaptive(_QuickScore, AdaptiveDetector):
        pass

    return Adaptive(_threshold(settings, 3.5), min_scene_len=min_frames, window_width=3)


def _content(settings: CurateSettings, min_frames: int) -> SceneDetector:
    from scenedetect import ContentDetector

    class Content(_QuickScore, ContentDetector):
        pass

    return Content(_threshold(settings, 31.0), min_scene_len=min_frames)


def _hash(settings: CurateSettings, min_frames: int) -> SceneDetector:
    from scenedetect import HashDetector

    return HashDetector(_threshold(settings, 0.35), min_scene_len=min_frames)


def _histogram(settings: CurateSettings, min_frames: int) -> SceneDetector:
    from scenedetect import HistogramDetector

    return HistogramDetector(_threshold(settings, 0.2), min_scene_len=min_frames)


def _fades(settings: CurateSettings, min_frames: int) -> SceneDetector:
    from scenedetect import ThresholdDetector

    return ThresholdDetector(_threshold(settings, 12), min_scene_len=min_frames)


def _transnet(settings: CurateSettings, min_frames: int) -> Any:
    from hashtag2action.curate.transnet import TransNetDetector

    return TransNetDetector(_threshold(settings, 0.5), min_frames, settings.detector_threads)


def _threshold(settings: CurateSettings, own: float) -> float:
    return own if settings.scene_threshold is None else settings.scene_threshold


# Thresholds: PySceneDetect's, but adaptive (3.5, window 3, .6 s) and content (31, .6 s) as tuned on the short-form AutoShot set.
DETECTORS: dict[str, Callable[[CurateSettings, int], SceneDetector]] = {
    "adaptive": _adaptive,
    "content": _content,
    "hash": _hash,
    "histogram": _histogram,
    "threshold": _fades,
    "transnetv2": _transnet,
}
