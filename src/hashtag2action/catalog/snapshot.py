"""Immutable, content-hashed lists of clips that training names: `snapshots/NAME/clips.parquet` and `card.json`.

The digest is over the clips alone, sorted by path: equal content has an equal digest, whoever froze it and when. The one
thing that may change a snapshot is the right to be forgotten (`catalog.snapshot_changes`), and its card then says so.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hashtag2action.catalog.clip_facts import SnapshotClip, clip_facts
from hashtag2action.catalog.statistics import describe
from hashtag2action.errors import UserError
from hashtag2action.files import atomic_path, write_json

if TYPE_CHECKING:
    from hashtag2action.catalog.store import Catalog

FOLDER = "snapshots"
COLUMNS = tuple(field.name for field in fields(SnapshotClip))
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Snapshot:
    """A frozen data set, its clips by path."""

    name: str
    digest: str  # SHA-256 in hexadecimal
    folder: Path
    card: dict[str, Any]
    clips: tuple[SnapshotClip, ...]


@dataclass(frozen=True)
class Only:
    """Which clips a snapshot takes; an empty tuple asks for nothing. A clip whose fact is unknown does not pass."""

    hashtags: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    min_quality: float = 0.0

    def takes(self, clip: SnapshotClip) -> bool:
        """Return whether a clip passes."""
        return (
            (not self.hashtags or not set(self.hashtags).isdisjoint(clip.hashtags))
            and (not self.licences or clip.licence in self.licences)
            and (not self.languages or clip.language in self.languages)
            and (not self.regions or clip.region in self.regions)
            and (self.min_quality <= 0 or (clip.quality is not None and clip.quality >= self.min_quality))
        )


def freeze(
    catalog: Catalog, name: str, settings: Mapping[str, Any] | None = None, only: Only | None = None
) -> Snapshot:
    """Freeze the clips that the catalog keeps now; `settings`, those of curation, go on the card.

    Raises `UserError` where the name is taken or no name, and where there is no clip.
    """
    _require_free(catalog.workspace, name)
    only = only or Only()
    facts = clip_facts(catalog)
    clips = [clip for clip in facts.clips if only.takes(clip)]
    counted = describe(catalog)
    more = {
        "left_out": {
            "vanished": facts.vanished,
            "forgotten": facts.forgotten,
            "filtered": len(facts.clips) - len(clips),
            "review": counted.review,
            "pending": counted.pending,
            "rejected": counted.rejects,
        },
        "filters": {field.name: getattr(only, field.name) for field in fields(only) if getattr(only, field.name)},
        "posted": [_day(stamp) for stamp in facts.created] if facts.created else None,
        "settings": dict(settings or {}),
    }
    return save(catalog.workspace, name, clips, more)


def read_snapshot(workspace: Path, name: str) -> Snapshot:
    """Read a snapshot and prove it: raises `UserError` where it is not there, damaged or altered."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = Path(workspace) / FOLDER / _checked(name)
    if not (folder / "card.json").is_file():
        known = ", ".join(snapshot_names(workspace)) or "none yet"
        raise UserError(f"{folder}: no such snapshot; `h2a dataset freeze {name}` makes one (there: {known})")
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        table = pq.read_table(folder / "clips.parquet", columns=list(COLUMNS)).to_pydict()
        tags = [tuple(names) for names in table.pop("hashtags")]
        columns = [tags if column == "hashtags" else table[column] for column in COLUMNS]
        clips = tuple(SnapshotClip(*row) for row in zip(*columns, strict=True))
        expected = str(card["digest"])
    except (OSError, ValueError, TypeError, KeyError, pa.ArrowException) as error:
        cause = str(error).splitlines()[0]
        raise UserError(f"{folder}: damaged ({cause}); remove it and freeze again") from error
    if digest_of(clips) != expected:
        raise UserError(f"{folder}: its clips are not those of its card; remove it and freeze again")
    for clip in clips:
        if clip.path.startswith("/") or ".." in PurePosixPath(clip.path).parts:
            raise UserError(f"{folder}: names a file outside the workspace ({clip.path[:80]}); do not use it")
    return Snapshot(name, expected, folder, card, clips)


def subset(
    snapshot: Snapshot, size: int, seed: int, per_hashtag: bool = False, top_quality: bool = False
) -> tuple[SnapshotClip, ...]:
    """Return `size` clips of a snapshot; with one seed and one way of choosing, smaller subsets lie within larger ones.

    At random, or evenly over hashtags (`per_hashtag`; a clip counts for its rarest one), or the best by quality
    (`top_quality`; unscored last). The choice depends on the clips' hashes, not on their names or number. Raises
    `UserError` where there are not so many clips.
    """
    if per_hashtag and top_quality:
        raise UserError("subset: choose evenly over hashtags or by quality, not both")
    if not 0 < size <= len(snapshot.clips):
        raise UserError(
            f"{snapshot.name}: has {len(snapshot.clips)} clips; ask for 1 to {len(snapshot.clips)}, not {size}"
        )
    drawn = sorted(snapshot.clips, key=lambda clip: _lot(clip, seed))
    if top_quality:
        drawn.sort(key=lambda clip: (clip.quality is None, -(clip.quality or 0.0)))
    elif per_hashtag:
        drawn = _spread(drawn)
    return tuple(drawn[:size])


