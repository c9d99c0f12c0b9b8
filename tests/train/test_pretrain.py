from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import indent

import numpy as np
import pytest
import torch
from PIL import Image

from hashtag2action.errors import UserError
from hashtag2action.models import build_videomae, load_model, sample_masks
from hashtag2action.settings import load, recipe_names
from hashtag2action.train.logbook import read_log
from hashtag2action.train.pretrain import effective_values, pretrain
from hashtag2action.train.settings import PretrainSettings

TINY = {
    "model.name": "vit_tiny",
    "model.image_size": 32,
    "model.frames": 8,  # 4 tokens along time: the running cell then decodes as many tokens of every sample
    "model.decoder_depth": 1,
    "model.overrides": {"dim": 48, "depth": 2, "heads": 3, "patch": 8, "decoder_dim": 24, "decoder_heads": 2},
    "sample.views": 2,
    "sample.rate": 2,
    "sample.shrink": True,
    "optim.batch": 4,
    "optim.lr": 0.2,
    "optim.max_steps": 12,
    "loop.log_every_steps": 1,
    "loop.save_every_steps": 4,
    "hardware.cache_mb": 50,
    "hardware.device": "cpu",
    "hardware.precision": "fp32",
    "reconstruct_clips": 2,
}


def settings(**changes) -> PretrainSettings:
    return load(PretrainSettings, "pretrain", None, {**TINY, **changes})


def curve(folder: Path) -> list[tuple]:
    return [(r["step"], r["loss"], r["lr"], r["grad_norm"], r["epoch"]) for r in read_log(folder)]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "model.pt", weights_only=True)["model"]


def assert_same_run(one: Path, other: Path) -> None:
    assert curve(one) == curve(other)
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def finished(small_clips, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    pretrain(small_clips, settings(), folder)
    return folder


def test_a_run_leaves_everything_about_itself(finished, small_clips):
    summary = json.loads((finished / "summary.json").read_text())
    assert (summary["steps"], summary["clips"], summary["views"], summary["bad_steps"]) == (12, 8, 2, 0)
    assert summary["epochs"] == 6 and summary["loss_last"] < summary["loss_first"]
    assert summary["baseline_loss"] == pytest.approx(1.0, abs=0.05)
    assert summary["effective"]["learning rate"] == pytest.approx(0.2 * 4 / 256)
    assert json.loads((finished / "settings.json").read_text())["settings"]["optim"]["batch"] == 4
    assert len(curve(finished)) == 12
    strips = {Image.open(path).size for path in (finished / "reconstructions").iterdir()}
    assert strips == {(8 * 32, 32)} and len(summary["reconstructions"]) == 2
    assert load_model(finished / "model.pt").config.dim == 48


def test_what_was_visible_is_left_as_it_was(finished):
    name = json.loads((finished / "summary.json").read_text())["reconstructions"][0]
    original, masked, filled = (
        np.asarray(Image.open(finished / f"reconstructions/{name}-{kind}.png")).astype(int)
        for kind in ("original", "masked", "reconstructed")
    )
    visible = np.abs(masked - 128).max(-1) > 1
    assert 0.02 < visible.mean() < 0.3
    assert np.abs(original - filled)[visible].max() <= 1
    assert np.abs(original - filled)[~visible].mean() > 1


def test_a_finished_run_is_not_run_again(finished, small_clips):
    before = (finished / "log.jsonl").stat().st_mtime_ns
    summary = pretrain(small_clips, settings(), finished)
    assert summary.steps == 12 and (finished / "log.jsonl").stat().st_mtime_ns == before


def test_other_settings_do_not_continue_it(finished, small_clips):
    with pytest.raises(UserError, match="other settings or clips"):
        pretrain(small_clips, settings(**{"optim.lr": 0.3}), finished)
    with pytest.raises(UserError, match="other settings or clips"):
        pretrain(small_clips[1:], settings(), finished)
    with pytest.raises(UserError, match="no clips"):
        pretrain([], settings(), finished)


@pytest.mark.parametrize("changes", [{"hardware.workers": 2, "hardware.cache_mb": 0}, {"loop.save_every_steps": 3}])
def test_workers_and_saving_change_nothing(finished, small_clips, tmp_path, changes):
    pretrain(small_clips, settings(**changes), tmp_path)
    assert_same_run(finished, tmp_path)


CHILD = """
import json, sys
from pathlib import Path
from hashtag2action.settings import load
from hashtag2action.train.pretrain import pretrain
from hashtag2action.train.settings import PretrainSettings
clips, changes, folder = json.loads(sys.argv[1])
pretrain([Path(clip) for clip in clips], load(PretrainSettings, "pretrain", None, changes), Path(folder))
"""


@pytest.mark.parametrize("kill_at", [2, 7])
def test_killed_at_any_step_it_continues_bitwise(finished, small_clips, tmp_path, kill_at):
    """Killed before its first checkpoint but the initial one, and between two; resumed with another number of workers."""
    order = json.dumps([[str(clip) for clip in small_clips], TINY, str(tmp_path)])
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, order], env={**os.environ, **threads}, stdout=subprocess.DEVNULL
    )
    try:
        while child.poll() is None and len(read_log(tmp_path)) < kill_at:
            time.sleep(0.005)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert not (tmp_path / "summary.json").exists()
    pretrain(small_clips, settings(**{"hardware.workers": 1}), tmp_path)
    assert_same_run(finished, tmp_path)


def test_rounds_give_the_same_losses(finished, small_clips, tmp_path):
    pretrain(small_clips, settings(**{"optim.accumulate": 2}), tmp_path)
    assert_close(finished, tmp_path)


