"""Where a study's clips come from: snapshots to pre-train on, labelled videos to fine-tune and test on.

Whatever is named, a study works on frozen lists: files and registered videos are frozen as snapshots of their own, and
the labelled set with its split as `studies/labelled-.../split.json`, so that a job done next month reads the same.
"""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from hashtag2action.catalog.clip_facts import SnapshotClip
from hashtag2action.catalog.schema import Video
from hashtag2action.catalog.snapshot import Snapshot, digest_of, read_snapshot, save, snapshot_names, subset
from hashtag2action.catalog.store import Catalog
from hashtag2action.collect.folder import find_videos
from hashtag2action.console import track
from hashtag2action.data.benchmarks import parse_source, read_benchmark
from hashtag2action.data.splits import Sample, Split, split_by_group
from hashtag2action.errors import UserError
from hashtag2action.files import sha256_of, write_json
from hashtag2action.media.container import MediaError
from hashtag2action.media.probe import probe_video
from hashtag2action.settings import digest
from hashtag2action.study.settings import ConditionSettings
from hashtag2action.train.finetune_settings import SplitSettings
from hashtag2action.train.split_file import read_split, write_split

FOLDER = "studies"
CONTENT = "test_content.json"  # hashes of the files held out for the test


@dataclass(frozen=True)
class Labelled:
    """A frozen labelled set: its folder relative to the workspace, and what is in it."""

    folder: str
    classes: tuple[str, ...]
    split: Split
    test_content: frozenset[str]


def open_source(catalog: Catalog, source: str, default: str | None = None) -> Snapshot:
    """Return the snapshot that a condition's `source` names, freezing files or registered videos where need be.

    Raises `UserError` where it is not there, or holds no readable video.
    """
    kind, _, name = source.partition(":")
    if kind == "snapshot":
        if not (name or default):
            raise UserError("study: no snapshot named; give --snapshot NAME (`h2a dataset freeze NAME` makes one)")
        return read_snapshot(catalog.workspace, name or default or "")
    if source == "registered":
        videos = [video for video in catalog.videos() if video.codec and video.sha256 and _usable(video)]
        return _freeze(catalog, source, (_of_video(video) for video in videos), len(videos))
    if kind == "files" and name:
        entries = find_videos(Path(name))
        clips = (_of_file(entry.path, entry.hashtags, entry.label, entry.group) for entry in entries)
        return _freeze(catalog, "files", clips, len(entries))
    raise UserError(f"{source}: no such source; name snapshot, snapshot:NAME, registered, files:PATH or nothing")


def choose_clips(
    snapshot: Snapshot, condition: ConditionSettings, size: int, seed: int, left_out: frozenset[str] = frozenset()
) -> list[SnapshotClip]:
    """Return the clips of one pre-training, by content hash; those of one seed are nested over sizes.

    `left_out` holds content hashes of files that must not be trained on. Raises `UserError` where there are too few.
    """
    clips = [clip for clip in snapshot.clips if clip.sha256 not in left_out and clip.video_sha256 not in left_out]
    if condition.best_hashtags is not None:
        best = best_hashtags(clips, condition.best_hashtags)
        clips = [clip for clip in clips if best.intersection(clip.hashtags)]
    if len(clips) < size:
        gone = len(snapshot.clips) - len(clips)
        why = f", {gone} of {len(snapshot.clips)} being left out" if gone else ""
        raise UserError(f"{condition.name}: {len(clips)} clips{why}; ask for sizes up to that, not {size}")
    by = {"per_hashtag": condition.choose == "per_hashtag", "top_quality": condition.choose == "top_quality"}
    chosen = subset(replace(snapshot, clips=tuple(clips)), size, seed, **by)
    return sorted(chosen, key=lambda clip: (clip.sha256, clip.path))