def save(workspace: Path, name: str, clips: Iterable[SnapshotClip], more: Mapping[str, Any]) -> Snapshot:
    """Write a snapshot, whole or not at all; `more` goes on the card. Raises `UserError` where the name is taken."""
    _require_free(workspace, name)
    rows = tuple(sorted(clips, key=lambda clip: clip.path))
    if not rows:
        raise UserError(f"{name}: no clip to freeze; curate some first, or ask for less")
    card = {
        "name": name,
        "digest": digest_of(rows),
        "frozen_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **count(rows),
        **more,
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in ("hashtag2action", "av", "numpy", "pyarrow", "sqlalchemy")},
    }
    parent = Path(workspace) / FOLDER
    parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{name}-", suffix=".part", dir=parent))
    try:
        write_files(temporary, rows, card)
        temporary.chmod(0o755)
        temporary.rename(parent / name)
    except OSError as error:
        raise UserError(f"{parent / name}: cannot be written ({error.strerror}); choose another name") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Snapshot(name, card["digest"], parent / name, json.loads(json.dumps(card, default=str)), rows)


def write_files(folder: Path, clips: Sequence[SnapshotClip], card: Mapping[str, Any]) -> None:
    """Write a snapshot's two files, read-only, the card last."""
    import pyarrow.parquet as pq

    with atomic_path(folder / "clips.parquet") as path:
        pq.write_table(_table(clips), path, compression="zstd")
    write_json(folder / "card.json", card)
    for file in folder.iterdir():
        file.chmod(0o444)


def snapshot_names(workspace: Path) -> list[str]:
    """Return the names of a workspace's snapshots."""
    return sorted(path.parent.name for path in (Path(workspace) / FOLDER).glob("[!.]*/card.json"))


def digest_of(clips: Iterable[SnapshotClip]) -> str:
    """Return a SHA-256 over clips, whatever their order."""
    whole = hashlib.sha256()
    encode = json.JSONEncoder(separators=(",", ":")).encode
    for clip in sorted(clips, key=lambda clip: clip.path):
        whole.update(encode([getattr(clip, column) for column in COLUMNS]).encode())
    return whole.hexdigest()


def count(clips: Sequence[SnapshotClip]) -> dict[str, Any]:
    """Return the figures of a card."""
    tags = Counter(tag for clip in clips for tag in clip.hashtags)
    return {
        "clips": len(clips),
        "videos": len({clip.video_sha256 for clip in clips}),
        "hours": round(sum(clip.duration_s for clip in clips) / 3600, 4),
        "size_bytes": sum(clip.size_bytes for clip in clips),
        "frames": sum(clip.frames for clip in clips),
        "hashtags": dict(sorted(tags.items(), key=lambda item: (-item[1], item[0]))),
        "labels": dict(Counter(clip.label for clip in clips if clip.label).most_common()),
        "licences": dict(Counter(clip.licence or "unknown" for clip in clips).most_common()),
        "sources": dict(Counter(clip.source for clip in clips).most_common()),
        "languages": dict(Counter(clip.language or "unknown" for clip in clips).most_common()),
        "regions": dict(Counter(clip.region or "unknown" for clip in clips).most_common()),
    }


def _table(clips: Sequence[SnapshotClip]) -> Any:
    import pyarrow as pa

    kinds = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "tuple[str, ...]": pa.list_(pa.string())}
    schema = pa.schema((field.name, kinds[str(field.type).removesuffix(" | None")]) for field in fields(SnapshotClip))
    return pa.table([[getattr(clip, column) for clip in clips] for column in COLUMNS], schema=schema)


def _lot(clip: SnapshotClip, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{clip.sha256}:{clip.path}".encode()).digest()


def _spread(drawn: list[SnapshotClip]) -> list[SnapshotClip]:
    """Order clips so that any number of the first ones is as even over hashtags as can be."""
    sizes = Counter(tag for clip in drawn for tag in clip.hashtags)
    places: Counter[str] = Counter()
    ranked = []
    for order, clip in enumerate(drawn):
        tag = min(clip.hashtags, key=lambda tag: (sizes[tag], tag), default="")
        ranked.append((places[tag], order, clip))
        places[tag] += 1
    return [clip for _, _, clip in sorted(ranked, key=lambda item: item[:2])]


def _require_free(workspace: Path, name: str) -> None:
    if (Path(workspace) / FOLDER / _checked(name)).exists():
        raise UserError(f"{name}: there is such a snapshot, and snapshots do not change; choose another name")


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UserError(f"{name[:80]!r}: no name for a snapshot; use letters, digits, `.`, `_` and `-`")
    return name


def _day(stamp: int) -> str:
    return datetime.fromtimestamp(max(0, min(stamp, 253_402_300_799)), timezone.utc).date().isoformat()
