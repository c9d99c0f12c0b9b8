"""Kinetics-400/600/700: the official CSV lists with YouTube id and times; Kinetics-710: its merged `path label` lists."""

from __future__ import annotations

from pathlib import Path

from hashtag2action.data.benchmarks.rows import Lists, Row, first_of, read_table
from hashtag2action.data.splits import Part

_FOLDERS = ("", "annotations", "kinetics{n}", "kinetics{n}/annotations", "k{n}/annotations", "kinetics700_2020")
_TRAIN = ("train.csv", "kinetics_train.csv", "kinetics{n}_train.csv", "kinetics_{n}_train.csv", "k{n}_train.csv")
_VAL = ("validate.csv", "val.csv", "validation.csv")


def read_kinetics(root: Path, number: int) -> Lists:
    """Read the training list, and as test the published validation list, on which results are reported.

    A group is a YouTube video. Many videos are gone from the platform: those are counted as missing.
    """
    classes: set[str] = set()
    parts: dict[Part, list[Row]] = {}
    prefixes = [f"{folder.format(n=number)}/".lstrip("/") for folder in _FOLDERS]
    for part, files in (("train", _TRAIN), ("test", (*_VAL, *(f"kinetics{number}_{name}" for name in _VAL)))):
        names = [prefix + file.format(n=number) for prefix in prefixes for file in files]
        path = first_of(root, names, f"list of Kinetics-{number}'s {part} videos")
        rows = [
            row
            for line in read_table(path, ("label", "youtube_id", "time_start", "time_end"))
            if (row := _row(line, path))
        ]
        classes |= {row.label for row in rows}
        parts["train" if part == "train" else "test"] = rows
    title = f"Kinetics-{number}"
    ordered = tuple(sorted(classes))
    problems = [f"{len(ordered)} classes in the lists, {number} expected"] if len(ordered) > number else []
    return Lists(title, ordered, parts, problems, ["the published validation list is the test"])


def _row(line: dict[str, str], path: Path) -> Row | None:
    """Return a line as names under which its clip is found: with padded times, with plain ones, by the id alone."""
    video, label = line["youtube_id"].strip(), line["label"].strip()
    if not video or not label:
        return None
    names = [video]
    try:
        start, end = int(float(line["time_start"])), int(float(line["time_end"]))
        names = [f"{video}_{start:06d}_{end:06d}", f"{video}_{start}_{end}", video]
    except (ValueError, OverflowError):
        pass
    folder = "train" if "train" in path.name else "val"
    return Row(tuple(f"{folder}/{label}/{name}" for name in names), label, video)
