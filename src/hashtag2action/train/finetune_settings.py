"""What fine-tuning and evaluation are told, as typed blocks; nothing here imports torch.

Defaults are the official VideoMAE V2 recipe of ViT-B on Kinetics-400.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from hashtag2action.settings import Settings
from hashtag2action.train.settings import HardwareSettings, LoopSettings, OptimSettings

Sampling = Literal["dense", "tsn"]
Kind = Literal["classes", "labels", "values"]


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
    head: Literal["auto", "new"] = "auto"
    """auto: a checkpoint's head is taken over where it has as many outputs and, as far as it names them, the same."""
    class_index: Path | None = None
    """JSON list of the rows of a checkpoint's head that are kept, one for each class (official lists from K710)."""
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
    operations: int = Field(default=4, ge=0)
    """RandAugment operations drawn for a view, each applied with chance 0.5 to all frames alike; 0 turns it off."""
    magnitude: float = Field(default=7.0, ge=0, le=10)
    """Strength of RandAugment's operations."""
    magnitude_deviation: float = Field(default=0.5, ge=0)
    """Standard deviation of the magnitude."""

    @model_validator(mode="after")
    def _ordered(self) -> AugmentSettings:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"scale {self.scale} is not a pair of shares, 0 < least <= greatest <= 1")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio {self.ratio} is not a pair, 0 < least <= greatest")
        return self


class MixSettings(Settings):
    """Mixup and CutMix of neighbours in a batch; an alpha of 0 turns its kind off."""

    mixup: float = Field(default=0.8, ge=0)
    """Alpha of the Beta distribution of mixup's share."""
    cutmix: float = Field(default=1.0, ge=0)
    """Alpha of the Beta distribution of CutMix's share."""
    probability: float = Field(default=1.0, ge=0, le=1)
    """Chance that a batch is mixed at all."""
    switch: float = Field(default=0.5, ge=0, le=1)
    """Chance of CutMix where both are on."""
    clips: PositiveInt | None = None
    """Clips that are mixed by one draw of kind and share; None: a whole step's. Officially those of one GPU."""


class TargetSettings(Settings):
    """What is learnt of a clip: its class, any number of labels, or values of 0..1."""

    kind: Kind = "classes"
    """classes: one of many (softmax). labels: each on its own (sigmoid, binary cross-entropy, mAP). values: numbers of 0..1
    (sigmoid, squared error, mean Pearson correlation)."""
    file: Path | None = None
    """CSV for labels and values: `path` (relative to the CSV's folder), optionally `group`, and a column for each output."""
    loss: Literal["cross_entropy", "generalised"] = "cross_entropy"
    """generalised: (1 - p^q) / q, which trusts labels less the less likely they look (Zhang & Sabuncu 2018), for hashtags."""
    q: float = Field(default=0.7, gt=0, le=1)
    """Of the generalised loss: near 0 it is cross-entropy, at 1 mean absolute error."""

    @model_validator(mode="after")
    def _fits(self) -> TargetSettings:
        if (self.kind == "classes") != (self.file is None):
            raise ValueError(f"kind {self.kind!r} {'takes no' if self.file else 'needs a'} file")
        if self.kind == "values" and self.loss == "generalised":
            raise ValueError("the generalised loss is for classes and labels, values take squared error")
        return self


class DistilSettings(Settings):
    """A fine-tuned model to learn from, beside the labels; it sees the same augmented and mixed clips."""

    teacher: Path | None = None
    """Run folder or model file, with the same outputs; None: no teacher."""
    weight: float = Field(default=0.5, ge=0, le=1)
    """Share of the teacher's answer in the target."""
    temperature: float = Field(default=1.0, gt=0)
    """What the teacher's logits are divided by: above 1 its answer is softer."""


class SplitSettings(Settings):
    """Who is held out, where the caller gives no lists: whole sources, never single clips."""

    val_share: float = Field(default=0.1, ge=0, lt=1)
    """For watching the training; it is never the test split."""
    test_share: float = Field(default=0.25, ge=0, lt=1)
    seed: int = Field(default=0, ge=0)
    official_watches_test: bool = False
    """Say in the log that the recipe's official script picks its best epoch by the list that it then reports; here that
    is never done."""

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
    average: float | None = Field(default=None, gt=0, lt=1)
    """Decay of a running mean of the weights (EMA), which is then judged and kept; official scripts offer .9999, off."""


class FinetuneSettings(Settings):
    """Supervised training of a classifier on labelled clips."""

    model: ClassifierSettings = ClassifierSettings()
    sample: LabelledSampleSettings = LabelledSampleSettings()
    augment: AugmentSettings = AugmentSettings()
    mix: MixSettings = MixSettings()
    target: TargetSettings = TargetSettings()
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Share of the target spread over all classes; labels are drawn towards 1/2, values are left alone."""
    distil: DistilSettings = DistilSettings()
    split: SplitSettings = SplitSettings()
    optim: FinetuneOptimSettings = FinetuneOptimSettings()
    loop: LoopSettings = LoopSettings()
    hardware: HardwareSettings = HardwareSettings()
    validate_every_epochs: float = Field(default=1, gt=0)
    """How often the validation split, where there is one, is scored by its central views."""
    patience_epochs: float | None = Field(default=None, gt=0)
    """Stop when the validation loss has not fallen for so long, and keep the best model. Where lists without a validation
    part are given, `split.val_share` is held out of the training list; the test is never looked at."""
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
