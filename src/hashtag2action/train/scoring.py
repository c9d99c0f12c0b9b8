"""Class scores of videos: views are read ahead of the model, every video once, and their softmax is averaged."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hashtag2action.data.augment import normalize
from hashtag2action.data.eval_views import EvalPlan, read_views
from hashtag2action.media.container import MediaError
from hashtag2action.models import VideoClassifier

Context = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class VideoScores:
    """One video's class probabilities `(views, classes)`, or why it has none."""

    path: Path
    views: NDArray[np.float64] | None
    problem: str | None = None

    @property
    def scores(self) -> NDArray[np.float64] | None:
        """Mean over the views, `(classes,)`."""
        return None if self.views is None else self.views.mean(axis=0)


def score_videos(
    model: nn.Module,
    paths: Sequence[Path],
    plan: EvalPlan,
    batch_views: int = 15,
    readers: int = 1,
    context: Context = nullcontext,
) -> Iterator[VideoScores]:
    """Yield the scores of each video in order; an unreadable one comes with its reason.

    `model` maps normalised clips `(B, 3, T, H, W)` to logits and is called in evaluation mode within `context` (for
    mixed precision). `readers` threads decode ahead, never more than two videos each.
    """
    model.eval()
    pool = ThreadPoolExecutor(readers, thread_name_prefix="views")
    pending: deque[tuple[Path, Future[Tensor]]] = deque()
    rest = iter(paths)
    try:
        while True:
            while len(pending) <= readers and (path := next(rest, None)) is not None:
                pending.append((path, pool.submit(read_views, path, plan)))
            if not pending:
                return
            path, future = pending.popleft()
            try:
                views = future.result()
            except MediaError as error:
                yield VideoScores(path, None, str(error))
                continue
            yield VideoScores(path, score_views(model, views, batch_views, context))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def score_views(
    model: nn.Module, views: Tensor, batch_views: int = 15, context: Context = nullcontext
) -> NDArray[np.float64]:
    """Return the softmax `(views, classes)` of uint8 views `(views, 3, T, S, S)`, computed on the model's device."""
    device = next(model.parameters()).device
    scores = []
    with torch.inference_mode():
        for batch in views.split(batch_views):
            with context():
                logits = model(normalize(batch.to(device, non_blocking=True)))
            scores.append(logits.double().softmax(dim=-1).cpu().numpy())
    return np.concatenate(scores)


def top1_and_loss(
    model: VideoClassifier, paths: Sequence[Path], labels: Sequence[int], plan: EvalPlan, context: Context = nullcontext
) -> tuple[float, float]:
    """Return top-1 and cross-entropy of videos with known classes; an unreadable one is wrong, its loss that of guessing."""
    right, losses = [], []
    for video, label in zip(score_videos(model, paths, plan, context=context), labels, strict=True):
        right.append(video.scores is not None and int(video.scores.argmax()) == label)
        likely = 1 / model.config.num_classes if video.scores is None else float(video.scores[label])
        losses.append(-math.log(max(likely, 1e-12)))
    return float(np.mean(right)), float(np.mean(losses))
