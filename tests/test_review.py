"""`h2a review`: lists that people fill in, and lists that nobody should have."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from hashtag2action.catalog.review_list import read_list
from hashtag2action.catalog.reviews import verdicts
from hashtag2action.catalog.schema import Decision
from hashtag2action.catalog.store import Catalog
from hashtag2action.cli import app
from hashtag2action.errors import UserError
from small_clips import small_clips
from test_dataset_commands import h2a, workspace

__all__ = ["small_clips", "workspace"]
A, B = "a" * 64, "b" * 64


def test_a_list_goes_out_and_comes_back(workspace: Path, tmp_path: Path) -> None:
    assert len(h2a(workspace, "review", "list")["videos"]) == 2
    out, sheets = tmp_path / "queue.csv", tmp_path / "sheets"
    done = CliRunner().invoke(app, ["review", "export", str(out), "-w", str(workspace), "--sheets", str(sheets)])
    assert done.exit_code == 0, done.output
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["now"] for row in rows] == ["review", "review"]
    for row in rows:
        with Image.open(row["look_at"]) as picture:
            assert picture.width > 4 * picture.height
    rows[0] |= {"verdict": "Accept", "why": "rides"}
    rows[1] |= {"verdict": "reject", "by": "eve"}
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    result = h2a(workspace, "review", "import", out, "--by", "ann")
    assert (result["verdicts"], result["accepted"], result["rejected"]) == (2, 1, 1)
    told = verdicts(Catalog(workspace))
    assert {(review.by, review.decision, review.why) for review in told.values()} == {
        ("ann", Decision.ACCEPTED, "rides"),
        ("eve", Decision.REJECTED, ""),
    }
    assert h2a(workspace, "review", "list")["videos"] == []
    assert len(Catalog(workspace).clips()) == 7
    listed = h2a(workspace, "review", "list", "--all")["videos"]
    assert {row["by"] for row in listed} == {None, "ann", "eve"}
    assert h2a(workspace, "review", "reject", rows[0]["sha256"][:64], "--by", "bob")["rejected"] == 1
    assert len(Catalog(workspace).clips()) == 6
    with pytest.raises(UserError, match="no such video"):
        h2a(workspace, "review", "accept", "ffffffff")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column `sha256`"),
        ("sha256\n", "no column `verdict`"),
        (f"sha256,verdict\n{A[:-1]},accept\n", "line 2: `sha256`"),
        (f"sha256,verdict\n../../{A},accept\n", "line 2: `sha256`"),
        (f"sha256,verdict\n{A},maybe\n", "line 2: verdict 'maybe'"),
        (f"sha256,verdict\n{A},yes\n{A},no\n", "line 3: the same video"),
        ("sha256,verdict\n,accept\n", "line 2: `sha256`"),
        (f'sha256,verdict\n"{A},accept\n', "line 2|no CSV|`sha256`"),
        ("sha256,verdict\n" + "x" * 200_000 + ",accept\n", "no CSV"),
    ],
)
def test_faults_of_a_list_are_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UserError, match=says):
        read_list(tmp_path / "list.csv", "ann", 1.0)


def test_lists_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"sha256,verdict\n\xff\xfe,accept\n")
    with pytest.raises(UserError, match="UTF-8"):
        read_list(tmp_path / "list.csv", "ann", 1.0)
    with pytest.raises(UserError, match="No such file"):
        read_list(tmp_path / "none.csv", "ann", 1.0)


def test_texts_are_bounded_and_harmless(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(
        b"\xef\xbb\xbfsha256,verdict,why,by,extra\r\n"
        + f"{A.upper()}, YES ,'=cmd()\x00\u202e{'x' * 5000},{'y' * 500},1,2,3\r\n{B},,ignored,,\r\n".encode()
    )
    (review,) = read_list(tmp_path / "list.csv", "ann", 1.0)
    assert (review.sha256, review.decision) == (A, Decision.ACCEPTED)
    assert review.why.startswith("=cmd()xx") and (len(review.why), len(review.by)) == (1000, 128)
