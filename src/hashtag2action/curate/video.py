"""One video to the clips that may be kept of it, at most one by default, and the evidence for what was decided."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from hashtag2action.catalog.schema import Decision, Reason
from hashtag2action.curate.cut import ClipInfo, cut_clip
from hashtag2action.curate.people import Detection, Detector, find_people, load_detector
from hashtag2action.curate.quality import Quality, fault
from hashtag2action.curate.scan import Scan, checked_frames, frames_to_check, scan_video
from hashtag2action.curate.scenes import Scene
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.window import Window, choose_window
from hashtag2action.media.container import MediaError
from hashtag2action.media.probe import Probe, probe_video


@dataclass(frozen=True)
class SceneReport:
    """The people found in a scene, the part of it that would be kept, and the clip once it is written."""

    chosen: Scene
    motion: float  # mean over the scene, 0 to 1
    detections: tuple[Detection, ...]
    person_frames: int
    people: int  # most people in one frame
    window: Window
    clip: ClipInfo | None = None


@dataclass(frozen=True)
class VideoReport:
    """What was found in a video and decided about it. `dataclasses.asdict` makes it JSON; equal input, equal report.

    `chosen` to `clip` are those of the longest scene, or with `all_scenes` of the longest that is kept; `more` has the others.
    """

    title: str
    decision: Decision
    reason: Reason
    detail: str | None = None
    probe: Probe | None = None
    cuts: tuple[int, ...] = ()  # first frames of the scenes but the first
    scenes: tuple[Scene, ...] = ()
    quality: Quality | None = None
    chosen: Scene | None = None
    motion: float | None = None  # mean over the chosen scene, 0 to 1
    detections: tuple[Detection, ...] = ()
    person_frames: int | None = None
    people: int | None = None  # most in one frame of the chosen scene
    window: Window | None = None
    clip: ClipInfo | None = None
    more: tuple[SceneReport, ...] = ()
    fingerprint: bytes | None = None  # kept in the catalog, not in the JSON file

    def clips(self, clip_path: Path) -> list[tuple[Path, ClipInfo]]:
        """Return every clip with its file, where `clip_path` is that of the first."""
        infos = [self.clip, *(scene.clip for scene in self.more)]
        return [(scene_path(clip_path, n), info) for n, info in enumerate(infos) if info is not None]


def curate_video(
    path: Path, settings: CurateSettings, clip_path: Path, detector: Detector | None = None
) -> VideoReport:
    """Decide a video as the paper does (section 3.2) and write its clip to `clip_path` if it may be kept.

    The longest scene is kept; a person in enough of the frames checked accepts it, fewer send it to a reviewer (the
    clip is written, so that it can be watched). Further scenes' clips lie beside it. A fault of the file is a decision like
    any other. Without a `detector` the settings' is loaded where one is needed; raises `UserError` where there is none to be had.
    """
    try:
        report, scan = _examine(path, settings, detector, with_clip=not (settings.stream_copy or settings.crop_bars))
        if report.window is None or report.decision is Decision.REJECTED:
            return report
        assert report.probe is not None and report.chosen is not None
        content = report.quality.content if settings.crop_bars and report.quality else None
        clips = [
            cut_clip(path, scan, scene, report.probe, window, settings, scene_path(clip_path, n), content)
            for n, (scene, window) in enumerate(
                [(report.chosen, report.window), *((more.chosen, more.window) for more in report.more)]
            )
        ]
    except MediaError as error:
        return _refused(path, error)
    more = tuple(dataclasses.replace(scene, clip=clip) for scene, clip in zip(report.more, clips[1:], strict=True))
    return dataclasses.replace(report, clip=clips[0], more=more)


def examine_video(path: Path, settings: CurateSettings) -> VideoReport:
    """Decide a video as `curate_video` does, and write nothing."""
    try:
        return _examine(path, settings, None, with_clip=False)[0]
    except MediaError as error:
        return _refused(path, error)


def scene_path(clip_path: Path, number: int) -> Path:
    """Return where the clip of a video's n-th kept scene lies, the first at `clip_path` itself."""
    return clip_path.with_name(f"{clip_path.stem}-{number}{clip_path.suffix}") if number else clip_path


