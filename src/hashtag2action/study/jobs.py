"""One job of a study, done: the folder it leaves, what it came to, and what it cost."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hashtag2action.catalog.jobs import Job
from hashtag2action.errors import UserError
from hashtag2action.settings import digest
from hashtag2action.study.settings import ConditionSettings
from hashtag2action.study.sources import choose_clips, read_labelled, read_source
from hashtag2action.train.finetune_settings import EvaluateSettings, FinetuneSettings
from hashtag2action.train.settings import PretrainSettings

Result = tuple[dict[str, Any], dict[str, Any]]


def job_folder(workspace: Path, stage: str, key: str) -> Path:
    """Return where a job does its work."""
    return workspace / "runs" / "study" / f"{stage}-{key}"


def do_job(workspace: Path, job: Job) -> Result:
    """Do a job, or the rest of one that was begun; return its result and its cost.

    Raises `UserError` where its clips or labels are not as they were planned.
    """
    return {"pretrain": _pretrain, "finetune": _finetune}[job.stage](workspace, job)


def _pretrain(workspace: Path, job: Job) -> Result:
    from hashtag2action.train.pretrain import pretrain

    spec = job.spec
    settings = PretrainSettings.model_validate(spec["settings"])
    snapshot = read_source(workspace, spec["snapshot"], spec["digest"])
    held = read_labelled(workspace, spec["labelled"]).test_content if spec["labelled"] else frozenset()
    arm = ConditionSettings.model_validate(spec["condition"])
    clips = choose_clips(snapshot, arm, spec["size"], spec["seed"], held)
    if digest(settings, [clip.sha256 for clip in clips]) != spec["content"]:
        raise UserError(f"{snapshot.name}: gives other clips than were planned; plan the study again")
    folder = job_folder(workspace, job.stage, job.key)
    summary = pretrain([workspace / clip.path for clip in clips], settings, folder)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    kept = ("clips", "steps", "epochs", "loss_first", "loss_last", "baseline_loss", "bad_clips")
    result = {name: getattr(summary, name) for name in kept} | {"snapshot": snapshot.name, "digest": snapshot.digest}
    return result, _pretrain_cost(settings, asdict(summary))


def _finetune(workspace: Path, job: Job) -> Result:
    from hashtag2action.train.evaluate import evaluate
    from hashtag2action.train.finetune import finetune

    spec = job.spec
    settings = FinetuneSettings.model_validate(spec["settings"])
    judged = EvaluateSettings.model_validate(spec["evaluate"])
    labelled = read_labelled(workspace, spec["labelled"])
    split = labelled.split
    folder = job_folder(workspace, job.stage, job.key)
    encoder = job_folder(workspace, spec["after"], job.needs) / "model.pt" if job.needs else None
    trained = finetune(split, settings, folder, pretrained=encoder, classes=labelled.classes)
    tested = evaluate(split.test, folder, judged, folder / "evaluation")
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    predictions = json.loads((folder / "evaluation" / "predictions.json").read_text(encoding="utf-8"))
    right = [int(bool(row["top5"]) and row["top5"][0][0] == row["label"]) for row in predictions]
    kept = ("top1", "top5", "top_k", "chance", "videos", "unreadable", "top1_interval")
    result = {name: getattr(tested, name) for name in kept}
    result |= {"train_top1": trained.train_top1, "right": right, "groups": [row["group"] for row in predictions]}
    return result, _finetune_cost(settings, judged, asdict(trained), asdict(tested), len(labelled.classes))


def _pretrain_cost(settings: PretrainSettings, summary: dict[str, Any]) -> dict[str, Any]:
    import torch

    from hashtag2action.models.cost import pretrain_flops
    from hashtag2action.train.pretrain import build_model

    masking = settings.mask.model_dump(exclude={"description"})
    clips = summary["steps"] * settings.optim.batch
    with torch.device("meta"):
        model = build_model(settings)
    flops = pretrain_flops(model, **masking) * clips * settings.sample.views
    return _cost(clips, flops, summary["seconds"], summary["effective"])


def _finetune_cost(
    settings: FinetuneSettings,
    judged: EvaluateSettings,
    trained: dict[str, Any],
    tested: dict[str, Any],
    classes: int,
) -> dict[str, Any]:
    import torch

    from hashtag2action.models.cost import BACKWARD, classify_flops
    from hashtag2action.train.finetune_model import build_model

    with torch.device("meta"):
        network, _ = build_model(settings, [str(number) for number in range(classes)], None)
    forward = classify_flops(network.eval())
    clips = trained["steps"] * settings.optim.batch
    views = tested["videos"] * judged.segments * judged.crops
    flops = forward * ((1 + BACKWARD) * clips * settings.sample.views + views)
    return _cost(clips, flops, trained["seconds"] + tested["seconds"], trained["effective"])


def _cost(clips: int, flops: int, seconds: float, effective: dict[str, Any]) -> dict[str, Any]:
    return {
        "clips": clips,
        "flops": float(flops),
        "hours": seconds / 3600,
        "device": effective.get("device", "cpu"),
        "devices": effective.get("processes", 1),
    }
