"""Masks: the official constants, the running cell's period, and any grid and ratio that tiles."""

from __future__ import annotations

import pytest
import torch

from hashtag2action.errors import UserError
from hashtag2action.models import random_masks, running_cell_masks, sample_masks, tube_masks

OFFICIAL_GRID = (8, 14, 14)


def test_official_counts_never_vary() -> None:
    hidden, spared = sample_masks(200, OFFICIAL_GRID)
    assert hidden.shape == spared.shape == (200, 1568)
    assert (~hidden).sum(1).unique().tolist() == [160]
    assert (~spared).sum(1).unique().tolist() == [784]
    assert (~spared & hidden).sum(1).unique().tolist() == [704]
    assert (~spared & ~hidden).sum(1).unique().tolist() == [80]


def test_giant_shows_208_tokens() -> None:
    assert (~tube_masks(4, (8, 16, 16), 0.9)).sum(1).tolist() == [208] * 4


def test_running_cell_has_period_four_in_the_official_order() -> None:
    masks = running_cell_masks(64, (9, 4, 4), 0.5, generator=torch.Generator().manual_seed(0)).view(64, 9, 4, 4)
    corner = masks[:, :, :2, :2].int()
    for sample in (masks[:, :, 2:, :2], masks[:, :, :2, 2:], masks[:, :, 2:, 2:]):
        assert torch.equal(sample.int(), corner), "every cell of a frame is the same"
    sequence = [[[0, 0], [1, 1]], [[0, 1], [1, 0]], [[1, 1], [0, 0]], [[1, 0], [0, 1]]]
    phases = set()
    for frames in corner.tolist():
        phase = sequence.index(frames[0])
        phases.add(phase)
        assert frames == [sequence[(phase + i) % 4] for i in range(9)]
    assert phases == {0, 1, 2, 3}


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("grid", [(4, 4, 4), (8, 6, 10), (3, 2, 2)])
def test_running_cell_of_any_grid_and_ratio_that_tiles(grid: tuple[int, int, int], ratio: float) -> None:
    t, h, w = grid
    masks = running_cell_masks(5, grid, ratio).view(5, t, h * w)
    assert masks.sum(-1).unique().tolist() == [int(ratio * h * w)]


def test_running_cell_of_three_by_three() -> None:
    masks = running_cell_masks(5, (9, 6, 6), 2 / 3, cell=3).view(5, 9, 36)
    assert masks.sum(-1).unique().tolist() == [24]
    assert masks.sum(1).unique().tolist() == [6], "over a period each place is spared equally often"


@pytest.mark.parametrize(("grid", "ratio"), [((8, 7, 7), 0.5), ((8, 4, 4), 0.6), ((8, 4, 4), 1.0)])
def test_running_cell_refuses_what_does_not_tile(grid: tuple[int, int, int], ratio: float) -> None:
    with pytest.raises(UserError, match="decoder mask"):
        running_cell_masks(2, grid, ratio)


def test_tubes_are_the_same_in_every_frame_and_differ_between_samples() -> None:
    masks = tube_masks(8, (4, 7, 7), 0.75).view(8, 4, 49)
    assert (masks == masks[:, :1]).all()
    assert len({tuple(mask[0].tolist()) for mask in masks}) == 8
    assert masks.sum(-1).unique().tolist() == [36]


def test_random_masks_count_over_the_whole_clip() -> None:
    masks = random_masks(8, (4, 7, 7), 0.9)
    assert masks.sum(1).unique().tolist() == [176]
    assert (masks.view(8, 4, 49) != masks.view(8, 4, 49)[:, :1]).any()


def test_decoder_ratio_zero_decodes_what_is_hidden() -> None:
    hidden, spared = sample_masks(3, OFFICIAL_GRID, decoder_ratio=0)
    assert torch.equal(spared, ~hidden)
    assert (~spared).sum(1).tolist() == [1408] * 3


def test_a_generator_decides_alone() -> None:
    first = sample_masks(4, OFFICIAL_GRID, generator=torch.Generator().manual_seed(5))
    torch.manual_seed(1)
    again = sample_masks(4, OFFICIAL_GRID, generator=torch.Generator().manual_seed(5))
    other = sample_masks(4, OFFICIAL_GRID, generator=torch.Generator().manual_seed(6))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("ratio", [0.0, 1.0, 0.001])
def test_ratios_that_hide_nothing_or_all_are_refused(ratio: float) -> None:
    with pytest.raises(UserError, match="mask ratio"):
        sample_masks(2, (8, 4, 4), encoder_ratio=ratio)


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(UserError, match="known are tube, random"):
        sample_masks(2, (8, 4, 4), encoder="cube")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="known are running_cell, random"):
        sample_masks(2, (8, 4, 4), decoder="cube")  # type: ignore[arg-type]
