"""What the catalog knows of each clip that is kept, joined from videos, hashtags and posts: the rows of a snapshot."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hashtag2action.catalog.harvest import Post, Tombstone
from hashtag2action.catalog.schema import Clip, Decision, Video, VideoHashtag
from hashtag2action.catalog.store import Catalog
from hashtag2action.catalog.tombstones import KEY_FILE, Pseudonyms, forgotten

FETCH = 10_000  # rows in memory at a time


@dataclass(frozen=True, slots=True)
class SnapshotClip:
    """One clip of a data set. Nothing here names a person: user names stay in the catalog."""

    path: str  # relative to the workspace
    sha256: str
    video_sha256: str
    title: str
    label: str | None
    group: str | None  # clips of one group are never split between train and test
    hashtags: tuple[str, ...]  # by name
    duration_s: float
    scene_s: float  # length of the scene before the cap
    fps: float
    frames: int
    width: int
    height: int
    size_bytes: int
    views: int | None  # of the post, as all below but quality
    licence: str | None
    language: str | None
    region: str | None
    quality: float | None  # 0 to 1
    source: str  # origin or platform of the post; "file" where there is none

    def about(self) -> dict[str, Any]:
        """Return these facts as JSON values for those outside: the title without @names."""
        return asdict(self) | {"hashtags": list(self.hashtags), "title": without_names(self.title)}


def without_names(text: str) -> str:
    """Return a text with every @name replaced."""
    return re.sub(r"@[\w.]+", "@someone", text)


@dataclass(frozen=True)
class ClipFacts:
    """The clips, and how many accepted ones were left out because their post has vanished or was forgotten."""

    clips: list[SnapshotClip]
    vanished: int
    forgotten: int
    created: tuple[int, int] | None  # when the oldest and the newest of their posts were made, seconds since 1970


@dataclass(frozen=True, slots=True)
class _Told:
    """What the most viewed post of a video says, of those that are still there if any is."""

    views: int | None
    licence: str | None
    language: str | None
    region: str | None
    source: str
    created: int | None
    vanished: bool


_SILENT = _Told(None, None, None, None, "file", None, False)


def clip_facts(catalog: Catalog) -> ClipFacts:
    """Return every clip of an accepted video, by path. What is forgotten or gone from its platform is left out."""
    clips: list[SnapshotClip] = []
    created: list[int] = []
    vanished = 0
    with catalog.session() as session:
        told, tags = _posts(session), _hashtags(session)
        for row in _rows(session):
            post = told.get(row.id, _SILENT)
            vanished += post.vanished
            if post.vanished:
                continue
            if post.created is not None:
                created.append(post.created)
            clips.append(_clip(row, tuple(tags.get(row.id, ())), post))
        gone = buried(session, catalog.workspace, clips)
    clips = sorted((clip for clip in clips if clip.path not in gone), key=lambda clip: clip.path)
    return ClipFacts(clips, vanished, len(gone), (min(created), max(created)) if created else None)


def buried(session: Session, workspace: Path, clips: Sequence[SnapshotClip]) -> set[str]:
    """Return the paths of those clips that were forgotten, themselves or their video."""
    if not (workspace / KEY_FILE).is_file() or session.scalar(sa.select(Tombstone.digest).limit(1)) is None:
        return set()
    pseudonyms = Pseudonyms(workspace)
    digests = {sha256: pseudonyms.digest("file", sha256) for c in clips for sha256 in (c.sha256, c.video_sha256)}
    gone = forgotten(session, digests.values())
    return {clip.path for clip in clips if digests[clip.sha256] in gone or digests[clip.video_sha256] in gone}


def _rows(session: Session) -> Iterator[Any]:
    query = (
        sa.select(
            Video.id, Clip.path, Clip.sha256, Video.sha256.label("video_sha256"), Video.title, Video.label, Video.group,
            (Clip.end_s - Clip.start_s).label("duration_s"), Clip.scene_s, Clip.fps, Clip.frames, Clip.width, Clip.height,
            Clip.size_bytes, Video.report["quality"]["score"].as_float().label("quality"),
        )
        .join(Video, Video.id == Clip.video_id)
        .where(Video.decision == Decision.ACCEPTED.value)
    )  # fmt: skip
    yield from session.execute(query.execution_options(yield_per=FETCH))


def _clip(row: Any, hashtags: tuple[str, ...], post: _Told) -> SnapshotClip:
    return SnapshotClip(
        row.path, row.sha256, row.video_sha256 or "", row.title, row.label, row.group, hashtags, round(row.duration_s, 6),
        row.scene_s, row.fps, row.frames, row.width, row.height, row.size_bytes,
        post.views, post.licence, post.language, post.region, row.quality, post.source,
    )  # fmt: skip


def _hashtags(session: Session) -> dict[int, list[str]]:
    query = sa.select(VideoHashtag.video_id, VideoHashtag.hashtag)
    tags: dict[int, list[str]] = {}
    for video, tag in session.execute(query.execution_options(yield_per=FETCH)):
        tags.setdefault(video, []).append(tag)
    return {video: sorted(names) for video, names in tags.items()}


def _posts(session: Session) -> dict[int, _Told]:
    query = sa.select(
        Post.video_id, Post.view_count, Post.licence, Post.language, Post.region,
        sa.func.coalesce(Post.origin, Post.platform), Post.create_time, Post.vanished_at.is_not(None),
    ).where(Post.video_id.is_not(None)).order_by(Post.vanished_at.is_(None), sa.func.coalesce(Post.view_count, 0), Post.id)  # fmt: skip
    rows = session.execute(query.execution_options(yield_per=FETCH))
    return {int(row[0] or 0): _Told(*row[1:]) for row in rows}
