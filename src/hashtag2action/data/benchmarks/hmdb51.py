"""HMDB51: `testTrainMulti_7030_splits/CLASS_test_splitN.txt` and the videos by class, whose names hold anything."""

from __future__ import annotations

import re
from pathlib import Path

from hashtag2action.data.benchmarks.rows import Lists, Row, first_of, read_lines
from hashtag2action.errors import UserError

_FOLDERS = ("testTrainMulti_7030_splits", "test_train_splits", "splits")
_TAGS = re.compile(r"_[fuhlt]_(?:cm|nm)_np\d+_(?:fr|ba|le|ri)_(?:bad|med|goo)_\d+$")


def read_hmdb51(root: Path, split: int) -> Lists:
    """Read fold 1, 2 or 3: 70 clips of a class train, 30 test, the others are not used (and not asked for).

    A group is the film that a clip was cut from, as its name tells.
    """
    if split not in (1, 2, 3):
        raise UserError(f"HMDB51: no split {split}; choose 1, 2 or 3")
    folder = first_of(root, _FOLDERS, "official lists")
    ending = f"_test_split{split}.txt"
    files = sorted(path for path in folder.iterdir() if path.name.endswith(ending))
    if not files:
        raise UserError(f"{folder}: no file *{ending}; extract the official 70/30 splits there")
    classes = tuple(path.name[: -len(ending)] for path in files)
    lists = Lists(f"HMDB51 split {split}", classes, {"train": [], "test": []}, loose=True)
    for label, path in zip(classes, files, strict=True):
        for number, line in read_lines(path):
            name, _, use = line.rpartition(" ")  # names hold spaces as well
            if use not in ("0", "1", "2") or not name:
                lists.problems.append(f"{path.name} line {number}: ends in {use!r}, not in 0, 1 or 2")
            elif use != "0":
                row = Row((f"{label}/{name.strip()}",), label, _source(name.strip(), label))
                lists.parts["train" if use == "1" else "test"].append(row)
    return lists


def _source(name: str, label: str) -> str:
    """Return what stands before the class in `FILM_CLASS_u_nm_np1_ba_goo_0.avi`."""
    stem = _TAGS.sub("", Path(name).stem)
    return stem.removesuffix(f"_{label}") or stem
