"""Supervised training of a classifier on labelled clips, from a pre-trained encoder or from nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hashtag2action.data.clips import Share
from hashtag2action.data.eval_views import EvalPlan
from hashtag2action.data.splits import Sample, Split
from hashtag2action.files import write_json
from hashtag2action.models import VideoClassifier, save_checkpoint
from hashtag2action.models.vit import Block
from hashtag2action.train.checkpointing import load_weights
from hashtag2action.train.device import launch, make_fabric
from hashtag2action.train.effective import effective
from hashtag2action.train.finetune_inputs import FinetuneInputs, gather_inputs
from hashtag2action.train.finetune_model import build_model
from hashtag2action.train.finetune_settings import FinetuneSettings
from hashtag2action.train.finetune_summary import FinetuneSummary
from hashtag2action.train.job import Effective, Job, make_course, run_job
from hashtag2action.train.labelled_rounds import LabelledRound, clip_targets, labelled_clips, labelled_rounds
from hashtag2action.train.loop import Hook, LoopResult
from hashtag2action.train.objective import LabelledObjective, Teacher
from hashtag2action.train.optim import make_schedule, parameter_groups
from hashtag2action.train.run_folder import begin, read_summary
from hashtag2action.train.split_file import write_split
from hashtag2action.train.validation import validate

if TYPE_CHECKING:
    from lightning_fabric import Fabric

TRAIN_CHECKED = 100  # training clips that are scored at the end


def finetune(
    clips: Sequence[Sample] | Split | None,
    settings: FinetuneSettings,
    folder: Path,
    pretrained: Path | None = None,
    classes: Sequence[str] | None = None,
) -> FinetuneSummary:
    """Train a classifier on labelled clips and leave everything about the run in `folder`.

    `clips` are split by their groups, or come as a split made elsewhere; None takes those of `settings.target.file`.
    `pretrained` is a checkpoint of any layout, or a run's folder, whose encoder is started from; None trains from
    nothing. `classes` fixes the order of the outputs (and may hold classes without clips); by default they are the
    training labels, sorted, or the columns of `settings.target.file`. Writes `settings.json`, `split.json`, `log.jsonl`,
    `checkpoints/`, `model.pt` (official layout, with class names and sampling) and, when all is done, `summary.json`. A
    run that was interrupted continues from its newest checkpoint; a finished one returns its summary at once. Raises
    `UserError` for labels or a checkpoint that do not fit, or a folder begun with other settings, clips or weights.
    """
    inputs = gather_inputs(clips, settings, folder, pretrained, classes)
    about = {
        "settings": settings.model_dump(mode="json"),
        "pretrained": str(inputs.pretrained) if inputs.pretrained else None,
        "classes": inputs.classes,
    }
    finished = begin(inputs.folder, inputs.key(), about)
    if finished:
        return FinetuneSummary(**finished)
    write_split(inputs.folder, inputs.classes, inputs.split)
    fabric = make_fabric(settings.hardware, Block)
    launch(fabric, run_job, partial(_prepare, inputs=inputs), settings, inputs.folder)
    return FinetuneSummary(**read_summary(inputs.folder))


def _prepare(fabric: Fabric, share: Share, inputs: FinetuneInputs) -> Job:
    settings, split = inputs.settings, inputs.split
    optim, target = settings.optim, settings.target
    model, report = build_model(settings, inputs.classes, inputs.pretrained)
    dataset = labelled_clips(split.train, inputs.classes, inputs.targets, settings)
    targets_of = clip_targets(
        split.train, inputs.classes, inputs.targets, settings.label_smoothing, binary=target.kind == "labels"
    )
    teacher = None
    if settings.distil.teacher is not None:
        teacher = Teacher(settings.distil, target.kind, inputs.classes, model.config.frames, fabric.device)
    objective = LabelledObjective(model, target)
    average = None
    if optim.average is not None:
        average = AveragedModel(objective, device=fabric.device, multi_avg_fn=get_ema_multi_avg_fn(optim.average))
    schedule = make_schedule(optim, len(split.train), settings.sample.views)

    def batches(first: int) -> Iterator[LabelledRound]:
        workers = settings.hardware.workers
        return labelled_rounds(dataset, share, settings.mix, targets_of, teacher, schedule.steps, workers, first)

    epoch_steps = len(split.train) / share.batch
    patience = settings.patience_epochs
    shapes = [(name, parameter.shape) for name, parameter in objective.named_parameters()]
    notes = {f"note {number}": note for number, note in enumerate(split.notes, 1)}
    return Job(
        objective=objective,
        options=parameter_groups(shapes, optim.weight_decay, optim.layer_decay, model.config.depth),
        course=make_course(
            "fine-tuning",
            settings,
            share,
            schedule,
            len(split.train),
            batches,
            hooks=_hooks(
                fabric, cast("LabelledObjective", average.module).model if average else model, epoch_steps, inputs
            ),
            scored=patience is not None,
            patience_steps=max(1, round(patience * epoch_steps)) if patience is not None else None,
            average=average,
        ),
        effective=effective(settings, len(split.train), fabric.world_size),
        shown={
            "outputs": f"{len(inputs.classes)} {target.kind}",
            "train, validation, test": f"{len(split.train)}, {len(split.val)}, {len(split.test)} clips",
            "pre-trained": str(report) if report else "none: from random weights",
            **notes,
        },
        finish=partial(_finish, fabric, inputs),
    )


def _hooks(fabric: Fabric, model: VideoClassifier, epoch_steps: float, inputs: FinetuneInputs) -> list[Hook]:
    if not inputs.split.val:
        return []

    def watch(step: int) -> Mapping[str, float]:
        figures = _figures(fabric, model, inputs.split.val, inputs)
        score = {"score": figures["loss"]} if inputs.settings.patience_epochs is not None else {}
        return {f"val_{name}": value for name, value in figures.items()} | score

    return [Hook(max(1, round(inputs.settings.validate_every_epochs * epoch_steps)), watch)]


def _finish(fabric: Fabric, inputs: FinetuneInputs, result: LoopResult, effective: Effective) -> None:
    settings, split = inputs.settings, inputs.split
    model, report = build_model(settings, inputs.classes, inputs.pretrained)
    weights = load_weights(result.checkpoint, averaged=settings.optim.average is not None)
    model.load_state_dict({name.removeprefix("model."): value for name, value in weights.items()})
    sample, kind = settings.sample, settings.target.kind
    extra = {"classes": list(inputs.classes), "sampling": sample.sampling, "rate": sample.rate, "kind": kind}
    save_checkpoint(model, inputs.folder / "model.pt", extra=extra)
    model.to(fabric.device)
    spread = np.linspace(0, len(split.train) - 1, num=min(TRAIN_CHECKED, len(split.train))).astype(int)
    train = _figures(fabric, model, [split.train[i] for i in spread], inputs, alone=True)
    val = _figures(fabric, model, split.val, inputs, alone=True) if split.val else None
    tested = kind != "classes" and split.test
    summary = FinetuneSummary(
        model=settings.model.name,
        classes=list(inputs.classes),
        train_clips=len(split.train),
        val_clips=len(split.val),
        test_clips=len(split.test),
        notes=list(split.notes),
        pretrained=report.path if report else None,
        matched=len(report.matched) if report else 0,
        new=list(report.new) if report else [],
        left=list(report.left) if report else [],
        views=sample.views,
        train_top1=train.get("top1"),
        val_top1=val.get("top1") if val else None,
        chance=1 / len(inputs.classes),
        effective=effective,
        kind=kind,
        train=train,
        val=val,
        test=_figures(fabric, model, split.test, inputs, alone=True) if tested else None,
        best_step=_step(result) if settings.patience_epochs is not None else None,
        stopped_early=result.stopped_early,
        **result.figures(settings.optim.batch, len(split.train)),
    )
    write_json(inputs.folder / "summary.json", asdict(summary))


def _figures(
    fabric: Fabric, model: VideoClassifier, samples: Sequence[Sample], inputs: FinetuneInputs, alone: bool = False
) -> dict[str, float]:
    """Judge the model by the samples' central views, together with the other processes or `alone`."""
    sample, config = inputs.settings.sample, model.config
    plan = EvalPlan(config.frames, sample.rate, config.image_size, segments=1, crops=1, sampling=sample.sampling)
    place = {} if alone else {"rank": fabric.global_rank, "world": fabric.world_size}
    paths, truth = [item.path for item in samples], inputs.truth(samples)
    return validate(model, paths, truth, plan, inputs.settings.target.kind, fabric.autocast, **place)


def _step(result: LoopResult) -> int:
    return int(result.checkpoint.stem.removeprefix("step-"))
