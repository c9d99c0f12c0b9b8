"""What one forward and backward pass of fine-tuning takes in: augmented views, mixed, with soft targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from hashtag2action.data.clips import BadClip, Share, ViewPlan, clip_batches
from hashtag2action.data.finetune_augment import AugmentPlan, render_views, sided_classes
from hashtag2action.data.labelled import LabelledClips, LabelledPlan, LabelledSample
from hashtag2action.data.mixing import MixDraw, draw_mix, mix, soft_targets
from hashtag2action.data.randaugment import RandAugmentPlan
from hashtag2action.data.splits import Sample, class_numbers
from hashtag2action.data.targets import Targets
from hashtag2action.train.finetune_settings import FinetuneSettings, MixSettings
from hashtag2action.train.objective import Teacher

TargetsOf = Callable[[list[int]], Tensor]
"""Targets `(n, outputs)` of clips by their numbers."""

_MIXING = 2  # tells this generator from others with the same seed


@dataclass(frozen=True)
class LabelledRound:
    """The samples of one forward pass; pixels are cut, augmented and mixed where the model is."""

    samples: list[LabelledSample]
    size: int
    targets_of: TargetsOf
    mixes: list[MixDraw | None]
    """For each pair of clips."""
    teacher: Teacher | None = None

    @property
    def files(self) -> list[Path]:
        """The clips' files."""
        return [sample.path for sample in self.samples]

    @property
    def bad(self) -> list[BadClip]:
        """Clips that were replaced."""
        return [bad for sample in self.samples for bad in sample.bad]

    def inputs(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return views `(clips * views, 3, T, S, S)`, a clip's views side by side, and targets `(clips * views, outputs)`."""
        clips = ((sample.frames.to(device, non_blocking=True), sample.views) for sample in self.samples)
        video = render_views(clips, self.size)
        views = len(video) // len(self.samples)
        numbers = [sample.number for sample in self.samples for _ in range(views)]
        target = self.targets_of(numbers).to(device)
        mix(video, target, views, self.mixes)
        return video, self.teacher.blend(video, target) if self.teacher else target


def labelled_clips(
    samples: Sequence[Sample], classes: Sequence[str], targets: Targets | None, settings: FinetuneSettings
) -> LabelledClips:
    """Return the training clips as the settings want them drawn; `classes` are the names of the outputs."""
    model, sample, hardware = settings.model, settings.sample, settings.hardware
    return LabelledClips(
        [item.path for item in samples],
        class_numbers(samples, classes) if targets is None else None,
        _flippable(samples, classes, targets, settings),
        ViewPlan(
            frames=model.frames,
            rate=sample.rate,
            views=sample.views,
            size=model.image_size,
            shrink=sample.shrink,
            max_replacements=sample.max_replacements,
        ),
        LabelledPlan(sample.sampling, augment_plan(settings), sample.balance),
        settings.seed,
        hardware.cache_mb / max(1, hardware.workers),
    )


def augment_plan(settings: FinetuneSettings) -> AugmentPlan:
    """Return the settings' augmentation as the data part takes it."""
    augment = settings.augment
    randaugment = RandAugmentPlan(augment.operations, augment.magnitude, augment.magnitude_deviation)
    return AugmentPlan(augment.scale, augment.ratio, augment.flip, augment.erase, randaugment)


def clip_targets(
    samples: Sequence[Sample], classes: Sequence[str], targets: Targets | None, smoothing: float, binary: bool
) -> TargetsOf:
    """Return what gives each clip's target: its smoothed class, or its row of `targets` (smoothed where `binary`)."""
    if targets is None:
        labels = torch.tensor(class_numbers(samples, classes))
        return lambda numbers: soft_targets(labels[numbers], len(classes), smoothing)
    values = torch.from_numpy(targets.of(samples))
    smooth = values * (1 - smoothing) + smoothing / 2 if binary else values
    return lambda numbers: smooth[numbers]


def labelled_rounds(
    dataset: LabelledClips,
    share: Share,
    mixing: MixSettings,
    targets_of: TargetsOf,
    teacher: Teacher | None,
    steps: int,
    workers: int,
    first: int,
) -> Iterator[LabelledRound]:
    """Yield this process's rounds from step `first` on.

    Mixing is drawn from (seed, step, group of clips), so that it does not depend on how processes share a batch.
    """
    batches = clip_batches(dataset, share, first, steps, workers)
    size = dataset.plan.size
    for step in range(first, steps):
        for turn in range(share.rounds):
            samples = cast("list[LabelledSample]", next(batches))
            rows = share.rows(turn)
            groups = [row // (mixing.clips or share.batch) for row in range(rows.start, rows.stop, 2)]
            mixes = [_draw_mix(size, mixing, [dataset.seed, step, group, _MIXING]) for group in groups]
            yield LabelledRound(samples, size, targets_of, mixes, teacher)


def _draw_mix(size: int, mixing: MixSettings, seed: list[int]) -> MixDraw | None:
    rng = np.random.default_rng(seed)
    return draw_mix(size, rng, mixing.mixup, mixing.cutmix, mixing.probability, mixing.switch)


def _flippable(
    samples: Sequence[Sample], classes: Sequence[str], targets: Targets | None, settings: FinetuneSettings
) -> list[bool]:
    """Tell of each clip whether it may be mirrored: not where its class, or a label that it has, names a side."""
    if settings.target.kind == "values":
        return [True] * len(samples)
    sided = sided_classes(classes, settings.augment.sided_classes)
    if targets is None:
        return [sample.label not in sided for sample in samples]
    columns = [number for number, name in enumerate(classes) if name in sided]
    return [not row.any() for row in targets.of(samples)[:, columns]]
