"""A folder per class, and a CSV of one's own."""

from __future__ import annotations

import os
from pathlib import Path

from hashtag2action.data.benchmarks.files import walk_videos
from hashtag2action.data.benchmarks.rows import Lists, Row, read_table
from hashtag2action.data.splits import Part
from hashtag2action.errors import UserError

_PARTS: dict[Part, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


def read_folders(root: Path) -> Lists:
    """Read `CLASS/video`, or `train/CLASS/video` beside `test/` and, where there is one, `val/`.

    Without a folder `test` (or `val`, which then is the test) nothing is held out: the caller splits by group, and every
    video is its own group.
    """
    folders = {part: next((root / n for n in names if (root / n).is_dir()), None) for part, names in _PARTS.items()}
    if folders["train"] is None:
        return _lists(root, {"train": _rows(root, root)}, [])
    parts = {part: _rows(folder, root) for part, folder in folders.items() if folder is not None}
    notes = []
    if "test" not in parts and "val" in parts:
        parts["test"] = parts.pop("val")
        notes.append("there is no test folder, so the validation folder is the test")
    return _lists(root, parts, notes)


def read_csv(path: Path) -> Lists:
    """Read a CSV with the columns `path` (or `file`), `label` and, if given, `group` and `part` (train, val or test)."""
    names = path.open(encoding="utf-8-sig", errors="replace").readline() if path.is_file() else ""
    column = "file" if "path" not in names.replace('"', "").strip().split(",") else "path"
    parts: dict[Part, list[Row]] = {"train": []}
    problems = []
    for number, row in enumerate(read_table(path, (column, "label")), 2):
        part = (row.get("part") or row.get("split") or "train").strip()
        if part not in _PARTS:
            problems.append(f"{path.name} line {number}: part {part!r} is none of train, val, test")
        elif not row["label"].strip():
            problems.append(f"{path.name} line {number}: {row[column]} has no label")
        else:
            found = Row((row[column],), row["label"].strip(), (row.get("group") or "").strip() or row[column])
            parts.setdefault(part, []).append(found)
    classes = tuple(sorted({row.label for rows in parts.values() for row in rows}))
    return Lists(path.name, classes, parts, problems)


def _rows(folder: Path, root: Path) -> list[Row]:
    rows = []
    for video in walk_videos(folder):
        inner = video.relative_to(folder).parts
        if len(inner) > 1:
            name = os.fspath(video.relative_to(root))
            rows.append(Row((name,), inner[0], name))
    return rows


def _lists(root: Path, parts: dict[Part, list[Row]], notes: list[str]) -> Lists:
    if not any(parts.values()):
        raise UserError(f"{root}: no video in a folder of its class; expected files such as {root}/dancing/one.mp4")
    classes = {row.label for rows in parts.values() for row in rows}
    folders = [path for path in (root / "train" if (root / "train").is_dir() else root).iterdir() if path.is_dir()]
    empty = sorted(path.name for path in folders if path.name not in classes and not path.name.startswith("."))
    problems = [f"folder {name}: a class without videos" for name in empty]
    return Lists(root.name, tuple(sorted(classes)), parts, problems, notes)
