"""Real labelled clips and a network small enough to train on them within a test."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from hashtag2action.data.splits import Sample
from hashtag2action.settings import load
from hashtag2action.train.finetune_settings import FinetuneSettings

SMALL: dict[str, Any] = {
    "model.name": "vit_tiny",
    "model.image_size": 32,
    "model.frames": 8,
    "model.drop_path": 0.0,
    "model.overrides": {"dim": 96, "depth": 2},
    "sample.rate": 4,
    "sample.views": 1,
    "sample.shrink": True,
    "augment.scale": (0.8, 1.0),
    "augment.erase": 0.0,
    "augment.operations": 0,
    "mix.probability": 0.0,
    "label_smoothing": 0.0,
    "optim.batch": 8,
    "optim.lr": 0.03,
    "optim.layer_decay": 1.0,
    "optim.warmup_epochs": 1,
    "optim.epochs": 10,
    "loop.log_every_steps": 1,
    "loop.save_every_steps": 1000,
    "hardware.cache_mb": 256,
    "hardware.device": "cpu",
}


def small_settings(**changes: Any) -> FinetuneSettings:
    """Settings of a run of seconds; keys with `__` for the dot."""
    changed = {key.replace("__", "."): value for key, value in changes.items()}
    return load(FinetuneSettings, "finetune", None, {**SMALL, **changed})


def yoga(shared: Path, classes: tuple[str, ...] = ("parvatasana", "shavasana"), people: int = 6) -> list[Sample]:
    """Clips of some poses by the first people, each person a group."""
    with (shared / "manifest.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == "yoga" and row["label"] in classes]
    return [
        Sample(shared / r["path"], r["label"], r["group"])
        for r in rows
        if int(r["group"].removeprefix("subj")) < people
    ]
