"""What fine-tuning minimises, for classes, labels and values, and the teacher that may stand beside the labels."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hashtag2action.errors import UserError
from hashtag2action.models import VideoClassifier, load_model
from hashtag2action.models.checkpoints import read_checkpoint
from hashtag2action.train.finetune_settings import DistilSettings, Kind, TargetSettings


class LabelledObjective(nn.Module):
    """The loss as a module, so that every strategy wraps it alike."""

    def __init__(self, model: VideoClassifier, settings: TargetSettings) -> None:
        super().__init__()
        self.model = model
        self._settings = settings

    def forward(self, video: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of normalised views `(B, 3, T, H, W)` against targets `(B, outputs)` of 0..1."""
        return target_loss(self.model(video).float(), target, self._settings)


def target_loss(logits: Tensor, target: Tensor, settings: TargetSettings) -> Tensor:
    """Return the mean loss of logits `(B, outputs)` against targets of that shape; see `TargetSettings`.

    Classes: targets are distributions. The generalised loss of a soft target is the mean of its classes' losses.
    """
    if settings.kind == "values":
        return F.mse_loss(logits.sigmoid(), target)
    if settings.loss == "cross_entropy":
        if settings.kind == "classes":
            return F.cross_entropy(logits, target)
        return F.binary_cross_entropy_with_logits(logits, target)
    q = settings.q
    if settings.kind == "classes":
        return (target * -torch.expm1(q * logits.log_softmax(dim=-1)) / q).sum(dim=-1).mean()
    present, absent = (-torch.expm1(q * F.logsigmoid(sign * logits)) / q for sign in (1, -1))
    return torch.lerp(absent, present, target).mean()


def likelihoods(logits: Tensor, kind: Kind) -> Tensor:
    """Turn logits `(B, outputs)` into probabilities or values of 0..1."""
    return logits.softmax(dim=-1) if kind == "classes" else logits.sigmoid()


class Teacher:
    """A fine-tuned model whose answers to the same views are part of the target."""

    def __init__(
        self, settings: DistilSettings, kind: Kind, names: tuple[str, ...], frames: int, device: torch.device
    ) -> None:
        """Load it and put its outputs in the order of `names`. Raises `UserError` where it cannot teach these."""
        assert settings.teacher is not None
        path = model_file(settings.teacher)
        model, classes = load_model(path), read_checkpoint(path).get("classes")
        if not isinstance(model, VideoClassifier) or not isinstance(classes, list):
            raise UserError(f"{path}: no classifier with class names; name the folder of a fine-tuning run as teacher")
        missing = [name for name in names if name not in classes]
        if missing:
            raise UserError(f"{path}: the teacher does not know {missing[0]!r}; it must know all {len(names)} outputs")
        if model.config.frames != frames:
            raise UserError(
                f"{path}: the teacher takes {model.config.frames} frames, the student {frames}; they must agree"
            )
        self._model = model.eval().requires_grad_(False).to(device)
        self._order = torch.tensor([classes.index(name) for name in names], device=device)
        self._settings, self._kind = settings, kind

    def blend(self, video: Tensor, target: Tensor) -> Tensor:
        """Return the target with the teacher's answer to `video` mixed in; the picture is resized to the teacher's."""
        side = self._model.config.image_size
        with torch.no_grad():
            if video.shape[-1] != side:
                video = F.interpolate(video, (video.shape[2], side, side), mode="trilinear")
            logits = self._model(video).float().index_select(1, self._order) / self._settings.temperature
            return torch.lerp(target, likelihoods(logits, self._kind), self._settings.weight)


def model_file(path: Path) -> Path:
    """Return the weights of a run's folder, or the file itself."""
    return path / "model.pt" if path.is_dir() else path
