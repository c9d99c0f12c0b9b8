"""Name the action in a video with a fine-tuned model, as a whole or along its time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashtag2action.data.eval_views import EvalPlan, crops, read_resized
from hashtag2action.errors import UserError
from hashtag2action.media.container import MediaError
from hashtag2action.media.decode import open_frames
from hashtag2action.train.classifier_file import class_names, read_classifier, weights_file
from hashtag2action.train.finetune_settings import EvaluateSettings
from hashtag2action.train.scoring import Forward, VideoScores, score_videos

ONE_VIEW = EvaluateSettings(segments=1, crops=1)
MAX_WINDOWS = 100_000
FPS = 25.0
"""Assumed where a video does not tell its frame rate."""

Top = list[tuple[str, float]]


@dataclass(frozen=True)
class Window:
    """The most likely classes in a stretch of a video, in seconds from its start."""

    start_s: float
    end_s: float
    top5: Top


@dataclass(frozen=True)
class Prediction:
    """The most likely classes of one video."""

    path: Path
    top5: Top
    """Class and probability (mean over the views), the highest first; fewer where there are fewer classes."""
    views: int
    seconds: float
    """Reading and forward passes, without loading the model."""
    windows: tuple[Window, ...] = ()
    """Along the video, where it was asked for."""


def predict(path: Path, model: Path, settings: EvaluateSettings = ONE_VIEW) -> Prediction:
    """Return the five most likely classes of a video of any length, from its central view or as many as `settings` say.

    `model` is as for `load_predictor`. Raises `UserError` where the video cannot be read or the model is not a classifier
    with class names.
    """
    return load_predictor(model, settings).predict(path)


def load_predictor(model: Path, settings: EvaluateSettings = ONE_VIEW, classes: Path | None = None) -> Predictor:
    """Load a model once for many videos; raises as `predict` does.

    `model` is a run folder of fine-tuning, its `model.pt`, an official checkpoint (with `classes`, a file of one name a
    line) or an ONNX file, which is run without PyTorch.
    """
    file = weights_file(model)
    if file.suffix == ".onnx":
        from hashtag2action.train.onnx_model import load_onnx

        opened = load_onnx(file, settings.batch_views)
        names = class_names(opened.about.get("classes"), classes, opened.outputs, file)
        plan = _plan(settings, opened.frames, opened.size, opened.about)
        return Predictor(opened.forward, names, plan, opened.about.get("kind", "classes"))

    import torch

    from hashtag2action.train.device import pick_device, pick_precision
    from hashtag2action.train.scoring import torch_forward

    found = read_classifier(file, classes)
    device = pick_device(settings.hardware.device)
    half = pick_precision(settings.hardware.precision, device) == "bf16"
    forward = torch_forward(
        found.network.to(device),
        settings.batch_views,
        lambda: torch.autocast(device, torch.bfloat16, enabled=half),
        found.kind,  # type: ignore[arg-type]
    )
    config = found.network.config
    about = {"rate": found.rate, "sampling": found.sampling}
    return Predictor(forward, found.classes, _plan(settings, config.frames, config.image_size, about), found.kind)


class Predictor:
    """A loaded classifier and how it looks at a video."""

    def __init__(self, forward: Forward, classes: tuple[str, ...], plan: EvalPlan, kind: str = "classes") -> None:
        self.forward = forward
        self.classes = classes
        self.plan = plan
        self.kind = kind

    def predict(self, path: Path, every_s: float | None = None) -> Prediction:
        """Return the five most likely classes of one video. Raises `UserError` where it cannot be read.

        With `every_s` a window as long as a clip is moved along the video in steps of so many seconds; the whole is their
        mean.
        """
        began = time.perf_counter()
        if every_s is not None:
            windows = tuple(self._windows(Path(path), every_s))
            mean = np.mean([scores for _, _, scores in windows], axis=0)
            along = tuple(Window(start, end, self.top5(scores)) for start, end, scores in windows)
            return Prediction(Path(path), self.top5(mean), len(along), time.perf_counter() - began, along)
        video, seconds = next(self.scores([Path(path)]))
        if video.scores is None:
            raise UserError(f"{path}: {video.problem}; give a video file")
        return Prediction(Path(path), self.top5(video.scores), self.plan.views, seconds)

    def scores(self, paths: Sequence[Path], readers: int = 1) -> Iterator[tuple[VideoScores, float]]:
        """Yield each video's scores, or why it has none, and the seconds since the one before."""
        began = time.perf_counter()
        for video in score_videos(self.forward, paths, self.plan, readers):
            now = time.perf_counter()
            yield video, now - began
            began = now

    def top5(self, scores: NDArray[np.float64]) -> Top:
        """Return the five highest of `(classes,)` with their names."""
        order = (-scores).argsort(kind="stable")[:5]
        return [(self.classes[i], float(scores[i])) for i in order]

    def _windows(self, path: Path, every_s: float) -> Iterator[tuple[float, float, NDArray[np.float64]]]:
        """Yield start, end and scores of each window, one after the other, so that length costs no memory."""
        try:
            with open_frames(path) as reader:
                fps = reader.fps or FPS
                for indices in window_indices(reader.frames, self.plan, max(1, round(every_s * fps))):
                    clip = read_resized(reader, indices, self.plan.size)
                    views = np.stack(crops(clip, self.plan))
                    end = min(int(indices[-1]) + self.plan.rate, reader.frames)
                    yield int(indices[0]) / fps, end / fps, self.forward(views).mean(axis=0)
        except MediaError as error:
            raise UserError(f"{path}: {error}; give a video file") from error


def window_indices(frames: int, plan: EvalPlan, step: int) -> list[NDArray[np.int64]]:
    """Return the frames `(T,)` of each window: clips of `plan.frames * plan.rate` frames, starting `step` frames apart.

    The last one ends with the video; a video shorter than a window is one window that repeats its last sampled frame.
    Raises `UserError` for more than `MAX_WINDOWS`.
    """
    clip = np.arange(plan.frames, dtype=np.int64) * plan.rate
    room = frames - plan.frames * plan.rate
    if room <= 0:
        return [np.minimum(clip, (frames - 1) // plan.rate * plan.rate)]
    starts = [*range(0, room, step), room]
    if len(starts) > MAX_WINDOWS:
        raise UserError(f"--every: {len(starts)} windows; take longer steps, for at most {MAX_WINDOWS}")
    return [start + clip for start in starts]


def _plan(settings: EvaluateSettings, frames: int, size: int, about: dict[str, Any]) -> EvalPlan:
    sampling = about.get("sampling", "dense") if settings.sampling == "as_trained" else settings.sampling
    rate = settings.rate or int(about.get("rate", 4))
    return EvalPlan(frames, rate, size, settings.segments, settings.crops, sampling)