def test_two_processes_give_the_same_losses_as_one(finished, small_clips, tmp_path):
    summary = pretrain(small_clips, settings(**{"hardware.devices": 2, "hardware.strategy": "ddp"}), tmp_path)
    assert summary.effective["processes"] == 2
    assert_close(finished, tmp_path)


@contextmanager
def torchrun(*command: str) -> Iterator[list[subprocess.Popen]]:
    """Start a command in two processes as torchrun does; all are killed at the end."""
    call = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", *command]
    started = subprocess.Popen(call, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        yield [started]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)  # its children are left otherwise
        started.wait()


@contextmanager
def srun(*command: str) -> Iterator[list[subprocess.Popen]]:
    """Start a command in two processes, with what Slurm tells each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "SLURM_NODELIST": "localhost"}
    job = {"SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "h2a", "SLURM_NNODES": "1", "SLURM_NODEID": "0"}
    tasks = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}
    ranks = [{"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)} for rank in range(2)]
    call = [sys.executable, *command]
    started = [subprocess.Popen(call, env={**os.environ, **place, **job, **tasks, **rank}) for rank in ranks]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("launcher", "strategies"),
    [(torchrun, ["fsdp", "fsdp", "auto"]), (srun, ["auto", "fsdp"])],
    ids=["torchrun", "srun"],
)
def test_started_by_a_launcher_killed_and_continued_by_any_strategy(
    finished, small_clips, tmp_path, launcher, strategies
):
    script = tmp_path / "train.py"
    script.write_text(f"if __name__ == '__main__':\n{indent(CHILD, '    ')}")
    folder = tmp_path / "run"
    for turn, strategy in enumerate(strategies, start=1):
        changes = {**TINY, "hardware.strategy": strategy, "hardware.devices": 2, "optim.accumulate": 2}
        order = json.dumps([[str(clip) for clip in small_clips], changes, str(folder)])
        last, until = turn == len(strategies), 4 * turn
        with launcher(str(script), order) as processes:
            while all(process.poll() is None for process in processes) and (last or len(read_log(folder)) < until):
                time.sleep(0.01)
            assert not last or [process.wait() for process in processes] == [0] * len(processes)
        assert (folder / "summary.json").exists() == last
    assert_close(finished, folder)


@pytest.mark.parametrize(
    ("strategy", "told", "words"),
    [
        ("fsdp", {}, "torchrun"),
        ("auto", {"SLURM_PROCID": "0", "SLURM_NTASKS": "2"}, "srun"),
        ("auto", {"SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_STEP_ID": "0"}, "--ntasks-per-node"),
    ],
)
def test_what_needs_a_launcher_says_which(small_clips, tmp_path, monkeypatch, strategy, told, words):
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=words):
        pretrain(small_clips, settings(**{"hardware.devices": 2, "hardware.strategy": strategy}), tmp_path)


def assert_close(one: Path, other: Path) -> None:
    for a, b in zip(curve(one), curve(other), strict=True):
        assert a[0] == b[0] and a[1] == pytest.approx(b[1], rel=1e-4) and a[3] == pytest.approx(b[3], rel=1e-3)
    a, b = weights(one), weights(other)
    assert all(torch.allclose(a[name], b[name], atol=2e-4) for name in a)


def test_bad_clips_are_in_the_summary(small_clips, tmp_path):
    bad = tmp_path / "broken.mp4"
    bad.write_text("not a video")
    summary = pretrain([*small_clips[:3], bad], settings(**{"optim.max_steps": 3}), tmp_path / "run")
    assert list(summary.bad_clips) == [str(bad)] and "unreadable" in summary.bad_clips[str(bad)]


@pytest.mark.parametrize("recipe", recipe_names("pretrain"))
def test_recipes_build_a_model_whose_masks_fit(recipe):
    chosen = load(PretrainSettings, "pretrain", recipe)
    model = chosen.model
    with torch.device("meta"):
        network = build_videomae(
            model.name,
            image_size=model.image_size,
            frames=model.frames,
            decoder_depth=model.decoder_depth,
            **model.overrides,
        )
    mask = chosen.mask
    hidden, spared = sample_masks(
        2,
        network.config.grid,
        encoder=mask.encoder,
        encoder_ratio=mask.encoder_ratio,
        decoder=mask.decoder,
        decoder_ratio=mask.decoder_ratio,
    )
    assert (~hidden).sum() > 0 and (hidden & ~spared).sum() > 0
    values = effective_values(chosen, clips=chosen.optim.batch * 10)
    assert values["views a step"] == chosen.optim.batch * chosen.sample.views


def test_goes_on_from_given_weights(small_clips: list[Path], tmp_path: Path) -> None:
    pretrain(small_clips, settings(**{"optim.max_steps": 4}), tmp_path / "first")
    start = tmp_path / "first" / "model.pt"
    changes = {"optim.max_steps": 4, "optim.lr": 1e-30, "optim.min_lr": 0.0, "seed": 1, "start": str(start)}
    went_on = pretrain(small_clips, settings(**changes), tmp_path / "second")
    assert " 0 new, 0 left" in str(went_on.effective["start"])
    assert all(
        torch.equal(value, weights(tmp_path / "first")[name]) for name, value in weights(tmp_path / "second").items()
    )
    with pytest.raises(UserError, match=r"none\.pt: no such file"):
        pretrain(small_clips, settings(start=str(tmp_path / "none.pt")), tmp_path / "third")
    start.write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"model\.pt"):
        pretrain(small_clips, settings(**changes), tmp_path / "fourth")
