"""Measured accuracies from CSV, and targets from the command line: mistakes are one plain line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hashtag2action.errors import UserError
from hashtag2action.study.measured import DEFAULT_TARGETS, parse_targets, read_points


def write(folder: Path, text: str) -> Path:
    path = folder / "results.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_runs_are_gathered_by_size(tmp_path: Path) -> None:
    rows = "condition,size,run,top1\nfrom scratch,0,0,.2\n" + "".join(
        f"random,{size},{run},{0.5 + size / 10000 + run / 100}\n" for size in (3000, 1000, 2000, 4000) for run in (0, 1)
    )
    points = read_points(write(tmp_path, rows))
    assert points.sizes.tolist() == [1000, 2000, 3000, 4000]
    assert points.accuracies.tolist() == pytest.approx([0.605, 0.705, 0.805, 0.905])
    assert points.runs.tolist() == [2, 2, 2, 2]
    assert points.within.tolist() == pytest.approx([2 * 0.005**2] * 4)


def test_percent_and_means_of_runs_are_understood(tmp_path: Path) -> None:
    points = read_points(write(tmp_path, "Size,Accuracy,runs\n1,74.05,3\n2,84.37 %,3\n3,88.46,3\n4,90.71,3\n"))
    assert points.accuracies.tolist() == pytest.approx([0.7405, 0.8437, 0.8846, 0.9071])
    assert points.runs.tolist() == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "no columns `size`"),
        ("", "no columns `size`"),
        ("size,accuracy\n1,.5\n2,.6\n3,.7\n", "at 3 sizes"),
        ("size,accuracy\n1,.5\nmany,.6\n", "line 3: `size` is 'many'"),
        ("size,accuracy\n1,.5\n2,nan\n", "line 3: `accuracy` is 'nan'"),
        ("size,accuracy\n1,.5\n2\n", "line 3: `accuracy` is ''"),
        ("size,accuracy\n1,101\n", "outside 0 to 100"),
        ("size,accuracy,runs\n1,.5,0\n", "line 2: `runs` is '0'"),
        ("size,top1,condition\n1,.5,A\n2,.5,B\n", "several conditions (A, B)"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        read_points(write(tmp_path, text))
    assert said in str(caught.value) and "results.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="cannot be read as CSV"):
        read_points(tmp_path / "results.csv")
    with pytest.raises(UserError, match="cannot be read as CSV"):
        read_points(tmp_path / "absent.csv")


def test_targets_are_given_in_any_of_the_usual_ways() -> None:
    assert parse_targets([]) == list(DEFAULT_TARGETS)
    assert parse_targets([".96", ".95"]) == [0.95, 0.96]
    assert parse_targets([".95,.96,97%", "98"]) == [0.95, 0.96, 0.97, 0.98]
    for wrong in ("high", "0", "1", "100%", "-5", "nan"):
        with pytest.raises(UserError, match="--targets"):
            parse_targets([wrong])
