"""The views by which a video is judged: segments in time, crops in space, every frame decoded and resized once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hashtag2action.data.labelled import Sampling
from hashtag2action.media.decode import open_frames
from hashtag2action.media.sampling import crop_starts, dense_test_indices, tsn_test_indices


@dataclass(frozen=True)
class EvalPlan:
    """`segments` clips of `frames` frames along the video, each cut into `crops` squares along its long side.

    One segment is the central clip, one crop the central square. `rate` has no meaning for "tsn" sampling.
    """

    frames: int = 16
    rate: int = 4
    size: int = 224
    segments: int = 5
    crops: int = 3
    sampling: Sampling = "dense"

    @property
    def views(self) -> int:
        """Views of one video."""
        return self.segments * self.crops


def read_views(path: Path, plan: EvalPlan) -> Tensor:
    """Read all views of a video: uint8 `(segments * crops, 3, T, size, size)`, the crops of a segment side by side.

    Raises `MediaError` where the video cannot be read.
    """
    with open_frames(path) as reader:
        indices = view_indices(reader.frames, plan)
        unique, places = np.unique(indices, return_inverse=True)
        frames = torch.from_numpy(reader.read(unique))
    frames = resize_short(frames, plan.size)
    clips = frames[torch.from_numpy(places.reshape(indices.shape))]  # (segments, T, 3, H, W)
    return torch.stack([crop for clip in clips for crop in crops(clip, plan)])


def view_indices(frames: int, plan: EvalPlan) -> np.ndarray:
    """Return the frames `(segments, T)` of each temporal view of a video of `frames` frames."""
    if plan.sampling == "tsn":
        return tsn_test_indices(frames, plan.frames, plan.segments)
    return dense_test_indices(frames, plan.frames, plan.rate, plan.segments)


def resize_short(frames: Tensor, size: int) -> Tensor:
    """Resize uint8 `(N, H, W, 3)` so that the short side is `size`: uint8 `(N, 3, h, w)`."""
    height, width = frames.shape[1:3]
    short = min(height, width)
    images = frames.permute(0, 3, 1, 2)
    if short == size:
        return images.contiguous()
    shape = (max(size, height * size // short), max(size, width * size // short))
    return F.interpolate(images, shape, mode="bilinear", antialias=True).contiguous()


def crops(clip: Tensor, plan: EvalPlan) -> list[Tensor]:
    """Cut `(T, 3, H, W)` into squares `(3, T, size, size)` along the long side, the first at the left or top end."""
    height, width = clip.shape[-2:]
    starts = crop_starts(max(height, width), plan.size, plan.crops)
    squares = [
        clip[:, :, : plan.size, start : start + plan.size]
        if width >= height
        else clip[:, :, start : start + plan.size, : plan.size]
        for start in starts
    ]
    return [square.transpose(0, 1) for square in squares]
