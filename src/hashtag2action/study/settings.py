"""What a study is told. One model serves both studies: sizes of one data set, and data sets against each other."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from hashtag2action.settings import Settings
from hashtag2action.train.finetune_settings import EvaluateSettings, FinetuneSettings
from hashtag2action.train.settings import PretrainSettings

SNAPSHOT = "snapshot"  # as a condition's source: the snapshot named on the command line
NOTHING = "nothing"  # as a condition's source: no pre-training


class BetweenSettings(Settings):
    """Supervised training between pre-training and the labelled set: progressive training (VideoMAE V2, section 3.4)."""

    labelled: tuple[str, ...] = ()
    """Labelled sets as `--labelled` takes them, joined to one: classes whose names differ in case, spaces and punctuation
    alone are one class. What is in a test part of any of them, or of the study's labelled set, is not trained on."""
    finetune: FinetuneSettings = FinetuneSettings()
    evaluate: EvaluateSettings = EvaluateSettings()


class ConditionSettings(Settings):
    """What one arm of a comparison is pre-trained on."""

    name: str = Field(min_length=1, max_length=60)
    source: str = SNAPSHOT
    """snapshot: the study's. snapshot:NAME: that one. registered: every readable file of the catalog, whatever curation
    decided. files:PATH: a folder of videos or a CSV. nothing: random weights."""
    choose: Literal["random", "per_hashtag", "top_quality"] = "random"
    best_hashtags: PositiveInt | None = None
    """Only clips of so many hashtags, those whose clips have the best mean quality."""
    through: bool = False
    """Trained on the sets of `between` before the study's labelled set."""


class StudySettings(Settings):
    """A plan of pre-trainings and fine-tunings: sizes (or conditions at one size) times runs."""

    sizes: tuple[PositiveInt, ...] = (1000, 2000, 3000, 4000, 5000, 6000)
    """Pre-training clips (paper, section 5). A comparison uses one size."""
    runs: int = Field(default=3, ge=1, le=16)
    """Each has its own random subset, initial weights and order of clips; a run's number means the same in all arms."""
    conditions: tuple[ConditionSettings, ...] = ()
    """Arms of a comparison; the first two are the question, the others its context."""
    choose: Literal["random", "per_hashtag", "top_quality"] = "random"
    scratch: bool = True
    """A data-size study also fine-tunes from random weights: size 0."""
    labelled_split: int = Field(default=1, ge=1, le=3)
    """Which official split of UCF101 or HMDB51 is trained and tested on."""
    keep_test_clips: bool = False
    """Pre-train (without labels) also on clips that are held out for the test."""
    seed: int = Field(default=0, ge=0)
    lease_s: float = Field(default=120, ge=1)
    """How long a job stays taken after its worker was last heard of."""
    pretrain: PretrainSettings = PretrainSettings()
    between: BetweenSettings = BetweenSettings()
    finetune: FinetuneSettings = FinetuneSettings()
    evaluate: EvaluateSettings = EvaluateSettings()

    @model_validator(mode="after")
    def _distinct(self) -> StudySettings:
        if not self.sizes or len(set(self.sizes)) < len(self.sizes):
            raise ValueError(f"sizes {self.sizes} have to be one or more different numbers")
        names = [condition.name for condition in self.conditions]
        if len(set(names)) < len(names):
            raise ValueError(f"two conditions have one name: {', '.join(names)}")
        return self


def parse_sizes(text: str) -> tuple[int, ...]:
    """Read sizes: `100,200,400`, or first:last:step with both ends, such as `1000:6000:1000`. Raises `ValueError`."""
    if ":" not in text:
        return tuple(int(part) for part in text.replace(",", " ").split())
    first, last, step = (int(part) for part in text.split(":"))
    return tuple(range(first, last + 1, step))
