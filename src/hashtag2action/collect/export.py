"""Writing what was collected: a CSV of posts for study, and the list of files that `h2a run` takes."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import sqlalchemy as sa

from hashtag2action.catalog.harvest import Download, Post
from hashtag2action.catalog.posts import hashtags_of
from hashtag2action.catalog.store import BATCH, Catalog, Entry
from hashtag2action.catalog.tombstones import Pseudonyms
from hashtag2action.files import atomic_path

COLUMNS = [
    "platform",
    "id",
    "user",
    "hashtags",
    "caption",
    "region",
    "language",
    "created",
    "views",
    "duration_s",
    "licence",
    "origin",
    "url",
    "file",
    "vanished",
]


def export_posts(catalog: Catalog, path: Path, *, usernames: bool = False) -> int:
    """Write every post to a CSV and return how many; users have pseudonyms unless `usernames` is asked for.

    With pseudonyms, captions lose @names, and texts that a spreadsheet would run as a formula are set off by `'`.
    """
    pseudonyms, number = Pseudonyms(catalog.workspace), 0
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
        catalog.session() as session,
    ):
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        last = 0
        while rows := list(session.scalars(sa.select(Post).where(Post.id > last).order_by(Post.id).limit(BATCH))):
            last = rows[-1].id
            tags = hashtags_of(session, [post.id for post in rows])
            query = sa.select(Download.post_id, Download.path).where(Download.post_id.in_([post.id for post in rows]))
            files = {post_id: file_path for post_id, file_path in session.execute(query)}
            for post in rows:
                user = (
                    post.username
                    if usernames
                    else pseudonyms.name(f"{post.platform}:{post.username}" if post.username else None)
                )
                caption = post.caption if usernames else _without_names(post.caption or "")
                cells = [
                    post.platform, post.platform_id, user, " ".join(tags.get(post.id, [])), caption, post.region, post.language,
                    post.create_time, post.view_count, post.duration_s, post.licence, post.origin,
                    post.url, files.get(post.id), "yes" if post.vanished_at else "",
                ]  # fmt: skip
                writer.writerow([_cell(value) for value in cells])
                number += 1
            session.expunge_all()
    return number


def write_list(path: Path, entries: Iterable[Entry]) -> int:
    """Write the CSV of files that `h2a run` and `h2a register` take; return how many files it lists."""
    number = 0
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "hashtags", "label", "group", "title"])
        for entry in sorted(entries, key=lambda entry: entry.path):
            writer.writerow(
                [
                    str(entry.path),
                    " ".join(entry.hashtags),
                    entry.label or "",
                    entry.group or "",
                    " ".join(entry.title.split()),
                ]
            )
            number += 1
    return number


def _without_names(caption: str) -> str:
    return " ".join("@someone" if word.startswith("@") and len(word) > 1 else word for word in caption.split())


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value
