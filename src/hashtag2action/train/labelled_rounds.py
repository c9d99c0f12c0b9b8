"""What one forward and backward pass of fine-tuning takes in: augmented views, mixed, with soft targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hashtag2action.data.clips import BadClip, Share, ViewPlan, clip_batches
from hashtag2action.data.finetune_augment import AugmentPlan, render_views, sided_classes
from hashtag2action.data.labelled import LabelledClips, LabelledPlan, LabelledSample
from hashtag2action.data.mixing import mix, soft_targets
from hashtag2action.data.splits import Sample, class_numbers
from hashtag2action.models import VideoClassifier
from hashtag2action.train.finetune_settings import FinetuneSettings, MixSettings

_MIXING = 2  # tells this generator from others with the same seed


class ClassifyObjective(nn.Module):
    """Cross-entropy against soft targets as a module, so that every strategy wraps it alike."""

    def __init__(self, model: VideoClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, video: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of normalised views `(B, 3, T, H, W)` against distributions `(B, classes)`."""
        return F.cross_entropy(self.model(video), target)


@dataclass(frozen=True)
class LabelledRound:
    """The samples of one forward pass; pixels are cut, augmented and mixed where the model is."""

    samples: list[LabelledSample]
    size: int
    classes: int
    smoothing: float
    mix: MixSettings
    seed: tuple[int, ...]

    @property
    def files(self) -> list[Path]:
        """The clips' files."""
        return [sample.path for sample in self.samples]

    @property
    def bad(self) -> list[BadClip]:
        """Clips that were replaced."""
        return [bad for sample in self.samples for bad in sample.bad]

    def inputs(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return views `(clips * views, 3, T, S, S)`, a clip's views side by side, and targets `(clips * views, classes)`."""
        clips = ((sample.frames.to(device, non_blocking=True), sample.views) for sample in self.samples)
        video = render_views(clips, self.size)
        labels = [sample.label for sample in self.samples for _ in sample.views]
        target = soft_targets(torch.tensor(labels, device=device), self.classes, self.smoothing)
        rng = np.random.default_rng(self.seed)
        return mix(video, target, rng, self.mix.mixup, self.mix.cutmix, self.mix.probability, self.mix.switch)


def labelled_clips(samples: Sequence[Sample], classes: Sequence[str], settings: FinetuneSettings) -> LabelledClips:
    """Return the training clips as the settings want them drawn."""
    model, sample, augment, hardware = settings.model, settings.sample, settings.augment, settings.hardware
    sided = sided_classes(classes, augment.sided_classes)
    return LabelledClips(
        [item.path for item in samples],
        class_numbers(samples, classes),
        [name not in sided for name in classes],
        ViewPlan(
            frames=model.frames,
            rate=sample.rate,
            views=sample.views,
            size=model.image_size,
            shrink=sample.shrink,
            max_replacements=sample.max_replacements,
        ),
        LabelledPlan(
            sample.sampling, AugmentPlan(augment.scale, augment.ratio, augment.flip, augment.erase), sample.balance
        ),
        settings.seed,
        hardware.cache_mb / max(1, hardware.workers),
    )


def labelled_rounds(
    dataset: LabelledClips, share: Share, mixing: MixSettings, smoothing: float, steps: int, workers: int, first: int
) -> Iterator[LabelledRound]:
    """Yield this process's rounds from step `first` on; each round's mixing is drawn from (seed, step, its first row)."""
    batches = clip_batches(dataset, share, first, steps, workers)
    classes = len(dataset.flippable)
    for step in range(first, steps):
        for turn in range(share.rounds):
            samples = cast("list[LabelledSample]", next(batches))
            seed = (dataset.seed, step, share.rows(turn).start, _MIXING)
            yield LabelledRound(samples, dataset.plan.size, classes, smoothing, mixing, seed)
