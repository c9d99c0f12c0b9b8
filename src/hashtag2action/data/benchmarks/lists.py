"""Lists of the official code: `path label`, `folder total label` (pictures), and for pre-training `path 0 -1` and
`folder start total`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hashtag2action.data.benchmarks.rows import Lists, Row, read_lines
from hashtag2action.data.splits import Part
from hashtag2action.errors import UserError
from hashtag2action.media.frame_folder import frames_path

_CLASS_FILES = ("classes.txt", "label_map.txt", "labels.txt", "classInd.txt")
MOST_CLASSES = 100_000


def read_lists(root: Path, title: str) -> Lists:
    """Read `train.csv` (or .txt), `val` and `test` of a folder, as the official `--data_path` names them.

    Fields are parted by a space or, where there is no space after a comma, by a comma. Classes are numbers from 0,
    named where a file of names (one a line, such as `classes.txt`) lies beside the lists. Where the validation list
    equals the test list, as in the official ones, it is the test and there is no validation.
    """
    files = {part: path for part in ("train", "val", "test") if (path := _file(root, part))}
    if "train" not in files:
        raise UserError(f"{root}: no list train.csv (or .txt) in it; give the folder of the official lists")
    problems: list[str] = []
    found = {part: _numbered(path, problems) for part, path in files.items()}
    notes = []
    if found.get("val") is not None and ("test" not in found or found["val"] == found["test"]):
        found["test"] = found.pop("val")
        notes.append("the validation list is the test as well, so it is only the test here")
    names = _names(root) or [
        str(i) for i in range(1 + max((row[1] for rows in found.values() for row in rows), default=-1))
    ]
    parts: dict[Part, list[Row]] = {}
    for part in ("train", "val", "test"):
        if part in found:
            parts[part] = _rows(found[part], names, part, problems)
    used = {row.label for row in parts["train"]}
    lacking = [name for name in names if name not in used]
    if lacking:
        problems.append(f"train list: {len(lacking)} of {len(names)} classes have no video ({', '.join(lacking[:5])})")
    return Lists(title, tuple(names), parts, problems, notes)


def read_unlabelled(path: Path, root: Path | None = None) -> list[Path]:
    """Return the videos of a pre-training list, `path 0 -1` or `folder start total`, relative to `root`.

    `root` is the list's folder by default. Files that are not there are returned too. Raises `UserError` for other lines.
    """
    base = root or path.parent
    videos = []
    for number, line in read_lines(path):
        name, start, total = ([*line.rsplit(None, 2), "", ""])[:3]
        if not (start.isdecimal() and total.removeprefix("-").isdecimal()):
            raise UserError(f"{path}: line {number} is not `path 0 -1` or `folder start total`")
        videos.append(base / name if int(total) < 0 else frames_path(base / name, int(start), int(total)))
    return videos


def _numbered(path: Path, problems: list[str]) -> list[tuple[str, int, int | None]]:
    """Return `(name, label, pictures)` of each line; a label that is no number becomes a problem."""
    rows = []
    for number, line in read_lines(path):
        fields = line.split(",") if "," in line and " " not in line.rsplit(",", 1)[1] else line.rsplit(None, 1)
        name, label = " ".join(fields[:-1]) if " " in line else ",".join(fields[:-1]), fields[-1].strip()
        if not name or not label.isdecimal() or int(label) >= MOST_CLASSES:
            problems.append(f"{path.name} line {number}: {label!r} is no class number from 0")
            continue
        pictures = None
        head, _, total = name.rpartition(" ")
        if head and total.isdecimal() and not Path(name).suffix:
            name, pictures = head, int(total)
        rows.append((name.strip(), int(label), pictures))
    return rows


def _rows(found: list[tuple[str, int, int | None]], names: list[str], part: str, problems: list[str]) -> list[Row]:
    rows = []
    for name, label, pictures in found:
        if label >= len(names):
            problems.append(f"{part} list: {name} has class number {label}, of {len(names)} classes")
            continue
        rows.append(Row((name,), names[label], name, (1, pictures) if pictures else None))
    return rows


def _file(root: Path, part: str) -> Path | None:
    return next((root / f"{part}{end}" for end in (".csv", ".txt", ".list") if (root / f"{part}{end}").is_file()), None)


def _names(root: Path) -> list[str]:
    path = next((root / name for name in _candidates(root) if (root / name).is_file()), None)
    return (
        [line.partition(" ")[2] if path and path.name == "classInd.txt" else line for _, line in read_lines(path)]
        if path
        else []
    )


def _candidates(root: Path) -> Iterator[str]:
    yield from _CLASS_FILES
    yield from sorted(path.name for path in root.glob("label_map*.txt"))
