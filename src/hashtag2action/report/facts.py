"""The numbers of a finished run that stand beside its curve: pairs of a name and a text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hashtag2action.report.runs import Evaluation, Finetuning, Pretraining
from hashtag2action.report.words import duration, number, percent

Rows = list[tuple[str, str]]


def pretraining_facts(run: Pretraining) -> Rows:
    """Return what a pre-training was and what came out."""
    rows = [("network", str(run.summary.get("model", "not recorded")))]
    if run.loss_first is not None and run.loss_last is not None:
        rows.append(("error, first to last steps", f"{run.loss_first:.3f} to {run.loss_last:.3f}"))
    if run.baseline is not None:
        rows.append(("error of the mean colour", f"{run.baseline:.3f}"))
    mask = run.settings.get("mask") or {}
    if "encoder_ratio" in mask:
        rows.append(("hidden from the encoder", percent(mask["encoder_ratio"])))
        rows.append(("not even decoded", percent(mask.get("decoder_ratio", 0))))
    return rows + list(_course(run.summary))


def finetuning_facts(run: Finetuning) -> Rows:
    """Return what a fine-tuning was and what came out."""
    start = "random weights" if run.summary.get("pretrained") is None else "the pre-trained encoder"
    rows = [("network", str(run.summary.get("model", "not recorded"))), ("begun from", start)]
    rows.append(("clips", ", ".join(f"{clips:,} {_PARTS[part]}" for part, clips in run.sizes.items())))
    for key, name in (("train_top1", "top-1 on training clips"), ("val_top1", "top-1 on validation clips")):
        if run.summary.get(key) is not None:
            rows.append((name, percent(run.summary[key])))
    return rows + list(_course(run.summary))


def evaluation_facts(run: Evaluation) -> Rows:
    """Return what an evaluation found."""
    rows = [("top-1", percent(run.top1, 1))]
    if run.interval:
        rows.append(("95 % interval", f"{percent(run.interval[0])} to {percent(run.interval[1])}"))
    if run.summary.get("top5") is not None:
        meaningless = " (there are no more than 5 classes)" if len(run.classes) <= 5 else ""
        rows.append(("top-5", percent(run.summary["top5"], 1) + meaningless))
    if run.summary.get("mean_class_accuracy") is not None:
        rows.append(("mean over classes", percent(run.summary["mean_class_accuracy"], 1)))
    rows.append(("guessing", percent(run.chance, 1)))
    if run.majority is not None:
        rows.append(("most frequent class", percent(run.majority, 1)))
    rows.append(
        (
            "clips",
            f"{run.videos:,}" + (f" from {number(run.summary['groups'], 'source')}" if "groups" in run.summary else ""),
        )
    )
    if "segments" in run.summary and "crops" in run.summary:
        rows.append(("views of each", f"{run.summary['segments']} in time × {run.summary['crops']} in space"))
    return rows


_PARTS = {"train": "training", "val": "validation", "test": "test"}


def _course(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "steps" in summary and "epochs" in summary:
        yield "training", f"{number(summary['steps'], 'step')}, {summary['epochs']:.3g} epochs"
    effective = summary.get("effective") or {}
    for key in ("clips a step", "views a step", "device", "precision"):
        if key in effective:
            yield key, str(effective[key])
    if "seconds" in summary:
        rate = f", {summary['clips_per_s']:.1f} clips/s" if "clips_per_s" in summary else ""
        yield "time", duration(summary["seconds"]) + rate
    if summary.get("bad_clips"):
        yield "unreadable clips replaced", f"{len(summary['bad_clips']):,}"
