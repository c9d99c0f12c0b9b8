from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hashtag2action.data.augment import Box, crop_resize, normalize
from hashtag2action.data.finetune_augment import (
    AugmentPlan,
    ViewDraw,
    draw_view,
    random_erase_box,
    random_resized_box,
    render_views,
    sided_classes,
)
from hashtag2action.media.decode import read_frames


@pytest.mark.parametrize(("width", "height"), [(455, 256), (256, 455), (320, 320)])
def test_crops_keep_to_their_area_and_ratio_and_reach_everywhere(width: int, height: int) -> None:
    rng = np.random.default_rng(0)
    boxes = [random_resized_box(width, height, (0.08, 1.0), (0.75, 4 / 3), rng) for _ in range(3000)]
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)
    shares = np.array([w * h / (width * height) for _, _, w, h in boxes])
    ratios = np.array([w / h for _, _, w, h in boxes])
    assert 0.078 < shares.min() < 0.1 and shares.max() > 0.7
    assert 0.73 < ratios.min() < 0.77 and 1.3 < ratios.max() < 1.36
    assert min(x for x, *_ in boxes) == 0 and max(x + w for x, _, w, _ in boxes) == width
    assert np.abs(np.log(ratios).mean()) < 0.06


def test_a_frame_too_wide_for_any_crop_gives_the_largest_central_one() -> None:
    assert random_resized_box(900, 100, (0.9, 1.0), (0.75, 4 / 3), np.random.default_rng(0)) == (383, 0, 133, 100)


def test_erased_boxes_cover_between_2_and_33_percent() -> None:
    rng = np.random.default_rng(0)
    boxes = [box for _ in range(2000) if (box := random_erase_box(224, rng))]
    assert len(boxes) == 2000
    shares = np.array([w * h / 224**2 for _, _, w, h in boxes])
    assert 0.018 < shares.min() < 0.03 and 0.3 < shares.max() < 0.34
    assert all(x + w <= 224 and y + h <= 224 for x, y, w, h in boxes)


def test_chances_of_flip_and_erasing() -> None:
    rng = np.random.default_rng(0)
    plan = AugmentPlan(flip=0.5, erase=0.25)
    views = [draw_view(320, 256, 224, plan, True, rng) for _ in range(2000)]
    assert np.mean([view.flip for view in views]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([view.erased is not None for view in views]) == pytest.approx(0.25, abs=0.03)
    assert not any(draw_view(320, 256, 224, plan, False, rng).flip for _ in range(200))


def test_views_of_real_frames(shared_videos: Path) -> None:
    wide = torch.from_numpy(read_frames(next((shared_videos / "yoga" / "padmasana").glob("*.mp4")), range(0, 32, 4)))
    tall = wide.transpose(1, 2).contiguous()
    box, erased = Box(10, 20, 150, 120), Box(5, 9, 20, 11)
    plain = ViewDraw(box)
    video = render_views([(wide, [plain, ViewDraw(box, True), ViewDraw(box, False, erased, 7)]), (tall, [plain])], 64)
    assert video.shape == (4, 3, 8, 64, 64) and video.dtype == torch.float32
    assert torch.equal(video[0], normalize(crop_resize(wide, box, 64)))
    assert torch.equal(video[1], video[0].flip(-1))
    changed = (video[2] != video[0]).all(dim=(0))  # (T, S, S): noise in every channel
    expected = torch.zeros(8, 64, 64, dtype=torch.bool)
    expected[:, 9:20, 5:25] = True
    assert torch.equal(changed, expected)
    noise = video[2][:, :, 9:20, 5:25]
    assert noise.mean().abs() < 0.1 and 0.9 < noise.std() < 1.1
    assert not torch.equal(noise[:, 0], noise[:, 1])
    again = render_views([(wide, [ViewDraw(box, False, erased, 7)])], 64)
    assert torch.equal(again[0], video[2])


def test_classes_that_name_a_side() -> None:
    classes = [
        "raise_left_hand",
        "TurnRight",
        "upright",
        "bright",
        "turnleft",
        "turnright",
        "Copyright",
        "jumpleft",
        "walk",
    ]
    assert sided_classes(classes) == {"raise_left_hand", "TurnRight", "turnleft", "turnright"}
    assert "walk" in sided_classes(classes, ["walk", "not there"])
    assert sided_classes(["Pushing [something] from left to right", "cleft", "cright"]) == {
        "Pushing [something] from left to right", "cleft", "cright",
    }  # fmt: skip
