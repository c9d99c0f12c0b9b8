from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hashtag2action.cli import collect
from hashtag2action.collect.harvest import only_one
from hashtag2action.collect.lists import read_budget, read_hashtags
from hashtag2action.errors import UserError

HOSTILE = [
    {"url": "file:///etc/passwd", "id": "../../../etc/cron.d/x", "title": "\u202eexe.mp4"},
    {"url": "http://127.0.0.1:1/latest/meta-data", "title": "a" * 10_000_000, "username": "../../root"},
    {"url": "http://localhost:1/", "id": "a/b\\c\x00d", "hashtags": ["../..", "ok", "\ud800"]},
    {"url": "http://[::ffff:127.0.0.1]:1/", "views": 10**50, "created": -1, "deep": [[[[[[[[[[[[]]]]]]]]]]]]},
    {"url": "http://user:pw@example.org/", "duration_s": "NaN"},
    {"url": "gopher://example.org/"},
]


def run(*arguments: object) -> str:
    result = CliRunner().invoke(collect.app, [str(argument) for argument in arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_a_hostile_manifest_is_contained(tmp_path: Path) -> None:
    lines = [json.dumps({**line, "licence": "CC0", "origin": "a stranger"}) + "\n" for line in HOSTILE]
    (tmp_path / "list.jsonl").write_text("".join(lines))
    before = sorted(tmp_path.rglob("*"))
    run(
        "files",
        tmp_path / "list.jsonl",
        "-w",
        tmp_path / "work",
        "--download",
        "--json",
        tmp_path / "done.json",
        "--set",
        "attempts=1",
    )
    done = json.loads((tmp_path / "done.json").read_text())
    assert (done["wanted"], done["fetched"], done["refused"]) == (6, 0, 6)
    assert done["problems"] == {"forbidden_address": 6}
    outside = [
        path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "work") and path not in before
    ]
    assert {path.name for path in outside} <= {"done.json", "work"}
    run("export", "-w", tmp_path / "work", tmp_path / "posts.csv")
    rows = list(csv.DictReader((tmp_path / "posts.csv").open()))
    assert len(rows) == 6
    assert max(len(row["caption"]) for row in rows) == 4096
    assert "\u202e" not in (tmp_path / "posts.csv").read_text()
    assert (tmp_path / "work" / "catalog.db").stat().st_size < 2_000_000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["status", "-w", "none"], "no such workspace"),
        (["files", "none.csv", "-w", "work"], "cannot be read as a manifest"),
        (["tiktok", "none.csv", "-w", "work", "--start", "2025-01-01", "--end", "2025-02-01"], "cannot be read as a list"),
        (["tiktok", "tags.txt", "-w", "work", "--start", "2025-02-01", "--end", "2025-01-01"], "must be after"),
        (["tiktok", "tags.txt", "-w", "work", "--start", "2025-01-01", "--end", "2025-02-01", "--set", "page_sise=5"], "did you mean `page_size`"),
        (["tiktok", "tags.txt", "-w", "work", "--start", "2025-01-01", "--end", "2025-02-01"], "TIKTOK_CLIENT_KEY is not set"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(
    tmp_path: Path, arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIKTOK_CLIENT_KEY", raising=False)
    Path("tags.txt").write_text("#yoga\n")
    with pytest.raises(UserError, match=says) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)


def test_lists_of_hashtags(tmp_path: Path) -> None:
    (tmp_path / "tags.txt").write_text("#Yoga\n\nyoga\nping pong\n")
    assert read_hashtags(tmp_path / "tags.txt") == ["yoga", "pingpong"]
    (tmp_path / "tags.csv").write_text(
        "tag,decision,override\na1,keep,\nb1,drop,keep\nc1,keep,drop\nd1,review,use e1 f1\ng1,replace,\n"
    )
    assert read_hashtags(tmp_path / "tags.csv") == ["a1", "b1", "e1", "f1"]
    (tmp_path / "budget.csv").write_text("hashtag,requests\na1,5\n")
    assert read_budget(tmp_path / "budget.csv") == {"a1": 5}
    with pytest.raises(UserError):
        read_budget(tmp_path / "tags.csv")


def test_two_harvests_do_not_share_a_workspace(tmp_path: Path) -> None:
    code = f"from pathlib import Path\nfrom hashtag2action.collect.harvest import only_one\nwith only_one(Path({str(tmp_path)!r})): pass"
    with only_one(tmp_path):
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "another harvest is at work" in other.stderr
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
