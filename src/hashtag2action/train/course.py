"""What the training loop is given and gives back: its rounds, hooks, course, progress and result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

if TYPE_CHECKING:
    from hashtag2action.data.clips import BadClip

WINDOW = 10  # steps whose mean loss opens and closes a run's summary


class Round(Protocol):
    """What one forward and backward pass of one process takes in."""

    @property
    def files(self) -> Sequence[Path]:
        """The clips' files."""

    @property
    def bad(self) -> Sequence[BadClip]:
        """Clips that could not be read and were replaced."""

    def inputs(self, device: torch.device) -> tuple[Tensor, ...]:
        """Return what the objective is called with, on `device`."""


@dataclass(frozen=True)
class Hook:
    """Something done after every so many steps and after the last, in all processes; its numbers join the log line.

    A number named `score`, lower is better, decides which checkpoints are the best.
    """

    every_steps: int
    call: Callable[[int], Mapping[str, float]]


@dataclass(frozen=True)
class Course:
    """What is to be run."""

    steps: int
    lr: Callable[[int], float]
    batches: Callable[[int], Iterator[Round]]
    """Rounds of this process from a given step on, `rounds` to a step."""
    clips: int
    """Clips of one step, over all processes."""
    epoch_clips: int
    rounds: int = 1
    seed: int = 0
    clip_grad: float | None = None
    max_minutes: float | None = None
    hooks: Sequence[Hook] = ()
    scored: bool = False
    """Whether a hook gives the `score` that ranks checkpoints; otherwise the mean loss of the last steps does."""
    patience_steps: int | None = None
    """Stop when the best `score` is so many steps old; the result is then the best checkpoint, not the last."""
    average: AveragedModel | None = None
    """Running mean of the objective's weights, updated after every step and saved with them."""
    title: str = "training"


@dataclass
class Progress:
    """How far a run has come: all that a checkpoint holds beside weights and optimiser."""

    step: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    lr_factor: float = 1.0
    bad_steps: int = 0
    bad_in_row: int = 0
    rollbacks: int = 0
    best_score: float | None = None
    best_step: int = 0
    first: list[float] = field(default_factory=list)
    recent: list[float] = field(default_factory=list)
    unlogged: list[float] = field(default_factory=list)
    bad_clips: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LoopResult:
    """How a run ended. Losses are means over the first and last steps, `WINDOW` at most."""

    steps: int
    seconds: float
    data_wait: float
    """Share of the time spent waiting for clips."""
    loss_first: float
    loss_last: float
    bad_steps: int
    rollbacks: int
    bad_clips: dict[str, str]
    memory_mb: float
    checkpoint: Path
    stopped_early: bool = False

    def figures(self, batch: int, clips: int) -> dict[str, Any]:
        """Return what every training's summary says of its course, for `batch` clips a step and `clips` an epoch."""
        return {
            "steps": self.steps,
            "epochs": self.steps * batch / clips,
            "loss_first": self.loss_first,
            "loss_last": self.loss_last,
            "seconds": self.seconds,
            "clips_per_s": self.steps * batch / self.seconds if self.seconds else 0.0,
            "data_wait": self.data_wait,
            "memory_mb": self.memory_mb,
            "bad_steps": self.bad_steps,
            "rollbacks": self.rollbacks,
            "bad_clips": self.bad_clips,
        }
