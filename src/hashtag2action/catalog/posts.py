"""Reading and writing posts: what platforms and manifests say of videos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from hashtag2action.catalog.harvest import Post, PostHashtag
from hashtag2action.catalog.schema import Base, Video
from hashtag2action.catalog.store import BATCH, Catalog
from hashtag2action.catalog.tombstones import Pseudonyms, forgotten


@dataclass(frozen=True)
class NewPost:
    """A post to enter; the columns of `Post`."""

    platform_id: str
    hashtags: tuple[str, ...] = ()
    username: str | None = None
    caption: str | None = None
    region: str | None = None
    language: str | None = None
    create_time: int | None = None
    view_count: int | None = None
    duration_s: float | None = None
    url: str | None = None
    licence: str | None = None
    origin: str | None = None
    raw: dict[str, Any] = field(default_factory=dict)


def add_posts(
    session: Session,
    pseudonyms: Pseudonyms,
    platform: str,
    posts: Sequence[NewPost],
    now: float,
    found_for: str | None = None,
) -> tuple[list[str], int]:
    """Enter posts; return the platform ids that were entered or known, and how many are new to hashtag `found_for`.

    A post that the catalog has is not changed, but noted as seen now. Those that were forgotten, or whose user was,
    are left out.
    """
    posts = _not_forgotten(session, pseudonyms, platform, posts)
    by_id = {post.platform_id: post for post in posts}
    known = ids_of(session, platform, by_id)
    fresh = [post for platform_id, post in by_id.items() if platform_id not in known]
    if known:
        session.execute(sa.update(Post).where(Post.id.in_(known.values())).values(checked_at=now, vanished_at=None))
    if fresh:
        session.connection().execute(
            sa.insert(Base.metadata.tables["posts"]), [_columns(platform, post, now) for post in fresh]
        )
    entered = ids_of(session, platform, [post.platform_id for post in fresh])
    return list(by_id), _add_hashtags(session, by_id, known, entered, found_for)


def ids_of(session: Session, platform: str, platform_ids: Iterable[str]) -> dict[str, int]:
    """Return the row number of each of `platform_ids` that the catalog has."""
    wanted, known = list(platform_ids), {}
    for start in range(0, len(wanted), BATCH):
        query = sa.select(Post.platform_id, Post.id).where(
            Post.platform == platform, Post.platform_id.in_(wanted[start : start + BATCH])
        )
        known.update({platform_id: row for platform_id, row in session.execute(query)})
    return known


def due_for_check(catalog: Catalog, platform: str, before: float) -> list[str]:
    """Return the platform ids that were last known to be there before that time, longest ago first."""
    query = (
        sa.select(Post.platform_id)
        .where(Post.platform == platform, Post.vanished_at.is_(None), Post.checked_at < before)
        .order_by(Post.checked_at, Post.id)
    )
    with catalog.session() as session:
        return list(session.scalars(query))


def mark_checked(catalog: Catalog, platform: str, platform_ids: Sequence[str], gone: set[str], now: float) -> int:
    """Note that the platform was asked about these posts, and which are gone; return how many that is."""
    with catalog.session() as session:
        rows = ids_of(session, platform, platform_ids)
        session.execute(
            sa.update(Post), [{"id": row, "checked_at": now, "vanished_at": now if name in gone else None} for name, row in rows.items()]
        )  # fmt: skip
    return len(gone & rows.keys())


def link_videos(catalog: Catalog, paths: Mapping[int, str]) -> None:
    """Note for posts (by row number) the registered video at each path."""
    with catalog.session() as session:
        for post, path in paths.items():
            video = sa.select(Video.id).where(Video.path == path).scalar_subquery()
            session.execute(sa.update(Post).where(Post.id == post).values(video_id=video))


def hashtags_of(session: Session, posts: Iterable[int]) -> dict[int, list[str]]:
    """Return the hashtags of posts, those they were found under first."""
    tags: dict[int, list[str]] = {}
    wanted = list(posts)
    for start in range(0, len(wanted), BATCH):
        query = sa.select(PostHashtag).where(PostHashtag.post_id.in_(wanted[start : start + BATCH]))
        for row in session.scalars(query.order_by(PostHashtag.found.desc(), PostHashtag.hashtag)):
            tags.setdefault(row.post_id, []).append(row.hashtag)
    return tags


def tag_counts(catalog: Catalog, since: float | None = None, before: float | None = None) -> dict[str, int]:
    """Return how many posts created in a span of time (seconds since 1970) carry each hashtag."""
    query = (
        sa.select(PostHashtag.hashtag, sa.func.count())
        .join(Post, Post.id == PostHashtag.post_id)
        .group_by(PostHashtag.hashtag)
    )
    if since is not None:
        query = query.where(Post.create_time >= since)
    if before is not None:
        query = query.where(Post.create_time < before)
    with catalog.session() as session:
        return {tag: count for tag, count in session.execute(query)}


def latest_post(catalog: Catalog) -> int | None:
    """Return when the newest post was created, in seconds since 1970."""
    with catalog.session() as session:
        return session.scalar(sa.select(sa.func.max(Post.create_time)))


def co_occurring(catalog: Catalog, hashtags: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return for each hashtag how many of its posts carry each other hashtag (its own count under its own name)."""
    mine, other = aliased(PostHashtag), aliased(PostHashtag)
    together: dict[str, dict[str, int]] = {}
    wanted = list(hashtags)
    with catalog.session() as session:
        for start in range(0, len(wanted), BATCH):
            query = (
                sa.select(mine.hashtag, other.hashtag, sa.func.count())
                .join(other, other.post_id == mine.post_id)
                .where(mine.hashtag.in_(wanted[start : start + BATCH]))
                .group_by(mine.hashtag, other.hashtag)
            )
            for tag, with_tag, count in session.execute(query):
                together.setdefault(tag, {})[with_tag] = count
    return together


