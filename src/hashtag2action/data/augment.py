"""Pre-training views of a clip: multi-scale crops chosen on the host, cut and resized on the device."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

SCALES = (1.0, 0.875, 0.75, 0.66)  # of the short side; official VideoMAE V2
MAX_DISTORT = 1  # how many scales apart width and height may be
QUARTERS = (
    *((x, y) for y in (0, 2, 4) for x in (0, 2, 4)),
    *((x, y) for y in (1, 3) for x in (1, 3)),
)  # the 13 fixed offsets, in quarters of the room left


class Box(NamedTuple):
    """A crop in pixels of its frame."""

    left: int
    top: int
    width: int
    height: int


def multi_scale_box(width: int, height: int, size: int, rng: np.random.Generator) -> Box:
    """Draw a crop for an input of `size`: width and height from `SCALES` of the short side, at one of 13 offsets.

    A side within 2 pixels of `size` becomes `size`, as in the official code, so that such a crop is not resized.
    """
    short = min(width, height)
    sides = [size if abs(int(short * scale) - size) < 3 and size <= short else int(short * scale) for scale in SCALES]
    pairs = [(w, h) for i, h in enumerate(sides) for j, w in enumerate(sides) if abs(i - j) <= MAX_DISTORT]
    crop_width, crop_height = pairs[int(rng.integers(len(pairs)))]
    x, y = QUARTERS[int(rng.integers(len(QUARTERS)))]
    return Box((width - crop_width) // 4 * x, (height - crop_height) // 4 * y, crop_width, crop_height)


def center_box(width: int, height: int) -> Box:
    """Return the largest central square."""
    side = min(width, height)
    return Box((width - side) // 2, (height - side) // 2, side, side)


def shrink_side(size: int) -> int:
    """Return the short side to which frames may shrink so that no multi-scale crop is smaller than `size`."""
    return -int(-size // min(SCALES))


def crop_resize(frames: Tensor, box: Box, size: int) -> Tensor:
    """Cut `box` out of uint8 `(T, H, W, 3)` and resize to uint8 `(3, T, size, size)`, bilinear with anti-aliasing as PIL's."""
    crop = frames[:, box.top : box.top + box.height, box.left : box.left + box.width].permute(0, 3, 1, 2)
    if (box.width, box.height) != (size, size):
        if crop.device.type == "cpu":
            crop = F.interpolate(crop, (size, size), mode="bilinear", antialias=True)
        else:
            crop = F.interpolate(crop.float(), (size, size), mode="bilinear", antialias=True).round().to(torch.uint8)
    return crop.transpose(0, 1)


def normalize(video: Tensor) -> Tensor:
    """Turn uint8 `(B, 3, T, H, W)` into float32 with ImageNet's mean and deviation per channel."""
    mean = torch.tensor(IMAGENET_MEAN, device=video.device).mul_(255).view(3, 1, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=video.device).mul_(255).view(3, 1, 1, 1)
    return video.float().sub_(mean).div_(std)


def denormalize(video: Tensor) -> Tensor:
    """Undo `normalize`, to values of 0..1."""
    mean = torch.tensor(IMAGENET_MEAN, device=video.device).view(3, 1, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=video.device).view(3, 1, 1, 1)
    return video * std + mean
