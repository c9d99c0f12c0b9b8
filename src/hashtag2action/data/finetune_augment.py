"""Fine-tuning views of a clip: every random choice is made on the host, once for all frames; pixels move on the device.

Rules, constants and their order are those of VideoMAE V2's fine-tuning: RandAugment of the whole frames, random-resized
crop, flip, random erasing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from hashtag2action.data.augment import Box, crop_resize, normalize
from hashtag2action.data.randaugment import Operation, RandAugmentPlan, apply_operation, draw_operations

ERASE_AREA = (0.02, 1 / 3)  # share of the picture
ERASE_RATIO = (0.3, 1 / 0.3)  # height / width
CROP_ATTEMPTS = 10
ERASE_ATTEMPTS = 100

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_MIRROR = {"left": "right", "right": "left", "leftward": "rightward", "rightward": "leftward"}
_MIRROR |= {f"{side}wards": f"{other}wards" for side, other in (("left", "right"), ("right", "left"))}


@dataclass(frozen=True)
class AugmentPlan:
    """How fine-tuning views are drawn; see `AugmentSettings` for what each is."""

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (0.75, 4 / 3)
    flip: float = 0.5
    erase: float = 0.25
    randaugment: RandAugmentPlan = field(default_factory=RandAugmentPlan)


@dataclass(frozen=True)
class ViewDraw:
    """One view's choices: operations on whole frames, the crop, its mirroring, what is erased of it and the noise's seed."""

    box: Box
    flip: bool = False
    erased: Box | None = None
    noise_seed: int = 0
    operations: tuple[Operation, ...] = ()


def draw_view(
    width: int, height: int, size: int, plan: AugmentPlan, may_flip: bool, rng: np.random.Generator
) -> ViewDraw:
    """Draw a training view of frames `width` x `height` for an input of `size`; `rng` advances alike for all clips."""
    box = random_resized_box(width, height, plan.scale, plan.ratio, rng)
    flip = bool(rng.random() < plan.flip) and may_flip
    erased = random_erase_box(size, rng) if rng.random() < plan.erase else None
    noise_seed = int(rng.integers(2**31))
    return ViewDraw(box, flip, erased, noise_seed, draw_operations(plan.randaugment, rng))


def random_resized_box(
    width: int, height: int, scale: tuple[float, float], ratio: tuple[float, float], rng: np.random.Generator
) -> Box:
    """Draw a box whose share of the area lies in `scale` and whose width / height lies in `ratio` (log-uniform).

    After 10 draws that do not fit, the largest central box with an allowed ratio is taken.
    """
    for _ in range(CROP_ATTEMPTS):
        area = width * height * rng.uniform(*scale)
        shape = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < w <= width and 0 < h <= height:
            return Box(int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1)), w, h)
    w = min(width, round(height * ratio[1]))
    h = min(height, round(width / ratio[0]))
    return Box((width - w) // 2, (height - h) // 2, w, h)


def random_erase_box(size: int, rng: np.random.Generator) -> Box | None:
    """Draw what is erased of a `size` x `size` view: `ERASE_AREA` of it; None where 100 draws do not fit."""
    for _ in range(ERASE_ATTEMPTS):
        area = size * size * rng.uniform(*ERASE_AREA)
        shape = math.exp(rng.uniform(math.log(ERASE_RATIO[0]), math.log(ERASE_RATIO[1])))
        h, w = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < w < size and 0 < h < size:
            return Box(int(rng.integers(size - w + 1)), int(rng.integers(size - h + 1)), w, h)
    return None


def render_views(clips: Iterable[tuple[Tensor, Sequence[ViewDraw]]], size: int) -> Tensor:
    """Cut the drawn views out of uint8 clips `(T, H, W, 3)`: normalised float32 `(views of all, 3, T, size, size)`.

    Clips may differ in height and width. Erased boxes hold the same place in all frames, with normal noise per pixel.
    """
    draws: list[ViewDraw] = []
    crops: list[Tensor] = []
    for frames, views in clips:
        for view in views:
            crop = crop_resize(_augmented(frames, view.operations), view.box, size)
            crops.append(crop.flip(-1) if view.flip else crop)
            draws.append(view)
    video = normalize(torch.stack(crops))
    for picture, view in zip(video, draws, strict=True):
        if view.erased is not None:
            x, y, w, h = view.erased
            part = picture[:, :, y : y + h, x : x + w]
            generator = torch.Generator(part.device).manual_seed(view.noise_seed)
            part.copy_(torch.randn(part.shape, generator=generator, device=part.device))
    return video


def _augmented(frames: Tensor, operations: Iterable[Operation]) -> Tensor:
    for operation in operations:
        frames = apply_operation(frames, operation)
    return frames


def sided_classes(classes: Sequence[str], more: Iterable[str] = ()) -> frozenset[str]:
    """Return the classes that name a side, whose clips must not be mirrored.

    A label names a side by a word ("raise left hand", "TurnRight"), or where swapping left and right in it gives another
    class ("turnleft" and "turnright", but neither "bright" nor "cleft" alone). `more` adds classes by name.
    """
    known = set(classes)
    sided = {name for name in classes if name in set(more)}
    for name in classes:
        words = {word.lower() for word in _WORDS.findall(name)}
        swapped = re.sub("left|right", lambda match: _MIRROR[match.group()], name.lower())
        if words & _MIRROR.keys() or (swapped != name.lower() and swapped in {other.lower() for other in known}):
            sided.add(name)
    return frozenset(sided)
