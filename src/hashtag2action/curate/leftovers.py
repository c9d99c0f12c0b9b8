"""Removing what no row of the catalog speaks of any more: unfinished files, clips and records of changed videos."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hashtag2action.catalog.store import Catalog
from hashtag2action.catalog.worklist import Shard, contents, unknown_clips

_OURS = re.compile(r"([0-9a-f]{16})(-[0-9a-z]+)?\.(mp4|json)")  # clips and records, called by their video's content


def remove_leftovers(catalog: Catalog, workspace: Path, shard: Shard) -> int:
    """Remove files of this shard's videos that a killed run or a changed source left; return how many.

    A video that changed has another content, and so another name; the files of its earlier content go.
    """
    removed = [*_unfinished(workspace, shard)]
    clips = (f"clips/{name}" for name in _names(workspace / "clips", ".mp4", shard))
    removed += [workspace / path for path in unknown_clips(catalog, clips)]
    known = np.sort(np.fromiter((int(sha256[:16], 16) for sha256 in contents(catalog)), np.uint64))
    for name in _names(workspace / "videos", ".json", shard):
        content = np.uint64(int(name[:16], 16))
        at = np.searchsorted(known, content)
        if at == len(known) or known[at] != content:
            removed.append(workspace / "videos" / name)
    for path in removed:
        path.unlink(missing_ok=True)
    return len(removed)


def _unfinished(workspace: Path, shard: Shard) -> Iterator[Path]:
    for folder in ("clips", "videos"):
        for path in (workspace / folder).glob(".*.part.*"):
            if re.match(r"\.[0-9a-f]{16}", path.name) and shard.has(path.name[1:]):
                yield path


def _names(folder: Path, suffix: str, shard: Shard) -> Iterator[str]:
    if folder.is_dir():
        for path in folder.iterdir():
            if path.suffix == suffix and _OURS.fullmatch(path.name) and shard.has(path.name):
                yield path.name
