"""Which tokens are hidden from the encoder and which the decoder is spared, made in batch on the device.

A mask is boolean `(B, t*h*w)`, tokens time first: True hides a token from the encoder, or keeps it out of the decoder.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from hashtag2action.errors import UserError
from hashtag2action.models.config import Grid

EncoderMasking = Literal["tube", "random"]
DecoderMasking = Literal["running_cell", "random"]


def sample_masks(
    batch: int,
    grid: Grid,
    *,
    encoder: EncoderMasking = "tube",
    encoder_ratio: float = 0.9,
    decoder: DecoderMasking = "running_cell",
    decoder_ratio: float = 0.5,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor]:
    """Draw encoder and decoder masks for `batch` samples; the defaults are VideoMAE V2's.

    `decoder_ratio=0` decodes exactly what is hidden, as VideoMAE V1 does. A `generator` must live on `device`.
    Raises `UserError` for a ratio that leaves nothing visible or nothing hidden, or does not tile.
    """
    if encoder not in ("tube", "random"):
        raise UserError(f"encoder mask: unknown kind {encoder!r}; known are tube, random")
    if decoder not in ("running_cell", "random"):
        raise UserError(f"decoder mask: unknown kind {decoder!r}; known are running_cell, random")
    draw = tube_masks if encoder == "tube" else random_masks
    hidden = draw(batch, grid, encoder_ratio, generator=generator, device=device)
    if decoder_ratio == 0:
        return hidden, ~hidden
    draw = running_cell_masks if decoder == "running_cell" else random_masks
    return hidden, draw(batch, grid, decoder_ratio, generator=generator, device=device)


def tube_masks(
    batch: int,
    grid: Grid,
    ratio: float,
    *,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Hide `int(ratio * h*w)` random places of the frame, the same in all frames of a sample."""
    t, h, w = grid
    frame = _hide_random(batch, h * w, ratio, generator, device)
    return frame.unsqueeze(1).expand(-1, t, -1).reshape(batch, t * h * w)


def random_masks(
    batch: int,
    grid: Grid,
    ratio: float,
    *,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Hide `int(ratio * t*h*w)` random tokens of each sample."""
    t, h, w = grid
    return _hide_random(batch, t * h * w, ratio, generator, device)


def running_cell_masks(
    batch: int,
    grid: Grid,
    ratio: float,
    *,
    cell: int = 2,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Tile the frame with `cell x cell` cells whose hidden part moves on one place a frame (VideoMAE V2, section 3.2).

    The phase is random per sample; the pattern repeats after `cell * cell` frames.
    Raises `UserError` where cells do not tile the frame or `ratio` is not a whole number of a cell's places.
    """
    t, h, w = grid
    area = cell * cell
    hidden = round(ratio * area)
    if h % cell or w % cell:
        raise UserError(f"decoder mask: {cell}x{cell} cells do not tile a {h}x{w} grid; choose an even one or 'random'")
    if abs(hidden - ratio * area) > 1e-6 or not 0 < hidden < area:
        steps = ", ".join(f"{i / area:g}" for i in range(1, area)) if area <= 4 else f"k/{area}"
        raise UserError(f"decoder mask: ratio {ratio} does not fit {cell}x{cell} cells; it can be {steps}")
    start = torch.randint(area, (batch, 1, 1, 1), generator=generator, device=device)
    frame = torch.arange(t, device=device).view(1, t, 1, 1)
    row = torch.arange(h, device=device).view(1, 1, h, 1)
    column = torch.arange(w, device=device).view(1, 1, 1, w)
    place = row % cell * cell + column % cell
    return ((place + start + frame) % area < hidden).flatten(1)


def _hide_random(
    batch: int, places: int, ratio: float, generator: torch.Generator | None, device: torch.device | str
) -> Tensor:
    hidden = int(ratio * places)
    if not 0 < hidden < places:
        raise UserError(f"mask ratio: {ratio} of {places} places hides {hidden}; choose one that hides some, not all")
    order = torch.rand(batch, places, generator=generator, device=device).argsort(dim=1)
    mask = torch.zeros(batch, places, dtype=torch.bool, device=device)
    return mask.scatter_(1, order[:, :hidden], True)
