"""What differs between two snapshots, and the one change that a snapshot itself may see: rows that were forgotten go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

from hashtag2action.catalog.clip_facts import SnapshotClip, buried
from hashtag2action.catalog.snapshot import Snapshot, count, digest_of, read_snapshot, snapshot_names, write_files
from hashtag2action.catalog.store import Catalog


@dataclass(frozen=True)
class Difference:
    """Clips of one snapshot against those of another; a clip is known by its source video and its path."""

    added: tuple[SnapshotClip, ...]
    removed: tuple[SnapshotClip, ...]
    changed: tuple[tuple[SnapshotClip, SnapshotClip], ...]  # as it was, as it is
    unchanged: int

    def by_hashtag(self) -> dict[str, tuple[int, int, int]]:
        """Return how many clips were added, removed and changed under each hashtag, by name."""
        added, removed = _tags(self.added), _tags(self.removed)
        changed = _tags(new for _, new in self.changed)
        return {tag: (added[tag], removed[tag], changed[tag]) for tag in sorted({*added, *removed, *changed})}


def diff(old: Snapshot, new: Snapshot) -> Difference:
    """Compare two snapshots; a clip whose pixels or facts differ is changed."""
    before = {(clip.video_sha256, clip.path): clip for clip in old.clips}
    after = {(clip.video_sha256, clip.path): clip for clip in new.clips}
    both = [(before[key], after[key]) for key in sorted(before.keys() & after.keys())]
    changed = tuple((was, now) for was, now in both if was != now)
    return Difference(
        added=tuple(after[key] for key in sorted(after.keys() - before)),
        removed=tuple(before[key] for key in sorted(before.keys() - after)),
        changed=changed,
        unchanged=len(both) - len(changed),
    )


def facts_changed(was: SnapshotClip, now: SnapshotClip) -> list[str]:
    """Return the names of the columns in which two rows differ."""
    return [name for name in SnapshotClip.__slots__ if getattr(was, name) != getattr(now, name)]


def forget_in_snapshots(catalog: Catalog) -> dict[str, int]:
    """Remove from every snapshot the clips whose file or video has a tombstone; return how many from each that changed.

    The digest changes with the clips; the card keeps every earlier one under `forgotten`, so that a run which names it
    can still be traced. May be repeated at any time.
    """
    gone: dict[str, int] = {}
    for name in snapshot_names(catalog.workspace):
        snapshot = read_snapshot(catalog.workspace, name)
        with catalog.session() as session:
            paths = buried(session, catalog.workspace, snapshot.clips)
        if paths:
            _rewrite(snapshot, tuple(clip for clip in snapshot.clips if clip.path not in paths))
            gone[name] = len(paths)
    return gone


def _rewrite(snapshot: Snapshot, clips: tuple[SnapshotClip, ...]) -> None:
    """Replace a snapshot's rows, then its card; a kill between the two leaves a snapshot that has to be frozen again."""
    entry = {
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "clips": len(snapshot.clips) - len(clips),
        "digest_before": snapshot.digest,
    }
    card = snapshot.card | count(clips) | {"digest": digest_of(clips)}
    write_files(snapshot.folder, clips, card | {"forgotten": [*snapshot.card.get("forgotten", []), entry]})


def _tags(clips: Iterable[SnapshotClip]) -> Counter[str]:
    return Counter(tag for clip in clips for tag in clip.hashtags or ("",))
