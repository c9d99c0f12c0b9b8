"""Masked video modelling on clips without labels, from a list of files to a trained encoder (VideoMAE V2)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hashtag2action.console import table
from hashtag2action.data.clips import ClipDataset, Share, ViewPlan
from hashtag2action.errors import UserError
from hashtag2action.files import write_json
from hashtag2action.models import VideoMAE, build_videomae, save_checkpoint
from hashtag2action.models.patches import gather_patches, normalized_targets
from hashtag2action.models.vit import Block
from hashtag2action.settings import digest
from hashtag2action.train.checkpointing import load_weights
from hashtag2action.train.device import launch, make_fabric, prepare_process
from hashtag2action.train.loop import Course, Hook, LoopResult, train
from hashtag2action.train.optim import Schedule, make_schedule, parameter_groups
from hashtag2action.train.reconstruct import load_examples, reconstruct, save_sheet, save_strips
from hashtag2action.train.settings import HardwareSettings, LoopSettings, PretrainSettings
from hashtag2action.train.views import ViewRound, view_rounds

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class PretrainSummary:
    """What a finished pre-training run did, as `summary.json` holds it."""

    model: str
    clips: int
    steps: int
    epochs: float
    views: int
    loss_first: float
    """Mean over the first ten steps."""
    loss_last: float
    """Mean over the last ten steps."""
    baseline_loss: float
    """What predicting each patch's mean loses, measured on these clips; near 1 as targets are normalised per patch."""
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
    reconstructions: list[str]
    """Names of the clips in `reconstructions/`."""


def pretrain(clips: Sequence[Path], settings: PretrainSettings, folder: Path) -> PretrainSummary:
    """Pre-train on `clips` and leave everything about the run in `folder`.

    Writes `settings.json`, `log.jsonl`, `checkpoints/`, `model.pt` (official layout), `reconstructions/` and, when all
    is done, `summary.json`. A run that was interrupted continues from its newest checkpoint; a finished one returns its
    summary at once. Raises `UserError` for no clips, settings that do not fit, or a folder begun with other settings or
    clips.
    """
    folder = Path(folder)
    finished = _begin(clips, settings, folder)
    if finished:
        return finished
    fabric = make_fabric(settings.hardware, Block)
    launch(fabric, _run, [Path(clip) for clip in clips], settings, folder)
    return _summary(folder)


def effective_values(settings: PretrainSettings, clips: int, world: int = 1) -> dict[str, float | int | str]:
    """Return what the settings come to for so many clips: rates after scaling, steps, real batch."""
    schedule = make_schedule(settings.optim, clips, settings.sample.views)
    optim = settings.optim
    return {
        "learning rate": schedule.peak,
        "lowest learning rate": schedule.floor,
        "steps": schedule.steps,
        "warm-up steps": schedule.warmup,
        "epochs": schedule.steps * optim.batch / clips,
        "clips a step": optim.batch,
        "views a step": optim.batch * settings.sample.views,
        "views a forward pass": optim.batch * settings.sample.views // (optim.accumulate * world),
        "processes": world,
    }


class PretrainObjective(nn.Module):
    """The reconstruction loss as a module, so that every strategy wraps it alike."""

    def __init__(self, model: VideoMAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, video: Tensor, encoder_mask: Tensor, decoder_mask: Tensor) -> Tensor:
        """Return the mean loss of normalised views `(B, 3, T, H, W)`."""
        return self.model.loss(video, encoder_mask, decoder_mask)


def build_model(settings: PretrainSettings) -> VideoMAE:
    """Build the network with weights that only the seed decides."""
    model = settings.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return build_videomae(
            model.name,
            **{
                "image_size": model.image_size,
                "frames": model.frames,
                "decoder_depth": model.decoder_depth,
                "checkpointing": model.checkpointing,
                **model.overrides,
            },
        )


def _run(fabric: Fabric, clips: list[Path], settings: PretrainSettings, folder: Path) -> None:
    prepare_process(fabric)
    model = build_model(settings)
    dataset = _dataset(clips, settings)
    share = Share(settings.optim.batch, settings.optim.accumulate, fabric.global_rank, fabric.world_size)
    schedule = make_schedule(settings.optim, len(clips), settings.sample.views)
    effective = {
        **effective_values(settings, len(clips), fabric.world_size),
        "precision": str(fabric._precision.precision),
        "device": str(fabric.device.type),
    }
    if fabric.is_global_zero:
        table(
            "Pre-training", {**effective, "parameters": sum(p.numel() for p in model.parameters()), "clips": len(clips)}
        )

    objective = PretrainObjective(model)
    options = parameter_groups(
        ((name, p.shape) for name, p in objective.named_parameters()), settings.optim.weight_decay
    )
    if settings.hardware.compile:
        objective.compile()
    course = _course(fabric, model, dataset, share, schedule, settings, folder)
    result = train(fabric, objective, options, settings.optim, course, settings.loop, folder)
    if fabric.is_global_zero:
        _finish(result, dataset, share, effective, settings, folder)
    fabric.barrier()


