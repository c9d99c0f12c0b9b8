"""The main job on real videos, end to end, small."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hashtag2action as h2a
from hashtag2action.catalog.snapshot import freeze
from hashtag2action.catalog.store import Catalog
from hashtag2action.demo import check_cuts
from hashtag2action.engine import make_engine
from hashtag2action.errors import UserError
from hashtag2action.train.split_file import read_split

SMALL = {
    "pretrain.optim.max_steps": 6,
    "pretrain.loop.save_every_steps": 2,
    "finetune.optim.max_steps": 6,
    "finetune.loop.save_every_steps": 2,
    "evaluate.segments": 2,
    "evaluate.crops": 1,
}


@pytest.fixture(scope="session")
def done(sample_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A workspace in which the main job was done on the demo's videos."""
    folder = tmp_path_factory.mktemp("done")
    return folder, h2a.run(sample_videos, folder, "demo", SMALL)


def test_the_summary_says_what_became_of_every_video(done: tuple[Path, dict]) -> None:
    folder, summary = done
    assert summary["videos"] == 31
    assert summary["clips"] + summary["review"] + sum(summary["rejects"].values()) == 31
    assert summary["rejects"]["duplicate"] == 8
    assert summary["not_done"] == {}
    assert 0 <= summary["evaluate"]["top1"] <= 1
    assert summary["pretrain"]["steps"] == 6
    assert set(summary["seconds"]) == {"register", "curate", "pretrain", "finetune", "evaluate", "report"}
    assert json.loads((folder / "summary.json").read_text())["clips"] == summary["clips"]


def test_cuts_people_and_broken_files_are_told_apart(done: tuple[Path, dict]) -> None:
    catalog = Catalog(done[0])
    assert check_cuts(catalog) == {"expected": 11, "found": 11, "false": 0}
    videos = {video.title: video for video in catalog.videos()}
    assert (videos["bunny"].decision, videos["bunny"].reason) == ("review", "few_person_frames")
    assert (videos["garden"].decision, videos["street"].decision) == ("accepted", "accepted")
    assert videos["broken-off"].reason in ("truncated", "unreadable")
    assert videos["only-text"].reason == "unreadable"
    street = videos["street"].clips[0]
    assert 9.9 < street.end_s - street.start_s <= 10.0 < street.scene_s


def test_no_recording_stands_on_both_sides_of_the_split(done: tuple[Path, dict]) -> None:
    split = json.loads((done[0] / done[1]["finetune"]["folder"] / "split.json").read_text())
    groups = {side: {sample["group"] for sample in split[side]} for side in ("train", "val", "test")}
    assert groups["test"]
    assert not groups["train"] & groups["test"]
    assert not (groups["train"] | groups["test"]) & groups["val"]


def test_the_page_stands_alone(done: tuple[Path, dict]) -> None:
    page = (done[0] / "report" / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?:https?:)?//""", page)
    assert len(page) < 10_000_000


def test_a_second_run_does_no_work_twice(done: tuple[Path, dict], sample_videos: Path) -> None:
    folder, first = done
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix in (".mp4", ".pt")}
    again = h2a.run(sample_videos, folder)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert {key: again[key] for key in ("clips", "pretrain", "finetune", "evaluate")} == {
        key: json.loads(json.dumps(first[key])) for key in ("clips", "pretrain", "finetune", "evaluate")
    }
    assert sum(seconds for stage, seconds in again["seconds"].items() if stage != "report") < 10


def test_ray_decides_as_the_local_engine_does(done: tuple[Path, dict], sample_videos: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    workspace = h2a.Workspace(tmp_path, "demo", SMALL, engine=make_engine("ray", 2))
    workspace.register(sample_videos)
    workspace.curate()
    assert workspace.catalog.digest() == Catalog(done[0]).digest()


def test_kills_at_any_moment_lose_nothing(done: tuple[Path, dict], sample_videos: Path, tmp_path: Path) -> None:
    changes = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    command = [
        sys.executable,
        "-m",
        "hashtag2action",
        "run",
        str(sample_videos),
        "-w",
        str(tmp_path),
        "-r",
        "demo",
        *changes,
    ]
    for seconds in (4, 9, 13, 17):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert Catalog(tmp_path).digest() == Catalog(done[0]).digest()
    summary = json.loads((tmp_path / "summary.json").read_text())
    for stage, key in (("pretrain", "loss_last"), ("finetune", "loss_last"), ("evaluate", "top1")):
        assert summary[stage][key] == done[1][stage][key]
    clips = {path.name for path in (tmp_path / "clips").iterdir()}
    assert clips == {path.name for path in (done[0] / "clips").iterdir()}


def test_videos_without_hashtags_are_still_pre_trained_on(sample_videos: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("treadmill/demo_batch-trial_1-cam1", "treadmill/demo_batch-trial_2-cam1"):
        shutil.copy(sample_videos.parent / f"{name}.mp4", videos)
    summary = h2a.run(videos, tmp_path / "w", "demo", SMALL | {"pretrain.optim.max_steps": 2})
    assert summary["pretrain"]["steps"] == 2
    assert set(summary["not_done"]) == {"finetune"}
    assert (tmp_path / "w" / "report" / "index.html").is_file()


def test_predict_and_export_use_the_latest_model(done: tuple[Path, dict], sample_videos: Path, tmp_path: Path) -> None:
    folder, video = done[0], sample_videos.parent / "talking" / "carphone.mp4"
    command = [sys.executable, "-m", "hashtag2action"]
    output = tmp_path / "out.json"
    subprocess.run([*command, "predict", video, "-w", folder, "--json", output], check=True, capture_output=True)
    scores = json.loads(output.read_text())[str(video)]
    assert sum(scores.values()) == pytest.approx(1, abs=1e-3)
    model = tmp_path / "model.safetensors"
    subprocess.run([*command, "export", model, "-w", folder, "--stage", "pretrain"], check=True, capture_output=True)
    assert model.stat().st_size > 100_000


def test_training_takes_and_names_other_data(done: tuple[Path, dict], tmp_path: Path) -> None:
    shutil.copytree(done[0], tmp_path / "work")
    work = h2a.Workspace(tmp_path / "work")
    frozen = freeze(work.catalog, "first")
    again = work.pretrain(snapshot="first")
    assert again["data"] == {"snapshot": "first", "digest": frozen.digest}
    assert again["folder"] == done[1]["pretrain"]["folder"]  # the same clips: nothing is trained twice

    for number, clip in enumerate(frozen.clips):
        target = tmp_path / "labelled" / ("odd" if number % 2 else "even") / Path(clip.path).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(work.folder / clip.path, target)
    data = f"folder:{tmp_path / 'labelled'}"
    trained = work.finetune(data, pretrained=work.model("pretrain"))
    assert trained["folder"] != done[1]["finetune"]["folder"]
    tested = work.evaluate()
    assert tested["videos"] == len(read_split(work.folder / trained["folder"]).split.test) > 0
    other = work.evaluate(data, model=work.model())
    assert other["videos"] == len(frozen.clips)  # nothing of it is held out officially
    with pytest.raises(UserError, match="name labelled videos with --data"):
        work.evaluate(model=work.model())
    with pytest.raises(UserError, match="not both"):
        work.pretrain("first", tmp_path)
