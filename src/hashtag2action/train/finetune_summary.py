"""What a fine-tuning run reports when it is done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FinetuneSummary:
    """What a finished fine-tuning run did, as `summary.json` holds it."""

    model: str
    classes: list[str]
    """Names of the outputs."""
    train_clips: int
    val_clips: int
    test_clips: int
    notes: list[str]
    """What the split could not give, in sentences."""
    pretrained: str | None
    """Where the weights came from; None: from nothing."""
    matched: int
    """Tensors taken from there."""
    new: list[str]
    """Tensors of the model that it does not have."""
    left: list[str]
    """Tensors of it that the model has no use for."""
    steps: int
    epochs: float
    views: int
    loss_first: float
    """Mean over the first ten steps; with mixing and smoothing a loss does not go to 0."""
    loss_last: float
    """Mean over the last ten steps."""
    train_top1: float | None
    """Share right of up to 100 training clips, one central view each; None where clips have no single class."""
    val_top1: float | None
    """The same over the validation split, None where there is none."""
    chance: float
    """Top-1 of guessing evenly, 1 / classes."""
    seconds: float
    clips_per_s: float
    data_wait: float
    """Share of the training time spent waiting for clips."""
    memory_mb: float
    bad_steps: int
    rollbacks: int
    bad_clips: dict[str, str]
    """Reason by file, for clips that were replaced."""
    effective: dict[str, float | int | str]
    kind: str = "classes"
    """What is learnt: classes, labels or values."""
    train: dict[str, float] | None = None
    """Loss and figure (`top1`, `map` or `pearson`) of up to 100 training clips, one central view each."""
    val: dict[str, float] | None = None
    """The same over the validation split."""
    test: dict[str, float] | None = None
    """The same over the test split, for labels and values; classes are tested by an evaluation, with several views."""
    best_step: int | None = None
    """The step whose weights were kept, where the validation split decided it."""
    stopped_early: bool = False
