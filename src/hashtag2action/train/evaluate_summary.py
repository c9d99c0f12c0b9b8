"""What an evaluation comes to: shares with intervals, confusion, calibration, and where the model fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hashtag2action.data.splits import Sample, class_numbers
from hashtag2action.train import metrics
from hashtag2action.train.finetune_settings import EvaluateSettings
from hashtag2action.train.slices import Value, accuracy_by, gap

WORST = 10
"""Confusions that are listed."""
SHOWN_CLIPS = 5
"""Clips that are named for each of them."""


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
    top5_interval: tuple[float, float] = (0.0, 1.0)
    calibration_error: float | None = None
    """Expected calibration error over 15 bins of the readable videos: how far confidence is from accuracy."""
    problems: dict[str, int] = field(default_factory=dict)
    """Why videos had no scores, counted by kind."""
    worst: list[dict[str, Any]] = field(default_factory=list)
    """The most frequent confusions: `label`, `predicted`, `videos`, and `clips`, the surest of them first."""
    slices: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By fact (brightness, length, hashtag, ...): its parts with their top-1 and interval."""
    gaps: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By fact: the best and the worst part of five videos or more, and by how much they differ."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> EvaluateSummary:
        """Rebuild what `to_json` gave, after JSON made lists of pairs."""
        pairs = {key: tuple(content[key]) for key in ("top1_interval", "top5_interval") if key in content}
        return cls(**{**content, **pairs})


def summarise(
    samples: Sequence[Sample],
    records: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Sequence[Value]],
    classes: Sequence[str],
    model: str,
    settings: EvaluateSettings,
) -> EvaluateSummary:
    """Count over samples and their records (`scores`, `problem`, `seconds`, `length_s`, `brightness`), in one order."""
    missing = [np.nan] * len(classes)
    scores = np.array([record["scores"] or missing for record in records], dtype=np.float64)
    labels = np.array(class_numbers(samples, classes), dtype=np.int64)
    groups = [sample.group for sample in samples]
    right = metrics.hits(scores, labels)
    top_k = min(5, len(classes))
    among = metrics.hits(scores, labels, top_k)
    seconds = float(sum(record["seconds"] for record in records))
    draws, seed = settings.bootstrap_draws, settings.seed
    columns: dict[str, Sequence[Value]] = {
        "class": [sample.label for sample in samples],
        "group": groups,
        "brightness": [record["brightness"] for record in records],
        "length_s": [record["length_s"] for record in records],
        **facts,
    }
    if len(set(groups)) == len(groups):
        del columns["group"]
    slices = accuracy_by(right, columns, groups, min(draws, 2000), seed)
    gaps = {name: found for name, parts in slices.items() if (found := gap(parts)) is not None}
    error = metrics.calibration_error(scores, labels)
    problems = [record["problem"].partition(":")[0] for record in records if record["problem"]]
    return EvaluateSummary(
        model=model,
        videos=len(samples),
        unreadable=sum(record["scores"] is None for record in records),
        unknown_labels=sorted({sample.label for sample in samples} - set(classes)),
        top1=float(right.mean()),
        top5=float(among.mean()),
        top_k=top_k,
        top1_interval=metrics.bootstrap_interval(right, groups, draws, seed),
        groups=len(set(groups)),
        chance=1 / len(classes),
        mean_class_accuracy=metrics.mean_class_accuracy(scores, labels),
        classes=list(classes),
        class_accuracy=metrics.class_accuracy(scores, labels),
        confusion=metrics.confusion(scores, labels).tolist(),
        segments=settings.segments,
        crops=settings.crops,
        seconds=seconds,
        clips_per_s=len(samples) / seconds if seconds else 0.0,
        top5_interval=metrics.bootstrap_interval(among, groups, draws, seed),
        calibration_error=None if np.isnan(error) else error,
        problems={kind: problems.count(kind) for kind in sorted(set(problems))},
        worst=worst_confusions(samples, scores, classes),
        slices={name: [asdict(part) for part in parts] for name, parts in slices.items()},
        gaps={name: asdict(found) for name, found in gaps.items()},
    )


def worst_confusions(samples: Sequence[Sample], scores: metrics.Scores, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the ten most frequent wrong answers, by label and answer, with the clips that were most surely wrong."""
    clips: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for sample, row in zip(samples, scores, strict=True):
        if np.isnan(row).any():
            continue
        predicted = classes[int(row.argmax())]
        if predicted != sample.label:
            clips.setdefault((sample.label, predicted), []).append((-float(row.max()), str(sample.path)))
    order = sorted(clips, key=lambda pair: (-len(clips[pair]), min(clips[pair])))[:WORST]
    return [
        {
            "label": label,
            "predicted": predicted,
            "videos": len(clips[label, predicted]),
            "clips": [path for _, path in sorted(clips[label, predicted])[:SHOWN_CLIPS]],
        }
        for label, predicted in order
    ]
