"""UCF101: `ucfTrainTestlist/{classInd,trainlist01..03,testlist01..03}.txt` and the videos by class."""

from __future__ import annotations

import re
from pathlib import Path

from hashtag2action.data.benchmarks.rows import Lists, Row, first_of, read_lines
from hashtag2action.errors import UserError

_GROUP = re.compile(r"_(g\d+)_c\d+$")


def read_ucf101(root: Path, split: int) -> Lists:
    """Read split 1, 2 or 3. A group is one of the 25 official ones of a class: its clips share person and scene."""
    if split not in (1, 2, 3):
        raise UserError(f"UCF101: no split {split}; choose 1, 2 or 3")
    folder = first_of(root, ("ucfTrainTestlist", "classInd.txt"), "official lists")
    folder = folder if folder.is_dir() else root
    problems: list[str] = []
    names = _classes(folder / "classInd.txt", problems)
    known = set(names.values())
    lists = Lists(f"UCF101 split {split}", tuple(names[i] for i in sorted(names)), {}, problems, loose=True)
    for part, stem in (("train", "trainlist"), ("test", "testlist")):
        rows = []
        path = folder / f"{stem}{split:02d}.txt"
        for number, line in read_lines(path):
            name, _, label = line.rpartition(" ") if part == "train" else (line, "", "")
            label_name = names.get(int(label), "") if label.isdecimal() else name.split("/")[0]
            if label_name not in known:
                problems.append(f"{path.name} line {number}: class {label or label_name!r} is not in classInd.txt")
                continue
            found = _GROUP.search(Path(name).stem)
            rows.append(Row((name,), label_name, f"{label_name}_{found.group(1)}" if found else name))
        lists.parts["train" if part == "train" else "test"] = rows
    return lists


def _classes(path: Path, problems: list[str]) -> dict[int, str]:
    names: dict[int, str] = {}
    for number, line in read_lines(path):
        index, _, name = line.partition(" ")
        if not index.isdecimal() or not name:
            raise UserError(f"{path}: line {number} is not `number name`; fetch the official lists again")
        names[int(index)] = name.strip()
    if gaps := sorted(set(range(1, max(names, default=0) + 1)) - set(names)):
        problems.append(f"{path.name}: no class has the number {gaps[0]}" + (", ..." if len(gaps) > 1 else ""))
    return names
