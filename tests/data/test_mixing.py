from __future__ import annotations

import numpy as np
import pytest
import torch

from hashtag2action.data.mixing import MixDraw, draw_mix, mix, soft_targets


def clips(count: int = 4, views: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips that are constant, each its own number, and their targets; views of a clip differ by a tenth."""
    numbers = (torch.arange(float(count)).view(-1, 1) + 0.1 * torch.arange(views)).view(-1, 1, 1, 1, 1)
    video = numbers.expand(-1, 3, 2, 16, 16).contiguous()
    return video, soft_targets(torch.arange(count).repeat_interleave(views), count, 0.0)


def test_soft_targets() -> None:
    target = soft_targets(torch.tensor([2, 0]), 4, 0.1)
    assert torch.allclose(target, torch.tensor([[0.025, 0.025, 0.925, 0.025], [0.925, 0.025, 0.025, 0.025]]))


def test_mixup_takes_the_same_share_of_pixels_and_targets() -> None:
    video, target = clips()
    mix(video, target, 1, [MixDraw(0.7), MixDraw(0.4)])
    expected = torch.tensor([[0.7, 0.3, 0, 0], [0.3, 0.7, 0, 0], [0, 0, 0.4, 0.6], [0, 0, 0.6, 0.4]])
    assert torch.allclose(target, expected)
    assert torch.allclose(video[:, 1, 1, 5, 7], expected @ torch.arange(4.0))
    assert all(picture.unique().numel() == 1 for picture in video)


@pytest.mark.parametrize("seed", range(8))
def test_cutmix_pastes_one_box_and_counts_its_area(seed: int) -> None:
    draw = draw_mix(16, np.random.default_rng(seed), mixup_alpha=0, cutmix_alpha=1.0)
    assert draw is not None and draw.box is not None
    video, target = clips()
    mix(video, target, 1, [draw, None])
    pasted = video[0, 0, 0] == 1
    assert torch.equal(video[0] == 1, pasted.expand(3, 2, 16, 16))
    assert torch.equal(video[1, 0, 0] == 0, pasted)
    assert target[0, 1] == pytest.approx(pasted.float().mean().item(), abs=1e-6)
    assert pasted.any(1).sum() * pasted.any(0).sum() == pasted.sum()
    assert torch.equal(video[2:], clips()[0][2:]) and torch.equal(target[2:], clips()[1][2:])


def test_views_are_mixed_with_the_partners_view_of_the_same_number() -> None:
    video, target = clips(3, views=2)
    mix(video, target, 2, [MixDraw(0.5), MixDraw(0.5)])
    values = video[:, 0, 0, 0, 0]
    assert torch.allclose(values[:4], torch.tensor([0.5, 0.6, 0.5, 0.6]))
    assert torch.allclose(values[4:], torch.tensor([2.05, 2.05])), "the odd one's views are mixed with one another"
    assert torch.equal(target[4:], clips(3, views=2)[1][4:])


def test_a_batch_in_parts_is_mixed_as_the_whole() -> None:
    draws = [draw_mix(16, np.random.default_rng([7, pair])) for pair in range(4)]
    whole, target = clips(8, views=2)
    mix(whole, target, 2, draws)
    parts, part_target = clips(8, views=2)
    for first in (0, 4):
        rows = slice(2 * first, 2 * first + 8)
        mix(parts[rows], part_target[rows], 2, draws[first // 2 : first // 2 + 2])
    assert torch.equal(whole, parts) and torch.equal(target, part_target)


def test_shares_follow_beta_and_kinds_follow_switch() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_mix(224, rng, mixup_alpha=0.8, cutmix_alpha=1.0, switch=0.3) for _ in range(3000)]
    whole = [draw.share for draw in drawn if draw and not draw.box]
    assert len(whole) / 3000 == pytest.approx(0.7, abs=0.03)
    assert np.mean(whole) == pytest.approx(0.5, abs=0.03)
    assert np.var(whole) == pytest.approx(1 / (4 * (2 * 0.8 + 1)), abs=0.01)  # of Beta(.8, .8)
    mixed = [draw_mix(16, rng, probability=0.25) is not None for _ in range(2000)]
    assert np.mean(mixed) == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize("options", [{"probability": 0.0}, {"mixup_alpha": 0.0, "cutmix_alpha": 0.0}])
def test_off_is_off(options: dict[str, float]) -> None:
    assert draw_mix(16, np.random.default_rng(0), **options) is None
