"""What fine-tuning and evaluation are told, as typed blocks; nothing here imports torch.

Defaults are the official VideoMAE V2 recipe of ViT-B on Kinetics-400.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from hashtag2action.settings import Settings
from hashtag2action.train.settings import HardwareSettings, LoopSettings, OptimSettings

Sampling = Literal["dense", "tsn"]


class ClassifierSettings(Settings):
    """A named size of encoder with a linear head."""

    name: str = "vit_b"
    image_size: PositiveInt = 224
    frames: PositiveInt = 16
    drop_path: float = Field(default=0.1, ge=0, lt=1)
    """Rate at the last block; it grows linearly from 0 at the first."""
    head_dropout: float = Field(default=0.0, ge=0, lt=1)
    freeze: Literal["none", "embedding", "encoder"] | PositiveInt = "none"
    """embedding: the patch embedding keeps its weights. A number: so do that many blocks, from the first. encoder: all
    but `fc_norm` and `head`. Frozen blocks have no drop path."""
    checkpointing: bool = False
    """Recompute blocks in the backward pass: less memory, more time."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Further fields of the network's configuration, such as `{dim = 192, depth = 6}`."""


class LabelledSampleSettings(Settings):
    """How a labelled clip is drawn from a stored video."""

    sampling: Sampling = "dense"
    """dense: a window of `frames * rate`. tsn: a frame from each of `frames` equal parts (Something-Something)."""
    rate: PositiveInt = 4
    """Every how many frames one is taken; no meaning for tsn."""
    views: PositiveInt = 2
    """Views from the same decoded frames, each augmented on its own (`num_sample`)."""
    balance: float = Field(default=0.0, ge=0, le=1)
    """0 takes every clip once an epoch; 1 draws all classes equally often; 0.5 by the root of their size."""
    shrink: bool = False
    """Shrink frames right after decoding, to 1.5 times the input: faster for small inputs, softer for small crops."""
    max_replacements: PositiveInt = 10
    """Clips tried in place of one unreadable clip before the run stops."""


class AugmentSettings(Settings):
    """Random choices for one view, the same in all its frames."""

    scale: tuple[float, float] = (0.08, 1.0)
    """Least and greatest share of the picture's area in a crop."""
    ratio: tuple[float, float] = (0.75, 4 / 3)
    """Least and greatest width / height of a crop, before it is resized to a square."""
    flip: float = Field(default=0.5, ge=0, le=1)
    """Chance of mirroring. Classes whose name holds a side (left, right) are never mirrored."""
    sided_classes: tuple[str, ...] = ()
    """More classes that are never mirrored, by name."""
    erase: float = Field(default=0.25, ge=0, le=1)
    """Chance of erasing a box of 2 to 33 % of the picture, the same in all frames, with noise."""

    @model_validator(mode="after")
    def _ordered(self) -> AugmentSettings:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"scale {self.scale} is not a pair of shares, 0 < least <= greatest <= 1")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio {self.ratio} is not a pair, 0 < least <= greatest")
        return self


class MixSettings(Settings):
    """Mixup and CutMix of a whole batch; an alpha of 0 turns its kind off."""

    mixup: float = Field(default=0.8, ge=0)
    """Alpha of the Beta distribution of mixup's share."""
    cutmix: float = Field(default=1.0, ge=0)
    """Alpha of the Beta distribution of CutMix's share."""
    probability: float = Field(default=1.0, ge=0, le=1)
    """Chance that a batch is mixed at all."""
    switch: float = Field(default=0.5, ge=0, le=1)
    """Chance of CutMix where both are on."""


class SplitSettings(Settings):
    """Who is held out, where the caller gives no lists: whole sources, never single clips."""

    val_share: float = Field(default=0.1, ge=0, lt=1)
    """For watching the training; it is never the test split."""
    test_share: float = Field(default=0.25, ge=0, lt=1)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _leaves_some(self) -> SplitSettings:
        if self.val_share + self.test_share > 0.9:
            raise ValueError(
                f"val_share {self.val_share} and test_share {self.test_share} leave too little to train on"
            )
        return self


class FinetuneOptimSettings(OptimSettings):
    """AdamW under a cosine schedule, with fine-tuning's values."""

    batch: PositiveInt = 512
    lr: float = Field(default=7e-4, gt=0)
    min_lr: float = Field(default=1e-6, ge=0)
    warmup_lr: float = Field(default=1e-8, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    epochs: float = Field(default=90, gt=0)
    warmup_epochs: float = Field(default=5, ge=0)
    layer_decay: float = Field(default=0.75, gt=0, le=1)
    """Each layer's learning rate is that of the layer above it times this."""


class FinetuneSettings(Settings):
    """Supervised training of a classifier on labelled clips."""

    model: ClassifierSettings = ClassifierSettings()
    sample: LabelledSampleSettings = LabelledSampleSettings()
    augment: AugmentSettings = AugmentSettings()
    mix: MixSettings = MixSettings()
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    split: SplitSettings = SplitSettings()
    optim: FinetuneOptimSettings = FinetuneOptimSettings()
    loop: LoopSettings = LoopSettings()
    hardware: HardwareSettings = HardwareSettings()
    validate_every_epochs: float = Field(default=1, gt=0)
    """How often the validation split, where there is one, is scored by its central views."""
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _batch_divides(self) -> FinetuneSettings:
        if self.optim.batch % self.optim.accumulate:
            raise ValueError(f"accumulate {self.optim.accumulate} does not divide the batch of {self.optim.batch}")
        return self


class EvaluateSettings(Settings):
    """How a classifier is judged: the mean of its softmax over several views of each video."""

    segments: PositiveInt = 5
    """Clips along the video; 1 is the central one."""
    crops: PositiveInt = 3
    """Squares along the long side of each; 1 is the central one."""
    sampling: Sampling | Literal["as_trained"] = "as_trained"
    rate: PositiveInt | None = None
    """Every how many frames one is taken; as in training where none is given."""
    batch_views: PositiveInt = 15
    """Views in one forward pass."""
    readers: PositiveInt = 1
    """Threads that decode ahead of the model."""
    bootstrap_draws: PositiveInt = 10_000
    seed: int = Field(default=0, ge=0)
    hardware: HardwareSettings = HardwareSettings()
