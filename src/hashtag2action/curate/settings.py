"""Settings of curation. The defaults are the paper's where it gives a number."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from hashtag2action.curate.duplicates import DuplicateSettings
from hashtag2action.curate.metadata import MetadataFilter
from hashtag2action.settings import Settings


class QualityLimits(Settings):
    """What a video must reach to be kept; a limit that is None is not looked at. The measures are those of `Quality`."""

    min_score: float | None = Field(default=None, ge=0, le=1)
    min_motion: float | None = Field(default=None, ge=0, le=1)
    max_still: float | None = Field(default=None, ge=0, le=1)
    max_shake: float | None = Field(default=None, ge=0)
    min_sharpness: float | None = Field(default=None, ge=0, le=1)
    min_brightness: float | None = Field(default=None, ge=0, le=1)
    max_brightness: float | None = Field(default=None, ge=0, le=1)
    max_bars: float | None = Field(default=None, ge=0, le=1)
    max_text: float | None = Field(default=None, ge=0, le=1)
    max_screen: float | None = Field(default=None, ge=0, le=1)
    max_split: float | None = Field(default=None, ge=0, le=1)
    min_short_side_px: int | None = Field(default=None, ge=1)
    min_aspect: float | None = Field(default=None, gt=0)  # width by height
    max_aspect: float | None = Field(default=None, gt=0)


class CurateSettings(Settings):
    """How a video becomes a clip, or does not."""

    metadata: MetadataFilter = MetadataFilter()
    duplicates: DuplicateSettings = DuplicateSettings()

    detector: str = Field(default="yolov8n", pattern=r"^(yolov8n|onnx:.+)$")  # or `onnx:FILE`
    weights: Path | None = None  # a YOLOv8 `.onnx` or `.pt` file in place of the published one
    allow_unpickle: bool = False  # load a `.pt` of unknown hash, which can run any code
    detector_size_px: int = Field(default=640, ge=32, le=4096, multiple_of=32)  # of the longer side
    detector_device: Literal["cpu", "cuda"] = "cpu"
    detector_batch: int = Field(default=1, ge=1, le=256)  # frames looked at together; over 1: for all workers
    detector_threads: int = Field(default=1, ge=1)
    confidence: float = Field(default=0.25, gt=0, lt=1)  # Ultralytics' default, as the paper used
    overlap: float = Field(default=0.7, gt=0, le=1)  # IoU above which two boxes are one; Ultralytics' default
    detector_enlarge: bool = True  # smaller videos to `detector_size_px`, as Ultralytics does
    glance_px: int | None = Field(default=None, ge=32, le=4096)  # of a look before it, believed if it sees somebody
    first_look_px: int | None = Field(default=None, ge=32, le=4096)  # longer side of a cheap first look; None: none
    stop_early: bool = False  # look at no more frames than decide whether people are in enough of them

    scene_detector: Literal["adaptive", "content", "hash", "histogram", "threshold", "transnetv2"] = "adaptive"
    scene_threshold: float | None = None  # None: the detector's own, tuned on short-form videos where known
    min_scene_s: float = Field(default=0.6, ge=0)
    min_clip_s: float = Field(default=3.5, gt=0)  # paper, 3.2
    max_clip_s: float = Field(default=10.0, gt=0)
    frames_checked: int = Field(default=10, ge=1, le=1000)
    min_person_frames: int = Field(default=4, ge=0)
    min_person_area: float = Field(default=0.0, ge=0, lt=1)  # share of the picture that a box must cover to count
    max_video_s: float = Field(default=3600.0, gt=0)
    max_video_mb: float = Field(default=4096.0, gt=0)
    all_scenes: bool = False  # a clip of every scene that qualifies, not of the longest alone

    quality: QualityLimits = QualityLimits()
    low_quality: Literal["review", "reject"] = "review"  # what becomes of a video that breaks a limit

    short_side_px: int = Field(default=320, ge=16)
    clip_fps: float | None = Field(default=None, gt=0)  # at most, by leaving frames out; None: the source's
    crop_bars: bool = False  # cut letterbox and blurred side bars off
    stream_copy: bool = False  # keep the source's own coding where the clip begins at a keyframe and its size allows
    gop_frames: int = Field(default=16, ge=1)
    crf: int = Field(default=23, ge=0, le=51)
    preset: str = "veryfast"  # of x264

    @model_validator(mode="after")
    def _consistent(self) -> CurateSettings:
        if self.max_clip_s < self.min_clip_s:
            raise ValueError(f"max_clip_s = {self.max_clip_s} is less than min_clip_s = {self.min_clip_s}")
        if self.min_person_frames > self.frames_checked:
            raise ValueError(
                f"min_person_frames = {self.min_person_frames} is more than frames_checked = {self.frames_checked}"
            )
        return self