def best_hashtags(clips: Sequence[SnapshotClip], number: int) -> set[str]:
    """Return the hashtags with the best mean quality of their clips. Raises `UserError` where no clip has a score."""
    scores: dict[str, list[float]] = defaultdict(list)
    for clip in clips:
        for tag in clip.hashtags:
            if clip.quality is not None:
                scores[tag].append(clip.quality)
    if not scores:
        raise UserError("study: no clip has a quality score; curate with the current version and freeze again")
    return set(sorted(scores, key=lambda tag: (-sum(scores[tag]) / len(scores[tag]), tag))[:number])


def open_labelled(catalog: Catalog, source: str, settings: SplitSettings, number: int = 1) -> Labelled:
    """Freeze a labelled set and its split: `KIND:ROOT` (`data.benchmarks`), a folder of class folders, a CSV, or `workspace`.

    Official splits are kept (`number` says which); others are made by groups. `workspace` is the catalog's own clips.
    Raises `UserError` where there is nothing to train or to test on.
    """
    if source == "workspace":
        clips = [(clip, _label(clip.video)) for clip in catalog.clips()]
        samples = [
            Sample(catalog.workspace / clip.path, label, clip.video.group or clip.video.sha256 or "")
            for clip, label in clips
            if label
        ]
        split = split_by_group(samples, settings.seed, settings.val_share, settings.test_share)
        classes = split.classes
    else:
        benchmark = read_benchmark(*parse_source(source), number)
        split = benchmark.to_split(settings.val_share, settings.test_share, settings.seed)
        classes = benchmark.classes
    return _freeze_labelled(catalog, source, settings, classes, split)


def open_merged(catalog: Catalog, sources: Sequence[str], settings: SplitSettings, target: Labelled) -> Labelled:
    """Freeze several labelled sets as one: equal class names (case, spaces and punctuation aside) are one class.

    Files of any set's test, and of the target's, are left out of training, by content; as are those of a test clip's
    name in the same class, such as one video in two editions of Kinetics. Raises `UserError` as `open_labelled` does.
    """
    names: dict[str, str] = {}
    parts: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    notes: list[str] = []
    for source in sources:
        opened = open_labelled(catalog, source, settings)
        notes += opened.split.notes
        for part, samples in parts.items():
            for sample in getattr(opened.split, part):
                plain = "".join(char for char in sample.label.casefold() if char.isalnum()) or sample.label
                label = names.setdefault(plain, sample.label)
                samples.append(replace(sample, label=label, group=f"{source}/{sample.group}"))
    tested = [*parts["test"], *target.split.test]
    named = {(sample.path.stem, sample.label) for sample in parts["test"]}
    sizes = {_size(sample.path) for sample in tested}
    content = {sha256_of(sample.path) for sample in tested if sample.path.is_file()}

    def is_tested(sample: Sample) -> bool:
        same = _size(sample.path) in sizes and sample.path.is_file() and sha256_of(sample.path) in content
        return same or (sample.path.stem, sample.label) in named

    kept = {part: tuple(s for s in parts[part] if not is_tested(s)) for part in ("train", "val")}
    gone = sum(len(parts[part]) - len(kept[part]) for part in kept)
    if gone:
        notes.append(f"{gone} clips are left out, for they are in a test part")
    split = Split(kept["train"], kept["val"], tuple(parts["test"]), tuple(notes))
    return _freeze_labelled(catalog, " + ".join(sources), settings, split.classes, split)


def _freeze_labelled(
    catalog: Catalog, source: str, settings: SplitSettings, classes: Sequence[str], split: Split
) -> Labelled:
    if len(classes) < 2 or not split.train or not split.test:
        raise UserError(f"{source}: {len(split.train)} clips to train and {len(split.test)} to test on; two classes of two sources are the least")  # fmt: skip
    parts = {"train": split.train, "val": split.val, "test": split.test}
    rows = [(part, str(s.path), s.label, s.group, _size(s.path)) for part, samples in parts.items() for s in samples]
    folder = f"{FOLDER}/labelled-{digest(settings, classes, rows)}"
    if not (catalog.workspace / folder / CONTENT).is_file():
        files = [sample.path for sample in split.test if sample.path.is_file()]
        held = [sha256_of(path) for path in track(files, len(files), "hashing held-out videos")]
        write_split(catalog.workspace / folder, tuple(classes), split)
        write_json(catalog.workspace / folder / CONTENT, held)
    return read_labelled(catalog.workspace, folder)


