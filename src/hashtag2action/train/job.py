"""What pre-training and fine-tuning have in common: from settings and clips to a finished run, in every process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch import nn

from hashtag2action.console import table
from hashtag2action.data.clips import Share
from hashtag2action.train.course import Course, LoopResult, Round
from hashtag2action.train.device import prepare_process
from hashtag2action.train.loop import train
from hashtag2action.train.optim import Schedule
from hashtag2action.train.settings import HardwareSettings, LoopSettings, OptimSettings

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Effective = dict[str, float | int | str]
"""What settings come to, by name."""


class JobSettings(Protocol):
    """What every training's settings hold."""

    @property
    def optim(self) -> OptimSettings:
        """Optimiser and schedule."""

    @property
    def loop(self) -> LoopSettings:
        """Saving, logging and what is done when numbers break."""

    @property
    def hardware(self) -> HardwareSettings:
        """Where the run takes place."""

    @property
    def seed(self) -> int:
        """What all randomness follows from."""


@dataclass(frozen=True)
class Job:
    """One training, made ready in one process."""

    objective: nn.Module
    options: dict[str, dict[str, Any]]
    """Options of each parameter's group (see `optim.parameter_groups`)."""
    course: Course
    effective: Effective
    shown: dict[str, object]
    """What else is told at the start."""
    finish: Callable[[LoopResult, Effective], None]
    """Writes the results, in the first process."""


def run_job(fabric: Fabric, prepare: Callable[[Fabric, Share], Job], settings: JobSettings, folder: Path) -> None:
    """Prepare a training in this process, tell what it will do, do it or the rest of it, and write its results."""
    prepare_process(fabric)
    optim = settings.optim
    share = Share(optim.batch, optim.accumulate, fabric.global_rank, fabric.world_size)
    job = prepare(fabric, share)
    precision, device = str(fabric._precision.precision), str(fabric.device.type)
    effective = {**job.effective, "precision": precision, "device": device}
    if fabric.is_global_zero:
        table(job.course.title.capitalize(), {**effective, **job.shown})
    if settings.hardware.compile:
        job.objective.compile()
    result = train(fabric, job.objective, job.options, optim, job.course, settings.loop, folder)
    if fabric.is_global_zero:
        job.finish(result, effective)
    fabric.barrier()


def make_course(
    title: str,
    settings: JobSettings,
    share: Share,
    schedule: Schedule,
    clips: int,
    batches: Callable[[int], Iterator[Round]],
    **more: Any,
) -> Course:
    """Return the course that the settings ask for over `clips` clips; `more` are further fields of it."""
    return Course(
        steps=schedule.steps,
        lr=schedule,
        batches=batches,
        clips=share.batch,
        epoch_clips=clips,
        rounds=share.rounds,
        seed=settings.seed,
        clip_grad=settings.optim.clip_grad,
        max_minutes=settings.optim.max_minutes,
        title=title,
        **more,
    )
