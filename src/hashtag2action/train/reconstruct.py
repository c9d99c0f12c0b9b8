"""What the network sees and what it imagines: strips of original, masked and reconstructed frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hashtag2action.data.augment import center_box, crop_resize, denormalize, normalize
from hashtag2action.files import atomic_path
from hashtag2action.media.container import MediaError
from hashtag2action.media.decode import open_frames
from hashtag2action.media.sampling import dense_indices
from hashtag2action.models import VideoMAE, VideoMAEConfig, sample_masks
from hashtag2action.models.patches import channels_last, unfold_patches
from hashtag2action.train.settings import MaskSettings

KINDS = ("original", "masked", "reconstructed")
SHOWN = 8  # frames of a strip
GREY = 0.5


@dataclass(frozen=True)
class Strips:
    """One clip as `(T, H, W, 3)` uint8 in each of `KINDS`."""

    name: str
    images: dict[str, np.ndarray]


def load_examples(clips: Sequence[Path], count: int, frames: int, rate: int, size: int) -> tuple[list[str], Tensor]:
    """Return the stems of up to `count` readable clips spread over `clips`, and their central views `(N, 3, T, S, S)` uint8."""
    names: list[str] = []
    videos: list[Tensor] = []
    spread = np.linspace(0, len(clips) - 1, num=min(count, len(clips))).astype(int)
    for path in dict.fromkeys([*(clips[i] for i in spread), *clips]):
        if len(names) == count:
            break
        try:
            with open_frames(path) as reader:
                pixels = torch.from_numpy(reader.read(dense_indices(reader.frames, frames, rate)))
        except MediaError:
            continue
        names.append(path.stem)
        videos.append(crop_resize(pixels, center_box(pixels.shape[2], pixels.shape[1]), size))
    return names, torch.stack(videos) if videos else torch.empty(0, 3, frames, size, size, dtype=torch.uint8)


@torch.no_grad()
def reconstruct(
    model: VideoMAE, names: Sequence[str], videos: Tensor, mask: MaskSettings, seed: int = 0
) -> list[Strips]:
    """Hide tokens of `videos` `(N, 3, T, S, S)` uint8 and let the model fill in all of them.

    Predictions are normalised per patch; they are shown with the true patch's mean and deviation, as the official
    visualisation does, so colours and contrast are given and shapes are imagined.
    """
    if not names:
        return []
    device = next(model.parameters()).device
    config = model.config
    generator = torch.Generator().manual_seed(seed)
    hidden, spared = sample_masks(
        len(names),
        config.grid,
        encoder=mask.encoder,
        encoder_ratio=mask.encoder_ratio,
        decoder_ratio=0,
        generator=generator,
    )
    video = normalize(videos.to(device))
    predicted = model(video, hidden, spared).float()

    hidden = hidden.to(device)
    patches = channels_last(unfold_patches(denormalize(video), config.tubelet, config.patch))
    values = patches.unflatten(-1, (-1, 3))  # (N, tokens, pixels, 3)
    deviation, mean = torch.std_mean(values, dim=-2, keepdim=True)
    filled = patches.clone()
    imagined = predicted.unflatten(-1, (-1, 3)) * deviation[hidden].view(len(names), -1, 1, 3)
    filled[hidden] = (imagined + mean[hidden].view(len(names), -1, 1, 3)).flatten(0, 1).flatten(-2)
    masked = patches.masked_fill(hidden.unsqueeze(-1), GREY)
    shown = {kind: _images(config, values) for kind, values in zip(KINDS, (patches, masked, filled), strict=True)}
    return [Strips(name, {kind: shown[kind][i] for kind in KINDS}) for i, name in enumerate(names)]


def save_strips(strips: Sequence[Strips], folder: Path) -> list[str]:
    """Write `<clip>-<kind>.png` for each clip and kind, frames side by side; returns the clips' names."""
    for strip in strips:
        for kind, images in strip.images.items():
            _save(np.concatenate(list(images), axis=1), folder / f"{strip.name}-{kind}.png")
    return [strip.name for strip in strips]


def save_sheet(strips: Sequence[Strips], path: Path) -> None:
    """Write all strips under one another as one picture."""
    rows = [np.concatenate(list(strip.images[kind]), axis=1) for strip in strips for kind in KINDS]
    _save(np.concatenate(rows, axis=0), path)


def _images(config: VideoMAEConfig, patches: Tensor) -> np.ndarray:
    """Put `(N, tokens, pixels * 3)` together to `(N, SHOWN, H, W, 3)` uint8."""
    tubelet, patch, (t, h, w) = config.tubelet, config.patch, config.grid
    cells = patches.unflatten(-1, (tubelet, patch, patch, 3)).unflatten(1, (t, h, w))
    video = cells.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(len(patches), t * tubelet, h * patch, w * patch, 3)
    keep = np.linspace(0, t * tubelet - 1, num=min(SHOWN, t * tubelet)).astype(int).tolist()
    return video[:, keep].clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()


def _save(image: np.ndarray, path: Path) -> None:
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG")
