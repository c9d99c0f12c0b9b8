"""How well a model in training does on held-out clips: one central view each, shared out among the processes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hashtag2action.data.eval_views import EvalPlan
from hashtag2action.models import VideoClassifier
from hashtag2action.train import metrics
from hashtag2action.train.finetune_settings import Kind
from hashtag2action.train.scoring import Context, score_videos, torch_forward

LEAST = 1e-12  # probability


def validate(
    model: VideoClassifier,
    paths: Sequence[Path],
    truth: NDArray[np.float64],
    plan: EvalPlan,
    kind: Kind,
    context: Context = nullcontext,
    rank: int = 0,
    world: int = 1,
) -> dict[str, float]:
    """Return `loss` and the figure of the kind (`top1`, `map`, `pearson`); all `world` processes must call this.

    `truth` is `(N, outputs)` in 0..1, for classes one-hot. An unreadable clip counts as wrong; its loss is that of guessing.
    """
    mine = score(model, paths[rank::world], plan, kind, context)
    if world == 1:
        return judge(mine, truth, kind)
    parts: list[NDArray[np.float64]] = [np.empty(0)] * world
    torch.distributed.all_gather_object(parts, mine)
    scores = np.empty_like(truth)
    for first, part in enumerate(parts):
        scores[first::world] = part
    return judge(scores, truth, kind)


def score(
    model: VideoClassifier, paths: Sequence[Path], plan: EvalPlan, kind: Kind, context: Context = nullcontext
) -> NDArray[np.float64]:
    """Return probabilities or values `(N, outputs)`, the mean over each video's views; NaN where one is unreadable."""
    forward = torch_forward(model, context=context, kind=kind)
    missing = np.full(model.config.num_classes, np.nan)
    rows = [missing if video.scores is None else video.scores for video in score_videos(forward, paths, plan)]
    return np.array(rows, dtype=np.float64).reshape(len(paths), len(missing))


def judge(scores: NDArray[np.float64], truth: NDArray[np.float64], kind: Kind) -> dict[str, float]:
    """Return `loss` and the kind's own figure of scores against the truth, both `(N, outputs)`."""
    guess = 1 / scores.shape[1] if kind == "classes" else 0.5
    filled = np.where(np.isnan(scores), guess, scores)
    if kind == "values":
        return {"loss": float(((filled - truth) ** 2).mean()), "pearson": _finite(metrics.mean_pearson(scores, truth))}
    log, log_not = np.log(np.maximum(filled, LEAST)), np.log(np.maximum(1 - filled, LEAST))
    if kind == "labels":
        loss = -(truth * log + (1 - truth) * log_not).mean()
        return {"loss": float(loss), "map": _finite(metrics.mean_average_precision(scores, truth > 0.5))}
    right = metrics.hits(scores, truth.argmax(axis=1))
    return {"loss": float(-(truth * log).sum(axis=1).mean()), "top1": float(right.mean())}


def _finite(value: float) -> float:
    """Return 0 where a figure is undefined, for want of clips of any kind."""
    return value if np.isfinite(value) else 0.0
