"""One way in for every layout: `read_benchmark("ucf101", folder, split=1)`, or "ucf101:folder" on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hashtag2action.data.benchmarks.files import FileIndex
from hashtag2action.data.benchmarks.folders import read_csv, read_folders
from hashtag2action.data.benchmarks.hmdb51 import read_hmdb51
from hashtag2action.data.benchmarks.kinetics import read_kinetics
from hashtag2action.data.benchmarks.lists import read_lists
from hashtag2action.data.benchmarks.rows import Lists, Row
from hashtag2action.data.benchmarks.snapshot import read_frozen
from hashtag2action.data.benchmarks.ssv2 import read_ssv2
from hashtag2action.data.benchmarks.ucf101 import read_ucf101
from hashtag2action.data.splits import Part, Sample, Split, split_by_group
from hashtag2action.errors import UserError
from hashtag2action.media.frame_folder import frames_path


@dataclass(frozen=True)
class Benchmark:
    """A data set on disk with its official parts. `test` is empty where none is published: split by group then."""

    title: str
    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    val: tuple[Sample, ...] | None
    classes: tuple[str, ...]
    """In the official order of the outputs."""
    missing: Mapping[Part, tuple[str, ...]] = field(default_factory=dict)
    """Videos that a list names and the disk does not hold, as the list writes them."""
    problems: tuple[str, ...] = ()
    """Wrong labels, in sentences."""
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[Part, tuple[Sample, ...]]:
        """The samples that are on disk, by part; parts without any are left out."""
        every: dict[Part, tuple[Sample, ...]] = {"train": self.train, "val": self.val or (), "test": self.test}
        return {part: samples for part, samples in every.items() if samples}

    def to_split(self, val_share: float = 0.1, test_share: float = 0.25, seed: int = 0) -> Split:
        """Return what training takes: the official test as it is, and a validation part that is never the test.

        Where no validation list is published, whole groups of the training list are held out for it; where no test is,
        for the test too. Raises `UserError` where labels are wrong or no training video is on disk.
        """
        if self.problems:
            more = f", and {len(self.problems) - 1} more" if len(self.problems) > 1 else ""
            raise UserError(f"{self.title}: {self.problems[0]}{more}; see `h2a dataset check`")
        if not self.train:
            raise UserError(f"{self.title}: none of its training videos is on disk; see `h2a dataset check`")
        lost = [f"{len(names)} {part} videos are not on disk" for part, names in self.missing.items() if names]
        notes = (*self.notes, *lost)
        if self.test and self.val:
            return Split(self.train, self.val, self.test, notes)
        if not self.test:
            split = split_by_group(self.train, seed, val_share, test_share)
            return Split(split.train, split.val, split.test, (*notes, *split.notes))
        split = split_by_group(self.train, seed, val_share, test_share=0)
        return Split(split.train, split.val, self.test, (*notes, *split.notes))


_READERS: dict[str, Callable[[Path, int], Lists]] = {
    "ucf101": read_ucf101,
    "hmdb51": read_hmdb51,
    "k400": lambda root, split: read_kinetics(root, 400),
    "k600": lambda root, split: read_kinetics(root, 600),
    "k700": lambda root, split: read_kinetics(root, 700),
    "k710": lambda root, split: read_lists(root, "Kinetics-710"),
    "ssv2": lambda root, split: read_ssv2(root),
    "list": lambda root, split: read_lists(root, root.name),
    "folder": lambda root, split: read_folders(root),
    "csv": lambda root, split: read_csv(root),
    "snapshot": lambda root, split: read_frozen(root),
}
KINDS = tuple(_READERS)
_INDEXED = ("ucf101", "hmdb51", "k400", "k600", "k700", "ssv2")


def read_benchmark(kind: str, root: Path, split: int = 1) -> Benchmark:
    """Read a data set of a known layout (`KINDS`) below `root`; `split` matters for UCF101 and HMDB51 alone.

    Videos that are not on disk are listed as missing. Raises `UserError` for another kind, a folder or list that is not
    there, or where not one video is on disk.
    """
    if kind not in _READERS:
        raise UserError(f"{kind}: no such kind of data set; choose one of {', '.join(KINDS)}")
    root = Path(root)
    if not root.exists():
        raise UserError(f"{root}: no such folder; give the place where {kind} lies")
    lists = _READERS[kind](root, split)
    base = _base(kind, root)
    index = FileIndex(root, lists.loose) if kind in _INDEXED else None
    found: dict[Part, list[Sample]] = {}
    missing: dict[Part, tuple[str, ...]] = {}
    for part, rows in lists.parts.items():
        paths = [_locate(row, base, index) for row in rows]
        pairs = list(zip(rows, paths, strict=True))
        found[part] = [Sample(path, row.label, row.group) for row, path in pairs if path is not None]
        missing[part] = tuple(row.names[0] for row, path in pairs if path is None)
    if not any(found.values()):
        listed = sum(map(len, lists.parts.values()))
        first = next((row.names[0] for rows in lists.parts.values() for row in rows), "none")
        raise UserError(
            f"{root}: none of the {listed} videos listed is on disk (looked for {first}); extract them there"
        )
    return Benchmark(
        lists.title,
        tuple(found.get("train", ())),
        tuple(found.get("test", ())),
        tuple(found["val"]) if "val" in found else None,
        lists.classes,
        missing,
        tuple(lists.problems),
        tuple(lists.notes),
    )


def parse_source(text: str) -> tuple[str, Path]:
    """Split `KIND:ROOT`; a path alone is a snapshot, a CSV or a folder per class. Raises `UserError` for another kind."""
    kind, colon, rest = text.partition(":")
    if colon and kind in KINDS and rest:
        return kind, Path(rest)
    path = Path(text)
    if (path / "clips.parquet").is_file():
        return "snapshot", path
    if path.is_file() or path.is_dir():
        return ("csv" if path.is_file() else "folder"), path
    raise UserError(f"{text}: expected KIND:ROOT, where KIND is one of {', '.join(KINDS)}")


def _base(kind: str, root: Path) -> Path:
    """Return what the paths of a list are relative to."""
    if kind == "snapshot":
        return root.resolve().parents[1]
    return root if root.is_dir() else root.parent


def _locate(row: Row, base: Path, index: FileIndex | None) -> Path | None:
    if index is not None:
        return index.find(row.names)
    path = base / row.names[0]
    if row.span is not None:
        return frames_path(path, *row.span) if path.is_dir() else None
    return path if path.exists() else None