@lru_cache(maxsize=4)
def read_labelled(workspace: Path, folder: str) -> Labelled:
    """Read a labelled set that was frozen."""
    held = json.loads((workspace / folder / CONTENT).read_text(encoding="utf-8"))
    kept = read_split(workspace / folder)
    return Labelled(folder, kept.classes, kept.split, frozenset(held))


@lru_cache(maxsize=4)
def read_source(workspace: Path, name: str, expected: str) -> Snapshot:
    """Read a snapshot of a plan. Raises `UserError` where it is not the one that was planned with."""
    snapshot = read_snapshot(workspace, name)
    if snapshot.digest != expected:
        raise UserError(f"{name}: is not the snapshot that this study was planned with; plan it again under a new name")
    return snapshot


def _usable(video: Video) -> bool:
    return video.reason not in ("forgotten", "missing", "unreadable", "duplicate")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _label(video: Video) -> str:
    return video.label or (video.hashtags[0].hashtag if video.hashtags else "")


def _of_video(video: Video) -> tuple[Path, SnapshotClip]:
    tags = tuple(row.hashtag for row in video.hashtags)
    length = video.duration_s or 0.0
    numbers = (video.fps or 0.0, video.frames or 0, video.width or 0, video.height or 0, video.size_bytes or 0)
    clip = SnapshotClip(
        "", video.sha256 or "", video.sha256 or "", video.title, video.label, video.group, tags, length, length,
        *numbers, None, None, None, None, None, "file",
    )  # fmt: skip
    return Path(video.path), clip


def _of_file(
    path: Path, hashtags: tuple[str, ...], label: str | None, group: str | None
) -> tuple[Path, SnapshotClip] | None:
    try:
        probe, content = probe_video(path), sha256_of(path)
    except MediaError:
        return None
    numbers = (probe.fps, probe.frames, probe.width, probe.height, path.stat().st_size)
    clip = SnapshotClip(
        "", content, content, path.stem[:200], label, group, tuple(sorted(hashtags)), probe.duration_s,
        probe.duration_s, *numbers, None, None, None, None, None, "file",
    )  # fmt: skip
    return path, clip


def _freeze(catalog: Catalog, kind: str, found: Iterable[tuple[Path, SnapshotClip] | None], total: int) -> Snapshot:
    """Freeze files as they lie, by links in the workspace; equal content has an equal name and is frozen once."""
    clips = dict(_linked(catalog.workspace, track(found, total, "reading videos")))
    if not clips:
        raise UserError(f"{kind}: no readable video to pre-train on")
    name = f"{kind}-{digest_of(clips.values())[:12]}"
    if name not in snapshot_names(catalog.workspace):
        try:
            return save(catalog.workspace, name, clips.values(), {"made_by": "h2a study", "curated": False})
        except UserError:
            if name not in snapshot_names(catalog.workspace):  # else another process was faster
                raise
    return read_snapshot(catalog.workspace, name)


def _linked(workspace: Path, found: Iterable[tuple[Path, SnapshotClip] | None]) -> Iterator[tuple[str, SnapshotClip]]:
    folder = workspace / FOLDER / "files"
    folder.mkdir(parents=True, exist_ok=True)
    for item in found:
        if item is None:
            continue
        path, clip = item
        link = folder / f"{clip.sha256[:24]}{path.suffix.lower()[:8]}"
        if not link.exists():
            link.unlink(missing_ok=True)
            with suppress(FileExistsError):
                try:
                    link.symlink_to(path.resolve())
                except OSError:
                    shutil.copyfile(path, link)
        yield clip.sha256, replace(clip, path=link.relative_to(workspace).as_posix())
