"""Labelled clips as fine-tuning reads them: the order and the reading of pre-training's clips, with targets and views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from hashtag2action.data.clips import BadClip, ClipDataset, ClipSample, ViewPlan
from hashtag2action.data.finetune_augment import AugmentPlan, ViewDraw, draw_view
from hashtag2action.media.container import MediaError
from hashtag2action.media.sampling import Indices, dense_indices, tsn_indices

Sampling = Literal["dense", "tsn"]

_BALANCE = 1  # tells the balanced draw's generator from others with the same seed


@dataclass(frozen=True)
class LabelledSample(ClipSample):
    """A decoded clip, which of the clips it is, and the views to cut out of it."""

    number: int = -1
    views: tuple[ViewDraw, ...] = ()


@dataclass(frozen=True)
class LabelledPlan:
    """How labelled clips are drawn, beyond what `ViewPlan` says.

    `balance` is the power of a class's size by which its clips are drawn less often: 0 takes every clip once an epoch,
    1 draws all classes equally often, 0.5 lies between.
    """

    sampling: Sampling = "dense"
    augment: AugmentPlan = field(default_factory=AugmentPlan)
    balance: float = 0.0


class LabelledClips(ClipDataset):
    """Samples by `(epoch, number in the epoch)`, with the number of the clip that was really read."""

    def __init__(
        self,
        clips: Sequence[Path],
        labels: Sequence[int] | None,
        flippable: Sequence[bool],
        views: ViewPlan,
        plan: LabelledPlan,
        seed: int,
        cache_mb: float = 0,
    ) -> None:
        """`labels` holds the class number of each clip, None where clips have no single class; `flippable` each clip's."""
        super().__init__(clips, views, seed, cache_mb)
        self.flippable = list(flippable)
        self.labelled = plan
        counts = np.ones(len(self.clips)) if labels is None else np.bincount(labels)[np.asarray(labels)]
        weights = counts**-plan.balance
        self._bounds = np.cumsum(weights / weights.sum())
        self._drawn = (-1, np.arange(0))

    def __getitem__(self, key: tuple[int, int]) -> LabelledSample:
        """Draw sample `key[1]` of epoch `key[0]`; an unreadable clip is replaced by another one."""
        epoch, number = key
        rng = np.random.default_rng([self.seed, epoch, number])
        clip = self._clip(epoch, number)
        bad: list[BadClip] = []
        for _ in range(self.plan.max_replacements + 1):
            draw = rng.spawn(1)[0]
            try:
                frames = self._read(clip, draw)
            except MediaError as error:
                bad.append(BadClip(self.clips[clip], str(error)))
                clip = int(rng.integers(len(self.clips)))
                continue
            height, width = frames.shape[1:3]
            may_flip, augment = self.flippable[clip], self.labelled.augment
            views = tuple(
                draw_view(width, height, self.plan.size, augment, may_flip, draw) for _ in range(self.plan.views)
            )
            return LabelledSample(self.clips[clip], torch.from_numpy(frames), (), tuple(bad), clip, views)
        return LabelledSample(self.clips[clip], torch.empty(0, dtype=torch.uint8), (), tuple(bad))

    def _clip(self, epoch: int, number: int) -> int:
        """Which clip stands at `number`: itself, or one drawn with replacement where classes are balanced."""
        if self.labelled.balance == 0:
            return number
        if self._drawn[0] != epoch:
            points = np.random.default_rng([self.seed, epoch, _BALANCE, 0]).random(len(self.clips))
            self._drawn = (epoch, np.searchsorted(self._bounds[:-1], points, side="right"))
        return int(self._drawn[1][number])

    def _draw(self, frames: int, rng: np.random.Generator) -> Indices:
        if self.labelled.sampling == "tsn":
            return tsn_indices(frames, self.plan.frames, rng)
        return dense_indices(frames, self.plan.frames, self.plan.rate, rng)
