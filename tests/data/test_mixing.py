from __future__ import annotations

import numpy as np
import pytest
import torch

from hashtag2action.data.mixing import mix, soft_targets


def clips(count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips that are constant, each its own number, and their targets."""
    video = torch.arange(float(count)).view(-1, 1, 1, 1, 1).expand(-1, 3, 2, 16, 16).contiguous()
    return video, soft_targets(torch.arange(count), count, 0.0)


def test_soft_targets() -> None:
    target = soft_targets(torch.tensor([2, 0]), 4, 0.1)
    assert torch.allclose(target, torch.tensor([[0.025, 0.025, 0.925, 0.025], [0.925, 0.025, 0.025, 0.025]]))


@pytest.mark.parametrize("seed", range(8))
def test_mixup_takes_the_same_share_of_pixels_and_targets(seed: int) -> None:
    video, target = clips()
    mixed, soft = mix(video, target, np.random.default_rng(seed), mixup_alpha=0.8, cutmix_alpha=0)
    numbers = torch.arange(4.0)
    assert torch.allclose(mixed.mean(dim=(1, 2, 3, 4)), soft @ numbers, atol=1e-5)
    assert torch.allclose(soft.sum(dim=1), torch.ones(4))
    assert mixed[0].unique().numel() == 1


@pytest.mark.parametrize("seed", range(8))
def test_cutmix_pastes_one_box_and_counts_its_area(seed: int) -> None:
    video, target = clips()
    mixed, soft = mix(video, target, np.random.default_rng(seed), mixup_alpha=0, cutmix_alpha=1.0)
    pasted = mixed[0, 0, 0] == 3
    assert torch.equal((mixed[0] == 3), pasted.expand(3, 2, 16, 16))
    assert torch.equal((mixed[3, 0, 0] == 0), pasted)
    assert soft[0, 3] == pytest.approx(pasted.float().mean().item(), abs=1e-6)
    rows, columns = pasted.any(1).sum(), pasted.any(0).sum()
    assert rows * columns == pasted.sum()


def test_shares_follow_beta_and_kinds_follow_switch() -> None:
    video, target = clips(2)
    rng = np.random.default_rng(0)
    shares, cut = [], []
    for _ in range(1500):
        mixed, soft = mix(video, target, rng, mixup_alpha=0.8, cutmix_alpha=1.0, switch=0.3)
        whole = mixed[0].unique().numel() == 1 and float(mixed[0, 0, 0, 0, 0]) not in (0.0, 1.0)
        cut.append(not whole)
        if whole:
            shares.append(float(soft[0, 0]))
    assert np.mean(cut) == pytest.approx(0.3, abs=0.04)
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * 0.8 + 1)), abs=0.01)  # of Beta(.8, .8)


@pytest.mark.parametrize("options", [{"probability": 0.0}, {"mixup_alpha": 0.0, "cutmix_alpha": 0.0}])
def test_off_is_off(options: dict[str, float]) -> None:
    video, target = clips()
    mixed, soft = mix(video, target, np.random.default_rng(0), **options)
    assert mixed is video and soft is target
