"""What a frozen encoder knows: a linear classifier and nearest neighbours on its features, tested on unseen groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from hashtag2action.data.augment import center_box, crop_resize, normalize
from hashtag2action.media.decode import open_frames
from hashtag2action.media.sampling import dense_test_indices
from hashtag2action.models import VideoMAE

L2 = 1e-2  # on the classifier's weights, features standardised
NEIGHBOURS = 5


@dataclass(frozen=True)
class ProbeResult:
    """Top-1 accuracy, each clip tested once by classifiers that never saw its group."""

    linear: float
    knn: float
    clips: int
    groups: int


def probe(features: Tensor, labels: Sequence[str], groups: Sequence[str], folds: int = 4) -> ProbeResult:
    """Cross-validate over groups: `features` `(N, D)`, one label and one group (person, camera) for each row."""
    classes = sorted(set(labels))
    target = torch.tensor([classes.index(label) for label in labels])
    names = sorted(set(groups))
    fold_of = {name: i % folds for i, name in enumerate(names)}
    fold = torch.tensor([fold_of[group] for group in groups])
    linear = torch.zeros(len(target), dtype=torch.bool)
    knn = torch.zeros(len(target), dtype=torch.bool)
    for held in range(min(folds, len(names))):
        test, train = fold == held, fold != held
        deviation, mean = torch.std_mean(features[train], dim=0)
        scaled = (features - mean) / (deviation + 1e-6)
        linear[test] = _linear(scaled[train], target[train], scaled[test], len(classes)) == target[test]
        knn[test] = _nearest(scaled[train], target[train], scaled[test], len(classes)) == target[test]
    return ProbeResult(float(linear.float().mean()), float(knn.float().mean()), len(target), len(names))


@torch.no_grad()
def clip_features(model: VideoMAE, clips: Sequence[Path], rate: int, segments: int = 3) -> Tensor:
    """Return `(N, dim)`: the encoder's tokens, none hidden, averaged over `segments` central views of each clip."""
    config = model.config
    model.eval()
    rows = []
    for path in clips:
        with open_frames(path) as reader:
            indices = dense_test_indices(reader.frames, config.frames, rate, segments)
            frames = torch.from_numpy(reader.read(indices.ravel())).unflatten(0, indices.shape)
        box = center_box(frames.shape[3], frames.shape[2])
        video = normalize(torch.stack([crop_resize(view, box, config.image_size) for view in frames]))
        rows.append(model.encoder(video).mean(dim=(0, 1)))
    return torch.stack(rows)


def _linear(train: Tensor, labels: Tensor, test: Tensor, classes: int) -> Tensor:
    """Predict by multinomial logistic regression with an L2 penalty, fitted to convergence from zero."""
    x, y = train.double(), labels
    weight = torch.zeros(classes, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        loss = F.cross_entropy(x @ weight.t() + bias, y) + 0.5 * L2 * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        solver.step(closure)
    return (test.double() @ weight.detach().t() + bias.detach()).argmax(1)


def _nearest(train: Tensor, labels: Tensor, test: Tensor, classes: int) -> Tensor:
    """Predict by the cosine-weighted vote of the nearest neighbours."""
    similarity = F.normalize(test, dim=1) @ F.normalize(train, dim=1).t()
    weights, index = similarity.topk(min(NEIGHBOURS, len(train)), dim=1)
    votes = torch.zeros(len(test), classes).scatter_add_(1, labels[index], weights.clamp(min=0).float())
    return votes.argmax(1)
