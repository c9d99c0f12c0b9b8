"""What a frozen encoder knows: simple classifiers on its features, tested on unseen groups, in minutes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hashtag2action.data.augment import center_box, crop_resize, normalize
from hashtag2action.data.splits import Sample, Split
from hashtag2action.errors import UserError
from hashtag2action.files import write_json
from hashtag2action.media.decode import open_frames
from hashtag2action.media.sampling import dense_test_indices
from hashtag2action.models import VideoMAE
from hashtag2action.train import probe_heads as heads
from hashtag2action.train.features import Features, load_encoder, pooled_features, token_features
from hashtag2action.train.metrics import bootstrap_interval

KINDS = ("linear", "knn", "attentive")
INNER_FOLDS = 4


@dataclass(frozen=True)
class ProbeResult:
    """Top-1 accuracy, each clip tested once by classifiers that never saw its group."""

    linear: float
    knn: float
    clips: int
    groups: int


@dataclass(frozen=True)
class ProbeScore:
    """Top-1 of one kind of classifier on the test, with its 95 % bootstrap interval over sources."""

    kind: str
    top1: float
    low: float
    high: float
    seconds: float


@dataclass(frozen=True)
class ProbeSummary:
    """What `probe_split` found; unreadable test clips count as wrong."""

    model: str
    classes: int
    train_clips: int
    test_clips: int
    test_groups: int
    unreadable: dict[str, str]
    """Reason by path."""
    chance: float
    l2: float
    """Penalty of the linear classifier, chosen on the validation clips where there are some."""
    scores: list[ProbeScore]
    notes: list[str]
    encode_seconds: float


def probe_split(
    split: Split,
    model: Path,
    folder: Path,
    kinds: Sequence[str] = KINDS,
    segments: int = 3,
    readers: int = 1,
    seed: int = 0,
) -> ProbeSummary:
    """Train classifiers on an encoder's features of the training clips, judge them on the test, write `probe.json`.

    The features are kept in `folder` for the next time. Raises `UserError` for an unknown kind, no training or test
    clips, or a single class.
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise UserError(f"probe: no kind {unknown[0]!r}; choose from {', '.join(KINDS)}")
    parts = (split.train, split.val, split.test)
    if not split.train or not split.test or len(split.classes) < 2:
        raise UserError("probe: needs two classes in training and some test clips; hold some out")
    began = time.perf_counter()
    encoder = load_encoder(model, segments)
    samples = [sample for part in parts for sample in part]
    paths = [sample.path for sample in samples]
    wanted: dict[str, Features] = {}
    if set(kinds) & {"linear", "knn"}:
        wanted["pooled"] = pooled_features(encoder, paths, folder, readers)
    if "attentive" in kinds:
        wanted["tokens"] = token_features(encoder, paths, folder, readers)
    encoded = time.perf_counter() - began
    judge = _Judge(split, samples, seed)
    found = [judge.score(kind, wanted["tokens" if kind == "attentive" else "pooled"]) for kind in kinds]
    summary = ProbeSummary(
        str(encoder.file),
        len(split.classes),
        len(split.train),
        len(split.test),
        len({sample.group for sample in split.test}),
        next(iter(wanted.values())).problems,
        1 / len(split.classes),
        judge.l2,
        found,
        list(split.notes),
        encoded,
    )
    write_json(folder / "probe.json", asdict(summary))
    return summary


class _Judge:
    """The clips, which of them are for what, and the penalty once it is chosen."""

    def __init__(self, split: Split, samples: Sequence[Sample], seed: int) -> None:
        self.classes, self.seed, self.l2 = split.classes, seed, heads.L2
        self.labels = heads.label_numbers([sample.label for sample in samples], self.classes)
        ends = np.cumsum([len(split.train), len(split.val), len(split.test)])
        self.part = torch.tensor(np.searchsorted(ends, np.arange(len(samples)), side="right"))
        self.groups = [sample.group for sample in split.test]

    def score(self, kind: str, features: Features) -> ProbeScore:
        began = time.perf_counter()
        readable = torch.from_numpy(features.readable)
        rows = torch.from_numpy(features.rows)
        train, val = (readable & (self.part == number) & (self.labels >= 0) for number in (0, 1))
        test = readable & (self.part == 2)
        answers = self._answers(kind, rows, train, val, test)
        right: NDArray[np.bool_] = np.zeros(len(self.labels), dtype=bool)
        right[test.numpy()] = (answers == self.labels[test]).numpy()
        right = right[(self.part == 2).numpy()]
        low, high = bootstrap_interval(right, self.groups, seed=self.seed)
        return ProbeScore(kind, float(right.mean()), low, high, time.perf_counter() - began)

    def _answers(self, kind: str, rows: Tensor, train: Tensor, val: Tensor, test: Tensor) -> Tensor:
        classes, labels = len(self.classes), self.labels
        if kind == "attentive":
            return heads.attentive(rows[train], labels[train], rows[test], classes, self.seed).argmax(1)
        x, held, asked = heads.standardised(rows[train], rows[val], rows[test])
        if kind == "knn":
            return heads.nearest(x, labels[train], asked, classes).argmax(1)
        if len(held):
            self.l2 = heads.best_l2([(x, labels[train], held, labels[val])], classes)
        return heads.linear(x, labels[train], asked, classes, self.l2).argmax(1)


def probe(features: Tensor, labels: Sequence[str], groups: Sequence[str], folds: int = 12) -> ProbeResult:
    """Cross-validate over groups: `features` `(N, D)`, one label and one group (person, camera) for each row.

    The linear classifier's penalty is chosen anew for each fold, on groups held out of its training ones.
    """
    classes = sorted(set(labels))
    target = heads.label_numbers(labels, classes)
    linear, knn = (torch.zeros(len(target), dtype=torch.bool) for _ in range(2))
    for test in _folds(groups, folds):
        x, asked = heads.standardised(features[~test], features[test])
        l2 = heads.best_l2(list(_inner(features[~test], target[~test], groups, ~test)), len(classes))
        linear[test] = heads.linear(x, target[~test], asked, len(classes), l2).argmax(1) == target[test]
        knn[test] = heads.nearest(x, target[~test], asked, len(classes), neighbours=5).argmax(1) == target[test]
    return ProbeResult(float(linear.float().mean()), float(knn.float().mean()), len(target), len(set(groups)))


def _folds(groups: Sequence[str], folds: int) -> list[Tensor]:
    """Return a mask for each fold, the groups dealt out in order."""
    names = sorted(set(groups))
    number = torch.tensor([names.index(group) % folds for group in groups])
    return [number == fold for fold in range(min(folds, len(names)))]


def _inner(
    features: Tensor, target: Tensor, groups: Sequence[str], chosen: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    for held in _folds([group for group, kept in zip(groups, chosen, strict=True) if kept], INNER_FOLDS):
        x, asked = heads.standardised(features[~held], features[held])
        yield x, target[~held], asked, target[held]


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
