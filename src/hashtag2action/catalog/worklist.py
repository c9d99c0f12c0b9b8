"""What curation has to do, read in batches: hundreds of thousands of videos, of which few are in memory at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy.orm import noload

from hashtag2action.catalog.harvest import Post
from hashtag2action.catalog.schema import Clip, Decision, Reason, Video
from hashtag2action.catalog.store import BATCH, Catalog

Value = TypeVar("Value")


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of all videos, by content, so that copies are in the same part; `index` counts from 0."""

    index: int = 0
    count: int = 1

    def has(self, sha256: str) -> bool:
        """Whether a content, named by 8 or more digits of its hash, is in this part."""
        return int(sha256[:8], 16) % self.count == self.index


@dataclass(frozen=True, slots=True)
class Copy:
    """A readable video whose bytes another one has, too; `views` of its posts, at most, or -1."""

    id: int
    path: str
    sha256: str
    decision: str
    reason: str | None
    views: int


def batches(catalog: Catalog, *conditions: sa.ColumnElement[bool], shard: Shard | None = None) -> Iterator[list[Video]]:
    """Yield the videos with a content hash that meet `conditions`, by row number, with hashtags and without clips.

    Each batch is read when it is asked for, so what was decided in the meantime is taken into account.
    """
    last = 0
    query = sa.select(Video).options(noload(Video.clips)).where(Video.sha256.is_not(None), *conditions)
    while True:
        with catalog.session() as session:
            videos = list(session.scalars(query.where(Video.id > last).order_by(Video.id).limit(BATCH)))
        if not videos:
            return
        last = videos[-1].id
        if mine := [video for video in videos if shard is None or shard.has(video.sha256 or "")]:
            yield mine


def parts(values: Sequence[Value]) -> Iterator[Sequence[Value]]:
    """Yield values in portions that one statement may name."""
    return (values[start : start + BATCH] for start in range(0, len(values), BATCH))


def undecided(settings_digest: str) -> sa.ColumnElement[bool]:
    """Return the condition that a video can be read and neither a reviewer turned it down nor these settings decided it."""
    other = Video.settings_digest.is_(None) | (Video.settings_digest != settings_digest)
    turned_down = (Video.decision == Decision.REJECTED.value) & (Video.reason == Reason.REVIEWER.value)
    return Video.codec.is_not(None) & other & (~turned_down | Video.reason.is_(None))


def amount(catalog: Catalog, condition: sa.ColumnElement[bool], shard: Shard) -> int:
    """Return how many videos meet a condition."""
    query = sa.select(Video.sha256).where(Video.sha256.is_not(None), condition)
    with catalog.session() as session:
        hashes = session.scalars(query.execution_options(yield_per=10 * BATCH))
        return sum(shard.has(sha256 or "") for sha256 in hashes)


def copies(catalog: Catalog, turned_down: Collection[Reason]) -> list[Copy]:
    """Return the readable videos that share their bytes with others, those rejected for `turned_down` left out."""
    taking_part = Video.codec.is_not(None) & Video.sha256.is_not(None)
    taking_part &= Video.reason.is_(None) | Video.reason.not_in([reason.value for reason in turned_down])
    repeated = sa.select(Video.sha256).where(taking_part).group_by(Video.sha256).having(sa.func.count() > 1)
    views = sa.select(sa.func.max(Post.view_count)).where(Post.video_id == Video.id).scalar_subquery()
    columns = (Video.id, Video.path, Video.sha256, Video.decision, Video.reason, sa.func.coalesce(views, -1))
    with catalog.session() as session:
        return [
            Copy(*row) for row in session.execute(sa.select(*columns).where(taking_part, Video.sha256.in_(repeated)))
        ]


def reopen(catalog: Catalog, videos: Iterable[int]) -> None:
    """Let videos be decided again; their clips' rows go."""
    for video_id in videos:
        catalog.set_decision(video_id, Decision.PENDING, None)


def posts_of(catalog: Catalog, videos: Iterable[int]) -> dict[int, list[Post]]:
    """Return the posts of each of at most a batch of videos."""
    found: dict[int, list[Post]] = {}
    with catalog.session() as session:
        for post in session.scalars(sa.select(Post).where(Post.video_id.in_(list(videos))).order_by(Post.id)):
            found.setdefault(post.video_id or 0, []).append(post)
    return found


def video_of(catalog: Catalog, video_id: int) -> Video:
    """Return a video, with its hashtags."""
    with catalog.session() as session:
        return session.get_one(Video, video_id)


def clip_paths(catalog: Catalog, video_id: int) -> set[str]:
    """Return the paths (relative to the workspace) of a video's clips."""
    with catalog.session() as session:
        return set(session.scalars(sa.select(Clip.path).where(Clip.video_id == video_id)))


def contents(catalog: Catalog) -> Iterator[str]:
    """Yield the content hash of every video that has one."""
    query = sa.select(Video.sha256).where(Video.sha256.is_not(None)).execution_options(yield_per=10 * BATCH)
    with catalog.session() as session:
        for sha256 in session.scalars(query):
            assert sha256 is not None
            yield sha256


def unknown_clips(catalog: Catalog, paths: Iterable[str]) -> Iterator[str]:
    """Yield those of `paths` (relative to the workspace) that are no clip of the catalog."""
    some: list[str] = []

    def missing() -> Iterator[str]:
        with catalog.session() as session:
            known = set(session.scalars(sa.select(Clip.path).where(Clip.path.in_(some))))
        yield from (path for path in some if path not in known)

    for path in paths:
        some.append(path)
        if len(some) == BATCH:
            yield from missing()
            some.clear()
    yield from missing()


@contextmanager
def alone(catalog: Catalog, name: str) -> Iterator[None]:
    """Wait until no other process, on any machine that shares the catalog, is in a block of this name."""
    with catalog.session() as session:
        engine = session.get_bind().engine
    if engine.dialect.name != "postgresql":
        with FileLock(catalog.workspace / f".{name}.lock"):
            yield
        return
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.select(sa.func.pg_advisory_lock(number)))
        try:
            yield
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(number)))
