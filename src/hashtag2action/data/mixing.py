"""Mixup and CutMix of a batch of clips, and the soft targets that belong to them.

Clips are mixed in pairs of neighbours in the batch, so that a pair lies in one forward pass however many processes and
rounds share the batch, as long as a pass takes an even number of clips. The official code mixes each clip with its
mirror in one GPU's batch, which for clips in random order is the same choice of partner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class MixDraw:
    """How clips are mixed: each keeps `share` of itself; with a `box` (top, bottom, left, right), all but that box."""

    share: float
    box: tuple[int, int, int, int] | None = None


def soft_targets(labels: Tensor, num_classes: int, smoothing: float) -> Tensor:
    """Return (B, classes) distributions: `smoothing` spread over all classes, the rest on the label."""
    off = smoothing / num_classes
    target = torch.full((len(labels), num_classes), off, device=labels.device)
    return target.scatter_(1, labels[:, None], 1.0 - smoothing + off)


def draw_mix(
    size: int,
    rng: np.random.Generator,
    mixup_alpha: float = 0.8,
    cutmix_alpha: float = 1.0,
    probability: float = 1.0,
    switch: float = 0.5,
) -> MixDraw | None:
    """Draw how clips of `size` pixels are mixed: by CutMix with chance `switch` and else by mixup; None: not at all.

    The share is drawn from Beta(alpha, alpha), and an alpha of 0 turns its kind off. CutMix pastes the same box into
    every frame; its share is the area that is left after the box was clipped at the border.
    """
    if (mixup_alpha <= 0 and cutmix_alpha <= 0) or rng.random() >= probability:
        return None
    cut = cutmix_alpha > 0 and (mixup_alpha <= 0 or rng.random() < switch)
    share = float(rng.beta(cutmix_alpha, cutmix_alpha) if cut else rng.beta(mixup_alpha, mixup_alpha))
    if not cut:
        return MixDraw(share)
    top, bottom, left, right = _box(size, share, rng)
    return MixDraw(1.0 - (bottom - top) * (right - left) / size**2, (top, bottom, left, right))


def mix(video: Tensor, target: Tensor, views: int, draws: Sequence[MixDraw | None]) -> None:
    """Mix clips (B, 3, T, S, S) and targets (B, outputs) in place; `draws` has one entry for each pair of clips.

    A clip's `views` lie side by side and each is mixed with the partner's view of the same number; the last of an odd
    number of clips is mixed with itself, its views with one another.
    """
    clips = len(video) // views
    for pair, draw in enumerate(draws):
        if draw is None:
            continue
        first, second = 2 * pair, min(2 * pair + 1, clips - 1)
        rows = slice(first * views, (second + 1) * views)
        order = torch.arange(rows.start, rows.stop, device=video.device)
        partner = order.roll(views) if second > first else order.flip(0)
        if draw.box is None:
            video[rows] = torch.lerp(video[partner], video[rows], draw.share)
        else:
            top, bottom, left, right = draw.box
            video[rows, ..., top:bottom, left:right] = video[partner][..., top:bottom, left:right]
        target[rows] = torch.lerp(target[partner], target[rows], draw.share)


def _box(size: int, share: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return top, bottom, left, right of a box of about 1 - `share` of the area, centred anywhere, clipped."""
    half = int(size * math.sqrt(1.0 - share)) // 2
    y, x = int(rng.integers(size)), int(rng.integers(size))
    return max(y - half, 0), min(y + half, size), max(x - half, 0), min(x + half, size)
