"""Held-out videos, such as a test set's: what they look like, read once and remembered."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hashtag2action.catalog.fingerprints import known_files, store_file
from hashtag2action.catalog.store import Catalog
from hashtag2action.console import track
from hashtag2action.curate.fingerprint import METHOD, fingerprint_file
from hashtag2action.engine import Engine
from hashtag2action.errors import UserError
from hashtag2action.media.container import MediaError


@dataclass(frozen=True)
class HeldOut:
    """Names and fingerprints of held-out videos, how many files that was, and how many of them cannot be read."""

    videos: tuple[tuple[str, bytes], ...] = ()
    files: int = 0
    unreadable: int = 0


@dataclass(frozen=True)
class _File:
    path: Path
    size_bytes: int
    modified_ns: int


def held_out(catalog: Catalog, folders: Sequence[Path], engine: Engine) -> HeldOut:
    """Fingerprint every video under `folders`, by the engine's workers; files that have not changed are not read again.

    Raises `UserError` where a folder is missing or none of its files is a video, since then nothing would be excluded.
    """
    found: list[tuple[str, bytes]] = []
    files = unreadable = 0
    for folder in folders:
        named = {str(file.path): file for file in _files(folder)}
        known = {row.path: row for row in known_files(catalog, METHOD, named)}
        fresh = [
            file for path, file in named.items()
            if path not in known or (known[path].size_bytes, known[path].modified_ns) != (file.size_bytes, file.modified_ns)
        ]  # fmt: skip
        for outcome in track(engine.map(_look, fresh), len(fresh), f"held out: {folder.name}"):
            file = outcome.item
            readable, data = outcome.result or (False, None)
            state = {"size_bytes": file.size_bytes, "modified_ns": file.modified_ns, "method": METHOD}
            store_file(catalog, {"path": str(file.path), "readable": readable, "data": data, **state})
        rows = list(known_files(catalog, METHOD, named))
        if not any(row.readable for row in rows):
            raise UserError(f"{folder}: no video in it to exclude; name a folder of videos")
        found += [(row.path, row.data) for row in rows if row.data is not None]
        files, unreadable = files + len(rows), unreadable + sum(not row.readable for row in rows)
    return HeldOut(tuple(sorted(found)), files, unreadable)


def _look(file: _File) -> tuple[bool, bytes | None]:
    """Return whether a file is a video, and its fingerprint, which one that shows nothing but plain areas has not."""
    try:
        return True, fingerprint_file(file.path)
    except MediaError:
        return False, None


def _files(folder: Path) -> Iterator[_File]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of held-out videos; name one in duplicates.exclude_like")
    for parent, folders, names in os.walk(folder.resolve()):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent) / name
            if not name.startswith(".") and path.suffix.lower() not in _TEXT and path.is_file():
                state = path.stat()
                yield _File(path, state.st_size, state.st_mtime_ns)


_TEXT = frozenset((".txt", ".csv", ".json", ".jsonl", ".md", ".xml", ".html", ".pdf", ".zip", ".rar", ".gz", ".tar"))
