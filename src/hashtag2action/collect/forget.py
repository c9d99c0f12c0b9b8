"""Forgetting a video or a user: files, clips, features and rows go; a keyed hash stays, so that they do not come back.

Models that were trained on a clip cannot unlearn it; which runs had it is reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from hashtag2action.catalog.harvest import Download, DownloadFailure, Post, PostHashtag
from hashtag2action.catalog.reviews import forget_reviews
from hashtag2action.catalog.schema import Clip, Decision, Video, VideoHashtag
from hashtag2action.catalog.shard_sets import shard_folders
from hashtag2action.catalog.snapshot import read_snapshot
from hashtag2action.catalog.snapshot_changes import forget_in_snapshots
from hashtag2action.catalog.store import BATCH, Catalog
from hashtag2action.catalog.tombstones import KEY_FILE, Pseudonyms, bury
from hashtag2action.data.shards import CARD, remove_from_shards
from hashtag2action.errors import UserError
from hashtag2action.files import atomic_write

_HASH = re.compile("[0-9a-f]{16}")  # a file called by its content or its post, as all are that this project makes
TEXTS = frozenset([".json", ".jsonl", ".csv", ".txt", ".html", ".md"])


@dataclass(frozen=True)
class Forgotten:
    """What went, what is left to the user, and which models had seen it."""

    posts: int
    videos: int
    clips: int
    files: tuple[str, ...]  # removed
    outside: tuple[str, ...]  # files that are not in the workspace: the user's own to remove
    seen_by: dict[str, int]  # run folder -> clips of these that it lists
    again: int  # videos that were its duplicates and are to be curated again
    snapshots: dict[str, int] = field(default_factory=dict)  # snapshot -> clips removed from it
    shards: dict[str, int] = field(default_factory=dict)  # folder of shards -> clips removed from it


def forget_video(catalog: Catalog, target: str, now: float) -> Forgotten:
    """Forget a video by post id, address, path or content hash. Raises `UserError` where the catalog has none such."""
    with catalog.session() as session:
        posts = list(session.scalars(sa.select(Post.id).where(sa.or_(Post.platform_id == target, Post.url == target))))
        paths = {target, str(Path(target).resolve()), str(catalog.workspace / target)}
        videos = list(session.scalars(sa.select(Video.id).where(sa.or_(Video.path.in_(paths), Video.sha256 == target))))
    if not posts and not videos:
        raise UserError(f"{target}: the catalog has no such video; give a post's id, an address, a path or a SHA-256")
    return _forget(catalog, posts, videos, (), now)


def forget_user(catalog: Catalog, username: str, now: float) -> Forgotten:
    """Forget every post of a user; posts of that name are not taken in again. No posts is no error."""
    with catalog.session() as session:
        rows = list(session.execute(sa.select(Post.id, Post.platform).where(Post.username == username)))
    platforms = {platform for _, platform in rows} | {"tiktok"}
    return _forget(catalog, [post for post, _ in rows], [], [f"{platform}:{username}" for platform in platforms], now)


def forget_vanished(catalog: Catalog, now: float) -> Forgotten:
    """Forget every post that its platform no longer has."""
    with catalog.session() as session:
        posts = list(session.scalars(sa.select(Post.id).where(Post.vanished_at.is_not(None))))
    return _forget(catalog, posts, [], (), now)


def _forget(
    catalog: Catalog, posts: Iterable[int], videos: Iterable[int], users: Iterable[str], now: float
) -> Forgotten:
    workspace, pseudonyms = catalog.workspace, Pseudonyms(catalog.workspace)
    with catalog.session() as session:
        if session.get_bind().dialect.name == "sqlite":
            session.execute(sa.text("PRAGMA secure_delete = ON"))
        gone_posts = _rows(session, Post, Post.id, posts)
        gone_videos = _rows(
            session, Video, Video.id, [*videos, *(post.video_id for post in gone_posts if post.video_id)]
        )
        same = _rows(session, Video, Video.sha256, {video.sha256 for video in gone_videos if video.sha256})
        gone_videos = list({video.id: video for video in [*gone_videos, *same]}.values())
        video_ids = [video.id for video in gone_videos]
        gone_posts = list({p.id: p for p in [*gone_posts, *_rows(session, Post, Post.video_id, video_ids)]}.values())
        post_ids = [post.id for post in gone_posts]
        downloads = _rows(session, Download, Download.post_id, post_ids)
        clips = [clip for video in gone_videos for clip in video.clips]
        bury(session, pseudonyms, "post", [f"{post.platform}:{post.platform_id}" for post in gone_posts], now)
        bury(session, pseudonyms, "file", [row.sha256 for row in [*gone_videos, *downloads, *clips] if row.sha256], now)
        bury(session, pseudonyms, "user", users, now)
        again = _release_duplicates(session, video_ids)
        files = [Path(video.path) for video in gone_videos]
        files += [workspace / row.path for row in [*downloads, *clips] if row.path]
        for column, ids in (
            (PostHashtag.post_id, post_ids), (DownloadFailure.post_id, post_ids), (Download.post_id, post_ids), (Post.id, post_ids),
            (Clip.video_id, video_ids), (VideoHashtag.video_id, video_ids), (Video.id, video_ids),
        ):  # fmt: skip
            for start in range(0, len(ids), BATCH):
                session.execute(sa.delete(column.class_).where(column.in_(ids[start : start + BATCH])))
        hashes = sorted({row.sha256 for row in [*gone_videos, *clips] if row.sha256})
        forget_reviews(session, hashes)
        usernames = {post.username for post in gone_posts if post.username}
    _empty_journal(catalog)
    snapshots, shards = forget_in_snapshots(catalog), _forget_in_shards(catalog, hashes)
    inside = [path for path in files if path.is_relative_to(workspace)]
    outside = sorted(str(path) for path in set(files) - set(inside) if path.exists())
    names = {path.stem for path in inside if _HASH.search(path.stem)}
    words = usernames | {str(path) for path in files} | {str(path.relative_to(workspace)) for path in inside}
    seen_by, removed = _sweep(workspace, names, words, _digests_before(workspace, snapshots))
    removed += [str(path.relative_to(workspace)) for path in dict.fromkeys(inside) if _unlink(path)]
    return Forgotten(
        len(gone_posts), len(gone_videos), len(clips), tuple(sorted(set(removed))), tuple(outside), seen_by, again,
        snapshots, shards,
    )  # fmt: skip


def _digests_before(workspace: Path, snapshots: dict[str, int]) -> dict[str, int]:
    """Return the digests that changed snapshots had, and how many clips each has lost; runs may name no more than that."""
    cards = {name: read_snapshot(workspace, name).card for name in snapshots}
    return {card["forgotten"][-1]["digest_before"]: snapshots[name] for name, card in cards.items()}


def _forget_in_shards(catalog: Catalog, hashes: list[str]) -> dict[str, int]:
    removed = {}
    for folder in shard_folders(catalog):
        if (folder / CARD).is_file():
            removed[str(folder)] = remove_from_shards(folder, hashes)
    return {folder: number for folder, number in removed.items() if number}


def _rows(
    session: Session, table: type[Any], column: InstrumentedAttribute[Any], values: Iterable[object]
) -> list[Any]:
    found: list[Any] = []
    wanted = list(dict.fromkeys(values))
    for start in range(0, len(wanted), BATCH):
        found += session.scalars(sa.select(table).where(column.in_(wanted[start : start + BATCH]))).unique()
    return found


def _release_duplicates(session: Session, video_ids: list[int]) -> int:
    """Let videos that were dropped as duplicates of a forgotten one be curated again."""
    number = 0
    for start in range(0, len(video_ids), BATCH):
        change = sa.update(Video).where(Video.duplicate_of.in_(video_ids[start : start + BATCH]))
        pending = {"duplicate_of": None, "decision": Decision.PENDING.value, "reason": None, "settings_digest": None}
        number += session.execute(change.values(**pending).execution_options(synchronize_session=False)).rowcount  # type: ignore[attr-defined]
    return number


def _empty_journal(catalog: Catalog) -> None:
    """Write SQLite's journal into the database, where deleted rows are overwritten, and empty it."""
    with catalog.session() as session:
        bind = session.get_bind()
    if bind.dialect.name == "sqlite":
        with bind.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))


