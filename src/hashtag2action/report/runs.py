"""What the finished runs left in their folders, as far as they are there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashtag2action.catalog.schema import Run
from hashtag2action.report import training_figures as figures
from hashtag2action.report.figures import Figure
from hashtag2action.report.pictures import Picture, strip

MAX_RECONSTRUCTIONS = 4


@dataclass(frozen=True)
class Reconstruction:
    """The frames of one clip: as they are, what the encoder saw of them, and what the model made of that."""

    name: str
    original: Picture
    masked: Picture
    reconstructed: Picture


@dataclass(frozen=True)
class Pretraining:
    """A finished pre-training."""

    summary: Mapping[str, Any]
    settings: Mapping[str, Any]
    loss_first: float | None
    loss_last: float | None
    baseline: float | None  # loss of predicting each hidden patch by its mean
    curve: Figure | None
    reconstructions: tuple[Reconstruction, ...]


@dataclass(frozen=True)
class Finetuning:
    """A finished fine-tuning; `sizes` counts the clips of each part of the split."""

    summary: Mapping[str, Any]
    settings: Mapping[str, Any]
    classes: tuple[str, ...]
    sizes: Mapping[str, int]
    notes: tuple[str, ...]  # what the split could not give
    curve: Figure | None


@dataclass(frozen=True)
class Prediction:
    """One held-out clip: its class, and the classes scored highest, each with its score (0 to 1)."""

    path: Path
    label: str
    scores: tuple[tuple[str, float], ...]

    @property
    def right(self) -> bool:
        """Whether the highest score is that of the clip's class."""
        return bool(self.scores) and self.scores[0][0] == self.label


@dataclass(frozen=True)
class Evaluation:
    """A finished evaluation; shares are 0 to 1."""

    summary: Mapping[str, Any]
    settings: Mapping[str, Any]
    videos: int
    right: int
    top1: float
    interval: tuple[float, float] | None  # 95 %, of top-1, drawn over sources
    classes: tuple[str, ...]
    per_class: tuple[int, ...]  # held-out clips of each class
    chance: float  # of guessing among the classes
    majority: float | None  # of always answering the test's most frequent class
    confusion: Figure | None
    predictions: tuple[Prediction, ...]


def read_pretraining(workspace: Path, run: Run | None) -> Pretraining | None:
    """Return the pre-training that `run` records, or None."""
    if run is None:
        return None
    folder, summary = workspace / run.folder, run.summary
    points = _series(read_lines(folder / "log.jsonl"), "loss")
    baseline = summary.get("baseline_loss")
    curve = (
        figures.pretrain_loss([step for step, _ in points], [loss for _, loss in points], baseline) if points else None
    )
    return Pretraining(
        summary=summary,
        settings=_settings(folder),
        loss_first=summary.get("loss_first"),
        loss_last=summary.get("loss_last"),
        baseline=baseline,
        curve=curve,
        reconstructions=_reconstructions(folder / "reconstructions", summary.get("reconstructions") or ()),
    )


def read_finetuning(workspace: Path, run: Run | None) -> Finetuning | None:
    """Return the fine-tuning that `run` records, or None."""
    if run is None:
        return None
    folder = workspace / run.folder
    split, records = read_json(folder / "split.json"), read_lines(folder / "log.jsonl")
    classes = tuple(split.get("classes") or ())
    losses = _series(records, "loss")
    accuracies = {"validation": _series(records, "val_top1")}
    chance = 1 / len(classes) if classes else None
    return Finetuning(
        summary=run.summary,
        settings=_settings(folder),
        classes=classes,
        sizes={name: len(split.get(name) or ()) for name in ("train", "val", "test")},
        notes=tuple(split.get("notes") or ()),
        curve=figures.finetune_curves(losses, accuracies, chance) if losses else None,
    )


def read_evaluation(workspace: Path, run: Run | None) -> Evaluation | None:
    """Return the evaluation that `run` records, or None."""
    if run is None or run.summary.get("top1") is None:
        return None
    folder, summary = workspace / run.folder, run.summary
    classes = tuple(summary.get("classes") or ())
    matrix, interval = summary.get("confusion") or [], summary.get("top1_interval")
    predictions = tuple(_prediction(row) for row in read_json(folder / "predictions.json", []))
    labels = [prediction.label for prediction in predictions]
    per_class = tuple(labels.count(name) for name in classes)
    videos = int(summary.get("videos") or len(predictions))
    return Evaluation(
        summary=summary,
        settings=_settings(folder),
        videos=videos,
        right=round(summary["top1"] * videos),
        top1=summary["top1"],
        interval=(interval[0], interval[1]) if interval else None,
        classes=classes,
        per_class=per_class,
        chance=summary.get("chance") or 1 / max(1, len(classes)),
        majority=max(per_class) / len(labels) if labels and per_class else None,
        confusion=figures.confusion(matrix, classes) if matrix else None,
        predictions=predictions,
    )


def read_json(path: Path, default: Any = None) -> Any:
    """Return a JSON file's value, or `default` ({} if None) where it is missing or torn."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {} if default is None else default


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON-lines file, torn lines left out; none where it is missing."""
    records = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


def _series(records: Sequence[Mapping[str, Any]], key: str) -> list[tuple[int, float]]:
    return [(int(row["step"]), float(row[key])) for row in records if row.get(key) is not None and "step" in row]


def _settings(folder: Path) -> Mapping[str, Any]:
    """Return the settings that a run's `settings.json` keeps beside its other marks."""
    kept = read_json(folder / "settings.json")
    return kept.get("settings", kept)


def _prediction(row: Mapping[str, Any]) -> Prediction:
    scores = tuple((str(name), float(score)) for name, score in row.get("top5") or ())
    return Prediction(Path(row["path"]), str(row["label"]), scores)


def _reconstructions(folder: Path, names: Sequence[str]) -> tuple[Reconstruction, ...]:
    found = []
    for name in names[:MAX_RECONSTRUCTIONS]:
        rows = [strip(folder / f"{name}-{kind}.png") for kind in ("original", "masked", "reconstructed")]
        if rows[0] and rows[1] and rows[2]:
            found.append(Reconstruction(name, rows[0], rows[1], rows[2]))
    return tuple(found)
