"""The views by which a video is judged: segments in time, crops in space, every frame decoded and resized once.

Nothing here needs PyTorch, so that an exported model is used without it; where it is loaded, it resizes faster.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from hashtag2action.media.decode import open_frames
from hashtag2action.media.sampling import Indices, crop_starts, dense_test_indices, tsn_test_indices

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[np.uint8]
Array = TypeVar("Array")

MEMORY_BYTES = 256 << 20
"""Most bytes of frames as decoded that are held at once, before they are resized."""


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
    sampling: Literal["dense", "tsn"] = "dense"

    @property
    def views(self) -> int:
        """Views of one video."""
        return self.segments * self.crops


@dataclass(frozen=True)
class VideoViews:
    """All views of a video, uint8 `(segments * crops, 3, T, size, size)`, and what the frames tell on the way."""

    pixels: Pixels
    frames: int
    seconds: float | None
    """Length; None where the file does not tell its frame rate."""
    brightness: float
    """Mean of all values, 0..1."""


def read_views(path: Path, plan: EvalPlan) -> Tensor:
    """Read all views of a video: uint8 `(segments * crops, 3, T, size, size)`, the crops of a segment side by side.

    Raises `MediaError` where the video cannot be read.
    """
    import torch

    return torch.from_numpy(read_video(path, plan).pixels)


def read_video(path: Path, plan: EvalPlan) -> VideoViews:
    """Read all views of a video. Raises `MediaError` where it cannot be read."""
    with open_frames(path) as reader:
        indices = view_indices(reader.frames, plan)
        unique, places = np.unique(indices, return_inverse=True)
        frames = read_resized(reader, unique, plan.size)
        count, fps = reader.frames, reader.fps
    clips = places.reshape(indices.shape)  # (segments, T)
    views = np.stack([crop for clip in clips for crop in crops(frames[clip], plan)])
    return VideoViews(views, count, count / fps if fps else None, float(frames.mean()) / 255)


def read_resized(reader: Any, indices: Indices, size: int) -> Pixels:
    """Read ascending frames of an open video with short side `size`: uint8 `(N, 3, h, w)`."""
    width, height = reader.size
    step = max(16, MEMORY_BYTES // max(1, 3 * width * height))
    resize = resizer()
    parts = [resize(reader.read(indices[i : i + step]), size) for i in range(0, len(indices), step)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def view_indices(frames: int, plan: EvalPlan) -> Indices:
    """Return the frames `(segments, T)` of each temporal view of a video of `frames` frames."""
    if plan.sampling == "tsn":
        return tsn_test_indices(frames, plan.frames, plan.segments)
    return dense_test_indices(frames, plan.frames, plan.rate, plan.segments)


def crops(clip: Array, plan: EvalPlan) -> list[Array]:
    """Cut `(T, 3, H, W)` into squares `(3, T, size, size)` along the long side, the first at the left or top end."""
    pixels: Any = clip
    height, width = pixels.shape[-2:]
    starts = crop_starts(max(height, width), plan.size, plan.crops)
    squares = [
        pixels[:, :, : plan.size, start : start + plan.size]
        if width >= height
        else pixels[:, :, start : start + plan.size, : plan.size]
        for start in starts
    ]
    return [square.swapaxes(0, 1) for square in squares]


def resizer() -> Callable[[Pixels, int], Pixels]:
    """Return the faster way to resize `(N, H, W, 3)` to a short side, `(N, 3, h, w)`; they agree within one level."""
    return resize_short if "torch" in sys.modules else resize_with_pillow


def resize_short(frames: Pixels, size: int) -> Pixels:
    """Resize uint8 `(N, H, W, 3)` so that the short side is `size`, bilinear with antialiasing: uint8 `(N, 3, h, w)`."""
    import torch
    from torch.nn import functional as F

    images = torch.from_numpy(frames).permute(0, 3, 1, 2)
    shape = _shape(frames, size)
    if shape != frames.shape[1:3]:
        images = F.interpolate(images, shape, mode="bilinear", antialias=True)
    return images.contiguous().numpy()


def resize_with_pillow(frames: Pixels, size: int) -> Pixels:
    """Do what `resize_short` does, without PyTorch."""
    from PIL import Image

    height, width = _shape(frames, size)
    bilinear = Image.Resampling.BILINEAR
    images = np.stack([np.asarray(Image.fromarray(frame).resize((width, height), bilinear)) for frame in frames])
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _shape(frames: Pixels, size: int) -> tuple[int, int]:
    height, width = frames.shape[1:3]
    short = min(height, width)
    return max(size, height * size // short), max(size, width * size // short)
