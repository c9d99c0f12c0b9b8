"""Clips as patches of pixels, all of them or only those that are asked for.

A patch is `tubelet` frames of `patch x patch` pixels. Its values lie in the order channel, frame, row, column: the
order of the embedding's convolution kernel, so that embedding patches is one matrix product with the flattened
kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor


def unfold_patches(video: Tensor, tubelet: int, patch: int) -> Tensor:
    """Cut `(B, 3, T, H, W)` into `(B, t*h*w, 3*tubelet*patch*patch)`, tokens time first."""
    b, c, frames, height, width = video.shape
    t, h, w = frames // tubelet, height // patch, width // patch
    cells = video.reshape(b, c, t, tubelet, h, patch, w, patch)
    return cells.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(b, t * h * w, c * tubelet * patch * patch)


def gather_patches(video: Tensor, tokens: Tensor, tubelet: int, patch: int) -> Tensor:
    """Read only the patches named by `tokens` `(B, n)` from `(B, 3, T, H, W)`: `(B, n, 3*tubelet*patch*patch)`.

    Equals `unfold_patches(video)` gathered at `tokens`, without touching the other pixels.
    """
    b, c, frames, height, width = video.shape
    h, w = height // patch, width // patch
    index = torch.arange(b, device=tokens.device).view(b, 1, 1, 1, 1)
    channel = torch.arange(c, device=tokens.device).view(1, 1, c, 1, 1)
    frame = torch.arange(tubelet, device=tokens.device).view(1, 1, 1, tubelet, 1)
    line = torch.arange(patch, device=tokens.device).view(1, 1, 1, 1, patch)

    cell = tokens[:, :, None, None, None]
    t, y, x = cell // (h * w), cell // w % h, cell % w
    row = ((index * c + channel) * frames + t * tubelet + frame) * height + y * patch + line  # which line of the video
    pieces = video.contiguous().view(-1, patch).index_select(0, (row * w + x).flatten())
    return pieces.view(b, tokens.shape[1], c * tubelet * patch * patch)


def normalized_targets(patches: Tensor, std: Tensor) -> Tensor:
    """Return what the decoder is to predict, in the order of `patches` `(B, n, 3*tubelet*patch*patch)`, float32.

    Official: pixels are brought back to [0, 1] and normalised per patch and channel, `(x - mean) / (sqrt(var) +
    1e-6)`, with the unbiased variance. Undoing an affine normalisation first is the same as dividing the 1e-6 by its
    `std` `(3,)`.
    """
    b, n, _ = patches.shape
    pixels = patches.float().view(b, n, std.numel(), -1)
    centred = pixels - pixels.mean(dim=-1, keepdim=True)
    deviation = torch.linalg.vector_norm(centred, dim=-1, keepdim=True) / (pixels.shape[-1] - 1) ** 0.5
    return centred.div_(deviation + 1e-6 / std.view(-1, 1)).view(b, n, -1)


def channels_last(patches: Tensor) -> Tensor:
    """Reorder the last dimension from (channel, pixel) to the official predictions' (pixel, channel)."""
    return patches.unflatten(-1, (3, -1)).transpose(-1, -2).flatten(-2)
