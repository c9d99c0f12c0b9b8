from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def h2a(*words: str | Path, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hashtag2action", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["run", "no/such/folder", "-w", "{w}"], "no/such/folder: no such folder"),
        (["run", "{empty}", "-w", "{w}"], "no videos in it"),
        (["run", "{videos}", "-w", "{w}", "--set", "curate.min_clip=2"], "did you mean `curate.min_clip_s`"),
        (["run", "{videos}", "-w", "{w}", "--recipe", "demmo"], "did you mean `demo`"),
        (["run", "{videos}", "-w", "{file}/w"], "cannot be used as a workspace"),
        (["run", "{videos}", "-w", "{w}", "--engine", "slurm"], "choose local or ray"),
        (["curate", "-w", "{w}"], "no such workspace"),
        (["report"], "--workspace"),
        (["recipes", "curate", "papr"], "did you mean `paper`"),
        (["recipes", "show", "papr"], "no stage has a recipe"),
        (["recipes", "show"], "name a recipe"),
        (["predict", "{file}", "-w", "{empty}"], "h2a finetune"),
        (["predict", "{file}"], "--model"),
    ],
)
def test_a_users_mistake_is_one_clear_line(tmp_path: Path, words: list[str], line: str) -> None:
    places = {name: tmp_path / name for name in ("w", "empty", "videos", "file")}
    for name in ("empty", "videos"):
        places[name].mkdir()
    (places["videos"] / "a.mp4").touch()
    places["file"].touch()
    done = h2a(*[word.format(**places) for word in words])
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert line in done.stderr
    assert not places["w"].exists(), "work began before the mistake was found"


def test_ctrl_c_is_said_in_one_line_and_by_the_status() -> None:
    code = """
import signal, time
import hashtag2action.cli as cli
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has it ignored
@cli.app.command()
def wait() -> None:
    print("ready", flush=True)
    time.sleep(60)
cli.main()
"""
    command = [sys.executable, "-c", code, "wait"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "h2a: stopped; the same command goes on from here\n"


def test_the_command_starts_at_once() -> None:
    h2a("--help")
    start = time.perf_counter()
    assert "curate" in h2a("--help").stdout
    assert time.perf_counter() - start < 2.5


def test_recipes_are_listed_and_shown() -> None:
    assert "vit_b_paper" in h2a("recipes").stdout
    shown = json.loads(h2a("recipes", "curate", "paper").stdout)
    assert (shown["min_clip_s"], shown["max_clip_s"], shown["frames_checked"], shown["min_person_frames"]) == (
        3.5,
        10,
        10,
        4,
    )
    shown = h2a("recipes", "show", "vit_b_k400", "--clips", "240000").stdout
    assert '"layer_decay": 0.75' in shown and "effective values for 240,000 clips" in shown
    assert " 42187 " in shown and "peak learning rate, block 12" in shown
