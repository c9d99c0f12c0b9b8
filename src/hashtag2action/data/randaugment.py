"""RandAugment of a whole clip: the same operations, at the same strength, on every frame, computed where the pixels are.

Operations, strengths and their order are those of the official fine-tuning ("rand-m7-n4-mstd0.5-inc1"): strength grows
with the magnitude for every operation, and what an operation gives is what Pillow gives for each frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

MAX_MAGNITUDE = 10.0
CHANCE = 0.5  # of each drawn operation to be applied at all
FILL = 128.0  # where a moved picture leaves the frame
LUMA = (19595, 38470, 7471)  # ITU-R 601-2 in 1/65536, as Pillow's mode L


class Operation(NamedTuple):
    """One operation and its strength, in the operation's own unit (see `STRENGTHS`)."""

    name: str
    value: float = 0.0


@dataclass(frozen=True)
class RandAugmentPlan:
    """How many operations are drawn for a view, with what magnitude (0..10) and its standard deviation."""

    operations: int = 4
    magnitude: float = 7.0
    deviation: float = 0.5


def draw_operations(plan: RandAugmentPlan, rng: np.random.Generator) -> tuple[Operation, ...]:
    """Draw operations with replacement; each is applied with chance `CHANCE`, at a magnitude of its own."""
    drawn = []
    for _ in range(plan.operations):
        name = NAMES[int(rng.integers(len(NAMES)))]
        magnitude = min(max(rng.normal(plan.magnitude, plan.deviation), 0.0), MAX_MAGNITUDE)
        sign = -1.0 if rng.random() < 0.5 else 1.0
        if rng.random() < CHANCE:
            drawn.append(Operation(name, STRENGTHS[name](magnitude / MAX_MAGNITUDE, sign)))
    return tuple(drawn)


def apply_operation(frames: Tensor, operation: Operation) -> Tensor:
    """Return uint8 frames `(T, H, W, 3)` after one operation."""
    return _FUNCTIONS[operation.name](frames, operation.value)


def autocontrast(frames: Tensor, _: float = 0.0) -> Tensor:
    """Stretch every frame's channels to 0..255."""
    counts = _histograms(frames)
    values = torch.arange(256, dtype=torch.float64, device=frames.device)
    present = counts > 0
    low = present.int().argmax(-1, keepdim=True).double()
    high = 255 - present.flip(-1).int().argmax(-1, keepdim=True).double()
    scale = 255.0 / (high - low).clamp(min=1)
    stretched = (values * scale - low * scale).trunc().clamp(0, 255)
    return _look_up(frames, torch.where(high > low, stretched, values))


def equalize(frames: Tensor, _: float = 0.0) -> Tensor:
    """Make the histogram of every frame's channels flat."""
    counts = _histograms(frames)
    values = torch.arange(256, device=frames.device)
    last = 255 - (counts > 0).flip(-1).int().argmax(-1, keepdim=True)
    step = (counts.sum(-1, keepdim=True) - counts.gather(-1, last)) // 255
    before = counts.cumsum(-1) - counts
    flat = torch.div(before + step // 2, step.clamp(min=1), rounding_mode="floor").clamp(max=255)
    return _look_up(frames, torch.where(step > 0, flat, values))


def invert(frames: Tensor, _: float = 0.0) -> Tensor:
    """Turn every value `v` into `255 - v`."""
    return 255 - frames


def posterize(frames: Tensor, bits: float) -> Tensor:
    """Keep the highest `bits` of every value."""
    return frames & (256 - 2 ** (8 - int(bits)))


def solarize(frames: Tensor, threshold: float) -> Tensor:
    """Invert values from `threshold` on."""
    return torch.where(frames < threshold, frames, 255 - frames)


def solarize_add(frames: Tensor, add: float) -> Tensor:
    """Add to values below 128; `add` is at most 127."""
    return torch.where(frames < 128, frames + int(add), frames)


def color(frames: Tensor, factor: float) -> Tensor:
    """Blend with the grey picture; factor 1 changes nothing."""
    return _blend(_grey(frames), frames, factor)


def contrast(frames: Tensor, factor: float) -> Tensor:
    """Blend with each frame's mean grey."""
    mean = _grey(frames).mean(dim=(1, 2, 3), keepdim=True, dtype=torch.float64)
    return _blend((mean + 0.5).floor().float(), frames, factor)


def brightness(frames: Tensor, factor: float) -> Tensor:
    """Blend with black."""
    return _blend(torch.zeros((), device=frames.device), frames, factor)


def sharpness(frames: Tensor, factor: float) -> Tensor:
    """Blend with the picture smoothed over 3 x 3 pixels, its border left as it is."""
    values = frames.float()
    rows = values[:, :-2] + values[:, 1:-1] + values[:, 2:]
    around = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    smooth = values.clone()
    smooth[:, 1:-1, 1:-1] = around.add_(values[:, 1:-1, 1:-1], alpha=4).div_(13).add_(0.5).floor_()
    return _blend(smooth, frames, factor)


def shear_x(frames: Tensor, factor: float) -> Tensor:
    """Move each row by `factor` times its number."""
    return _affine(frames, (1, factor, 0, 0, 1, 0))


def shear_y(frames: Tensor, factor: float) -> Tensor:
    """Move each column by `factor` times its number."""
    return _affine(frames, (1, 0, 0, factor, 1, 0))


def translate_x(frames: Tensor, share: float) -> Tensor:
    """Move the picture by a share of its width."""
    return _affine(frames, (1, 0, share * frames.shape[2], 0, 1, 0))


def translate_y(frames: Tensor, share: float) -> Tensor:
    """Move the picture by a share of its height."""
    return _affine(frames, (1, 0, 0, 0, 1, share * frames.shape[1]))


def rotate(frames: Tensor, degrees: float) -> Tensor:
    """Turn the picture around its centre, counter-clockwise."""
    angle = -math.radians(degrees)
    x, y = frames.shape[2] / 2, frames.shape[1] / 2
    a, b = math.cos(angle), math.sin(angle)
    return _affine(frames, (a, b, x - a * x - b * y, -b, a, y + b * x - a * y))


_FUNCTIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    function.__name__: function
    for function in (
        autocontrast, equalize, invert, rotate, posterize, solarize, solarize_add, color, contrast, brightness, sharpness,
        shear_x, shear_y, translate_x, translate_y,
    )
}  # fmt: skip
NAMES = tuple(_FUNCTIONS)

