"""Clips in WebDataset shards: plain tar archives with `KEY.mp4` and `KEY.json` side by side, and an index to read in place.

`webdataset` streams them; here a clip in a shard is a path, `clips-000000.tar/KEY.mp4`, that everything which reads
videos takes (`media.shard`). Shards hold the same clips in the same order, so training on them is training on the files.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from hashtag2action.errors import UserError
from hashtag2action.files import atomic_path, sha256_of, write_json
from hashtag2action.media.shard import index_path

CARD = "shards.json"
_HEADERS = 3 * 512  # bytes a clip at most, beside its content: two headers and padding of each file
_KEY = re.compile(r"[A-Za-z0-9_-]{1,80}")


@dataclass(frozen=True)
class ShardClip:
    """A clip to pack: its file, what that must hash to, and what is said of it."""

    path: Path
    sha256: str
    size_bytes: int
    about: Mapping[str, Any]

    @property
    def key(self) -> str:
        """What WebDataset calls the sample: up to the first dot, and the same in every shard set."""
        return self.path.stem if _KEY.fullmatch(self.path.stem) else hashlib.sha256(self.path.name.encode()).hexdigest()


@dataclass(frozen=True)
class ShardSet:
    """A folder of shards: its card, and its clips as paths into them, in the order in which they were packed."""

    folder: Path
    card: dict[str, Any]
    clips: tuple[Path, ...]
    hashes: tuple[str, ...]  # SHA-256 of each


def write_shards(
    clips: Sequence[ShardClip], folder: Path, shard_mb: float, about: Mapping[str, Any]
) -> Iterator[tuple[str, int]]:
    """Pack clips in shards of about `shard_mb` (10**6 bytes), and yield the name and number of clips of each as it is done.

    Equal clips give equal bytes. Shards that are there already are kept, so a run that is killed goes on; the card
    `shards.json`, with `about` on it, comes last. Raises `UserError` for a folder that holds other shards, and for a
    clip that is missing or not the one that was frozen.
    """
    plan = _plan(clips, shard_mb * 1e6)
    names = [f"clips-{number:06}.tar" for number in range(len(plan))]
    _check_folder(folder, about, names)
    done = []
    for name, part in zip(names, plan, strict=True):
        index = _finished(folder / name, part) or _write_shard(folder / name, part)
        done.append({"file": name, "clips": len(part), "size_bytes": index["size_bytes"], "sha256": index["sha256"]})
        yield name, len(part)
    write_json(folder / CARD, {**about, "clips": len(clips), "shards": done})


def read_shards(folder: Path) -> ShardSet:
    """Return a finished shard set. Raises `UserError` where a shard or an index is missing or damaged."""
    card = _read(folder / CARD, "no finished shards; `h2a dataset shards` makes them")
    clips: list[Path] = []
    hashes: list[str] = []
    for row in card.get("shards", ()):
        shard = folder / Path(str(row["file"])).name
        if not shard.is_file() or shard.stat().st_size != row["size_bytes"]:
            raise UserError(f"{shard}: missing or not as it was written; run `h2a dataset shards` again")
        index = _read(index_path(shard), "missing; run `h2a dataset shards` again")
        clips += [shard / name for name, _ in _pairs(index)]
        hashes += index["clips"]
    return ShardSet(folder, card, tuple(clips), tuple(hashes))


def remove_from_shards(folder: Path, hashes: Iterable[str]) -> int:
    """Write the shards that hold clips of these SHA-256 again without them; return how many clips went."""
    gone = set(hashes)
    card = _read(folder / CARD, "no finished shards")
    removed = 0
    for row in card["shards"]:
        shard = folder / Path(str(row["file"])).name
        index = _read(index_path(shard), "missing")
        kept = [clip for clip in index["clips"] if clip not in gone]
        if len(kept) == len(index["clips"]):
            continue
        names = {
            name for clip, pair in zip(index["clips"], _pairs(index), strict=True) if clip in gone for name in pair
        }
        with tarfile.open(shard, "r:") as old, atomic_path(shard) as temporary, tarfile.open(temporary, "w:", format=tarfile.USTAR_FORMAT) as new:  # fmt: skip
            for member in old:
                if member.name not in names:
                    new.addfile(member, old.extractfile(member))
        fresh = _index(shard, kept)
        removed += len(index["clips"]) - len(kept)
        row |= {"clips": len(kept), "size_bytes": fresh["size_bytes"], "sha256": fresh["sha256"]}
    if removed:
        card |= {"clips": card["clips"] - removed, "forgotten": card.get("forgotten", 0) + removed}
        write_json(folder / CARD, card)
    return removed


def _plan(clips: Sequence[ShardClip], limit: float) -> list[list[ShardClip]]:
    """Divide clips, in their order, into shards none of which exceeds `limit` bytes by more than a clip's headers."""
    if len({clip.key for clip in clips}) < len(clips):
        raise UserError("shards: two clips have the same name; they cannot lie in one set")
    plan: list[list[ShardClip]] = []
    room = 0.0
    for clip in clips:
        need = clip.size_bytes + _HEADERS
        if not plan or need > room:
            plan.append([])
            room = limit
        plan[-1].append(clip)
        room -= need
    return plan


