"""Where a token is: fixed sinusoids over the flattened grid, and their interpolation to another grid."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from hashtag2action.models.config import Grid


def sinusoid_positions(grid: Grid, dim: int, laid_out_on: Grid | None = None) -> Tensor:
    """Return the `(1, t*h*w, dim)` float32 table of VideoMAE.

    Position counts the flattened tokens, time first; `angle = pos / 10000^(2*(j//2)/dim)`, sine at even `j`, cosine
    at odd. With `laid_out_on` the table is made for that grid and interpolated to `grid`.
    """
    source = laid_out_on or grid
    position = torch.arange(source[0] * source[1] * source[2], dtype=torch.float64).unsqueeze(1)
    exponent = 2 * torch.div(torch.arange(dim), 2, rounding_mode="floor").double() / dim
    angle = position / torch.pow(torch.tensor(10000.0, dtype=torch.float64), exponent)
    angle[:, 0::2] = angle[:, 0::2].sin()
    angle[:, 1::2] = angle[:, 1::2].cos()
    return interpolate_positions(angle.float().unsqueeze(0), source, grid)


def interpolate_positions(table: Tensor, source: Grid, target: Grid) -> Tensor:
    """Resize a `(1, t*h*w, dim)` table to another grid: bicubic in space, linear in time, as the official code does."""
    if source == target:
        return table
    (t0, h0, w0), (t1, h1, w1), dim = source, target, table.shape[-1]
    frames = table.float().reshape(t0, h0, w0, dim).permute(0, 3, 1, 2)  # (t0, dim, h0, w0)
    if (h0, w0) != (h1, w1):
        frames = F.interpolate(frames, size=(h1, w1), mode="bicubic", align_corners=False)
    if t0 != t1:
        series = frames.permute(1, 2, 3, 0).reshape(1, dim * h1 * w1, t0)
        series = F.interpolate(series, size=t1, mode="linear", align_corners=False)
        frames = series.reshape(dim, h1, w1, t1).permute(3, 0, 1, 2)
    return frames.permute(0, 2, 3, 1).reshape(1, t1 * h1 * w1, dim).to(table.dtype)