_Strength = Callable[[float, float], float]
STRENGTHS: dict[str, _Strength] = {
    **dict.fromkeys(("autocontrast", "equalize", "invert"), lambda level, sign: 0.0),
    "rotate": lambda level, sign: 30 * level * sign,  # degrees
    "posterize": lambda level, sign: 4 - int(4 * level),  # bits
    "solarize": lambda level, sign: 256 - int(256 * level),  # threshold
    "solarize_add": lambda level, sign: int(110 * level),
    **dict.fromkeys(("color", "contrast", "brightness", "sharpness"), lambda level, sign: 1 + 0.9 * level * sign),
    **dict.fromkeys(("shear_x", "shear_y"), lambda level, sign: 0.3 * level * sign),
    **dict.fromkeys(("translate_x", "translate_y"), lambda level, sign: 0.45 * level * sign),  # of the side
}
"""The strength of each operation at `level` 0..1, in the sign that was drawn."""


def _blend(plain: Tensor, frames: Tensor, factor: float) -> Tensor:
    """Go from `plain` `factor` of the way to the frames, or beyond; fractions are cut off, as Pillow does."""
    return frames.float().sub_(plain).mul_(factor).add_(plain).clamp_(0, 255).to(torch.uint8)


def _grey(frames: Tensor) -> Tensor:
    """Return Pillow's mode L as float32 `(T, H, W, 1)`; every sum is exact, being below 2^24."""
    red, green, blue = (frames[..., i : i + 1].float().mul_(weight) for i, weight in enumerate(LUMA))
    return red.add_(green).add_(blue).add_(0x8000).div_(0x10000).floor_()


def _histograms(frames: Tensor) -> Tensor:
    """Count each frame's and channel's values: `(T, 3, 256)`."""
    return torch.bincount(_numbered(frames), minlength=len(frames) * 768).view(-1, 3, 256)


def _look_up(frames: Tensor, tables: Tensor) -> Tensor:
    """Replace values by those of their frame's and channel's table `(T, 3, 256)`."""
    return tables.to(torch.uint8).flatten().index_select(0, _numbered(frames)).view(frames.shape)


def _numbered(frames: Tensor) -> Tensor:
    """Number values as entries of `(T, 3, 256)` tables laid end to end."""
    start = torch.arange(0, len(frames) * 768, 256, dtype=torch.int32, device=frames.device)
    return (frames.int() + start.view(-1, 1, 1, 3)).flatten()


def _affine(frames: Tensor, matrix: tuple[float, float, float, float, float, float]) -> Tensor:
    """Fill pixel (x, y) from (a x + b y + c, d x + e y + f), by Pillow's bicubic rule (cubic of a = -1, edges repeated).

    All frames share the 16 neighbours and weights of a pixel, so they are gathered as one row of 3 T values each.
    """
    count, height, width, _ = frames.shape
    a, b, c, d, e, f = matrix
    rows = torch.arange(height, dtype=torch.float64, device=frames.device).add_(0.5).view(-1, 1)
    columns = torch.arange(width, dtype=torch.float64, device=frames.device).add_(0.5).view(1, -1)
    x, y = a * columns + b * rows + c, d * columns + e * rows + f
    outside = (x < 0) | (x >= width) | (y < 0) | (y >= height)
    (near_x, weight_x), (near_y, weight_y) = _neighbours(x, width), _neighbours(y, height)
    near = (near_y.unsqueeze(-1) * width + near_x.unsqueeze(-2)).view(-1, 16)
    weights = (weight_y.unsqueeze(-1) * weight_x.unsqueeze(-2)).view(-1, 16)
    pixels = frames.permute(1, 2, 0, 3).reshape(height * width, count * 3).float()
    moved = F.embedding_bag(near, pixels, per_sample_weights=weights, mode="sum")
    moved[outside.flatten()] = FILL
    moved = moved.add_(2**-12).clamp_(0, 255).to(torch.uint8)  # cut off as Pillow does, but not 89.9999 of a flat 90
    return moved.view(height, width, count, 3).permute(2, 0, 1, 3).contiguous()


def _neighbours(place: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the 4 pixels around each place along one side, and their weights: both `(H, W, 4)`."""
    place = place - 0.5
    first = place.floor()
    t = (place - first).float()
    square, cube = t * t, t * t * t
    weights = torch.stack((2 * square - t - cube, 1 - 2 * square + cube, t + square - cube, cube - square), dim=-1)
    near = first.long().unsqueeze(-1) + torch.arange(-1, 3, device=place.device)
    return near.clamp_(0, size - 1), weights
