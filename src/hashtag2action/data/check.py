"""What is wrong with a labelled data set, told before anyone trains on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hashtag2action.console import track
from hashtag2action.data.benchmarks import Benchmark
from hashtag2action.data.splits import Part, Sample
from hashtag2action.engine import Engine, make_engine

TIMEOUT_S = 60.0
"""For one file: it is hashed, its packets are listed and five frames decoded."""


@dataclass(frozen=True)
class FileFacts:
    """A file's content hash, its look (see `media.look`) and what is wrong with it."""

    sha256: str = ""
    look: bytes = b""
    problem: str = ""


@dataclass(frozen=True)
class Pair:
    """A training video and a test video that are the same, by content (`difference` 0) or by look."""

    train: str
    test: str
    difference: float


@dataclass(frozen=True)
class DatasetCheck:
    """What `check_dataset` found; every list is empty in a sound data set."""

    title: str
    videos: Mapping[Part, int]
    """On disk, by part."""
    classes: int
    missing: Mapping[Part, tuple[str, ...]]
    broken: Mapping[str, str]
    """Reason by file."""
    labels: tuple[str, ...]
    """Labels out of range, classes without videos, gaps in the numbers: sentences."""
    never_trained: tuple[str, ...]
    """Classes in validation or test without a training video on disk."""
    without_videos: tuple[str, ...]
    """Classes without a video in any part."""
    duplicates: tuple[tuple[str, ...], ...]
    """Files with the same bytes within a part."""
    two_labels: tuple[tuple[str, ...], ...]
    """Files with the same bytes and different labels, as `path (label)`."""
    shared_groups: tuple[str, ...]
    """Groups both in training and in the test."""
    shared_files: tuple[Pair, ...]
    shared_looks: tuple[Pair, ...]
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """How many of each fault there are."""

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not any(self.counts.values())


def check_dataset(benchmark: Benchmark, engine: Engine | None = None) -> DatasetCheck:
    """Open every video of a data set and compare them with each other and with the labels.

    A file that hangs or crashes its reader is broken for that reason. What looks alike is a hint, for people to watch.
    """
    parts = benchmark.parts
    paths = sorted({sample.path for samples in parts.values() for sample in samples})
    facts = _inspect(paths, engine or make_engine(timeout_s=TIMEOUT_S))
    trained = {sample.label for sample in parts.get("train", ())}
    everywhere = {sample.label for samples in parts.values() for sample in samples}
    groups = [{sample.group for sample in parts.get(part, ())} for part in ("train", "test")]
    found: dict[str, Any] = {
        "missing": {part: names for part, names in benchmark.missing.items() if names},
        "broken": {str(path): facts[path].problem for path in paths if facts[path].problem},
        "labels": benchmark.problems,
        "never_trained": tuple(sorted(everywhere - trained)),
        "without_videos": tuple(name for name in benchmark.classes if name not in everywhere),
        "duplicates": tuple(same for samples in parts.values() for same in _duplicates(samples, facts)),
        "two_labels": _two_labels(parts.values(), facts),
        "shared_groups": tuple(sorted(groups[0] & groups[1])),
        "shared_files": _shared_files(parts, facts),
    }
    found["shared_looks"] = _shared_looks(parts, facts, found["shared_files"])
    counts = {name: sum(map(len, value.values())) if name == "missing" else len(value) for name, value in found.items()}
    videos = {part: len(samples) for part, samples in parts.items()}
    return DatasetCheck(benchmark.title, videos, len(benchmark.classes), notes=benchmark.notes, counts=counts, **found)


def inspect_file(path: Path) -> FileFacts:
    """Hash a video, list its packets and decode five frames. What is wrong with it is its `problem`."""
    from hashtag2action.files import sha256_of
    from hashtag2action.media.container import MediaError
    from hashtag2action.media.decode import open_frames
    from hashtag2action.media.frame_folder import is_frame_folder
    from hashtag2action.media.look import look_of
    from hashtag2action.media.probe import probe_video

    sha256 = ""
    try:
        if not is_frame_folder(path):
            sha256 = sha256_of(path)
            probe_video(path)
        with open_frames(path) as reader:
            return FileFacts(sha256, look_of(reader))
    except MediaError as error:
        return FileFacts(sha256, problem=str(error))
    except OSError as error:
        return FileFacts(problem=f"unreadable: {error.strerror or error}")


def _inspect(paths: list[Path], engine: Engine) -> dict[Path, FileFacts]:
    facts = {}
    for outcome in track(engine.map(inspect_file, paths), len(paths), "checking"):
        failure = FileFacts(problem=f"its reader: {outcome.failure.value}") if outcome.failure else FileFacts()
        facts[outcome.item] = outcome.result or failure
    return facts


def _duplicates(samples: Iterable[Sample], facts: Mapping[Path, FileFacts]) -> list[tuple[str, ...]]:
    """Return the files of one part that have the same bytes, or that are listed twice."""
    by_content = defaultdict(list)
    for sample in samples:
        by_content[facts[sample.path].sha256 or str(sample.path)].append(str(sample.path))
    return [tuple(paths) for paths in by_content.values() if len(paths) > 1]


def _two_labels(parts: Iterable[Iterable[Sample]], facts: Mapping[Path, FileFacts]) -> tuple[tuple[str, ...], ...]:
    by_content = defaultdict(set)
    for samples in parts:
        for sample in samples:
            by_content[facts[sample.path].sha256 or str(sample.path)].add((str(sample.path), sample.label))
    mixed = (sorted(entries) for entries in by_content.values() if len({label for _, label in entries}) > 1)
    return tuple(tuple(f"{path} ({label})" for path, label in entries) for entries in mixed)


def _shared_files(parts: Mapping[Part, tuple[Sample, ...]], facts: Mapping[Path, FileFacts]) -> tuple[Pair, ...]:
    trained: dict[str, Path] = {}
    for sample in parts.get("train", ()):
        trained.setdefault(facts[sample.path].sha256 or str(sample.path), sample.path)
    pairs = ((trained.get(facts[s.path].sha256 or str(s.path)), s.path) for s in parts.get("test", ()))
    return tuple(Pair(str(train), str(test), 0.0) for train, test in pairs if train is not None)


def _shared_looks(
    parts: Mapping[Part, tuple[Sample, ...]], facts: Mapping[Path, FileFacts], known: Iterable[Pair]
) -> tuple[Pair, ...]:
    """Return for each test video the training video that looks most like it, if any does; `known` ones are left out."""
    from hashtag2action.media.look import alike

    same = {pair.test for pair in known}
    train = [s.path for s in parts.get("train", ()) if facts[s.path].look]
    test = [s.path for s in parts.get("test", ()) if facts[s.path].look and str(s.path) not in same]
    nearest: dict[int, tuple[float, int]] = {}
    for i, j, difference in alike([facts[path].look for path in test], [facts[path].look for path in train]):
        nearest[i] = min(nearest.get(i, (1.0, -1)), (difference, j))
    return tuple(Pair(str(train[j]), str(test[i]), difference) for i, (difference, j) in sorted(nearest.items()))


def sizes(benchmark: Benchmark) -> dict[str, int]:
    """Return how many training videos the smallest, the median and the largest class have."""
    counts = sorted(Counter(sample.label for sample in benchmark.train).values())
    return {"smallest": counts[0], "median": counts[len(counts) // 2], "largest": counts[-1]} if counts else {}
