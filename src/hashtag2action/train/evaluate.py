"""Judge a classifier on labelled videos: every video by several views, every number with the doubt it leaves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hashtag2action.console import track
from hashtag2action.data.splits import Sample, class_numbers
from hashtag2action.errors import UserError
from hashtag2action.files import write_json
from hashtag2action.settings import digest
from hashtag2action.train import metrics
from hashtag2action.train.finetune_settings import EvaluateSettings
from hashtag2action.train.predict import Predictor, load_predictor, weights_file


@dataclass(frozen=True)
class EvaluateSummary:
    """What an evaluation found, as `summary.json` holds it. Every share is of all videos, read or not."""

    model: str
    videos: int
    unreadable: int
    """Videos without scores; they count as wrong."""
    unknown_labels: list[str]
    """Labels that the model has no class for; their videos count as wrong."""
    top1: float
    top5: float
    """Share whose class is among the `top_k` highest scores."""
    top_k: int
    """5, or the number of classes where there are fewer (`top5` then says nothing)."""
    top1_interval: tuple[float, float]
    """95 % bootstrap interval, drawn over sources (groups), not clips."""
    groups: int
    chance: float
    """Top-1 of guessing evenly, 1 / classes."""
    mean_class_accuracy: float
    """Mean over the classes that have videos."""
    classes: list[str]
    class_accuracy: list[float | None]
    """By class; None for a class without videos."""
    confusion: list[list[int]]
    """Row: the true class; column: the predicted one; unreadable videos are in none."""
    segments: int
    crops: int
    seconds: float
    clips_per_s: float


def evaluate(samples: Sequence[Sample], model: Path, settings: EvaluateSettings, folder: Path) -> EvaluateSummary:
    """Score labelled videos with a fine-tuned model and leave everything about it in `folder`.

    `model` is a run folder of fine-tuning or its `model.pt`. Writes `settings.json`, `scores.jsonl` (a line a video as it
    is scored, from which an interrupted evaluation goes on), `predictions.json` (per video: path, label, group, scores,
    top5) and, when all is done, `summary.json`. Raises `UserError` where there are no videos, none of their labels is one
    of the model's classes, or the model is not a classifier.
    """
    folder = Path(folder)
    if not samples:
        raise UserError("evaluation: no labelled videos; give some, or hold out more of them")
    finished = _begin(samples, model, settings, folder)
    if finished:
        return finished
    predictor = load_predictor(model, settings)
    known = set(predictor.classes)
    if not any(sample.label in known for sample in samples):
        raise UserError(
            f"{samples[0].path}: label {samples[0].label!r}, like all others, is none of the model's classes "
            f"({', '.join(predictor.classes[:5])}, ...); evaluate on the classes that it was trained on"
        )
    records = _score(samples, predictor, settings, folder / "scores.jsonl")
    predictions = [
        _prediction(sample, record, predictor.classes) for sample, record in zip(samples, records, strict=True)
    ]
    summary = _summarise(samples, records, predictor, str(weights_file(model)), settings)
    write_json(folder / "predictions.json", predictions)
    write_json(folder / "summary.json", asdict(summary))
    return summary


Record = dict[str, Any]


def _score(samples: Sequence[Sample], predictor: Predictor, settings: EvaluateSettings, path: Path) -> list[Record]:
    """Score what `path` does not hold yet, adding a line a video: number, scores or problem, and seconds."""
    done = _read_records(path)
    rest = [number for number in range(len(samples)) if number not in done]
    with path.open("a", encoding="utf-8") as file:
        videos = predictor.scores([samples[number].path for number in rest], settings.readers)
        for number, (video, seconds) in zip(rest, track(videos, len(rest), "evaluating"), strict=True):
            scores = None if video.scores is None else video.scores.tolist()
            done[number] = {"number": number, "scores": scores, "problem": video.problem, "seconds": seconds}
            file.write(json.dumps(done[number]) + "\n")
            file.flush()
    return [done[number] for number in range(len(samples))]


def _read_records(path: Path) -> dict[int, Record]:
    """Read the whole lines of an interrupted evaluation and cut off what a kill left of the last."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        return {}
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    records = [json.loads(line) for line in whole.splitlines()]
    return {record["number"]: record for record in records}


def _prediction(sample: Sample, record: Record, classes: Sequence[str]) -> Record:
    found = {"path": str(sample.path), "label": sample.label, "group": sample.group}
    if record["scores"] is None:
        return {**found, "scores": None, "top5": [], "problem": record["problem"]}
    order = np.argsort(-np.array(record["scores"]), kind="stable")[:5]
    return {
        **found,
        "scores": record["scores"],
        "top5": [[classes[i], record["scores"][i]] for i in order],
        "problem": None,
    }


def _summarise(
    samples: Sequence[Sample], records: Sequence[Record], predictor: Predictor, model: str, settings: EvaluateSettings
) -> EvaluateSummary:
    classes = list(predictor.classes)
    missing = [np.nan] * len(classes)
    scores = np.array([record["scores"] or missing for record in records], dtype=np.float64)
    labels = np.array(class_numbers(samples, classes), dtype=np.int64)
    groups = [sample.group for sample in samples]
    right = metrics.hits(scores, labels)
    top_k = min(5, len(classes))
    seconds = float(sum(record["seconds"] for record in records))
    return EvaluateSummary(
        model=model,
        videos=len(samples),
        unreadable=sum(record["scores"] is None for record in records),
        unknown_labels=sorted({sample.label for sample in samples} - set(classes)),
        top1=float(right.mean()),
        top5=float(metrics.hits(scores, labels, top_k).mean()),
        top_k=top_k,
        top1_interval=metrics.bootstrap_interval(right, groups, settings.bootstrap_draws, settings.seed),
        groups=len(set(groups)),
        chance=1 / len(classes),
        mean_class_accuracy=metrics.mean_class_accuracy(scores, labels),
        classes=classes,
        class_accuracy=metrics.class_accuracy(scores, labels),
        confusion=metrics.confusion(scores, labels).tolist(),
        segments=settings.segments,
        crops=settings.crops,
        seconds=seconds,
        clips_per_s=len(samples) / seconds if seconds else 0.0,
    )


def _begin(samples: Sequence[Sample], model: Path, settings: EvaluateSettings, folder: Path) -> EvaluateSummary | None:
    """Check the folder, and return the summary where the evaluation is finished."""
    run = digest(settings, [(sample.path, sample.label, sample.group) for sample in samples], weights_file(model))
    about = folder / "settings.json"
    if about.exists():
        if json.loads(about.read_text(encoding="utf-8")).get("run") != run:
            raise UserError(
                f"{folder}: begun with other settings, videos or model; give a new folder or remove this one"
            )
        return _summary(folder) if (folder / "summary.json").exists() else None
    write_json(about, {"run": run, "settings": settings.model_dump(mode="json"), "model": str(weights_file(model))})
    return None


def _summary(folder: Path) -> EvaluateSummary:
    content = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return EvaluateSummary(**{**content, "top1_interval": tuple(content["top1_interval"])})
