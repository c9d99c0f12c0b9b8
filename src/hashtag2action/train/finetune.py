"""Supervised training of a classifier on labelled clips, from a pre-trained encoder or from nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hashtag2action.console import table
from hashtag2action.data.clips import Share
from hashtag2action.data.eval_views import EvalPlan
from hashtag2action.data.labelled import LabelledClips
from hashtag2action.data.splits import Sample, Split, class_numbers, split_by_group
from hashtag2action.errors import UserError
from hashtag2action.files import write_json
from hashtag2action.models import VideoClassifier, save_checkpoint
from hashtag2action.models.vit import Block
from hashtag2action.settings import digest
from hashtag2action.train.checkpointing import load_weights
from hashtag2action.train.device import launch, make_fabric, prepare_process
from hashtag2action.train.finetune_model import build_model
from hashtag2action.train.finetune_settings import FinetuneSettings
from hashtag2action.train.labelled_rounds import (
    ClassifyObjective,
    LabelledRound,
    labelled_clips,
    labelled_rounds,
)
from hashtag2action.train.loop import Course, Hook, LoopResult, train
from hashtag2action.train.optim import make_schedule, parameter_groups
from hashtag2action.train.scoring import Context, top1_and_loss
from hashtag2action.train.settings import HardwareSettings, LoopSettings
from hashtag2action.train.split_file import write_split

if TYPE_CHECKING:
    from lightning_fabric import Fabric

TRAIN_CHECKED = 100  # training clips that are scored at the end


@dataclass(frozen=True)
class FinetuneSummary:
    """What a finished fine-tuning run did, as `summary.json` holds it."""

    model: str
    classes: list[str]
    train_clips: int
    val_clips: int
    test_clips: int
    notes: list[str]
    """What the split could not give, in sentences."""
    pretrained: str | None
    """Where the weights came from; None: from nothing."""
    matched: int
    """Tensors taken from there."""
    new: list[str]
    """Tensors of the model that it does not have."""
    left: list[str]
    """Tensors of it that the model has no use for."""
    steps: int
    epochs: float
    views: int
    loss_first: float
    """Mean over the first ten steps; with mixing and smoothing a loss does not go to 0."""
    loss_last: float
    """Mean over the last ten steps."""
    train_top1: float
    """Share right of up to 100 training clips, one central view each."""
    val_top1: float | None
    """The same over the validation split, None where there is none."""
    chance: float
    """Top-1 of guessing evenly, 1 / classes."""
    seconds: float
    clips_per_s: float
    data_wait: float
    """Share of the training time spent waiting for clips."""
    memory_mb: float
    bad_steps: int
    rollbacks: int
    bad_clips: dict[str, str]
    """Reason by file, for clips that were replaced."""
    effective: dict[str, float | int | str]


def finetune(
    clips: Sequence[Sample] | Split,
    settings: FinetuneSettings,
    folder: Path,
    pretrained: Path | None = None,
    classes: Sequence[str] | None = None,
) -> FinetuneSummary:
    """Train a classifier on labelled clips and leave everything about the run in `folder`.

    `clips` are split by their groups, or come as a split made elsewhere. `pretrained` is a checkpoint whose encoder is
    started from; None trains from nothing. `classes` fixes the order of the outputs (and may hold classes without clips);
    by default they are the training labels, sorted. Writes `settings.json`, `split.json`, `log.jsonl`, `checkpoints/`,
    `model.pt` (official layout, with class names and sampling) and, when all is done, `summary.json`. A run that was
    interrupted continues from its newest checkpoint; a finished one returns its summary at once. Raises `UserError` for
    labels or a checkpoint that do not fit, or a folder begun with other settings, clips or weights.
    """
    split = (
        clips
        if isinstance(clips, Split)
        else split_by_group(clips, settings.split.seed, settings.split.val_share, settings.split.test_share)
    )
    shared = split.shared_groups()
    if shared:
        note = f"{len(shared)} sources are on more than one side of the given split, so its test flatters the model"
        split = replace(split, notes=(*split.notes, note))
    names = tuple(classes) if classes is not None else split.classes
    _check(split, names)
    job = _Job(split, names, settings, Path(folder), pretrained)
    finished = _begin(job)
    if finished:
        return finished
    write_split(job.folder, names, split)
    launch(make_fabric(settings.hardware, Block), partial(_run, job=job))
    return _summary(job.folder)


def effective_values(
    settings: FinetuneSettings, clips: int, depth: int, world: int = 1
) -> dict[str, float | int | str]:
    """Return what the settings come to for so many training clips and so many blocks: rates by layer, steps, real batch."""
    optim, views = settings.optim, settings.sample.views
    schedule = make_schedule(optim, clips, views)
    return {
        "learning rate of the head": schedule.peak,
        "learning rate of the first block": schedule.peak * optim.layer_decay**depth,
        "learning rate of the patch embedding": schedule.peak * optim.layer_decay ** (depth + 1),
        "lowest learning rate of the head": schedule.floor,
        "steps": schedule.steps,
        "warm-up steps": schedule.warmup,
        "epochs": schedule.steps * optim.batch / clips,
        "clips a step": optim.batch,
        "views a step": optim.batch * views,
        "views a forward pass": optim.batch * views // (optim.accumulate * world),
        "processes": world,
    }


@dataclass(frozen=True)
class _Job:
    """All that decides a run."""

    split: Split
    classes: tuple[str, ...]
    settings: FinetuneSettings
    folder: Path
    pretrained: Path | None


def _run(fabric: Fabric, job: _Job) -> None:
    prepare_process(fabric)
    settings, split = job.settings, job.split
    model, report = build_model(settings, job.classes, job.pretrained)
    dataset = labelled_clips(split.train, job.classes, settings)
    share = Share(settings.optim.batch, settings.optim.accumulate, fabric.global_rank, fabric.world_size)
    effective = {
        **effective_values(settings, len(split.train), model.config.depth, fabric.world_size),
        "precision": str(fabric._precision.precision),
        "device": str(fabric.device.type),
    }
    if fabric.is_global_zero:
        counts = f"{len(split.train)} train, {len(split.val)} validation, {len(split.test)} test"
        start = str(report) if report else "none: from random weights"
        shown = {**effective, "classes": len(job.classes), "clips": counts, "pre-trained": start}
        table("Fine-tuning", {**shown, **{f"note {i}": note for i, note in enumerate(split.notes, 1)}})

    objective = ClassifyObjective(model)
    shapes = [(name, parameter.shape) for name, parameter in objective.named_parameters()]
    options = parameter_groups(shapes, settings.optim.weight_decay, settings.optim.layer_decay, model.config.depth)
    if settings.hardware.compile:
        objective.compile()
    course = _course(fabric, model, dataset, share, job)
    result = train(fabric, objective, options, settings.optim, course, settings.loop, job.folder)
    if fabric.is_global_zero:
        _finish(fabric, result, effective, job)
    fabric.barrier()


def _course(fabric: Fabric, model: VideoClassifier, dataset: LabelledClips, share: Share, job: _Job) -> Course:
    settings = job.settings
    schedule = make_schedule(settings.optim, len(dataset.clips), settings.sample.views)
    hooks = []
    if job.split.val and settings.hardware.strategy != "fsdp":

        def validate(step: int) -> Mapping[str, float]:
            top1, loss = _judge(model, job.split.val, job, fabric.autocast)
            return {"val_top1": top1, "val_loss": loss}

        every = round(settings.validate_every_epochs * len(dataset.clips) / share.batch)
        hooks.append(Hook(max(1, every), validate))

    def batches(first: int) -> Iterator[LabelledRound]:
        workers = settings.hardware.workers
        return labelled_rounds(dataset, share, settings.mix, settings.label_smoothing, schedule.steps, workers, first)

    return Course(
        steps=schedule.steps,
        lr=schedule,
        batches=batches,
        clips=share.batch,
        epoch_clips=len(dataset.clips),
        rounds=share.rounds,
        seed=settings.seed,
        clip_grad=settings.optim.clip_grad,
        max_minutes=settings.optim.max_minutes,
        hooks=hooks,
        title="fine-tuning",
    )


def _finish(fabric: Fabric, result: LoopResult, effective: dict[str, float | int | str], job: _Job) -> None:
    settings, split = job.settings, job.split
    model, report = build_model(settings, job.classes, job.pretrained)
    model.load_state_dict(
        {name.removeprefix("model."): value for name, value in load_weights(result.checkpoint).items()}
    )
    sample = settings.sample
    extra = {"classes": list(job.classes), "sampling": sample.sampling, "rate": sample.rate}
    save_checkpoint(model, job.folder / "model.pt", extra=extra)
    model.to(fabric.device)
    spread = np.linspace(0, len(split.train) - 1, num=min(TRAIN_CHECKED, len(split.train))).astype(int)
    clips = len(split.train)
    summary = FinetuneSummary(
        model=settings.model.name,
        classes=list(job.classes),
        train_clips=clips,
        val_clips=len(split.val),
        test_clips=len(split.test),
        notes=list(split.notes),
        pretrained=report.path if report else None,
        matched=len(report.matched) if report else 0,
        new=list(report.new) if report else [],
        left=list(report.left) if report else [],
        steps=result.steps,
        epochs=result.steps * settings.optim.batch / clips,
        views=sample.views,
        loss_first=result.loss_first,
        loss_last=result.loss_last,
        train_top1=_judge(model, [split.train[i] for i in spread], job, fabric.autocast)[0],
        val_top1=_judge(model, split.val, job, fabric.autocast)[0] if split.val else None,
        chance=1 / len(job.classes),
        seconds=result.seconds,
        clips_per_s=result.steps * settings.optim.batch / result.seconds if result.seconds else 0.0,
        data_wait=result.data_wait,
        memory_mb=result.memory_mb,
        bad_steps=result.bad_steps,
        rollbacks=result.rollbacks,
        bad_clips=result.bad_clips,
        effective=effective,
    )
    write_json(job.folder / "summary.json", asdict(summary))


def _judge(model: VideoClassifier, samples: Sequence[Sample], job: _Job, context: Context) -> tuple[float, float]:
    """Return top-1 and cross-entropy of the samples' central views."""
    sample, config = job.settings.sample, model.config
    plan = EvalPlan(config.frames, sample.rate, config.image_size, segments=1, crops=1, sampling=sample.sampling)
    labels = class_numbers(samples, job.classes)
    return top1_and_loss(model, [item.path for item in samples], labels, plan, context)


