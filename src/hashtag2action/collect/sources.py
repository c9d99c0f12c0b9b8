"""The sources of videos as functions of a catalog: folders, manifests, and the files of collected posts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hashtag2action.catalog.downloads import failure_counts, to_download
from hashtag2action.catalog.harvest import Download, Harvest, Post, Quota, Search, Tombstone
from hashtag2action.catalog.ledger import Ledger
from hashtag2action.catalog.posts import add_posts, ids_of, link_videos
from hashtag2action.catalog.store import Catalog, Entry
from hashtag2action.catalog.tombstones import Pseudonyms
from hashtag2action.collect.download import TITLE_CHARACTERS, download, entries, link
from hashtag2action.collect.export import write_list
from hashtag2action.collect.fetch import fetch
from hashtag2action.collect.folder import find_videos
from hashtag2action.collect.manifest import PLATFORM, read_manifest
from hashtag2action.collect.platforms import require_permission
from hashtag2action.collect.register import register
from hashtag2action.collect.settings import DownloadSettings
from hashtag2action.collect.text import clean_text
from hashtag2action.collect.ytdlp import fetch_page, require_ytdlp
from hashtag2action.engine import make_engine
from hashtag2action.errors import UserError

LIST = "collected.csv"


def add_folder(catalog: Catalog, folder: Path) -> dict[str, Any]:
    """Register the videos of a folder, whose sub-folders are hashtags."""
    return asdict(register(catalog, find_videos(folder), make_engine()))


def add_manifest(catalog: Catalog, path: Path) -> dict[str, Any]:
    """Enter the posts of a manifest, and register those files of it that are on disk."""
    listed = read_manifest(path)
    now, pseudonyms = time.time(), Pseudonyms(catalog.workspace)
    with catalog.session() as session:
        entered, _ = add_posts(session, pseudonyms, PLATFORM, [item.post for item in listed], now)
        numbers = ids_of(session, PLATFORM, entered)
    local = [item for item in listed if item.file is not None and item.post.platform_id in numbers]
    found = [
        Entry(
            item.file, item.post.hashtags, clean_text(item.post.raw.get("label"), 256),
            clean_text(item.post.raw.get("group"), 256) or pseudonyms.name(item.post.username),
            (item.post.caption or "")[:TITLE_CHARACTERS],
        )
        for item in local if item.file is not None
    ]  # fmt: skip
    summary = asdict(register(catalog, found, make_engine())) if found else {}
    link_videos(catalog, {numbers[item.post.platform_id]: str(item.file) for item in local})
    return {"posts": len(entered), "with a file": len(local), "with a url": len(entered) - len(local)} | summary


def fetch_files(
    catalog: Catalog, settings: DownloadSettings, *, hashtags: Iterable[str] | None = None, limit: int | None = None,
    ytdlp: bool = False, url: str | None = None, permission: bool = False, again: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Fetch the files of posts, register them and write `collected.csv`, which lists all of them for `h2a run`.

    `again` also tries what was refused before; `url` is an address with `{id}` in it that takes the place of the posts'
    own. Raises `UserError` where a platform allows no download and `permission` is not given.
    """
    wanted = to_download(catalog, hashtags, limit, again=again)
    if url is not None:
        if "{id}" not in url:
            raise UserError(f"--url {url}: needs {{id}} where a post's id belongs")
        wanted = [replace(item, url=url.replace("{id}", item.platform_id)) for item in wanted]
    require_permission([item.url for item in wanted], have_permission=permission)
    if ytdlp:
        require_ytdlp()
    summary = download(catalog, wanted, settings, fetch_page if ytdlp else fetch)
    arrived = entries(catalog)
    registered = asdict(register(catalog, arrived.values(), make_engine())) if arrived else {}
    link(catalog, arrived)
    listed = write_list(catalog.workspace / LIST, _registered(catalog))
    return asdict(summary) | registered | {"listed": listed, "list": str(catalog.workspace / LIST)}


def describe_collection(catalog: Catalog) -> dict[str, Any]:
    """Count searches, requests, posts, downloads, failures and what was forgotten."""
    unreachable = [asdict(day) for day in Ledger(catalog).unreachable()]
    with catalog.session() as session:

        def count(table: type[Any], *conditions: sa.ColumnElement[bool]) -> int:
            return session.scalar(sa.select(sa.func.count()).select_from(table).where(*conditions)) or 0

        return {
            "hashtags": count(Harvest),
            "complete": count(Harvest, Harvest.complete.is_(True)),
            "posts": count(Post),
            "vanished": count(Post, Post.vanished_at.is_not(None)),
            "requests": session.scalar(sa.select(sa.func.sum(Quota.requests))) or 0,
            "requests by day": {q.day: q.requests for q in session.scalars(sa.select(Quota).order_by(Quota.day))},
            "searches": dict(Counter(session.scalars(sa.select(Search.state)))),
            "unreachable days": len(unreachable),
            "unreachable": unreachable,
            "downloads": dict(Counter(session.scalars(sa.select(Download.state)))),
            "failed attempts": failure_counts(catalog),
            "tombstones": count(Tombstone),
        }


def _registered(catalog: Catalog) -> list[Entry]:
    with catalog.session() as session:
        ids = set(session.scalars(sa.select(Post.video_id).where(Post.video_id.is_not(None))))
    return [
        Entry(Path(video.path), tuple(row.hashtag for row in video.hashtags), video.label, video.group, video.title)
        for video in catalog.videos()
        if video.id in ids
    ]
