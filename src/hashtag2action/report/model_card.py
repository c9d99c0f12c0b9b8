"""The model card (Mitchell et al., 2019), filled from the latest runs: data, settings, compute, energy, results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hashtag2action.catalog.schema import Run
from hashtag2action.catalog.snapshot import snapshot_names
from hashtag2action.catalog.store import Catalog
from hashtag2action.report.cards import Card, Section
from hashtag2action.report.runs import read_json
from hashtag2action.report.words import duration, number, percent

_USES = (
    "Meant for research on action recognition and on data curation, and as a start for fine-tuning on data of one's own.",
    "Not for recognising who somebody is, not for surveillance, not where a wrong answer harms somebody.",
)
_CAVEATS = (
    "Trained on what people post under hashtags: the data card says which regions, languages, brightnesses and numbers of people that is.",
    "Never tested for differences between groups of people: age, gender and skin tone are not known of the clips.",
    "A model cannot unlearn a clip that was forgotten later; retrain it, or delete it.",
)


def model_card(catalog: Catalog, watts: float | None = None) -> Card | None:
    """Write the card of the workspace's latest model; None where nothing was trained yet.

    `watts` is the measured or known draw of one device, in place of the assumption in `models.cost`.
    """
    runs = {stage: catalog.latest_run(stage) for stage in ("pretrain", "finetune", "evaluate")}
    if runs["pretrain"] is None and runs["finetune"] is None:
        return None
    folder = catalog.workspace
    told = {stage: read_json(folder / run.folder / "settings.json") if run else {} for stage, run in runs.items()}
    name = (runs["finetune"] or runs["pretrain"]).summary.get("model", "model")  # type: ignore[union-attr]
    trained = [stage for stage in ("pretrain", "finetune") if runs[stage]]
    verbs = {"pretrain": "pre-trained without labels (VideoMAE V2)", "finetune": "fine-tuned to name actions"}
    sections = (
        Section("Model details", rows=tuple(_details(runs, folder))),
        Section("Intended use", _USES),
        Section("Training data", rows=tuple(_data(catalog, told["pretrain"], runs["finetune"]))),
        Section("Results", tuple(_doubts(runs["evaluate"])), tuple(_results(runs["evaluate"], folder))),
        Section("Compute and energy", (_formula(watts),), tuple(_compute(runs, told, watts))),
        Section("Settings", rows=tuple(_settings(told))),
        Section("Caveats", _CAVEATS),
    )
    return Card("model_card", f"Model card: {name}", f"{name}, {' and '.join(verbs[stage] for stage in trained)}.", sections)  # fmt: skip


def _details(runs: Mapping[str, Run | None], folder: Path) -> Iterator[tuple[str, str]]:
    import hashtag2action

    yield "made with", f"hashtag2action {hashtag2action.__version__}, Apache-2.0"
    for stage, run in runs.items():
        if run is not None and stage != "evaluate":
            yield f"{stage}: run", run.folder
            file = folder / run.folder / "model.pt"
            if file.is_file():
                yield f"{stage}: file", f"model.pt, {file.stat().st_size / 1e6:,.1f} MB"
    finetuned = runs["finetune"]
    if finetuned is not None:
        yield "classes", ", ".join(finetuned.summary.get("classes") or ())
        yield "begun from", str(finetuned.summary.get("pretrained") or "random weights")


def _data(catalog: Catalog, told: Mapping[str, Any], finetuned: Run | None) -> Iterator[tuple[str, str]]:
    clips = [str(Path(path)) for path in told.get("clips") or ()]
    if clips:
        known = {str(catalog.workspace / clip.path): clip.sha256 for clip in catalog.clips()}
        hashes = sorted(known[path] for path in clips if path in known)
        yield "pre-trained on", number(len(clips), "clip")
        yield "SHA-256 of their sorted content hashes", hashlib.sha256("\n".join(hashes).encode()).hexdigest()
        if len(hashes) < len(clips):
            yield "no longer in the catalog, and not in the hash", number(len(clips) - len(hashes), "clip")
    for name in snapshot_names(catalog.workspace):
        card = read_json(catalog.workspace / "snapshots" / name / "card.json")
        if clips and card.get("clips") == len(clips):
            yield f"snapshot of as many clips: {name}", str(card.get("digest"))
    if finetuned is not None:
        parts = {"train_clips": "training", "val_clips": "validation", "test_clips": "test"}
        counts = [f"{finetuned.summary[key]:,} {words}" for key, words in parts.items() if key in finetuned.summary]
        yield "fine-tuned on", ", ".join(counts) or "not recorded"
        for note in finetuned.summary.get("notes") or ():
            yield "split", str(note)


def _results(evaluation: Run | None, folder: Path) -> Iterator[tuple[str, str]]:
    if evaluation is not None:
        found = evaluation.summary
        bounds = found.get("top1_interval")
        interval = f", 95 % interval {percent(bounds[0], 1)} to {percent(bounds[1], 1)}" if bounds else ""
        yield "top-1", f"{percent(found['top1'], 1)} of {number(found['videos'], 'held-out clip')}{interval}"
        if found.get("top5") is not None and found.get("top_k", 5) < len(found.get("classes") or ()):
            yield f"top-{found.get('top_k', 5)}", percent(found["top5"], 1)
        if found.get("mean_class_accuracy") is not None:
            yield "mean over classes", percent(found["mean_class_accuracy"], 1)
        yield "guessing", percent(found.get("chance") or 0, 1)
        yield "views", f"{found.get('segments', '?')} in time x {found.get('crops', '?')} in space"
    for path in sorted((folder / "report" / "studies").glob("*.json")):
        yield f"study {path.stem}", str(read_json(path).get("alt", ""))


def _doubts(evaluation: Run | None) -> Iterator[str]:
    if evaluation is None:
        yield "Nothing was evaluated: how well it recognises actions is not known."
        return
    yield "One training with one seed; intervals are bootstrap percentiles over sources of test clips, and say nothing of other seeds."
    if evaluation.summary.get("groups"):
        yield f"The held-out clips come from {number(evaluation.summary['groups'], 'source')}, none of them trained on."


def _compute(
    runs: Mapping[str, Run | None], told: Mapping[str, Mapping[str, Any]], watts: float | None
) -> Iterator[tuple[str, str]]:
    from hashtag2action.models.cost import energy_kwh

    for stage, run in runs.items():
        if run is None or "seconds" not in run.summary:
            continue
        found, effective = run.summary, run.summary.get("effective") or {}
        device, devices = str(effective.get("device", "cpu")), int(effective.get("processes", 1))
        hours = found["seconds"] / 3600
        yield (
            f"{stage}: time",
            f"{duration(found['seconds'])} on {number(devices, device + ' process', device + ' processes')}",
        )
        if "steps" in found:
            yield f"{stage}: steps", f"{found['steps']:,} of {effective.get('clips a step', '?')} clips"
            flops = _flops(stage, told[stage].get("settings") or {}, found, effective)
            if flops:
                yield (
                    f"{stage}: operations",
                    f"{flops / 1e15:.3g} PFLOP (forward counted by PyTorch, backward taken as twice that)",
                )
        yield f"{stage}: energy, estimated", f"{1000 * energy_kwh(hours, device, devices, watts):,.3g} Wh"


def _flops(
    stage: str, settings: Mapping[str, Any], found: Mapping[str, Any], effective: Mapping[str, Any]
) -> float | None:
    import torch

    from hashtag2action.models import build_classifier, build_videomae
    from hashtag2action.models.cost import BACKWARD, classify_flops, pretrain_flops

    model, views = settings.get("model"), effective.get("views a step")
    if not model or not views:
        return None
    shape = {"image_size": model["image_size"], "frames": model["frames"], **(model.get("overrides") or {})}
    with torch.device("meta"):
        if stage == "pretrain":
            network: Any = build_videomae(model["name"], **{"decoder_depth": model["decoder_depth"], **shape})
        else:
            network = build_classifier(model["name"], len(found.get("classes") or ()) or 2, **shape)
    if stage == "pretrain":
        masking = {name: value for name, value in settings["mask"].items() if name != "description"}
        return float(pretrain_flops(network, **masking) * views * found["steps"])
    return float((1 + BACKWARD) * classify_flops(network.eval()) * views * found["steps"])


def _formula(watts: float | None) -> str:
    from hashtag2action.models.cost import FORMULA, PUE, WATTS

    draw = (
        f"{watts:g} W a device, as given"
        if watts is not None
        else f"{WATTS['cpu']:g} W a CPU process, {WATTS['cuda']:g} W an accelerator"
    )
    return f"Not measured: {FORMULA}, with {draw} and a PUE of {PUE:g}; `--watts` replaces the draw."


def _settings(told: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for stage, kept in told.items():
        if settings := kept.get("settings"):
            yield stage, json.dumps(_changed(settings), ensure_ascii=False, default=str)


def _changed(settings: Mapping[str, Any], drop: Sequence[str] = ("loop", "hardware", "description")) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in drop}
