"""What a training run is told, as typed blocks that pre-training and fine-tuning share; nothing here imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from hashtag2action.settings import Settings

Precision = Literal["auto", "fp32", "bf16"]
Strategy = Literal["auto", "ddp", "fsdp"]


class OptimSettings(Settings):
    """AdamW under a cosine schedule, stepped every optimiser step."""

    batch: PositiveInt = 1024
    """Clips of one optimiser step, over all devices and accumulation rounds, before views are counted."""
    accumulate: PositiveInt = 1
    """Rounds of forward and backward in which one step's batch is taken."""
    lr: float = Field(default=1e-3, gt=0)
    """Base learning rate, for a batch of 256."""
    lr_scaling: Literal["official", "views"] = "official"
    """official: times batch / 256. views: times batch * views / 256, as UMT and InternVideo2 count."""
    min_lr: float = Field(default=1e-5, ge=0)
    """Base learning rate at the end, scaled as `lr` is."""
    warmup_lr: float = Field(default=0.0, ge=0)
    """Base learning rate at the first step, scaled as `lr` is."""
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.05
    epochs: float = Field(default=200, gt=0)
    warmup_epochs: float = Field(default=20, ge=0)
    max_steps: PositiveInt | None = None
    """Replaces `epochs`; warm-up then keeps its share of the run."""
    max_minutes: float | None = Field(default=None, gt=0)
    """Stops after this much training time, wherever the schedule is. Not reproducible: prefer `max_steps`."""
    clip_grad: float | None = Field(default=None, gt=0)


class LoopSettings(Settings):
    """How often a run saves and speaks, and what it does when numbers break."""

    log_every_steps: PositiveInt = 10
    save_every_steps: PositiveInt = 500
    keep_last: PositiveInt = 2
    keep_best: int = Field(default=1, ge=0)
    max_bad_steps: PositiveInt = 5
    """Skipped steps in a row (non-finite loss or gradient) before going back to the last checkpoint."""
    max_rollbacks: int = Field(default=3, ge=0)
    rollback_lr_factor: float = Field(default=0.5, gt=0, le=1)


class HardwareSettings(Settings):
    """Where the run takes place; none of it changes what is computed beyond rounding."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: PositiveInt = 1
    """Processes on this machine; under torchrun or Slurm their own counts hold."""
    strategy: Strategy = "auto"
    """auto: DistributedDataParallel where there are several processes. fsdp: FSDP2, under torchrun or Slurm."""
    precision: Precision = "auto"
    """auto: bf16 where the hardware computes in it, fp32 elsewhere."""
    compile: bool = False
    workers: int = Field(default=0, ge=0)
    """Processes that decode, for each device; 0 decodes in the training process."""
    cache_mb: int = Field(default=0, ge=0)
    """Memory for decoded clips on each device's process, shared by its workers; 0 reads the files every time."""


class MaskSettings(Settings):
    """Dual masking (VideoMAE V2, section 3.2)."""

    encoder: Literal["tube", "random"] = "tube"
    encoder_ratio: float = Field(default=0.9, gt=0, lt=1)
    decoder: Literal["running_cell", "random"] = "running_cell"
    decoder_ratio: float = Field(default=0.5, ge=0, lt=1)
    """Share of tokens that are not decoded; 0 decodes all that is hidden, as VideoMAE V1."""


class ModelSettings(Settings):
    """A named size and what differs from it."""

    name: str = "vit_b"
    image_size: PositiveInt = 224
    frames: PositiveInt = 16
    decoder_depth: PositiveInt = 4
    checkpointing: bool = False
    """Recompute blocks in the backward pass: less memory, more time."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Further fields of the network's configuration, such as `{dim = 192, depth = 6}`."""


class SampleSettings(Settings):
    """How a clip is drawn from a stored video."""

    rate: PositiveInt = 4
    """Every how many frames one is taken."""
    views: PositiveInt = 4
    """Crops from the same decoded frames, each with its own masks (`num_sample`)."""
    crop: Literal["multi_scale", "center"] = "multi_scale"
    """multi_scale: the official random crops. center: always the central square, so that a clip looks the same each time."""
    shrink: bool = False
    """Shrink frames right after decoding to the smallest size from which no crop is enlarged: faster for small inputs."""
    max_replacements: PositiveInt = 10
    """Clips tried in place of one unreadable clip before the run stops."""


class PretrainSettings(Settings):
    """Masked video modelling on unlabelled clips. Defaults are the official VideoMAE V2 ViT-B recipe."""

    start: Path | None = None
    """Weights of any known layout to go on from, such as published ones; None: new weights that only the seed decides."""
    model: ModelSettings = ModelSettings()
    sample: SampleSettings = SampleSettings()
    mask: MaskSettings = MaskSettings()
    optim: OptimSettings = OptimSettings()
    loop: LoopSettings = LoopSettings()
    hardware: HardwareSettings = HardwareSettings()
    seed: int = Field(default=0, ge=0)
    reconstruct_every_steps: int = Field(default=0, ge=0)
    """How often reconstructions are drawn; 0 draws them at the end only."""
    reconstruct_clips: PositiveInt = 4

    @model_validator(mode="after")
    def _batch_divides(self) -> PretrainSettings:
        if self.optim.batch % self.optim.accumulate:
            raise ValueError(f"accumulate {self.optim.accumulate} does not divide the batch of {self.optim.batch}")
        return self
