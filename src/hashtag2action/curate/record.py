"""Writing decisions down: a video's JSON file, its rows in the catalog, and the removal of clips that give way.

The JSON file comes first and the row after it, so what the catalog says was done is on disk; clips go last, so that no row
names one that is gone. A run that is killed in between decides the video again, or removes the leftover.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hashtag2action.catalog.fingerprints import Standing, store_fingerprint
from hashtag2action.catalog.reviews import Review
from hashtag2action.catalog.schema import Decision, Reason, Video
from hashtag2action.catalog.store import Catalog
from hashtag2action.catalog.worklist import batches, clip_paths, video_of
from hashtag2action.curate.duplicates import Alike
from hashtag2action.curate.fingerprint import METHOD
from hashtag2action.curate.video import VideoReport
from hashtag2action.files import write_json


def clip_path(workspace: Path, sha256: str) -> Path:
    """Return where the (first) clip of a video goes."""
    return workspace / "clips" / f"{sha256[:16]}.mp4"


def record_report(
    catalog: Catalog, workspace: Path, video: Video, report: VideoReport, review: Review | None, key: str
) -> tuple[Decision, Reason]:
    """Record what was found in a video; return what it comes to, where a reviewer who accepted has the last word."""
    assert video.sha256 is not None
    if review is not None and review.decision is Decision.ACCEPTED and report.clip is not None:
        report = replace(report, decision=Decision.ACCEPTED, reason=Reason.REVIEWER)
    clips = {
        path.relative_to(workspace).as_posix(): asdict(clip)
        for path, clip in report.clips(clip_path(workspace, video.sha256))
    }
    evidence = _plain(report) | {"title": video.title}
    store_fingerprint(catalog, video.id, video.sha256, METHOD, report.fingerprint)
    _write(workspace, video, evidence)
    old = clip_paths(catalog, video.id)
    rows = [{"path": path, **clip} for path, clip in clips.items()]
    catalog.set_decision(
        video.id, report.decision, report.reason, detail=report.detail, settings_digest=key, report=evidence, clips=rows
    )
    first = clip_path(workspace, video.sha256).relative_to(workspace).as_posix()  # of a decision that was taken back
    _remove(workspace, (old | {first}) - clips.keys())
    return report.decision, report.reason


def set_aside(
    catalog: Catalog, workspace: Path, video: Video, reason: Reason, detail: str | None, kept: Video | None, key: str
) -> bool:
    """Record that a video is rejected without being read; return False where that is on record already."""
    duplicate_of = kept.id if kept else None
    now = (video.decision, video.reason, video.detail, video.duplicate_of, video.settings_digest)
    if now == (Decision.REJECTED.value, reason.value, detail, duplicate_of, key):
        return False
    facts: dict[str, Any] = {"title": video.title, "decision": Decision.REJECTED.value, "reason": reason.value}
    facts |= {"duplicate_of": kept.path} if kept else {"detail": detail}
    _write(workspace, video, facts, copy=reason is Reason.DUPLICATE)
    old = clip_paths(catalog, video.id)
    catalog.set_decision(
        video.id, Decision.REJECTED, reason, detail=detail, duplicate_of=duplicate_of, settings_digest=key
    )
    _remove(workspace, old)
    return True


def set_alike_aside(catalog: Catalog, workspace: Path, seen: Standing, alike: Alike, key: str) -> bool:
    """Record that a video looks like another one, with what was found in it; False where that is on record already."""
    video = video_of(catalog, seen.id)
    if (video.reason, video.detail, video.duplicate_of) == (alike.reason.value, alike.detail, alike.duplicate_of):
        return False
    verdict = {"decision": Decision.REJECTED.value, "reason": alike.reason.value, "detail": alike.detail}
    evidence = (video.report or {"title": video.title}) | verdict
    _write(workspace, video, evidence)
    old = clip_paths(catalog, video.id)
    catalog.set_decision(
        video.id, Decision.REJECTED, alike.reason, detail=alike.detail, duplicate_of=alike.duplicate_of,
        settings_digest=key, report=evidence,
    )  # fmt: skip
    _remove(workspace, old)
    return True


def describe_unread(catalog: Catalog, workspace: Path) -> None:
    """Write the JSON file of each video that was rejected before it could be curated, if there is none yet."""
    for videos in batches(catalog, Video.codec.is_(None)):
        for video in videos:
            if not _json_path(workspace, video).exists():
                facts = {"decision": video.decision, "reason": video.reason, "detail": video.detail}
                _write(workspace, video, {"title": video.title, **facts})


def _write(workspace: Path, video: Video, facts: dict[str, Any], *, copy: bool = False) -> None:
    """Write what is known of a video; that of a copy gets a name of its own, since the content's belongs to the kept one."""
    path = _json_path(workspace, video)
    if copy:
        name = hashlib.sha256(video.path.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        path = path.with_name(f"{path.stem}-{name}.json")
    about = {"path": video.path, "sha256": video.sha256, "hashtags": [row.hashtag for row in video.hashtags]}
    write_json(path, about | facts)


def _json_path(workspace: Path, video: Video) -> Path:
    assert video.sha256 is not None
    return workspace / "videos" / f"{video.sha256[:16]}.json"


def _plain(report: VideoReport) -> dict[str, Any]:
    """Return a report as JSON would give it back: lists for tuples, plain text for enums."""
    fields = asdict(replace(report, fingerprint=None))
    del fields["fingerprint"]
    plain: dict[str, Any] = json.loads(json.dumps(fields))
    return plain


def _remove(workspace: Path, clips: Iterable[str]) -> None:
    for path in clips:
        (workspace / path).unlink(missing_ok=True)