def _write_shard(shard: Path, part: Sequence[ShardClip]) -> dict[str, Any]:
    with atomic_path(shard) as temporary, tarfile.open(temporary, "w:", format=tarfile.USTAR_FORMAT) as archive:
        for clip in part:
            try:
                content = clip.path.read_bytes()
            except OSError as error:
                raise UserError(f"{clip.path}: {error.strerror}; curate again, or freeze anew") from error
            if hashlib.sha256(content).hexdigest() != clip.sha256:
                raise UserError(f"{clip.path}: is not the clip that was frozen; freeze anew")
            about = json.dumps(dict(clip.about), ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n"
            _add(archive, f"{clip.key}{clip.path.suffix.lower()}", content)
            _add(archive, f"{clip.key}.json", about.encode())
    return _index(shard, [clip.sha256 for clip in part])


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)  # all else as TarInfo has it: no date, owner 0, mode 644
    archive.addfile(member, BytesIO(content))


def _index(shard: Path, clips: Sequence[str]) -> dict[str, Any]:
    """Write and return a shard's index: `members` (name, offset, size), `clips` (SHA-256 of each clip, in order)."""
    with tarfile.open(shard, "r:") as archive:
        members = [(member.name, member.offset_data, member.size) for member in archive]
    index = {"sha256": sha256_of(shard), "size_bytes": shard.stat().st_size, "clips": list(clips), "members": members}
    write_json(index_path(shard), index)
    return index


def _finished(shard: Path, part: Sequence[ShardClip]) -> dict[str, Any] | None:
    """Return the index of a shard that an earlier call wrote, if it holds just these clips."""
    if not shard.is_file() or not index_path(shard).is_file():
        return None
    index = _read(index_path(shard), "missing")
    same = index.get("clips") == [clip.sha256 for clip in part] and index.get("size_bytes") == shard.stat().st_size
    return index if same else None


def _check_folder(folder: Path, about: Mapping[str, Any], names: Sequence[str]) -> None:
    if (folder / CARD).is_file():
        card = _read(folder / CARD, "missing")
        if any(card.get(key) != value for key, value in about.items()):
            raise UserError(f"{folder}: holds shards of {card.get('snapshot')} already; choose another folder")
    for other in folder.glob("clips-*.tar"):
        if other.name not in names:
            raise UserError(f"{other}: is not of these shards; choose another folder or remove it")
    for partial in folder.glob(".clips-*.part.*"):
        partial.unlink(missing_ok=True)


def _pairs(index: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    names = [str(name) for name, _, _ in index["members"]]
    yield from zip(names[::2], names[1::2], strict=True)


def _read(path: Path, remedy: str) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: {remedy}")
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: damaged; remove it and run `h2a dataset shards` again") from error