def _refused(path: Path, error: MediaError) -> VideoReport:
    return VideoReport(path.stem, Decision.REJECTED, Reason(error.kind), error.detail)


def _examine(
    path: Path, settings: CurateSettings, detector: Detector | None, *, with_clip: bool
) -> tuple[VideoReport, Scan]:
    probe = probe_video(path)
    _check_size(path, probe, settings)
    scan = scan_video(path, probe, settings, with_pictures=with_clip and probe.duration_s >= settings.min_clip_s)
    report = VideoReport(
        path.stem,
        Decision.REJECTED,
        Reason.SCENE_TOO_SHORT,
        f"longest scene {scan.chosen.duration_s:.2f} s, under {settings.min_clip_s:g} s",
        probe=probe,
        cuts=tuple(scan.cuts),
        scenes=tuple(scan.scenes),
        quality=scan.quality,
        chosen=scan.chosen,
        motion=_motion(scan, scan.chosen),
        fingerprint=scan.fingerprint,
    )
    low = fault(scan.quality, settings.quality) if scan.quality else None
    if round(scan.chosen.duration_s, 3) < settings.min_clip_s:
        return report, scan
    if low and settings.low_quality == "reject":
        return dataclasses.replace(report, reason=Reason.LOW_QUALITY, detail=low), scan
    detector = detector or load_detector(settings)
    scenes = [_look(path, scan, scene, probe, settings, detector) for scene in _candidates(scan, settings)]
    kept = [scene for scene in scenes if scene.person_frames >= settings.min_person_frames]
    best, *more = kept or scenes[:1]
    report = dataclasses.replace(
        report,
        decision=Decision.ACCEPTED if kept else Decision.REVIEW,
        reason=Reason.PERSON if kept else Reason.FEW_PERSON_FRAMES,
        detail=f"a person in {best.person_frames} of {len(best.detections)} frames",
        more=tuple(more),
        **{field.name: getattr(best, field.name) for field in dataclasses.fields(SceneReport)},
    )
    if low and kept:
        report = dataclasses.replace(report, decision=Decision.REVIEW, reason=Reason.LOW_QUALITY, detail=low)
    return report, scan


def _check_size(path: Path, probe: Probe, settings: CurateSettings) -> None:
    if probe.duration_s > settings.max_video_s:
        raise MediaError("too_large", f"{probe.duration_s:.0f} s, over {settings.max_video_s:g} s")
    size_mb = path.stat().st_size / 2**20
    if size_mb > settings.max_video_mb:
        raise MediaError("too_large", f"{size_mb:.0f} MB, over {settings.max_video_mb:g} MB")


def _candidates(scan: Scan, settings: CurateSettings) -> list[Scene]:
    """Return the scenes that may become clips, the longest first; by default that one alone."""
    if not settings.all_scenes:
        return [scan.chosen]
    long = [scene for scene in scan.scenes if round(scene.duration_s, 3) >= settings.min_clip_s]
    return sorted(long, key=lambda scene: (scene is not scan.chosen, -round(scene.duration_s, 3), scene.start_frame))


def _look(
    path: Path, scan: Scan, scene: Scene, probe: Probe, settings: CurateSettings, detector: Detector
) -> SceneReport:
    planned = len(checked_frames(scene.start_frame, scene.end_frame, settings.frames_checked))
    frames = frames_to_check(path, scan, scene, probe, settings)
    detections = find_people(frames, scan.times_s, planned, settings, detector)
    areas = [detection.area for detection in detections]
    checked = [detection.index for detection in detections]
    return SceneReport(
        chosen=scene,
        motion=_motion(scan, scene),
        detections=detections,
        person_frames=sum(bool(detection.boxes) for detection in detections),
        people=max((len(detection.boxes) for detection in detections), default=0),
        window=choose_window(scene, settings.max_clip_s, scan.times_s, scan.motion, checked, areas),
    )


def _motion(scan: Scan, scene: Scene) -> float:
    return round(float(scan.motion[scene.start_frame : scene.end_frame].mean()), 6)
