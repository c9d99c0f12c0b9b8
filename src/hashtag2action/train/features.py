"""What a frozen encoder makes of clips: computed once, kept in a file that names the model and the clips."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hashtag2action.console import track
from hashtag2action.data.eval_views import EvalPlan, Pixels
from hashtag2action.errors import UserError
from hashtag2action.files import atomic_path, sha256_of
from hashtag2action.train.classifier_file import weights_file
from hashtag2action.train.scoring import score_videos

if TYPE_CHECKING:
    from torch import Tensor

MAX_CACHE_BYTES = 32 << 30


@dataclass(frozen=True)
class Encoder:
    """A frozen encoder: `tokens` maps views, uint8 `(V, 3, T, S, S)`, to `(V, N, dim)` on its device."""

    file: Path
    sha256: str
    tokens: Callable[[Pixels], Tensor]
    pool: Callable[[Tensor], Tensor]
    """From tokens to `(V, dim)`: their mean, through a classifier's own last norm where it has one."""
    plan: EvalPlan
    shape: tuple[int, int]
    """`(N, dim)`"""


@dataclass(frozen=True)
class Features:
    """A row for each clip; a clip that could not be read has NaN, and its reason in `problems`."""

    rows: NDArray[np.float32] | NDArray[np.float16]
    """`(clips, dim)`, or `(clips, N, dim)` for tokens."""
    problems: dict[str, str]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Which clips have features, `(clips,)`."""
        return ~np.isnan(self.rows.reshape(len(self.rows), -1)[:, 0])


def load_encoder(model: Path, segments: int = 3, rate: int | None = None, batch_views: int = 8) -> Encoder:
    """Load the encoder of a pre-training or fine-tuning run (its folder or `model.pt`), or an official classifier's.

    A clip is looked at by `segments` central squares along its time. Raises `UserError` where there is no such model.
    """
    import torch

    from hashtag2action.data.augment import normalize
    from hashtag2action.models import VideoMAE, load_model
    from hashtag2action.models.checkpoints import CONFIG_KEY, read_checkpoint
    from hashtag2action.train.classifier_file import official_classifier
    from hashtag2action.train.device import pick_device

    file = weights_file(model)
    content = read_checkpoint(file)
    network: Any = load_model(file, content) if CONFIG_KEY in content else official_classifier(content, file)
    device = pick_device("auto")
    network = network.to(device).eval().requires_grad_(False)
    encode = network.encoder if isinstance(network, VideoMAE) else network.encode

    @torch.inference_mode()
    def tokens(views: Pixels) -> Tensor:
        batches = torch.from_numpy(views).split(batch_views)
        return torch.cat([encode(normalize(batch.to(device))).float() for batch in batches])

    @torch.inference_mode()
    def pool(found: Tensor) -> Tensor:
        mean = found.mean(dim=1)
        return mean if isinstance(network, VideoMAE) else network.fc_norm(mean)

    config = network.config
    plan = EvalPlan(
        config.frames,
        rate or int(content.get("rate", 4)),
        config.image_size,
        segments,
        crops=1,
        sampling=content.get("sampling", "dense"),
    )
    return Encoder(file, sha256_of(file), tokens, pool, plan, (config.tokens, config.dim))


def pooled_features(encoder: Encoder, clips: Sequence[Path], cache: Path | None = None, readers: int = 1) -> Features:
    """Return `(clips, dim)` float32, the mean over a clip's views; kept in the folder `cache` where one is named."""

    def one(views: Pixels) -> NDArray[np.float64]:
        return encoder.pool(encoder.tokens(views)).double().cpu().numpy()

    return _cached(encoder, clips, cache, "pooled", (encoder.shape[1],), np.float32, one, readers)


def token_features(encoder: Encoder, clips: Sequence[Path], cache: Path | None = None, readers: int = 1) -> Features:
    """Return `(clips, N, dim)` float16, the mean over a clip's views. Raises `UserError` for more than 32 GB."""
    size = 2 * len(clips) * encoder.shape[0] * encoder.shape[1]
    if size > MAX_CACHE_BYTES:
        raise UserError(f"attentive probe: the tokens of {len(clips)} clips are {size >> 30} GB; take fewer clips")

    def one(views: Pixels) -> NDArray[np.float64]:
        return encoder.tokens(views).mean(dim=0, keepdim=True).cpu().numpy()

    return _cached(encoder, clips, cache, "tokens", encoder.shape, np.float16, one, readers)


def clips_key(encoder: Encoder, clips: Sequence[Path]) -> str:
    """Return what a cache's file is named by: the model's content, how clips are looked at, their paths, sizes and dates."""
    about = [(str(path), *_state(path)) for path in clips]
    content = json.dumps([encoder.sha256, asdict(encoder.plan), about])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _cached(
    encoder: Encoder,
    clips: Sequence[Path],
    cache: Path | None,
    kind: str,
    shape: tuple[int, ...],
    dtype: Any,
    forward: Callable[[Pixels], NDArray[np.float64]],
    readers: int,
) -> Features:
    path = cache / f"{kind}-{clips_key(encoder, clips)}.npz" if cache is not None else None
    if path is not None and path.is_file():
        with np.load(path, allow_pickle=False) as kept:
            return Features(kept["rows"], json.loads(str(kept["problems"])))
    rows = np.full((len(clips), *shape), np.nan, dtype=dtype)
    problems = {}
    videos = score_videos(forward, clips, encoder.plan, readers)
    for number, video in enumerate(track(videos, len(clips), "encoding")):
        if video.scores is None:
            problems[str(video.path)] = str(video.problem)
        else:
            rows[number] = video.scores
    if path is not None:
        with atomic_path(path) as temporary:
            np.savez(temporary, rows=rows, problems=json.dumps(problems))
    return Features(rows, problems)


def _state(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except OSError:
        return 0, 0
    return about.st_size, about.st_mtime_ns
