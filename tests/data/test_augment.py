from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from hashtag2action.data.augment import (
    Box,
    center_box,
    crop_resize,
    denormalize,
    multi_scale_box,
    normalize,
    shrink_side,
)


def draws(width, height, size, count=4000):
    rng = np.random.default_rng(0)
    return [multi_scale_box(width, height, size, rng) for _ in range(count)]


def test_crop_sizes_are_the_official_ten():
    sizes = Counter((box.width, box.height) for box in draws(426, 320, 224))
    sides = (320, 280, 240, 211)  # of 320: 1, .875, .75, .66
    assert set(sizes) == {(w, h) for i, h in enumerate(sides) for j, w in enumerate(sides) if abs(i - j) <= 1}
    assert max(sizes.values()) / min(sizes.values()) < 1.5


def test_thirteen_offsets_reach_all_corners():
    boxes = {(box.left, box.top) for box in draws(426, 320, 224) if (box.width, box.height) == (240, 240)}
    across, down = (426 - 240) // 4, (320 - 240) // 4
    expected = {(x * across, y * down) for x in (0, 2, 4) for y in (0, 2, 4)}
    expected |= {(x * across, y * down) for x in (1, 3) for y in (1, 3)}
    assert boxes == expected and len(boxes) == 13


@pytest.mark.parametrize(("width", "height", "size"), [(320, 240, 224), (100, 300, 112), (64, 64, 96), (226, 226, 224)])
def test_crops_stay_inside(width, height, size):
    for box in draws(width, height, size, 500):
        assert box.left >= 0 and box.top >= 0 and box.width > 0 and box.height > 0
        assert box.left + box.width <= width and box.top + box.height <= height


def test_sides_near_the_input_become_it():
    assert {box.width for box in draws(226, 226, 224)} == {224, 197, 169, 149}


def test_shrunk_frames_keep_every_crop_as_large_as_the_input():
    for size in (64, 96, 112, 224):
        side = shrink_side(size)
        assert min(min(box.width, box.height) for box in draws(side, side, size, 500)) >= size - 1


@pytest.mark.parametrize("box", [Box(10, 20, 200, 180), Box(0, 0, 100, 64), Box(30, 30, 64, 64)])
def test_resizing_is_pil_s_to_one_level(box):
    frames = np.random.default_rng(0).integers(0, 256, (2, 240, 320, 3), dtype=np.uint8)
    ours = crop_resize(torch.from_numpy(frames), box, 64)
    assert ours.shape == (3, 2, 64, 64) and ours.dtype == torch.uint8
    for i, frame in enumerate(frames):
        cut = Image.fromarray(frame).crop((box.left, box.top, box.left + box.width, box.top + box.height))
        theirs = np.asarray(cut.resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
        assert np.abs(ours[:, i].permute(1, 2, 0).numpy().astype(int) - theirs).max() <= 1


def test_normalize_by_hand():
    video = torch.tensor([0, 128, 255], dtype=torch.uint8).view(1, 3, 1, 1, 1)
    expected = [(0 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert normalize(video).flatten().tolist() == pytest.approx(expected, rel=1e-5)
    assert denormalize(normalize(video)).flatten().tolist() == pytest.approx([0, 128 / 255, 1], abs=1e-6)


def test_center_box():
    assert center_box(100, 60) == Box(20, 0, 60, 60)
    assert center_box(60, 100) == Box(0, 20, 60, 60)
