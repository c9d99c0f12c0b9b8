"""What happened to one video, told for a reader: its pictures, its timeline and its decision in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashtag2action.catalog.schema import Decision, Reason, Video
from hashtag2action.report.pictures import Picture, frames_of

REASONS = {
    Reason.PERSON: "enough of the checked frames show a person",
    Reason.FEW_PERSON_FRAMES: "too few of the checked frames show a person, so somebody has to look",
    Reason.UNREADABLE: "not a video, or damaged before its first frame",
    Reason.TRUNCATED: "much of what the file's header promises is missing",
    Reason.EMPTY: "no bytes, or no video frames",
    Reason.STILL_IMAGE: "a single picture, not a video",
    Reason.TOO_LARGE: "more pixels, bytes or hours than the settings allow",
    Reason.SCENE_TOO_SHORT: "its longest scene is shorter than the shortest clip allowed",
    Reason.DUPLICATE: "byte for byte the same as a video that is in the catalog already",
    Reason.NEAR_DUPLICATE: "looks like a video that is kept",
    Reason.HELD_OUT: "looks like a video that is held out, such as one of a test set",
    Reason.LOW_QUALITY: "breaks a limit that the settings put on quality",
    Reason.LANGUAGE: "its post is in a language that the filter turns down",
    Reason.REGION: "its post is from a region that the filter turns down",
    Reason.LICENCE: "its licence is none that the filter allows",
    Reason.DURATION: "its length is outside what the filter allows",
    Reason.VIEWS: "it has fewer views than the filter asks for",
    Reason.BLOCKED_WORD: "its caption holds a blocked word",
    Reason.BLOCKED_USER: "its user is blocked",
    Reason.REVIEWER: "a person looked at it and decided",
    Reason.FORGOTTEN: "removed on request",
    Reason.MISSING: "registered, but the file is gone",
    Reason.TIMEOUT: "took longer than one file may",
    Reason.CRASHED: "crashed the process that read it",
    Reason.OUT_OF_MEMORY: "needed more memory than one file may",
}


@dataclass(frozen=True)
class Span:
    """A stretch of a timeline, in per cent of the video's length and in seconds."""

    left: float
    width: float
    start_s: float
    end_s: float
    chosen: bool = False


@dataclass(frozen=True)
class Box:
    """A person found, in per cent of the picture's width and height, and the detector's confidence (0 to 1)."""

    left: float
    top: float
    width: float
    height: float
    score: float


@dataclass(frozen=True)
class Checked:
    """A frame in which people were looked for, and where on the timeline (per cent) it lies."""

    time_s: float
    at: float
    boxes: tuple[Box, ...]
    picture: Picture | None


@dataclass(frozen=True)
class Story:
    """One video as the page tells it."""

    title: str
    hashtags: tuple[str, ...]
    decision: str
    words: str
    duration_s: float
    scenes: tuple[Span, ...]
    window: Span | None
    checked: tuple[Checked, ...]
    source_gone: bool

    @property
    def with_person(self) -> int:
        """Number of checked frames that show a person."""
        return sum(1 for frame in self.checked if frame.boxes)


def tell(video: Video, workspace: Path, min_person_frames: int | None) -> Story:
    """Return the story of a curated video; its pictures come from its clip or from the source, where that can still be read."""
    report = video.report or {}
    scenes = report.get("scenes") or []
    chosen = report.get("chosen") or {}
    length_s = max([video.duration_s or 0.0, *(scene["end_s"] for scene in scenes)]) or 1.0
    detections = report.get("detections") or []
    window = report.get("window")
    pictures = _pictures(video, workspace, [found["index"] for found in detections], window)
    checked = tuple(
        Checked(
            found["time_s"], 100 * found["time_s"] / length_s, _boxes(found), pictures[number] if pictures else None
        )
        for number, found in enumerate(detections)
    )
    return Story(
        title=video.title,
        hashtags=tuple(row.hashtag for row in video.hashtags),
        decision=video.decision,
        words=_words(video, report, sum(1 for frame in checked if frame.boxes), len(checked), min_person_frames),
        duration_s=length_s,
        scenes=tuple(_span(scene, length_s, chosen=scene == chosen) for scene in scenes),
        window=_span(window, length_s) if window else None,
        checked=checked,
        source_gone=bool(detections) and pictures is None,
    )


def why(reason: str | None) -> str:
    """Return a reason as a sentence part, or the word itself where it is none of `Reason`."""
    known = {item.value: text for item, text in REASONS.items()}
    return known.get(reason or "", (reason or "not recorded").replace("_", " "))


def _pictures(
    video: Video, workspace: Path, indices: Sequence[int], window: Mapping[str, Any] | None
) -> list[Picture] | None:
    """Return the frames numbered `indices` of the source: out of the small clip where it holds them all, frame for frame."""
    if window and video.clips:
        clip, start, end = video.clips[0], window["start_frame"], window["end_frame"]
        if clip.frames == end - start and all(start <= index < end for index in indices):
            pictures = frames_of(workspace / clip.path, [index - start for index in indices])
            if pictures is not None:
                return pictures
    return frames_of(Path(video.path), indices)


def _words(video: Video, report: Mapping[str, Any], seen: int, checked: int, needed: int | None) -> str:
    scenes = report.get("scenes") or []
    chosen, window = report.get("chosen"), report.get("window")
    sentences = []
    if chosen:
        length_s = chosen["end_s"] - chosen["start_s"]
        which = "One scene" if len(scenes) == 1 else f"The longest of {len(scenes)} scenes"
        sentences.append(f"{which}, {length_s:.1f} s.")
    if checked:
        sentences.append(f"A person shows in {seen} of {checked} checked frames{_judged(seen, needed)}.")
    if video.decision == Decision.ACCEPTED.value and chosen and window:
        kept_s = window["end_s"] - window["start_s"]
        most = "motion" if window.get("rule") == "motion" else "person and motion"
        sentences.append(
            "Kept whole." if window.get("rule") == "whole_scene" else f"The {kept_s:.1f} s with most {most} are kept."
        )
    if video.decision == Decision.REJECTED.value or not sentences:
        sentences.append(f"{video.decision.capitalize()}: {why(video.reason)}.")
    return " ".join(sentences)


def _judged(seen: int, needed: int | None) -> str:
    if needed is None:
        return ""
    return f", {needed} are enough" if seen >= needed else f", {needed} would be enough"


def _span(part: Mapping[str, Any], length_s: float, chosen: bool = False) -> Span:
    start_s, end_s = float(part["start_s"]), float(part["end_s"])
    return Span(100 * start_s / length_s, 100 * max(0.0, end_s - start_s) / length_s, start_s, end_s, chosen)


def _boxes(found: Mapping[str, Any]) -> tuple[Box, ...]:
    boxes = found.get("boxes") or []
    return tuple(
        Box(
            100 * box["x1"], 100 * box["y1"], 100 * (box["x2"] - box["x1"]), 100 * (box["y2"] - box["y1"]), box["score"]
        )
        for box in boxes
    )
