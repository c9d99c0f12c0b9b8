"""Masked video modelling on clips without labels, from a list of files to a trained encoder (VideoMAE V2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hashtag2action.data.clips import ClipDataset, Share, ViewPlan
from hashtag2action.errors import UserError
from hashtag2action.files import sha256_of, write_json
from hashtag2action.models import VideoMAE, build_videomae, load_pretrained, sample_masks, save_checkpoint
from hashtag2action.models.patches import gather_patches, normalized_targets
from hashtag2action.models.vit import Block
from hashtag2action.settings import digest
from hashtag2action.train.checkpointing import load_weights
from hashtag2action.train.device import launch, make_fabric
from hashtag2action.train.job import Effective, Job, make_course, run_job
from hashtag2action.train.loop import Hook, LoopResult
from hashtag2action.train.optim import make_schedule, parameter_groups
from hashtag2action.train.reconstruct import load_examples, reconstruct, save_sheet, save_strips
from hashtag2action.train.run_folder import begin, read_summary
from hashtag2action.train.settings import HardwareSettings, LoopSettings, PretrainSettings
from hashtag2action.train.views import ViewRound, mask_options, view_rounds

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
    data: dict[str, Any]
    """Which data set the clips are: a snapshot's name and digest, or the digest of their hashes."""
    reconstructions: list[str]
    """Names of the clips in `reconstructions/`."""


def pretrain(
    clips: Sequence[Path], settings: PretrainSettings, folder: Path, data: Mapping[str, Any] | None = None
) -> PretrainSummary:
    """Pre-train on `clips` and leave everything about the run in `folder`; `data` says which data set they are.

    Writes `settings.json`, `log.jsonl`, `checkpoints/`, `model.pt` (official layout), `reconstructions/` and, when all
    is done, `summary.json`. A run that was interrupted continues from its newest checkpoint; a finished one returns its
    summary at once. Raises `UserError` for no clips, settings that do not fit, or a folder begun with other settings or
    clips.
    """
    folder = Path(folder)
    if not clips:
        raise UserError("pre-training: no clips; curate some first")
    data = dict(data or {})
    about = {"settings": settings.model_dump(mode="json"), "data": data, "clips": [str(clip) for clip in clips]}
    finished = begin(folder, run_key(settings, clips), about)
    if finished:
        return PretrainSummary(**finished)
    fabric = make_fabric(settings.hardware, Block)
    prepare = partial(_prepare, clips=[Path(clip) for clip in clips], settings=settings, folder=folder, data=data)
    launch(fabric, run_job, prepare, settings, folder)
    return PretrainSummary(**read_summary(folder))


def effective_values(settings: PretrainSettings, clips: int, world: int = 1) -> Effective:
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


def _prepare(
    fabric: Fabric, share: Share, clips: list[Path], settings: PretrainSettings, folder: Path, data: dict[str, Any]
) -> Job:
    model = build_model(settings)
    start = str(load_pretrained(model, settings.start)) if settings.start else "new weights"
    dataset = _dataset(clips, settings)
    schedule = make_schedule(settings.optim, len(clips), settings.sample.views)
    objective = PretrainObjective(model)
    shapes = [(name, parameter.shape) for name, parameter in objective.named_parameters()]

    def batches(first: int) -> Iterator[ViewRound]:
        workers = settings.hardware.workers
        return view_rounds(dataset, share, settings.mask, model.config.grid, schedule.steps, workers, first)

    hooks = _hooks(fabric, model, dataset, settings, folder)
    hidden, _ = sample_masks(1, model.config.grid, **mask_options(settings.mask), generator=torch.Generator())
    return Job(
        objective=objective,
        options=parameter_groups(shapes, settings.optim.weight_decay),
        course=make_course("pre-training", settings, share, schedule, len(clips), batches, hooks=hooks),
        effective={**effective_values(settings, len(clips), fabric.world_size), "start": start},
        shown={
            "parameters": sum(p.numel() for p in model.parameters()),
            "clips": len(clips),
            "seen by the encoder": f"{int((~hidden).sum())} of {hidden.numel()} tokens",
        },
        finish=partial(_finish, dataset, settings, folder, data),
    )


def _hooks(
    fabric: Fabric, model: VideoMAE, dataset: ClipDataset, settings: PretrainSettings, folder: Path
) -> list[Hook]:
    if not settings.reconstruct_every_steps or settings.hardware.strategy == "fsdp":
        return []
    names, videos = _examples(dataset, settings) if fabric.is_global_zero else ([], torch.empty(0))

    def draw(step: int) -> Mapping[str, float]:
        if names:
            save_sheet(reconstruct(model, names, videos, settings.mask), folder / f"reconstruction-{step}.png")
        return {}

    return [Hook(settings.reconstruct_every_steps, draw)]


def _finish(
    dataset: ClipDataset,
    settings: PretrainSettings,
    folder: Path,
    data: dict[str, Any],
    result: LoopResult,
    effective: Effective,
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
        views=settings.sample.views,
        baseline_loss=_baseline(dataset, model, settings),
        effective=effective,
        data=data,
        reconstructions=shown,
        **result.figures(settings.optim.batch, len(dataset.clips)),
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
        losses.append(normalized_targets(patches, model.pixel_std).square().mean())
    return float(torch.stack(losses).mean())


def run_key(settings: PretrainSettings, clips: Sequence[Path]) -> str:
    """Name a run by what decides its result.

    That are the settings but for hardware, saving and logging, the content of `start`, and the clips' file names. Raises
    `UserError` where `start` is no file.
    """
    deciding = settings.model_copy(update={"hardware": HardwareSettings(), "loop": LoopSettings()})
    if settings.start and not settings.start.is_file():
        raise UserError(f"{settings.start}: no such file; pretrain.start names weights to go on from")
    start = [sha256_of(settings.start)] if settings.start else []
    return digest(deciding, *start, *(clip.name for clip in clips))


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