def _course(
    fabric: Fabric,
    model: VideoMAE,
    dataset: ClipDataset,
    share: Share,
    schedule: Schedule,
    settings: PretrainSettings,
    folder: Path,
) -> Course:
    hooks = []
    if settings.reconstruct_every_steps and settings.hardware.strategy != "fsdp":
        names, videos = _examples(dataset, settings) if fabric.is_global_zero else ([], torch.empty(0))

        def draw(step: int) -> Mapping[str, float]:
            if names:
                save_sheet(reconstruct(model, names, videos, settings.mask), folder / f"reconstruction-{step}.png")
            return {}

        hooks.append(Hook(settings.reconstruct_every_steps, draw))

    def batches(first: int) -> Iterator[ViewRound]:
        workers = settings.hardware.workers
        return view_rounds(dataset, share, settings.mask, model.config.grid, schedule.steps, workers, first)

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
        title="pre-training",
    )


def _finish(
    result: LoopResult,
    dataset: ClipDataset,
    share: Share,
    effective: dict[str, float | int | str],
    settings: PretrainSettings,
    folder: Path,
) -> None:
    model = build_model(settings)
    model.load_state_dict(
        {name.removeprefix("model."): value for name, value in load_weights(result.checkpoint).items()}
    )
    save_checkpoint(model, folder / "model.pt")
    model.eval()
    names, videos = _examples(dataset, settings)
    strips = reconstruct(model, names, videos, settings.mask)
    shown = save_strips(strips, folder / "reconstructions")
    if strips:
        save_sheet(strips, folder / f"reconstruction-{result.steps}.png")
    summary = PretrainSummary(
        model=settings.model.name,
        clips=len(dataset.clips),
        steps=result.steps,
        epochs=result.steps * share.batch / len(dataset.clips),
        views=settings.sample.views,
        loss_first=result.loss_first,
        loss_last=result.loss_last,
        baseline_loss=_baseline(dataset, model, settings),
        seconds=result.seconds,
        clips_per_s=result.steps * share.batch / result.seconds if result.seconds else 0.0,
        data_wait=result.data_wait,
        memory_mb=result.memory_mb,
        bad_steps=result.bad_steps,
        rollbacks=result.rollbacks,
        bad_clips=result.bad_clips,
        effective=effective,
        reconstructions=shown,
    )
    write_json(folder / "summary.json", asdict(summary))


def _baseline(dataset: ClipDataset, model: VideoMAE, settings: PretrainSettings, clips: int = 16) -> float:
    """Measure the loss of predicting 0, each patch's mean, on views and masks of the first `clips` of the stream."""
    share = Share(min(clips, len(dataset.clips)))
    batch = next(view_rounds(dataset, share, settings.mask, model.config.grid, 1, 0, 0))
    video, hidden, spared = batch.inputs(torch.device("cpu"))
    losses = []
    for view, counted in zip(video, hidden & ~spared, strict=True):
        tokens = counted.nonzero().view(1, -1)
        patches = gather_patches(view.unsqueeze(0), tokens, model.config.tubelet, model.config.patch)
        losses.append(normalized_targets(patches, model.pixel_std, model.config.tubelet).square().mean())
    return float(torch.stack(losses).mean())


def _begin(clips: Sequence[Path], settings: PretrainSettings, folder: Path) -> PretrainSummary | None:
    """Check the clips and the folder, and return the summary where the run is finished."""
    if not clips:
        raise UserError("pre-training: no clips; curate some first")
    run = run_key(settings, clips)
    about = folder / "settings.json"
    if about.exists():
        if json.loads(about.read_text(encoding="utf-8")).get("run") != run:
            raise UserError(f"{folder}: begun with other settings or clips; give a new folder or remove this one")
        return _summary(folder) if (folder / "summary.json").exists() else None
    write_json(
        about, {"run": run, "settings": settings.model_dump(mode="json"), "clips": [str(clip) for clip in clips]}
    )
    return None


def run_key(settings: PretrainSettings, clips: Sequence[Path]) -> str:
    """Name a run by what decides its result: the settings but for hardware, saving and logging, and the clips' file names."""
    deciding = settings.model_copy(update={"hardware": HardwareSettings(), "loop": LoopSettings()})
    return digest(deciding, *(clip.name for clip in clips))


def _summary(folder: Path) -> PretrainSummary:
    return PretrainSummary(**json.loads((folder / "summary.json").read_text(encoding="utf-8")))


def _dataset(clips: Sequence[Path], settings: PretrainSettings) -> ClipDataset:
    sample, hardware = settings.sample, settings.hardware
    plan = ViewPlan(
        frames=settings.model.frames,
        rate=sample.rate,
        views=sample.views,
        size=settings.model.image_size,
        shrink=sample.shrink,
        crop=sample.crop,
        max_replacements=sample.max_replacements,
    )
    return ClipDataset(clips, plan, settings.seed, hardware.cache_mb / max(1, hardware.workers))


def _examples(dataset: ClipDataset, settings: PretrainSettings) -> tuple[list[str], Tensor]:
    model = settings.model
    return load_examples(
        dataset.clips, settings.reconstruct_clips, model.frames, settings.sample.rate, model.image_size
    )
