"""One video to at most one clip, and the evidence for what was decided."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hashtag2action.catalog.schema import Decision, Reason
from hashtag2action.curate.cut import ClipInfo, cut_clip
from hashtag2action.curate.people import Box, load_detector
from hashtag2action.curate.scan import Scan, frames_to_check, scan_video
from hashtag2action.curate.scenes import Scene
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.window import Window, choose_window
from hashtag2action.media.container import MediaError
from hashtag2action.media.probe import Probe, probe_video


@dataclass(frozen=True)
class Detection:
    """The people in one checked frame."""

    index: int
    time_s: float
    boxes: tuple[Box, ...]

    @property
    def area(self) -> float:
        """Share of the picture that people cover, overlaps counted once for each."""
        return min(1.0, sum(box.area for box in self.boxes))


@dataclass(frozen=True)
class VideoReport:
    """What was found in a video and decided about it. `dataclasses.asdict` makes it JSON; equal input, equal report."""

    title: str
    decision: Decision
    reason: Reason
    detail: str | None = None
    probe: Probe | None = None
    cuts: tuple[int, ...] = ()  # first frames of the scenes but the first
    scenes: tuple[Scene, ...] = ()
    chosen: Scene | None = None
    motion: float | None = None  # mean over the chosen scene, 0 to 1
    detections: tuple[Detection, ...] = ()
    person_frames: int | None = None
    window: Window | None = None
    clip: ClipInfo | None = None


def curate_video(path: Path, settings: CurateSettings, clip_path: Path) -> VideoReport:
    """Decide a video as the paper does (section 3.2) and write its clip to `clip_path` if it may be kept.

    The longest scene is kept; a person in enough of the frames checked accepts it, fewer send it to a reviewer (the
    clip is written, so that it can be watched). A fault of the file is a decision like any other. Raises `UserError`
    where there is no detector to be had.
    """
    try:
        return _curate(path, settings, clip_path)
    except MediaError as error:
        return VideoReport(path.stem, Decision.REJECTED, Reason(error.kind), error.detail)


def _curate(path: Path, settings: CurateSettings, clip_path: Path) -> VideoReport:
    probe = probe_video(path)
    if probe.duration_s > settings.max_video_s:
        raise MediaError("too_large", f"{probe.duration_s:.0f} s, over {settings.max_video_s:g} s")
    scan = scan_video(path, probe, settings)
    scene = scan.chosen
    found = {
        "probe": probe,
        "cuts": tuple(scan.cuts),
        "scenes": tuple(scan.scenes),
        "chosen": scene,
        "motion": round(float(scan.motion[scene.start_frame : scene.end_frame].mean()), 6),
    }
    if round(scene.duration_s, 3) < settings.min_clip_s:
        detail = f"longest scene {scene.duration_s:.2f} s, under {settings.min_clip_s:g} s"
        return VideoReport(path.stem, Decision.REJECTED, Reason.SCENE_TOO_SHORT, detail, **found)  # type: ignore[arg-type]
    detections = _detect(path, scan, probe, settings)
    person_frames = sum(bool(detection.boxes) for detection in detections)
    areas = [detection.area for detection in detections]
    checked = [detection.index for detection in detections]
    window = choose_window(scene, settings.max_clip_s, scan.times_s, scan.motion, checked, areas)
    accepted = person_frames >= settings.min_person_frames
    return VideoReport(
        title=path.stem,
        decision=Decision.ACCEPTED if accepted else Decision.REVIEW,
        reason=Reason.PERSON if accepted else Reason.FEW_PERSON_FRAMES,
        detail=f"a person in {person_frames} of {len(detections)} frames",
        detections=detections,
        person_frames=person_frames,
        window=window,
        clip=cut_clip(path, scan, probe, window, settings, clip_path),
        **found,  # type: ignore[arg-type]
    )


def _detect(path: Path, scan: Scan, probe: Probe, settings: CurateSettings) -> tuple[Detection, ...]:
    frames = frames_to_check(path, scan, probe, settings)
    boxes = load_detector(settings).detect(list(frames.values()))
    return tuple(
        Detection(index, round(scan.times_s[index], 3), tuple(people))
        for index, people in zip(frames, boxes, strict=True)
    )
