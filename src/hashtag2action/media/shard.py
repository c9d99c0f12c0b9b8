"""Files inside tar archives, by offset: `SHARD.tar/NAME.mp4` is read in place as if it were a path.

Beside an archive of this project lies an index, `SHARD.tar.json`, of where every file begins; an archive without one
(any WebDataset shard) is looked through once.
"""

from __future__ import annotations

import io
import json
import tarfile
from functools import lru_cache
from pathlib import Path

MAX_BYTES = 2**28  # of one file: it is read whole
INDEX_MAX_BYTES = 2**28


class ShardError(Exception):
    """An archive, its index or a file in it cannot be read: one line that says why."""


def in_shard(path: Path) -> bool:
    """Return whether a path leads into an archive."""
    return path.parent.suffix == ".tar" and path.parent.is_file()


def read_member(path: Path) -> io.BytesIO:
    """Return the content of the file that `path` names inside an archive. Raises `ShardError`."""
    shard = path.parent
    try:
        state = shard.stat()
        begin, size = index_of(shard, state.st_size, state.st_mtime_ns)[path.name]
        if not (begin >= 0 and 0 <= size <= MAX_BYTES and begin + size <= state.st_size):
            raise ShardError(f"{shard.name}: its index does not fit it")
        with shard.open("rb") as file:
            file.seek(begin)
            return io.BytesIO(file.read(size))
    except KeyError as error:
        raise ShardError(f"{shard.name}: has no {path.name}") from error
    except OSError as error:
        raise ShardError(error.strerror or str(error)) from error


def index_path(shard: Path) -> Path:
    """Return where the index of an archive lies."""
    return shard.with_name(f"{shard.name}.json")


@lru_cache(maxsize=64)
def index_of(shard: Path, size_bytes: int, modified_ns: int) -> dict[str, tuple[int, int]]:
    """Return (offset, size) in bytes of every file in an archive; its size and date tell changed archives apart.

    Raises `ShardError` where it is no archive or its index is damaged, `OSError` where it cannot be read.
    """
    index = index_path(shard)
    if index.is_file():
        try:
            if index.stat().st_size > INDEX_MAX_BYTES:
                raise ShardError(f"{index.name}: too large for an index")
            rows = json.loads(index.read_text(encoding="utf-8"))["members"]
            return {str(name): (int(begin), int(size)) for name, begin, size in rows}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ShardError(f"{index.name}: damaged; remove it") from error
    try:
        with tarfile.open(shard, "r:") as archive:
            return {member.name: (member.offset_data, member.size) for member in archive if member.isreg()}
    except tarfile.TarError as error:
        raise ShardError(f"{shard.name}: not a tar archive") from error
