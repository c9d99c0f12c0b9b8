"""The training loop: step after step to the end, through kills, bad numbers and any number of processes.

Everything random in a step follows from (seed, step, process), so a run that is killed and started again goes on as if
nothing had happened.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from hashtag2action.console import progress
from hashtag2action.errors import UserError
from hashtag2action.train.checkpointing import Checkpoints
from hashtag2action.train.course import WINDOW, Course, Hook, LoopResult, Progress, Round
from hashtag2action.train.logbook import Logbook
from hashtag2action.train.optim import make_optimizer, set_lr
from hashtag2action.train.settings import LoopSettings, OptimSettings

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.wrappers import _FabricModule


__all__ = ["Course", "Hook", "LoopResult", "Round", "train"]


def train(
    fabric: Fabric,
    objective: nn.Module,
    options: dict[str, dict[str, Any]],
    optim: OptimSettings,
    course: Course,
    settings: LoopSettings,
    folder: Path,
) -> LoopResult:
    """Train `objective`, whose call returns the mean loss of a round, and resume in `folder` where that was begun.

    `options` gives each parameter of `objective` its group (see `optim.parameter_groups`). Writes `log.jsonl` and
    `checkpoints/`. Raises `UserError` naming step and files where the loss stays non-finite after all rollbacks.
    """
    module = fabric.setup_module(objective)
    optimizer = fabric.setup_optimizers(make_optimizer(objective, options, optim))
    run = _Run(fabric, module, optimizer, course, settings, folder)
    return run.to_the_end()


class _Run:
    """One run in progress: its weights, its optimiser, and how far it has come."""

    def __init__(
        self,
        fabric: Fabric,
        module: _FabricModule,
        optimizer: Any,
        course: Course,
        settings: LoopSettings,
        folder: Path,
    ) -> None:
        self.fabric, self.module, self.optimizer = fabric, module, optimizer
        self.course, self.settings, self.folder = course, settings, folder
        keep_best = max(settings.keep_best, 0 if course.patience_steps is None else 1)
        self.checkpoints = Checkpoints(folder / "checkpoints", fabric, settings.keep_last, keep_best)
        self.state: dict[str, Any] = {"model": module, "optimizer": optimizer}
        if course.average is not None:
            self.state["average"] = course.average
        self.progress = Progress()

    def to_the_end(self) -> LoopResult:
        values = self.checkpoints.load_newest(self.state)
        if values is None:
            self.save({})
        else:
            self.progress = Progress(**values["progress"])
            self.checkpoints.discard_after(self.progress.step)
        logbook = Logbook(self.folder, self.progress.step) if self.fabric.is_global_zero else None
        self.module.train()
        try:
            with progress() as bar:
                task = bar.add_task(
                    self.course.title, total=self.course.steps, note="", visible=self.fabric.is_global_zero
                )
                while not self.finished():
                    for record in self.steps():
                        if logbook and record:
                            logbook.write(record)
                        shown = f"loss {np.mean(self.progress.recent):.4f}" if self.progress.recent else ""
                        bar.update(task, completed=self.progress.step, note=shown)
                    if logbook:
                        logbook.rewind(self.progress.step)
        finally:
            if logbook:
                logbook.close()
        return self.result()

    def finished(self) -> bool:
        done = self.progress.step >= self.course.steps or self.stale()
        if done or self.course.max_minutes is None:
            return done
        return bool(self.fabric.broadcast(self.progress.seconds >= self.course.max_minutes * 60))

    def stale(self) -> bool:
        """Tell whether the score has not improved for as long as the course bears."""
        now, patience = self.progress, self.course.patience_steps
        return patience is not None and now.best_score is not None and now.step - now.best_step >= patience

    def steps(self) -> Iterator[dict[str, Any] | None]:
        """Go on from the step reached; yield a log record after each step, or None; return early to start over."""
        rounds = self.course.batches(self.progress.step)
        try:
            while not self.finished():
                began = time.perf_counter()
                set_lr(self.optimizer, self.lr())
                taken, loss, norm, waited = self.step(rounds)
                sound = math.isfinite(loss) and math.isfinite(norm)
                if sound:
                    self.optimizer.step()
                    if self.course.average is not None:
                        self.course.average.update_parameters(self.module)
                    self.note(loss)
                else:
                    self.progress.bad_steps += 1
                    self.progress.bad_in_row += 1
                lr = self.lr()
                self.progress.step += 1
                seconds = time.perf_counter() - began
                self.progress.seconds += seconds
                self.progress.waited += waited
                if not sound and self.progress.bad_in_row >= self.settings.max_bad_steps:
                    self.roll_back(taken)
                    return
                extra = self.run_hooks()
                yield self.record(lr, norm if sound else None, seconds, waited, extra)
                if self.due(extra):  # after the log line, so that a kill between the two takes both back
                    self.save(extra)
        finally:
            close = getattr(rounds, "close", None)
            if close:
                close()

    def step(self, rounds: Iterator[Round]) -> tuple[list[Path], float, float, float]:
        """Take one step's rounds; return their files, the mean loss, the gradient norm and the seconds waited."""
        torch.manual_seed(_seed(self.course.seed, self.progress.step, self.fabric.global_rank))
        self.optimizer.zero_grad(set_to_none=True)
        files: list[Path] = []
        total = torch.zeros((), device=self.fabric.device)
        waited = 0.0
        for turn in range(self.course.rounds):
            asked = time.perf_counter()
            batch = next(rounds)
            waited += time.perf_counter() - asked
            files += batch.files
            self.progress.bad_clips.update({str(bad.path): bad.reason for bad in batch.bad})
            with self.fabric.no_backward_sync(self.module, enabled=turn < self.course.rounds - 1):
                loss = self.module(*batch.inputs(self.fabric.device)) / self.course.rounds
                self.fabric.backward(loss)
            total += loss.detach()
        limit = self.course.clip_grad or math.inf
        norm = self.fabric.clip_gradients(self.module, self.optimizer, max_norm=limit, error_if_nonfinite=False)
        mean = self.fabric.all_reduce(total, reduce_op="mean")
        return files, _number(mean), _number(norm), waited

    def lr(self) -> float:
        return self.course.lr(self.progress.step) * self.progress.lr_factor

    def note(self, loss: float) -> None:
        now = self.progress
        now.bad_in_row = 0
        window = max(1, min(WINDOW, self.course.steps // 2))
        if len(now.first) < window:
            now.first.append(loss)
        now.recent = [*now.recent, loss][-window:]
        now.unlogged.append(loss)

    def run_hooks(self) -> dict[str, float]:
        extra: dict[str, float] = {}
        for hook in self.course.hooks:
            if self.finished() or self.progress.step % hook.every_steps == 0:
                self.module.eval()
                extra.update(hook.call(self.progress.step))
                self.module.train()
        score, best = extra.get("score"), self.progress.best_score
        if score is not None and (best is None or score < best):
            self.progress.best_score, self.progress.best_step = score, self.progress.step
        return extra

    def record(
        self, lr: float, norm: float | None, seconds: float, waited: float, extra: Mapping[str, float]
    ) -> dict[str, Any] | None:
        """Return the log record of the step just done, None where none is due."""
        now = self.progress
        if not (self.finished() or extra or now.step == 1 or now.step % self.settings.log_every_steps == 0):
            return None
        loss = float(np.mean(now.unlogged)) if now.unlogged else None
        now.unlogged = []
        return {
            "step": now.step,
            "epoch": now.step * self.course.clips / self.course.epoch_clips,
            "loss": loss,
            "lr": lr,
            "grad_norm": norm,
            "clips_per_s": self.course.clips / seconds,
            "data_wait": waited / seconds,
            "memory_mb": _memory_mb(self.fabric.device),
            "bad_steps": now.bad_steps,
            **extra,
        }

    def due(self, extra: Mapping[str, float]) -> bool:
        """Tell whether a checkpoint is; never in the middle of bad steps."""
        if self.finished():
            return True
        regular = "score" in extra or self.progress.step % self.settings.save_every_steps == 0
        return regular and self.progress.bad_in_row == 0

    def save(self, extra: Mapping[str, float]) -> None:
        if self.course.scored:
            score = extra.get("score")
        else:
            score = float(np.mean(self.progress.recent)) if self.progress.recent else None
        self.checkpoints.save(self.progress.step, {**self.state, "progress": asdict(self.progress)}, score)

    def roll_back(self, files: Sequence[Path]) -> None:
        """Return to the newest checkpoint at a lower learning rate, or give up."""
        now = self.progress
        if now.rollbacks >= self.settings.max_rollbacks:
            names = ", ".join(str(path) for path in files)
            raise UserError(
                f"step {now.step}: loss or gradient is not finite, {now.bad_in_row} steps in a row and after "
                f"{now.rollbacks} rollbacks; lower optim.lr or look at the last batch's files: {names}"
            )
        values = self.checkpoints.load_newest(self.state)
        if values is None:
            raise UserError(f"{self.checkpoints.folder}: no sound checkpoint to go back to; remove the run's folder")
        past = Progress(**values["progress"])
        past.rollbacks, past.bad_steps = now.rollbacks + 1, now.bad_steps
        past.lr_factor = now.lr_factor * self.settings.rollback_lr_factor
        past.bad_clips, past.seconds, past.waited = now.bad_clips, now.seconds, now.waited
        self.progress = past

    def result(self) -> LoopResult:
        now = self.progress
        kept = self.checkpoints.steps()
        best = self.course.patience_steps is not None and now.best_step in kept
        return LoopResult(
            steps=now.step,
            seconds=now.seconds,
            data_wait=now.waited / now.seconds if now.seconds else 0.0,
            loss_first=float(np.mean(now.first)) if now.first else math.nan,
            loss_last=float(np.mean(now.recent)) if now.recent else math.nan,
            bad_steps=now.bad_steps,
            rollbacks=now.rollbacks,
            bad_clips=self.all_bad_clips(),
            memory_mb=_memory_mb(self.fabric.device),
            checkpoint=self.checkpoints.path(now.best_step if best else kept[-1]),
            stopped_early=now.step < self.course.steps and self.stale(),
        )

    def all_bad_clips(self) -> dict[str, str]:
        if self.fabric.world_size == 1:
            return dict(self.progress.bad_clips)
        found: list[dict[str, str]] = [{} for _ in range(self.fabric.world_size)]
        torch.distributed.all_gather_object(found, self.progress.bad_clips)
        return {path: reason for part in found for path, reason in part.items()}


def _number(value: object) -> float:
    assert isinstance(value, Tensor)
    return float(value.item())


def _seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> 1)


def _memory_mb(device: torch.device) -> float:
    """Return the peak memory allocated on an accelerator, or what this process holds now on a CPU, in MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    import psutil

    return float(psutil.Process().memory_info().rss / 2**20)
