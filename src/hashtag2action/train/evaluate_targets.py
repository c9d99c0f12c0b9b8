"""Judge a model of several labels, or of values, on videos that a CSV tells the truth about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashtag2action.data.splits import Sample
from hashtag2action.data.targets import read_targets
from hashtag2action.errors import UserError
from hashtag2action.files import sha256_of, write_json
from hashtag2action.settings import digest
from hashtag2action.train.classifier_file import weights_file
from hashtag2action.train.evaluate import score_samples, write_table
from hashtag2action.train.finetune_settings import EvaluateSettings, Kind
from hashtag2action.train.metrics import mean_average_precision, mean_pearson
from hashtag2action.train.predict import load_predictor
from hashtag2action.train.run_folder import begin, read_summary
from hashtag2action.train.validation import judge

DRAWS = 1000  # bootstrap draws, at most: each computes the figure anew


@dataclass(frozen=True)
class TargetsSummary:
    """What was found, as `summary.json` holds it. An unreadable video is ranked last, or counts as the mean prediction."""

    model: str
    kind: Kind
    figure: str
    """map: mean average precision over labels. pearson: mean correlation over values."""
    mean: float
    interval: tuple[float, float]
    """95 % bootstrap interval, drawn over sources (groups), not clips."""
    outputs: dict[str, float | None]
    """The figure of each output; None where the truth does not vary."""
    loss: float
    """Mean binary cross-entropy, or mean squared error."""
    videos: int
    groups: int
    unreadable: dict[str, str]
    """Reason by path."""
    segments: int
    crops: int
    seconds: float


def evaluate_targets(
    samples: Sequence[Sample] | None, file: Path, model: Path, settings: EvaluateSettings, folder: Path
) -> TargetsSummary:
    """Score videos with a fine-tuned model and compare with `file` (`data.targets`); leave everything in `folder`.

    `samples` are those of the file to look at, by default all. An interrupted evaluation goes on; `predictions.parquet` has
    a line a video. Raises `UserError` where the model tells classes, or the file's columns are not the model's outputs.
    """
    folder, weights = Path(folder), weights_file(model)
    predictor = load_predictor(model, settings)
    if predictor.kind == "classes":
        raise UserError(f"{weights}: tells one class a video; evaluate it on labelled videos, without --targets")
    kind: Kind = "labels" if predictor.kind == "labels" else "values"
    targets = read_targets(file, binary=kind == "labels")
    if set(targets.names) != set(predictor.classes):
        odd = sorted(set(targets.names) ^ set(predictor.classes))
        raise UserError(f"{file}: column {odd[0]!r} is not in both file and model; name the model's outputs: {', '.join(predictor.classes[:8])}")  # fmt: skip
    samples = targets.samples() if samples is None else samples
    if not samples:
        raise UserError(f"{file}: no videos to test on; hold some out, or name a file of others with --targets")
    truth = targets.of(samples).astype(np.float64)[:, [targets.names.index(name) for name in predictor.classes]]
    rows = [(str(sample.path), sample.group) for sample in samples]
    about = {"settings": settings.model_dump(mode="json"), "model": str(weights), "targets": str(file)}
    finished = begin(folder, digest(settings, rows, sha256_of(weights), sha256_of(file)), about)
    if finished:
        return TargetsSummary(**{**finished, "interval": tuple(finished["interval"])})
    records = score_samples(samples, predictor, settings, folder / "scores.jsonl")
    missing = [np.nan] * len(predictor.classes)
    scores = np.array([record["scores"] or missing for record in records], dtype=np.float64)
    figures = judge(scores, truth, kind)
    groups = [sample.group for sample in samples]
    told = zip(samples, records, truth.tolist(), strict=True)
    write_table(
        folder / "predictions.parquet",
        [
            {"path": str(s.path), "group": s.group, "problem": r["problem"], "scores": r["scores"], "truth": t}
            for s, r, t in told
        ],
    )
    summary = TargetsSummary(
        model=str(weights),
        kind=kind,
        figure="map" if kind == "labels" else "pearson",
        mean=figure(scores, truth, kind),
        interval=interval(scores, truth, kind, groups, min(settings.bootstrap_draws, DRAWS), settings.seed),
        outputs={name: _none(figure(scores[:, [i]], truth[:, [i]], kind)) for i, name in enumerate(predictor.classes)},
        loss=figures["loss"],
        videos=len(samples),
        groups=len(set(groups)),
        unreadable={str(s.path): r["problem"] for s, r in zip(samples, records, strict=True) if r["problem"]},
        segments=settings.segments,
        crops=settings.crops,
        seconds=float(sum(record["seconds"] for record in records)),
    )
    write_json(folder / "summary.json", asdict(summary))
    found = read_summary(folder)
    return TargetsSummary(**{**found, "interval": tuple(found["interval"])})


def figure(scores: NDArray[np.float64], truth: NDArray[np.float64], kind: Kind) -> float:
    """Return mAP or mean Pearson correlation of scores against the truth, both `(N, outputs)`; NaN where undefined."""
    return mean_average_precision(scores, truth > 0.5) if kind == "labels" else mean_pearson(scores, truth)


def interval(
    scores: NDArray[np.float64], truth: NDArray[np.float64], kind: Kind, groups: Sequence[str], draws: int, seed: int
) -> tuple[float, float]:
    """Return the 95 % percentile interval of the figure, drawing groups with replacement."""
    names, index = np.unique(np.array(groups), return_inverse=True)
    members = [np.flatnonzero(index == number) for number in range(len(names))]
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        drawn = np.concatenate([members[number] for number in chance.integers(len(names), size=len(names))])
        found.append(figure(scores[drawn], truth[drawn], kind))
    low, high = np.nanpercentile(found, [2.5, 97.5]) if np.isfinite(found).any() else (np.nan, np.nan)
    return float(low), float(high)


def _none(value: float) -> float | None:
    return value if np.isfinite(value) else None
