"""`h2a dataset check`: what is wrong with a labelled data set, before training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hashtag2action.cli.common import write
from hashtag2action.cli.options import Json, Workers

_WORDS = {
    "missing": "videos listed but not on disk",
    "broken": "videos that cannot be read",
    "labels": "labels of wrong shape",
    "never_trained": "classes tested but not in training",
    "without_videos": "classes without videos",
    "duplicates": "sets of equal files in a part",
    "two_labels": "equal files with different labels",
    "shared_groups": "groups in training and test",
    "shared_files": "test files that are in training too",
    "shared_looks": "test videos that look like a training video",
}


def check(
    data: Annotated[str, typer.Argument(help="KIND:ROOT, such as ucf101:/data/UCF101; a snapshot, CSV or folder.")],
    split: Annotated[int, typer.Option("--split", min=1, help="Official split, where there are several.")] = 1,
    workers: Workers = 0,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds that one file may take.")] = 60.0,
    json: Json = None,
) -> None:
    """Tell what is missing, broken, duplicated, mislabelled in shape, or shared between training and test."""
    from dataclasses import asdict

    from hashtag2action.console import table
    from hashtag2action.data.benchmarks import parse_source, read_benchmark
    from hashtag2action.data.check import check_dataset, sizes
    from hashtag2action.engine import make_engine

    benchmark = read_benchmark(*parse_source(data), split)
    found = check_dataset(benchmark, make_engine(workers=workers, timeout_s=timeout))
    rows: dict[str, object] = {f"{part} videos": number for part, number in found.videos.items()}
    rows |= {"classes": found.classes} | {f"{name} class": number for name, number in sizes(benchmark).items()}
    rows |= {_WORDS[name]: _shown(number, getattr(found, name)) for name, number in found.counts.items()}
    rows |= {f"note {i}": note for i, note in enumerate(found.notes, 1)}
    table(found.title, rows)
    write({**asdict(found), "sound": found.sound}, json)


def _shown(number: int, value: object) -> str:
    """Return a count with its first case."""
    if not number:
        return "0"
    if isinstance(value, dict):
        first = next(iter(value.items()))
        return f"{number}, such as {': '.join(map(str, (first[0], _first(first[1]))))}"
    return f"{number}, such as {_first(value)}"


def _first(value: object) -> str:
    if isinstance(value, str):
        return value
    case = value[0]  # type: ignore[index]
    if hasattr(case, "test"):
        return f"{Path(case.test).name} = {Path(case.train).name}" + (
            f" ({case.difference:.3f})" if case.difference else ""
        )
    return case if isinstance(case, str) else ", ".join(Path(path).name for path in case)
