"""Curating a catalog: an engine maps `curate_video` over what is undecided, one writer records what comes back."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hashtag2action.catalog.schema import Decision, Reason, Video
from hashtag2action.catalog.store import Catalog
from hashtag2action.console import track
from hashtag2action.curate.duplicates import find_duplicates
from hashtag2action.curate.people import detector_file, detector_identity
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.video import VideoReport, curate_video
from hashtag2action.engine import Engine, Outcome
from hashtag2action.files import write_json
from hashtag2action.settings import digest


@dataclass(frozen=True)
class CurateSummary:
    """What one call did: how many videos it decided, and how."""

    curated: int
    accepted: int
    review: int
    rejected: int
    reasons: dict[str, int]  # of everything decided, most frequent first


@dataclass(frozen=True)
class Job:
    """A video to curate, and where its clip goes."""

    video: int
    path: Path
    clip: Path


def curate(catalog: Catalog, workspace: Path, settings: CurateSettings, engine: Engine) -> CurateSummary:
    """Decide every readable video that these settings have not decided yet; write its clip and its JSON file.

    Each video is recorded on its own as soon as it is done, so a run that is killed goes on where it was. Raises
    `UserError` where there is no detector to be had, before any video is read.
    """
    key = digest(settings, detector_identity(settings))
    _remove_partial(workspace)
    videos = catalog.videos()
    by_id = {video.id: video for video in videos}
    duplicates = find_duplicates(videos)
    undecided = {video.id for video in catalog.to_curate(key)}
    undecided |= {video.id for video in videos if _was_duplicate(video) and video.id not in duplicates}
    decisions: Counter[Decision] = Counter()
    reasons: Counter[str] = Counter()
    jobs = {}
    for video in videos:
        if video.id in undecided and video.id in duplicates:
            _record_duplicate(catalog, workspace, video, by_id[duplicates[video.id]], key)
            decisions[Decision.REJECTED] += 1
            reasons[Reason.DUPLICATE.value] += 1
        elif video.id in undecided:
            jobs[Job(video.id, Path(video.path), workspace / "clips" / f"{_short(video)}.mp4")] = video
    if jobs:
        detector_file(settings)
    for outcome in track(engine.map(partial(_curate_job, settings=settings), jobs), len(jobs), "curate"):
        report = outcome.result or _failed(outcome)
        _record(catalog, workspace, jobs[outcome.item], outcome.item, report, key)
        decisions[report.decision] += 1
        reasons[report.reason.value] += 1
    _describe_unread(workspace, videos)
    return CurateSummary(
        curated=sum(decisions.values()),
        accepted=decisions[Decision.ACCEPTED],
        review=decisions[Decision.REVIEW],
        rejected=decisions[Decision.REJECTED],
        reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    )


def _curate_job(job: Job, settings: CurateSettings) -> VideoReport:
    return curate_video(job.path, settings, job.clip)


def _failed(outcome: Outcome[Job, VideoReport]) -> VideoReport:
    assert outcome.failure is not None
    return VideoReport(outcome.item.path.stem, Decision.REJECTED, Reason(outcome.failure.value))


def _record(catalog: Catalog, workspace: Path, video: Video, job: Job, report: VideoReport, key: str) -> None:
    """Write a video's JSON file, then its decision; without a clip, one of an earlier decision goes."""
    if report.clip is None:
        job.clip.unlink(missing_ok=True)
    evidence = _plain(report) | {"title": video.title}
    write_json(_json_path(workspace, video), _about(video) | evidence)
    clips = [asdict(report.clip) | {"path": job.clip.relative_to(workspace).as_posix()}] if report.clip else []
    catalog.set_decision(
        video.id,
        report.decision,
        report.reason,
        detail=report.detail,
        settings_digest=key,
        report=evidence,
        clips=clips,
    )


def _record_duplicate(catalog: Catalog, workspace: Path, video: Video, kept: Video, key: str) -> None:
    decision = {"decision": Decision.REJECTED.value, "reason": Reason.DUPLICATE.value, "duplicate_of": kept.path}
    name = hashlib.sha256(video.path.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    path = workspace / "videos" / f"{_short(video)}-{name}.json"  # the content's own file is the kept video's
    write_json(path, _about(video) | {"title": video.title, **decision})
    catalog.set_decision(video.id, Decision.REJECTED, Reason.DUPLICATE, duplicate_of=kept.id, settings_digest=key)


def _describe_unread(workspace: Path, videos: Iterable[Video]) -> None:
    """Write the JSON file of each video that was rejected before it could be curated, if there is none yet."""
    for video in videos:
        if video.codec is None and video.sha256 and not _json_path(workspace, video).exists():
            facts = {"title": video.title, "decision": video.decision, "reason": video.reason, "detail": video.detail}
            write_json(_json_path(workspace, video), _about(video) | facts)


def _about(video: Video) -> dict[str, Any]:
    return {"path": video.path, "sha256": video.sha256, "hashtags": [row.hashtag for row in video.hashtags]}


def _plain(report: VideoReport) -> dict[str, Any]:
    """Return a report as JSON would give it back: lists for tuples, plain text for enums."""
    return json.loads(json.dumps(asdict(report)))


def _json_path(workspace: Path, video: Video) -> Path:
    return workspace / "videos" / f"{_short(video)}.json"


def _short(video: Video) -> str:
    assert video.sha256 is not None
    return video.sha256[:16]


def _was_duplicate(video: Video) -> bool:
    return video.reason == Reason.DUPLICATE.value


def _remove_partial(workspace: Path) -> None:
    """Remove the unfinished files that a killed run left."""
    for folder in ("clips", "videos"):
        for path in (workspace / folder).glob(".*.part.*"):
            path.unlink(missing_ok=True)
