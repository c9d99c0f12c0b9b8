"""What a fine-tuning run is given, checked before anything is computed: clips, classes or targets, weights."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashtag2action.data.splits import Sample, Split, class_numbers, split_by_group
from hashtag2action.data.targets import Targets, read_targets
from hashtag2action.errors import UserError
from hashtag2action.files import sha256_of
from hashtag2action.settings import digest
from hashtag2action.train.finetune_settings import FinetuneSettings
from hashtag2action.train.objective import model_file
from hashtag2action.train.settings import HardwareSettings, LoopSettings

logger = logging.getLogger(__name__)

WATCHED = (
    "the recipe's official script picks its best epoch by the list that it then reports as test, which flatters it; "
    "here the test is never looked at"
)


@dataclass(frozen=True)
class FinetuneInputs:
    """All that decides a run."""

    split: Split
    classes: tuple[str, ...]
    """Names of the outputs."""
    targets: Targets | None
    """Labels or values; None where clips have one class each."""
    settings: FinetuneSettings
    folder: Path
    pretrained: Path | None

    def truth(self, samples: Sequence[Sample]) -> NDArray[np.float64]:
        """Return `(samples, outputs)` in 0..1; one-hot for classes."""
        if self.targets is not None:
            return self.targets.of(samples).astype(np.float64)
        return np.eye(len(self.classes))[class_numbers(samples, self.classes)]

    def key(self) -> str:
        """Name the run by what decides its result."""
        parts = [
            [(item.path, item.label) for item in part] for part in (self.split.train, self.split.val, self.split.test)
        ]
        deciding = self.settings.model_copy(update={"hardware": HardwareSettings(), "loop": LoopSettings()})
        rows = sha256_of(self.targets.file) if self.targets else None
        return digest(deciding, parts, self.classes, self.pretrained, rows)


def gather_inputs(
    clips: Sequence[Sample] | Split | None,
    settings: FinetuneSettings,
    folder: Path,
    pretrained: Path | None,
    classes: Sequence[str] | None,
) -> FinetuneInputs:
    """Split the clips where that is not done, name the outputs, and refuse what cannot be trained on.

    Without `clips`, those of `settings.target.file` are taken. Raises `UserError` for labels, targets, splits or weights
    that do not fit.
    """
    target = settings.target
    targets = read_targets(target.file, binary=target.kind == "labels") if target.file else None
    if clips is None:
        clips = targets.samples() if targets else []
    split = _split(clips, settings)
    names = targets.names if targets else tuple(classes) if classes is not None else split.classes
    for note in split.notes:
        logger.warning("%s", note)
    if not split.train:
        raise UserError("fine-tuning: no labelled clips to train on; label some, or hold out fewer")
    if targets is None:
        _check_classes(split, names)
    else:
        targets.of((*split.train, *split.val, *split.test))
    if settings.patience_epochs is not None:
        _check_validation(split)
    if settings.hardware.strategy == "fsdp" and (split.val or settings.optim.average is not None):
        raise UserError(
            "hardware.strategy: fsdp can neither score a validation split nor average weights while it trains; use ddp, "
            "or set split.val_share=0 and leave optim.average out"
        )
    start = model_file(Path(pretrained)) if pretrained is not None else None
    return FinetuneInputs(split, names, targets, settings, Path(folder), start)


def _split(clips: Sequence[Sample] | Split, settings: FinetuneSettings) -> Split:
    shares = settings.split
    if not isinstance(clips, Split):
        split = split_by_group(clips, shares.seed, shares.val_share, shares.test_share)
    elif settings.patience_epochs is not None and not clips.val:
        held = split_by_group(clips.train, shares.seed, 0.0, shares.val_share)
        note = f"{len(held.test)} of the training list's {len(clips.train)} clips are held out of it for validation"
        split = replace(clips, train=held.train, val=held.test, notes=(*clips.notes, note))
    else:
        split = clips
    notes = list(split.notes)
    if shared := split.shared_groups():
        notes.append(
            f"{len(shared)} sources are on more than one side of the given split, so its test flatters the model"
        )
    if shares.official_watches_test:
        notes.append(WATCHED)
    return replace(split, notes=tuple(notes))


def _check_validation(split: Split) -> None:
    if not split.val:
        raise UserError(
            "patience_epochs: nothing to watch, no source could be held out for validation; label clips of more sources, "
            "raise split.val_share, or leave patience_epochs out"
        )
    tested = {sample.path for sample in split.test}
    if both := [sample.path for sample in split.val if sample.path in tested]:
        raise UserError(
            f"{both[0]}: is in the validation split and in the test split, so stopping early would choose by the test; "
            "hold other clips out of the training list"
        )


def _check_classes(split: Split, classes: Sequence[str]) -> None:
    if len(set(classes)) < 2:
        raise UserError(f"fine-tuning: a single class ({', '.join(classes)}); a classifier needs two or more")
    repeated = [name for name, count in Counter(classes).items() if count > 1]
    if repeated:
        raise UserError(f"fine-tuning: class {repeated[0]!r} is listed twice; name each class once")
    known = set(classes)
    for part, samples in (("training", split.train), ("validation", split.val), ("test", split.test)):
        for sample in samples:
            if sample.label not in known:
                raise UserError(
                    f"{sample.path}: its label {sample.label!r}, in the {part} split, is none of the {len(classes)} classes "
                    "that are trained; correct the label or add the class to the training"
                )
