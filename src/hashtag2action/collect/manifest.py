"""Lists of videos from elsewhere: a CSV or JSON lines file of files and URLs, each with its licence and origin."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashtag2action.catalog.posts import NewPost
from hashtag2action.collect.text import clean_count, clean_raw, clean_tag, clean_text
from hashtag2action.errors import UserError

COLUMNS = frozenset(
    [
        "file",
        "url",
        "id",
        "hashtags",
        "label",
        "group",
        "title",
        "username",
        "licence",
        "origin",
        "region",
        "language",
        "views",
        "created",
        "duration_s",
    ]
)
PLATFORM = "manifest"


@dataclass(frozen=True)
class Listed:
    """One line: a post, and the file where it is on disk already."""

    post: NewPost
    file: Path | None


def read_manifest(path: Path) -> list[Listed]:
    """Read a manifest: `.csv`, or one JSON object a line. Raises `UserError` that names file and line.

    Each line has a `file` (relative to the manifest) or a `url`, a `licence` and an `origin`, and may have id,
    hashtags (separated by spaces, or a list), label, group, title, username, region, language, views, created, duration_s.
    """
    found: dict[str, Listed] = {}
    try:
        rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path)
        for line, row in rows:
            listed = _listed(path, line, row)
            found[listed.post.platform_id] = listed
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path}: cannot be read as a manifest ({error}); name a CSV or a JSON lines file in UTF-8"
        ) from error
    if not found:
        raise UserError(f"{path}: no video in it; each line needs a file or a url, a licence and an origin")
    return list(found.values())


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        columns = set(rows.fieldnames or ())
        if unknown := columns - COLUMNS:
            raise UserError(f"{path}: unknown column `{min(unknown)[:40]}`; known: {', '.join(sorted(COLUMNS))}")
        for row in rows:
            yield rows.line_num, {name: value for name, value in row.items() if name and value}


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line, parse_constant=lambda _: None)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{path}, line {number}: not JSON; write one object a line") from error
            if not isinstance(row, dict):
                raise UserError(f'{path}, line {number}: expected an object such as {{"url": ..., "licence": ...}}')
            yield number, row


def _listed(path: Path, number: int, row: dict[str, Any]) -> Listed:
    file, url = clean_text(row.get("file")), clean_text(row.get("url"))
    if bool(file) == bool(url):
        raise UserError(f"{path}, line {number}: needs either a file or a url")
    for name in ("licence", "origin"):
        if not clean_text(row.get(name), 256):
            raise UserError(f"{path}, line {number}: no {name}; say under which licence and from where each video is")
    tags = row.get("hashtags") or []
    words = tags.split() if isinstance(tags, str) else tags if isinstance(tags, list) else []
    local = Path(os.path.normpath(path.resolve().parent / file)) if file else None
    given = clean_text(str(row["id"]), 100) if row.get("id") else None
    post = NewPost(
        platform_id=given or hashlib.sha256((url or str(local)).encode()).hexdigest(),
        hashtags=tuple(dict.fromkeys(tag for word in words[:100] if (tag := clean_tag(word)))),
        username=clean_text(row.get("username") or row.get("group"), 256),
        caption=clean_text(row.get("title")),
        region=clean_text(row.get("region"), 16),
        language=clean_text(row.get("language"), 16),
        create_time=_integer(row.get("created")),
        view_count=_integer(row.get("views")),
        duration_s=float(seconds) if (seconds := _integer(row.get("duration_s"))) is not None else None,
        url=url,
        licence=clean_text(row.get("licence"), 256),
        origin=clean_text(row.get("origin"), 256),
        raw=clean_raw(row),
    )
    return Listed(post, local)


def _integer(value: object) -> int | None:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
        value = int(value)
    return clean_count(value)
