"""`h2a dataset` and `h2a forget` on a workspace of real clips, as somebody types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hashtag2action.catalog.reviews import Review, record, verdicts
from hashtag2action.catalog.schema import Decision, Reason
from hashtag2action.catalog.snapshot import read_snapshot
from hashtag2action.catalog.store import Catalog, Entry
from hashtag2action.cli import app
from hashtag2action.data.shards import read_shards
from hashtag2action.errors import UserError
from hashtag2action.files import sha256_of
from small_clips import small_clips

__all__ = ["small_clips"]


def h2a(workspace: Path, *words: object) -> dict[str, Any]:
    """Run a command with --json and return what it wrote; a user's mistake is raised."""
    out = workspace.parent / "out.json"
    arguments = [str(word) for word in (*words, "--workspace", workspace, "--json", out)]
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None:
        raise result.exception
    return json.loads(out.read_text())


@pytest.fixture
def workspace(small_clips: list[Path], tmp_path: Path) -> Path:
    """Six accepted clips of two hashtags, two for review."""
    work = tmp_path / "work"
    catalog = Catalog(work)
    (work / "clips").mkdir()
    catalog.register(
        Entry(clip, ("bikes" if "bikes" in clip.stem else "carphone",), title=f"{clip.stem} by @somebody.else")
        for clip in small_clips
    )
    for number, video in enumerate(catalog.videos()):
        source = Path(video.path)
        sha256 = sha256_of(source)
        name = f"clips/{sha256[:16]}.mp4"
        shutil.copy(source, work / name)
        decision = Decision.ACCEPTED if number < 6 else Decision.REVIEW
        clip = {"path": name, "start_s": 0.0, "end_s": 1.28, "scene_s": 1.28, "frames": 32, "fps": 25.0, "width": 96, "height": 120, "size_bytes": source.stat().st_size, "sha256": sha256}  # fmt: skip
        facts = {"sha256": f"{number:064x}", "codec": "h264"}
        catalog.set_decision(video.id, decision, Reason.PERSON, clips=[clip], facts=facts)
    catalog.close()
    return work


def test_from_frozen_clips_to_shards(workspace: Path) -> None:
    card = h2a(workspace, "dataset", "freeze", "one")
    assert (card["clips"], sum(card["hashtags"].values())) == (6, 6)
    again = h2a(workspace, "dataset", "freeze", "again")
    assert again["digest"] == card["digest"]
    with pytest.raises(UserError, match="choose another name"):
        h2a(workspace, "dataset", "freeze", "one")
    h2a(workspace, "review", "accept", f"{6:064x}", "--why", "she rides")
    assert h2a(workspace, "dataset", "freeze", "two")["clips"] == 7
    found = h2a(workspace, "dataset", "diff", "one", "two")
    assert (found["added"], found["removed"], found["changed"], found["unchanged"]) == (1, 0, 0, 6)
    assert len(found["hashtags"]) == len(found["added_clips"]) == 1
    part = h2a(workspace, "dataset", "subset", "two", "part", "--size", 4, "--seed", 3, "--per-hashtag")
    assert (part["clips"], part["subset_of"]["digest"]) == (4, read_snapshot(workspace, "two").digest)
    less = h2a(workspace, "dataset", "subset", "two", "less", "--size", 2, "--seed", 3, "--per-hashtag")
    assert len(less["hashtags"]) == 2
    assert set(read_snapshot(workspace, "less").clips) < set(read_snapshot(workspace, "part").clips)
    assert set(h2a(workspace, "dataset", "show")) == {"again", "less", "one", "part", "two"}
    assert h2a(workspace, "dataset", "show", "one") == card
    rows = h2a(workspace, "dataset", "yields")
    assert {row["hashtag"]: row["kept"] for row in rows} == read_snapshot(workspace, "two").card["hashtags"]
    assert (workspace / "yields.csv").read_text().startswith("hashtag,requests,seen,decided,kept")

    packed = h2a(workspace, "dataset", "shards", "two", workspace.parent / "shards", "--shard-mb", 0.06)
    assert (packed["snapshot"], packed["clips"]) == ("two", 7)
    shards = read_shards(workspace.parent / "shards")
    assert shards.card["digest"] == read_snapshot(workspace, "two").digest
    assert [clip.name for clip in shards.clips] == [
        Path(row.path).name for row in read_snapshot(workspace, "two").clips
    ]
    everything = b"".join(path.read_bytes() for path in (workspace.parent / "shards").glob("*.tar"))
    assert b"somebody.else" not in everything and b"@someone" in everything


def test_what_is_forgotten_leaves_snapshots_shards_and_reviews(workspace: Path) -> None:
    before = h2a(workspace, "dataset", "freeze", "one")
    h2a(workspace, "dataset", "shards", "one", workspace.parent / "shards", "--shard-mb", 0.06)
    catalog = Catalog(workspace)
    record(catalog, [Review(f"{2:064x}", Decision.ACCEPTED, "ann")])
    gone = next(clip for clip in read_snapshot(workspace, "one").clips if clip.video_sha256 == f"{2:064x}")
    done = h2a(workspace, "forget", gone.video_sha256)
    assert done["snapshots"] == {"one": 1}
    assert done["shards"] == {str(workspace.parent / "shards"): 1}
    left = read_snapshot(workspace, "one")
    assert gone not in left.clips and len(left.clips) == before["clips"] - 1
    assert left.card["forgotten"][0]["digest_before"] == before["digest"] != left.digest
    assert Path(gone.path).name not in [clip.name for clip in read_shards(workspace.parent / "shards").clips]
    assert verdicts(catalog) == {}
    assert h2a(workspace, "dataset", "freeze", "later")["digest"] == left.digest


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("dataset", "freeze", "../x"), "no name for a snapshot"),
        (("dataset", "show", "none"), "no such snapshot"),
        (("dataset", "diff", "none", "none"), "no such snapshot"),
        (("dataset", "subset", "none", "x", "--size", "1"), "no such snapshot"),
        (("dataset", "shards", "none", "out"), "no such snapshot"),
    ],
)
def test_mistakes_are_one_line(workspace: Path, words: tuple[str, ...], says: str) -> None:
    with pytest.raises(UserError, match=says):
        h2a(workspace, *words)
    with pytest.raises(UserError, match="no such workspace"):
        h2a(workspace.parent / "nowhere", *words)
