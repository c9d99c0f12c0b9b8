"""Rounds of pre-training: a batch of decoded clips becomes normalised views with their masks, on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hashtag2action.data.augment import crop_resize, normalize
from hashtag2action.data.clips import BadClip, ClipDataset, ClipSample, Share, clip_batches
from hashtag2action.models import sample_masks
from hashtag2action.train.settings import MaskSettings


@dataclass(frozen=True)
class ViewRound:
    """The samples of one forward pass, cut and normalised on the device, with masks made there in batch."""

    samples: list[ClipSample]
    size: int
    masks: tuple[Tensor, Tensor]

    @property
    def files(self) -> list[Path]:
        """The clips' files."""
        return [sample.path for sample in self.samples]

    @property
    def bad(self) -> list[BadClip]:
        """Clips that were replaced."""
        return [bad for sample in self.samples for bad in sample.bad]

    def inputs(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Return views `(clips * views, 3, T, S, S)`, a clip's views side by side, and both masks.

        Masks stay on the host: the model then knows their counts without waiting for the device.
        """
        views = []
        for sample in self.samples:
            frames = sample.frames.to(device, non_blocking=True)
            views += [crop_resize(frames, box, self.size) for box in sample.boxes]
        return normalize(torch.stack(views)), *self.masks


def view_rounds(
    dataset: ClipDataset,
    share: Share,
    mask: MaskSettings,
    grid: tuple[int, int, int],
    steps: int,
    workers: int,
    first: int,
) -> Iterator[ViewRound]:
    """Yield this process's rounds from step `first` on; a step's masks are drawn for its whole batch from (seed, step)."""
    views, step = dataset.plan.views, first
    rounds = clip_batches(dataset, share, first, steps, workers)
    while step < steps:
        generator = torch.Generator().manual_seed(_mask_seed(dataset.seed, step))
        hidden, spared = sample_masks(share.batch * views, grid, **mask_options(mask), generator=generator)
        for turn in range(share.rounds):
            rows = share.rows(turn)
            mine = slice(rows.start * views, rows.stop * views)
            yield ViewRound(next(rounds), dataset.plan.size, (hidden[mine], spared[mine]))
        step += 1


def mask_options(mask: MaskSettings) -> dict[str, Any]:
    """Return the settings as arguments of `sample_masks`."""
    return mask.model_dump(exclude={"description"})


def _mask_seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)
