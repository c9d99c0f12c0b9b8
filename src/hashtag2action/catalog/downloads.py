"""Reading and writing downloads: what is to be fetched, what has arrived, and every attempt that failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from hashtag2action.catalog.harvest import Download, DownloadFailure, DownloadState, Post, PostHashtag
from hashtag2action.catalog.store import Catalog


@dataclass(frozen=True)
class Wanted:
    """A file to fetch."""

    post_id: int
    platform: str
    platform_id: str
    url: str


@dataclass(frozen=True)
class Attempted:
    """How fetching a post's file went; `failures` are (time, reason, detail) of each attempt that failed."""

    post_id: int
    state: DownloadState
    path: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    failures: tuple[tuple[float, str, str], ...] = ()


def to_download(
    catalog: Catalog, hashtags: Iterable[str] | None = None, limit: int | None = None, *, again: bool = False
) -> list[Wanted]:
    """Return the posts with an address whose file is not there, untried ones first; with `again` refused ones too."""
    over = [DownloadState.DONE.value] if again else [DownloadState.DONE.value, DownloadState.REFUSED.value]
    query = (
        sa.select(Post.id, Post.platform, Post.platform_id, Post.url)
        .outerjoin(Download, Download.post_id == Post.id)
        .where(Post.url.is_not(None), Post.vanished_at.is_(None), Post.video_id.is_(None))
        .where(sa.or_(Download.state.is_(None), Download.state.not_in(over)))
        .order_by(sa.func.coalesce(Download.attempts, 0), Post.id)
    )
    if hashtags is not None:
        tagged = sa.select(PostHashtag.post_id).where(PostHashtag.hashtag.in_(list(hashtags)))
        query = query.where(Post.id.in_(tagged))
    with catalog.session() as session:
        return [
            Wanted(post, platform, name, url or "") for post, platform, name, url in session.execute(query.limit(limit))
        ]


def record(catalog: Catalog, attempted: Attempted) -> None:
    """Store how a download went, with every failed attempt."""
    with catalog.session() as session:
        row = session.get(Download, attempted.post_id)
        if row is None:
            row = Download(post_id=attempted.post_id, attempts=0)
            session.add(row)
        row.state, row.path = attempted.state.value, attempted.path
        row.size_bytes, row.sha256 = attempted.size_bytes, attempted.sha256
        row.attempts += len(attempted.failures) + (attempted.path is not None)
        session.add_all(
            DownloadFailure(post_id=attempted.post_id, at=at, reason=reason, detail=detail)
            for at, reason, detail in attempted.failures
        )


def arrived(catalog: Catalog) -> dict[int, str]:
    """Return the paths (relative to the workspace) of files that are there but not registered, by post."""
    query = (
        sa.select(Download.post_id, Download.path)
        .join(Post, Post.id == Download.post_id)
        .where(Download.state == DownloadState.DONE.value, Post.video_id.is_(None))
        .order_by(Download.post_id)
    )
    with catalog.session() as session:
        return {post_id: path for post_id, path in session.execute(query) if path}


def failure_counts(catalog: Catalog) -> dict[str, int]:
    """Return how many attempts failed for each reason, most frequent first."""
    with catalog.session() as session:
        return dict(Counter(session.scalars(sa.select(DownloadFailure.reason))).most_common())
