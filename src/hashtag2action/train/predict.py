"""Name the action in a video with a fine-tuned model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashtag2action.errors import UserError
from hashtag2action.train.finetune_settings import EvaluateSettings

if TYPE_CHECKING:
    import torch

    from hashtag2action.data.eval_views import EvalPlan
    from hashtag2action.models import VideoClassifier
    from hashtag2action.train.scoring import VideoScores

ONE_VIEW = EvaluateSettings(segments=1, crops=1)


@dataclass(frozen=True)
class Prediction:
    """The most likely classes of one video."""

    path: Path
    top5: list[tuple[str, float]]
    """Class and probability (mean over the views), the highest first; fewer where there are fewer classes."""
    views: int
    seconds: float
    """Reading and forward passes, without loading the model."""


def predict(path: Path, model: Path, settings: EvaluateSettings = ONE_VIEW) -> Prediction:
    """Return the five most likely classes of a video of any length, from its central view or as many as `settings` say.

    `model` is a run folder of fine-tuning or its `model.pt`. Raises `UserError` where the video cannot be read or the
    model is not a classifier with class names.
    """
    return load_predictor(model, settings).predict(path)


def load_predictor(model: Path, settings: EvaluateSettings = ONE_VIEW) -> Predictor:
    """Load a model once for many videos; raises as `predict` does."""
    import torch

    from hashtag2action.data.eval_views import EvalPlan
    from hashtag2action.models import load_model
    from hashtag2action.models.checkpoints import read_checkpoint
    from hashtag2action.train.device import pick_device, pick_precision

    file = weights_file(model)
    network: Any = load_model(file)
    about = read_checkpoint(file)
    classes = about.get("classes")
    if not classes:
        raise UserError(f"{file}: is no classifier with class names; give a model that `h2a finetune` wrote")
    if len(classes) != network.config.num_classes:
        raise UserError(f"{file}: names {len(classes)} classes for {network.config.num_classes} outputs; it is damaged")
    plan = EvalPlan(
        frames=network.config.frames,
        rate=settings.rate or int(about.get("rate", 4)),
        size=network.config.image_size,
        segments=settings.segments,
        crops=settings.crops,
        sampling=about.get("sampling", "dense") if settings.sampling == "as_trained" else settings.sampling,
    )
    device = pick_device(settings.hardware.device)
    precision = torch.bfloat16 if pick_precision(settings.hardware.precision, device) == "bf16" else torch.float32
    return Predictor(network.to(device).eval(), tuple(classes), plan, settings.batch_views, precision)


class Predictor:
    """A loaded classifier and how it looks at a video."""

    def __init__(
        self, model: VideoClassifier, classes: tuple[str, ...], plan: EvalPlan, batch_views: int, precision: torch.dtype
    ) -> None:
        self.model = model
        self.classes = classes
        self.plan = plan
        self._batch_views = batch_views
        self._precision = precision

    def predict(self, path: Path) -> Prediction:
        """Return the five most likely classes of one video. Raises `UserError` where it cannot be read."""
        video, seconds = next(self.scores([Path(path)]))
        if video.scores is None:
            raise UserError(f"{path}: {video.problem}; give a video file")
        order = (-video.scores).argsort(kind="stable")[:5]
        top5 = [(self.classes[i], float(video.scores[i])) for i in order]
        return Prediction(Path(path), top5, self.plan.views, seconds)

    def scores(self, paths: Sequence[Path], readers: int = 1) -> Iterator[tuple[VideoScores, float]]:
        """Yield each video's scores, or why it has none, and the seconds since the one before."""
        import torch

        from hashtag2action.train.scoring import score_videos

        def context() -> torch.autocast:
            kind = next(self.model.parameters()).device.type
            return torch.autocast(kind, self._precision, enabled=self._precision != torch.float32)

        began = time.perf_counter()
        for video in score_videos(self.model, paths, self.plan, self._batch_views, readers, context):
            now = time.perf_counter()
            yield video, now - began
            began = now


def weights_file(model: Path) -> Path:
    """Return the weights of a run folder, or the file itself. Raises `UserError` where there are none."""
    model = Path(model)
    if model.is_dir():
        if not (model / "model.pt").is_file():
            raise UserError(f"{model}: holds no model.pt; is it the folder of a finished fine-tuning run?")
        return model / "model.pt"
    if not model.is_file():
        raise UserError(f"{model}: no such model; give a fine-tuning run's folder or its model.pt")
    return model