def daily_views(catalog: Catalog, hashtag: str) -> list[tuple[int, int]]:
    """Return (day since 1970, sum of views) of the posts found by searching for a hashtag, for each day with posts."""
    day = Post.create_time // 86_400
    query = (
        sa.select(day, sa.func.sum(Post.view_count))
        .join(PostHashtag, PostHashtag.post_id == Post.id)
        .where(
            PostHashtag.hashtag == hashtag,
            PostHashtag.found,
            Post.create_time.is_not(None),
            Post.view_count.is_not(None),
        )
        .group_by(day)
    )
    with catalog.session() as session:
        return sorted((int(number or 0), int(views or 0)) for number, views in session.execute(query))


def _not_forgotten(session: Session, pseudonyms: Pseudonyms, platform: str, posts: Sequence[NewPost]) -> list[NewPost]:
    digests = [pseudonyms.digest("post", f"{platform}:{post.platform_id}") for post in posts]
    users = [pseudonyms.digest("user", f"{platform}:{post.username}") if post.username else "" for post in posts]
    buried = forgotten(session, {*digests, *users} - {""})
    return [post for post, *hashes in zip(posts, digests, users, strict=True) if not buried.intersection(hashes)]


def _columns(platform: str, post: NewPost, now: float) -> dict[str, Any]:
    columns = {name: getattr(post, name) for name in NewPost.__dataclass_fields__ if name != "hashtags"}
    return columns | {"platform": platform, "seen_at": now, "checked_at": now}


def _add_hashtags(
    session: Session,
    posts: Mapping[str, NewPost],
    known: Mapping[str, int],
    entered: Mapping[str, int],
    found_for: str | None,
) -> int:
    rows = [
        {"post_id": known.get(name) or entered[name], "hashtag": tag, "found": tag == found_for}
        for name, post in posts.items()
        for tag in dict.fromkeys((*post.hashtags, *([found_for] if found_for else [])))
    ]
    already: dict[tuple[int, str], bool] = {}
    for start in range(0, len(known), BATCH):
        query = sa.select(PostHashtag.post_id, PostHashtag.hashtag, PostHashtag.found).where(
            PostHashtag.post_id.in_(list(known.values())[start : start + BATCH])
        )
        already.update({(post_id, tag): found for post_id, tag, found in session.execute(query)})
    if fresh := [row for row in rows if (row["post_id"], row["hashtag"]) not in already]:
        session.connection().execute(sa.insert(Base.metadata.tables["post_hashtags"]), fresh)
    late = [post_id for (post_id, tag), found in already.items() if tag == found_for and not found]
    if late:
        change = sa.update(PostHashtag).where(PostHashtag.hashtag == found_for, PostHashtag.post_id.in_(late))
        session.execute(change.values(found=True))
    return len(late) + sum(bool(row["found"]) for row in fresh)
