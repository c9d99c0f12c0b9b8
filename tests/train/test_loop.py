"""What the loop does when numbers break, and that accumulating rounds changes nothing; on a network of four weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from hashtag2action.errors import UserError
from hashtag2action.train.logbook import read_log
from hashtag2action.train.loop import Course, Hook, LoopResult, train
from hashtag2action.train.optim import parameter_groups
from hashtag2action.train.settings import LoopSettings, OptimSettings

STEPS = 20
OPTIM = OptimSettings(lr=0.1, batch=8)


class Regression(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 1)

    def forward(self, x: Tensor, y: Tensor, broken: Tensor) -> Tensor:
        return ((self.layer(x) - y) ** 2).mean() * torch.where(broken, math.nan, 1.0)


@dataclass
class Sums:
    """Rows of random numbers and their sums; a step in `broken` has a loss that is no number."""

    step: int
    rows: slice
    broken: bool
    bad = ()

    @property
    def files(self) -> list[Path]:
        return [Path(f"clip-{self.step}.mp4")]

    def inputs(self, device: torch.device) -> tuple[Tensor, ...]:
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(self.step))[self.rows]
        return x, x.sum(1, keepdim=True), torch.tensor(self.broken)


def run(folder: Path, *, broken=frozenset(), rounds=1, hooks=(), steps=STEPS, scored=False, **loop) -> LoopResult:
    def batches(first: int) -> Iterator[Sums]:
        for step in range(first, steps):
            for turn in range(rounds):
                size = 8 // rounds
                yield Sums(step, slice(turn * size, (turn + 1) * size), step in broken)

    net = Regression()
    course = Course(STEPS, lambda step: 0.1, batches, 8, 16, rounds, hooks=hooks, scored=scored)
    options = parameter_groups(((name, p.shape) for name, p in net.named_parameters()), 0.0)
    settings = LoopSettings(**{"log_every_steps": 1, "save_every_steps": 5, **loop})
    return train(Fabric(accelerator="cpu", devices=1), net, options, OPTIM, course, settings, folder)


def test_the_loss_falls_and_the_log_says_so(tmp_path):
    result = run(tmp_path)
    log = read_log(tmp_path)
    assert [record["step"] for record in log] == list(range(1, STEPS + 1))
    assert result.loss_first == pytest.approx(sum(record["loss"] for record in log[:10]) / 10)
    assert result.loss_last == pytest.approx(sum(record["loss"] for record in log[-10:]) / 10)
    assert result.loss_last < 0.5 * result.loss_first
    assert log[3]["epoch"] == 2.0 and log[3]["lr"] == 0.1 and log[3]["grad_norm"] > 0


def test_accumulated_rounds_are_one_step(tmp_path):
    whole, parts = run(tmp_path / "1"), run(tmp_path / "4", rounds=4)
    assert parts.loss_last == pytest.approx(whole.loss_last, rel=1e-4)


def test_a_broken_step_is_skipped_and_counted(tmp_path):
    result = run(tmp_path, broken={3, 4, 9})
    assert (result.bad_steps, result.rollbacks) == (3, 0)
    log = {record["step"]: record for record in read_log(tmp_path)}
    assert log[4]["loss"] is None and log[4]["grad_norm"] is None and log[4]["bad_steps"] == 1
    assert log[10]["bad_steps"] == 3 and math.isfinite(result.loss_last)


def test_a_broken_step_leaves_the_weights_alone(tmp_path):
    run(tmp_path, broken={STEPS - 1}, save_every_steps=1, keep_last=5)
    before, after = (torch.load(tmp_path / f"checkpoints/step-{step:08d}.pt", weights_only=True) for step in (19, 20))
    assert all(torch.equal(before["model"][name], after["model"][name]) for name in before["model"])


def test_many_broken_steps_roll_back_at_a_lower_rate_then_stop(tmp_path):
    with pytest.raises(UserError, match=r"step 13: .*3 steps in a row and after 2 rollbacks.*clip-12\.mp4"):
        run(tmp_path, broken=set(range(10, STEPS)), max_bad_steps=3, max_rollbacks=2)
    log = read_log(tmp_path)
    assert [record["step"] for record in log] == [*range(1, 11), 11, 12]
    assert log[-1]["lr"] == pytest.approx(0.1 / 4) and log[0]["lr"] == pytest.approx(0.1)


def test_goes_on_after_a_rollback_that_helps(tmp_path, monkeypatch):
    attempts = []

    class Moody(Sums):
        def inputs(self, device):
            attempts.append(self.step)
            self.broken = self.step in (11, 12) and attempts.count(self.step) == 1
            return super().inputs(device)

    monkeypatch.setitem(globals(), "Sums", Moody)
    result = run(tmp_path, max_bad_steps=2)
    assert (result.steps, result.bad_steps, result.rollbacks) == (STEPS, 2, 1)
    assert attempts[10:] == [10, 11, 12, 10, *range(11, STEPS)]
    assert read_log(tmp_path)[-1]["lr"] == pytest.approx(0.05)


def test_hooks_log_and_rank_checkpoints(tmp_path):
    def score(step: int) -> dict[str, float]:
        return {"score": abs(step - 8), "val": step / 2}

    run(tmp_path, hooks=[Hook(4, score)], scored=True, keep_last=1, keep_best=1, save_every_steps=100)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").glob("*.pt"))
    assert kept == ["step-00000008.pt", "step-00000020.pt"]
    assert [record["val"] for record in read_log(tmp_path) if "val" in record] == [2, 4, 6, 8, 10]


def test_an_error_part_way_and_a_second_run_give_what_one_run_gives(tmp_path):
    whole = run(tmp_path / "whole")
    with pytest.raises(RuntimeError):  # the source of batches runs dry
        run(tmp_path / "parts", steps=13)
    with (tmp_path / "parts/log.jsonl").open("a") as log:
        log.write('{"step": 14, "lo')
    again = run(tmp_path / "parts")
    assert (again.loss_first, again.loss_last) == (whole.loss_first, whole.loss_last)
    kept = ("step", "loss", "lr", "grad_norm", "epoch")
    one, other = (
        [[record[key] for key in kept] for record in read_log(tmp_path / name)] for name in ("whole", "parts")
    )
    assert one == other