def _check(split: Split, classes: Sequence[str]) -> None:
    if not split.train:
        raise UserError("fine-tuning: no labelled clips to train on; label some, or hold out fewer")
    if len(set(classes)) < 2:
        raise UserError(f"fine-tuning: a single class ({', '.join(classes)}); a classifier needs two or more")
    repeated = [name for name, count in Counter(classes).items() if count > 1]
    if repeated:
        raise UserError(f"fine-tuning: class {repeated[0]!r} is listed twice; name each class once")
    for part, samples in (("training", split.train), ("validation", split.val), ("test", split.test)):
        for sample in samples:
            if sample.label not in classes:
                raise UserError(
                    f"{sample.path}: its label {sample.label!r}, in the {part} split, is none of the {len(classes)} classes "
                    "that are trained; correct the label or add the class to the training"
                )


def _begin(job: _Job) -> FinetuneSummary | None:
    """Check the folder, and return the summary where the run is finished."""
    parts = [[(item.path, item.label) for item in part] for part in (job.split.train, job.split.val, job.split.test)]
    deciding = job.settings.model_copy(update={"hardware": HardwareSettings(), "loop": LoopSettings()})
    run = digest(deciding, parts, job.classes, job.pretrained)
    about = job.folder / "settings.json"
    if about.exists():
        if json.loads(about.read_text(encoding="utf-8")).get("run") != run:
            raise UserError(
                f"{job.folder}: begun with other settings, clips or weights; give a new folder or remove this one"
            )
        return _summary(job.folder) if (job.folder / "summary.json").exists() else None
    pretrained = str(job.pretrained) if job.pretrained else None
    settings = job.settings.model_dump(mode="json")
    write_json(about, {"run": run, "settings": settings, "pretrained": pretrained, "classes": job.classes})
    return None


def _summary(folder: Path) -> FinetuneSummary:
    return FinetuneSummary(**json.loads((folder / "summary.json").read_text(encoding="utf-8")))
