"""Videos that are already on disk: a folder whose sub-folders are hashtags, or a CSV that lists files."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from hashtag2action.catalog.store import Entry
from hashtag2action.collect.text import clean_text
from hashtag2action.errors import UserError

SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".3gp", ".ogv")
)


def find_videos(source: Path) -> list[Entry]:
    """Return the videos of a folder or a CSV file, by path.

    In a folder, the sub-folder that holds a file names its hashtag; files of the folder itself have none. A CSV has the
    columns `file` (absolute, or relative to the CSV) and, optionally, `hashtags` (separated by spaces), `label`,
    `group` (videos that share one are never split between training and test) and `title`. Raises `UserError` where the
    source is missing or holds no video.
    """
    if not source.exists():
        raise UserError(f"{source}: no such folder or CSV file; name a folder of videos")
    entries = _from_csv(source) if source.is_file() else _from_folder(source)
    if not entries:
        raise UserError(f"{source}: no videos in it; expected files such as {source}/dancing/one.mp4")
    return sorted(entries, key=lambda entry: entry.path)


def _from_folder(folder: Path) -> list[Entry]:
    root = folder.resolve()
    entries = []
    for parent, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(parent) / name
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                entries.append(Entry(path, hashtags=() if path.parent == root else (path.parent.name,)))
    return entries


def _from_csv(path: Path) -> list[Entry]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            columns = set(rows.fieldnames or ())
            if "file" not in columns:
                raise UserError(
                    f"{path}: no column `file`; the first line must name the columns: file,hashtags,label,group"
                )
            if unknown := columns - {"file", "hashtags", "label", "group", "title"}:
                raise UserError(f"{path}: unknown column `{min(unknown)}`; known: file, hashtags, label, group, title")
            return [_entry(path.resolve().parent, row) for row in rows if row["file"]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV file in UTF-8 ({error}); name a folder of videos or a CSV file") from error


def _entry(folder: Path, row: dict[str, str]) -> Entry:
    hashtags = tuple(tag for word in (row.get("hashtags") or "").split() if (tag := word.lstrip("#")[:256]))
    file = Path(os.path.normpath(folder / row["file"]))
    label, group = (clean_text(row.get(name), 256) or None for name in ("label", "group"))
    return Entry(file, hashtags, label, group, clean_text(row.get("title"), 1024) or "")
