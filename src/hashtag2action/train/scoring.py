"""Class scores of videos: views are read ahead of the model, every video once, and each view's answer is kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hashtag2action.data.eval_views import EvalPlan, Pixels, VideoViews, read_video
from hashtag2action.media.container import MediaError

if TYPE_CHECKING:
    from torch import nn

    from hashtag2action.train.finetune_settings import Kind

Context = Callable[[], AbstractContextManager[object]]
Forward = Callable[[Pixels], NDArray[np.float64]]
"""From views, uint8 `(V, 3, T, S, S)`, to probabilities (or values) of 0..1, `(V, outputs)`."""


@dataclass(frozen=True)
class VideoScores:
    """One video's probabilities `(views, outputs)`, or why it has none."""

    path: Path
    views: NDArray[np.float64] | None
    problem: str | None = None
    seconds: float | None = None
    """Length of the video."""
    brightness: float | None = None
    """0..1"""

    @property
    def scores(self) -> NDArray[np.float64] | None:
        """Mean over the views, `(outputs,)`."""
        return None if self.views is None else self.views.mean(axis=0)


def score_videos(forward: Forward, paths: Sequence[Path], plan: EvalPlan, readers: int = 1) -> Iterator[VideoScores]:
    """Yield the scores of each video in order; an unreadable one comes with its reason.

    `readers` threads decode ahead while the model is at work, never more than a video each.
    """
    pool = ThreadPoolExecutor(readers, thread_name_prefix="views")
    pending: deque[tuple[Path, Future[VideoViews]]] = deque()
    rest = iter(paths)
    try:
        while True:
            while len(pending) <= readers and (path := next(rest, None)) is not None:
                pending.append((path, pool.submit(read_video, path, plan)))
            if not pending:
                return
            path, future = pending.popleft()
            try:
                video = future.result()
            except MediaError as error:
                yield VideoScores(path, None, str(error))
                continue
            yield VideoScores(path, forward(video.pixels), None, video.seconds, video.brightness)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def torch_forward(
    model: nn.Module, batch_views: int = 15, context: Context = nullcontext, kind: Kind = "classes"
) -> Forward:
    """Return how a PyTorch model answers, on its device, in evaluation mode, within `context` (for mixed precision)."""
    import torch

    from hashtag2action.data.augment import normalize
    from hashtag2action.models.allocator import keep_freed_memory
    from hashtag2action.train.objective import likelihoods

    device = next(model.parameters()).device
    if device.type == "cpu":
        keep_freed_memory()
    model.eval()

    def forward(views: Pixels) -> NDArray[np.float64]:
        scores = []
        with torch.inference_mode():
            for batch in torch.from_numpy(views).split(batch_views):
                with context():
                    logits = model(normalize(batch.to(device, non_blocking=True)))
                scores.append(likelihoods(logits.double(), kind).cpu().numpy())
        return np.concatenate(scores)

    return forward
