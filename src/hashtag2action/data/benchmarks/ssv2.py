"""Something-Something V2: JSON lists of ids and templates, `.webm` files (or folders of pictures) named by id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hashtag2action.data.benchmarks.rows import Lists, Row, first_of, read_json_list
from hashtag2action.data.splits import Part
from hashtag2action.errors import UserError

_FOLDERS = ("", "labels/", "annotations/", "20bn-something-something-download-package-labels/labels/")


def read_ssv2(root: Path) -> Lists:
    """Read the training list, and as test the published validation list: the test list has no labels.

    A class is a template without its brackets, as `labels.json` writes it, in the order of its numbers.
    """
    path = first_of(root, _names("labels"), "labels.json")
    content = read_json_list(path)
    if not isinstance(content, dict) or not all(str(value).isdecimal() for value in content.values()):
        raise UserError(f"{path}: is no map of templates to numbers; fetch the official labels again")
    numbers = {class_name(name): int(value) for name, value in content.items()}
    classes = tuple(sorted(numbers, key=lambda name: numbers[name]))
    lists = Lists("Something-Something V2", classes, {}, notes=["the published validation list is the test"])
    taken = sorted(numbers.values())
    if taken != list(range(len(taken))):
        lists.problems.append(f"{path.name}: the class numbers are not 0 to {len(taken) - 1}, each once")
    parts: tuple[tuple[Part, str], ...] = (("train", "train"), ("test", "validation"))
    for part, name in parts:
        file = first_of(root, _names(name), f"{name}.json")
        lists.parts[part] = _rows(file, set(classes), lists.problems)
    return lists


def class_name(template: str) -> str:
    """Return `Putting [something] on [something]` without its brackets."""
    return " ".join(template.replace("[", "").replace("]", "").split())


def _rows(path: Path, known: set[str], problems: list[str]) -> list[Row]:
    entries: Any = read_json_list(path)
    if not isinstance(entries, list):
        raise UserError(f"{path}: is no list of videos; fetch the official labels again")
    rows = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not str(entry.get("id", "")):
            problems.append(f"{path.name} entry {number}: has no id")
            continue
        label = class_name(str(entry.get("template", "")))
        if label not in known:
            problems.append(f"{path.name} entry {number}: template {label!r} is not in labels.json")
            continue
        rows.append(Row((str(entry["id"]),), label, str(entry["id"])))
    return rows


def _names(stem: str) -> list[str]:
    stems = (stem, f"something-something-v2-{stem}")
    return [f"{folder}{name}.json" for folder in _FOLDERS for name in stems]
