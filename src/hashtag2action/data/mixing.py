"""Mixup and CutMix of a batch of clips, and the soft targets that belong to them.

Each clip is mixed with its mirror in the batch, all by one share: the "batch" mode of the official fine-tuning.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def soft_targets(labels: Tensor, num_classes: int, smoothing: float) -> Tensor:
    """Return (B, classes) distributions: `smoothing` spread over all classes, the rest on the label."""
    off = smoothing / num_classes
    target = torch.full((len(labels), num_classes), off, device=labels.device)
    return target.scatter_(1, labels[:, None], 1.0 - smoothing + off)


def mix(
    video: Tensor,
    target: Tensor,
    rng: np.random.Generator,
    mixup_alpha: float = 0.8,
    cutmix_alpha: float = 1.0,
    probability: float = 1.0,
    switch: float = 0.5,
) -> tuple[Tensor, Tensor]:
    """Mix clips (B, 3, T, H, W) and targets (B, classes), by CutMix with chance `switch` and else by mixup.

    The share is drawn from Beta(alpha, alpha), and an alpha of 0 turns its kind off. CutMix pastes the same box into
    every frame; its share is the area that is left after the box was clipped at the border.
    """
    if (mixup_alpha <= 0 and cutmix_alpha <= 0) or len(video) < 2 or rng.random() >= probability:
        return video, target
    cut = cutmix_alpha > 0 and (mixup_alpha <= 0 or rng.random() < switch)
    share = rng.beta(cutmix_alpha, cutmix_alpha) if cut else rng.beta(mixup_alpha, mixup_alpha)
    if cut:
        height, width = video.shape[-2:]
        top, bottom, left, right = _box(height, width, share, rng)
        mixed = video.clone()
        mixed[..., top:bottom, left:right] = video.flip(0)[..., top:bottom, left:right]
        share = 1.0 - (bottom - top) * (right - left) / (height * width)
    else:
        mixed = torch.lerp(video.flip(0), video, share)
    return mixed, torch.lerp(target.flip(0), target, share)


def _box(height: int, width: int, share: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return top, bottom, left, right of a box of about 1 - `share` of the area, centred anywhere, clipped."""
    side = math.sqrt(1.0 - share)
    half_h, half_w = int(height * side) // 2, int(width * side) // 2
    y, x = int(rng.integers(height)), int(rng.integers(width))
    return max(y - half_h, 0), min(y + half_h, height), max(x - half_w, 0), min(x + half_w, width)
