from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import av
import pytest
from typer.testing import CliRunner

from hashtag2action.cli import app
from hashtag2action.data.benchmarks import read_benchmark
from hashtag2action.data.check import check_dataset, inspect_file
from hashtag2action.engine import make_engine
from hashtag2action.files import write_json


@pytest.fixture
def root(tmp_path: Path, small_clips: list[Path]) -> Path:
    """A set with every fault: clips 0 to 2 are carphone, 3 to 7 bikes."""
    root = tmp_path / "set"
    for name, clip in (("run/a", 0), ("run/b", 3), ("run/b again", 3), ("jump/c", 4), ("test", 6)):
        target = root / f"{name}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(small_clips[clip], target)
    (root / "jump" / "broken.mp4").write_bytes(small_clips[5].read_bytes()[:900])
    reencode(small_clips[0], root / "a small.mkv")
    lines = [
        "path,label,group,part",
        "run/a.mp4,run,g1,train",
        "run/b.mp4,run,g2,train",
        "run/b again.mp4,run,g2,train",
    ]
    lines += [
        "jump/c.mp4,jump,g3,train",
        "jump/broken.mp4,jump,g4,train",
        "gone.mp4,jump,g5,train",
        "jump/c.mp4,sit,g3,test",
    ]
    lines += ["a small.mkv,run,g6,test", "test.mp4,run,,test", "test.mp4,,g7,test"]
    (root / "set.csv").write_text("\n".join(lines) + "\n")
    return root


def reencode(source: Path, target: Path) -> None:
    """Encode a video anew at three quarters of its size, with poor quality, in another container."""
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        old = reading.streams.video[0]
        new = writing.add_stream("libx264", rate=25)
        new.width, new.height, new.pix_fmt = round(old.width * 3 / 8) * 2, round(old.height * 3 / 8) * 2, "yuv420p"
        new.options = {"crf": "32"}
        for number, frame in enumerate(reading.decode(video=0)):
            small = frame.reformat(new.width, new.height, "yuv420p")
            small.pts, small.time_base = number, Fraction(1, 25)
            writing.mux(new.encode(small))
        writing.mux(new.encode(None))


def test_every_fault_is_found(root: Path, tmp_path: Path) -> None:
    found = check_dataset(read_benchmark("csv", root / "set.csv"), make_engine(workers=1))
    name = {
        key: [Path(path).name for path in (pair.train, pair.test)]
        for key in ("shared_files", "shared_looks")
        for pair in getattr(found, key)
    }
    assert found.videos == {"train": 5, "test": 3} and found.missing == {"train": ("gone.mp4",)}
    assert [Path(path).name for path in found.broken] == ["broken.mp4"]
    assert found.labels == ("set.csv line 11: test.mp4 has no label",)
    assert found.never_trained == ("sit",) and found.without_videos == ()
    assert [[Path(path).name for path in same] for same in found.duplicates] == [["b.mp4", "b again.mp4"]]
    assert [[Path(path).name for path in same] for same in found.two_labels] == [["c.mp4 (jump)", "c.mp4 (sit)"]]
    assert found.shared_groups == ("g3",)
    assert name == {"shared_files": ["c.mp4", "c.mp4"], "shared_looks": ["a.mp4", "a small.mkv"]}
    assert not found.sound and found.counts["missing"] == 1
    write_json(tmp_path / "check.json", asdict(found))


def test_the_command_shows_one_table_and_writes_all_of_it(root: Path, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    run = CliRunner().invoke(
        app, ["dataset", "check", f"csv:{root / 'set.csv'}", "--workers", "1", "--json", str(told)]
    )
    assert run.exit_code == 0, run.output
    assert "a small.mkv = a.mp4" in " ".join(run.output.split()) and "gone.mp4" in run.output
    found = json.loads(told.read_text())
    assert (
        found["sound"] is False and found["counts"]["duplicates"] == 1 and found["missing"] == {"train": ["gone.mp4"]}
    )


def test_a_sound_set_is_sound(shared_videos: Path, tmp_path: Path) -> None:
    """People before the same wall, filmed by one fixed camera, do not look alike."""
    lines = ["path,label,group,part"]
    for pose in ("padmasana", "shavasana"):
        for number, video in enumerate(sorted((shared_videos / "yoga" / pose).iterdir())[:8]):
            person = video.name.split("_")[0]
            lines.append(f"{video},{pose},{person},{'test' if number < 2 else 'train'}")
    (tmp_path / "yoga.csv").write_text("\n".join(lines) + "\n")
    found = check_dataset(read_benchmark("csv", tmp_path / "yoga.csv"), make_engine(workers=1))
    assert found.sound, found.counts


def test_a_file_that_is_no_video_is_broken_for_a_reason(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("text")
    assert inspect_file(tmp_path / "a.mp4").problem.startswith("unreadable")
    assert inspect_file(tmp_path / "b.mp4").problem.startswith("unreadable: No such file")
