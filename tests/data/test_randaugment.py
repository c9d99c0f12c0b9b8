"""RandAugment against Pillow, frame by frame, on real frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from hashtag2action.data.randaugment import (
    NAMES,
    STRENGTHS,
    Operation,
    RandAugmentPlan,
    apply_operation,
    draw_operations,
)
from hashtag2action.media.decode import read_frames

Picture = Image.Image


def _affine(matrix: Callable[[float, int, int], tuple[float, ...]]) -> Callable[[Picture, float], Picture]:
    def move(picture: Picture, value: float) -> Picture:
        data = matrix(value, *picture.size)
        return picture.transform(
            picture.size, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC, fillcolor=(128,) * 3
        )

    return move


PILLOW: dict[str, Callable[[Picture, float], Picture]] = {
    "autocontrast": lambda picture, _: ImageOps.autocontrast(picture),
    "equalize": lambda picture, _: ImageOps.equalize(picture),
    "invert": lambda picture, _: ImageOps.invert(picture),
    "rotate": lambda picture, degrees: picture.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=(128,) * 3),
    "posterize": lambda picture, bits: ImageOps.posterize(picture, int(bits)) if bits else picture.point(lambda _: 0),
    "solarize": lambda picture, threshold: ImageOps.solarize(picture, int(threshold)),
    "solarize_add": lambda picture, add: picture.point([v + int(add) if v < 128 else v for v in range(256)] * 3),
    "color": lambda picture, factor: ImageEnhance.Color(picture).enhance(factor),
    "contrast": lambda picture, factor: ImageEnhance.Contrast(picture).enhance(factor),
    "brightness": lambda picture, factor: ImageEnhance.Brightness(picture).enhance(factor),
    "sharpness": lambda picture, factor: ImageEnhance.Sharpness(picture).enhance(factor),
    "shear_x": _affine(lambda value, w, h: (1, value, 0, 0, 1, 0)),
    "shear_y": _affine(lambda value, w, h: (1, 0, 0, value, 1, 0)),
    "translate_x": _affine(lambda value, w, h: (1, 0, value * w, 0, 1, 0)),
    "translate_y": _affine(lambda value, w, h: (1, 0, 0, 0, 1, value * h)),
}


@pytest.fixture(scope="module")
def frames(shared_videos: Path) -> Tensor:
    """Frames of a yoga clip and of a surveillance camera."""
    clips = (sorted((shared_videos / name).glob("*.mp4"))[0] for name in ("yoga/padmasana", "fight/fight"))
    first, second = (torch.from_numpy(read_frames(clip, range(0, 24, 8))) for clip in clips)
    height, width = min(first.shape[1], second.shape[1]), min(first.shape[2], second.shape[2])
    return torch.cat((first[:, :height, :width], second[:, :height, :width]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("level", [0.13, 0.7, 1.0])
def test_each_operation_gives_what_pillow_gives(name: str, sign: float, level: float, frames: Tensor) -> None:
    value = STRENGTHS[name](level, sign)
    ours = apply_operation(frames, Operation(name, value)).int()
    theirs = np.stack([np.asarray(PILLOW[name](Image.fromarray(frame), value)) for frame in frames.numpy()])
    difference = (ours - torch.from_numpy(theirs).int()).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() < 0.05  # a shift of nearly whole pixels sits on the edge of rounding
    if name not in ("posterize", "solarize_add", "equalize", "autocontrast"):
        assert not torch.equal(ours, frames.int())


def test_a_flat_picture_stays_as_pillow_leaves_it() -> None:
    flat = torch.full((2, 5, 7, 3), 90, dtype=torch.uint8)
    for name in ("autocontrast", "equalize", "rotate", "sharpness"):
        ours = apply_operation(flat, Operation(name, 0.0))
        assert torch.equal(ours[1], torch.from_numpy(np.array(PILLOW[name](Image.fromarray(flat[1].numpy()), 0.0))))


def test_every_frame_gets_the_same_operations(frames: Tensor) -> None:
    still = frames[:1].expand(4, -1, -1, -1)
    for operation in draw_operations(RandAugmentPlan(operations=20), np.random.default_rng(0)):
        moved = apply_operation(still, operation)
        assert moved.shape == still.shape and moved.dtype == torch.uint8
        assert all(torch.equal(frame, moved[0]) for frame in moved)


def test_how_often_and_how_strongly() -> None:
    """m7 n4 mstd .5: half of four draws, uniform over the operations, degrees around 21 in both directions."""
    rng = np.random.default_rng(0)
    drawn = [draw_operations(RandAugmentPlan(), rng) for _ in range(6000)]
    assert np.mean([len(operations) for operations in drawn]) == pytest.approx(2.0, abs=0.05)
    counts = Counter(operation.name for operations in drawn for operation in operations)
    assert counts.keys() == set(NAMES) and min(counts.values()) > 0.85 * max(counts.values())
    turns = np.array([value for operations in drawn for name, value in operations if name == "rotate"])
    assert np.abs(turns).mean() == pytest.approx(21, abs=0.2) and np.abs(turns).std() == pytest.approx(1.5, abs=0.15)
    assert (turns > 0).mean() == pytest.approx(0.5, abs=0.07)
    assert not draw_operations(RandAugmentPlan(operations=0), rng)


def test_strengths_at_magnitude_7() -> None:
    """Worked out by hand from the official levels."""
    expected = {
        "rotate": -21.0, "posterize": 2, "solarize": 77, "solarize_add": 77, "color": 0.37, "contrast": 0.37,
        "brightness": 0.37, "sharpness": 0.37, "shear_x": -0.21, "shear_y": -0.21, "translate_x": -0.315, "translate_y": -0.315,
    }  # fmt: skip
    assert {name: STRENGTHS[name](0.7, -1.0) for name in expected} == pytest.approx(expected)