def _sweep(
    workspace: Path, names: set[str], words: set[str], digests: dict[str, int]
) -> tuple[dict[str, int], list[str]]:
    """Remove what was made from files of these names; return how many of them each run lists, and what was removed.

    `names` are hashes that files are called by, `words` paths and user names, found as whole words, `digests` those of
    snapshots with clips that went. Lists outside `runs/` lose the lines that mention one; pages of `report/` go whole
    and can be written again.
    """
    seen: dict[str, int] = {}
    removed: list[str] = []
    if not names | words:
        return seen, removed
    mention = re.compile(
        "|".join(rf"(?<![\w.-]){re.escape(word)}(?!\w)" for word in sorted(names | words, key=len, reverse=True))
    )
    for path in sorted(workspace.rglob("*")):
        if not path.is_file() or path.name == KEY_FILE or path.name.startswith("catalog.db"):
            continue
        relative = path.relative_to(workspace)
        if any(name in path.name for name in names):
            removed += [str(relative)] if _unlink(path) else []
        elif path.suffix in TEXTS:
            text = path.read_text(encoding="utf-8", errors="replace")
            found = set(mention.findall(text))
            if relative.parts[0] == "runs":
                clips = max([len({Path(word).stem for word in found}), *(n for d, n in digests.items() if d in text)])
                run = "/".join(relative.parts[:2])
                if clips:
                    seen[run] = max(seen.get(run, 0), clips)
            elif found and relative.parts[0] == "report":
                removed += [str(relative)] if _unlink(path) else []
            elif found and path.suffix in (".csv", ".jsonl", ".txt"):
                atomic_write(path, "".join(line for line in text.splitlines(True) if not mention.search(line)))
    return seen, removed


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
