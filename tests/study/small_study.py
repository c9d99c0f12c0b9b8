"""A study of seconds: real clips, a very small network, ten jobs."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

SETTINGS: dict[str, dict[str, object]] = {
    "pretrain": {
        "model.name": "vit_tiny",
        "model.image_size": 32,
        "model.frames": 8,
        "model.decoder_depth": 1,
        "model.overrides": "{dim = 48, depth = 1, decoder_dim = 48}",
        "sample.rate": 2,
        "sample.views": 1,
        "sample.shrink": "true",
        "optim.batch": 2,
        "optim.max_steps": 6,
        "loop.save_every_steps": 1,
        "hardware.device": "cpu",
        "hardware.cache_mb": 64,
        "reconstruct_clips": 1,
    },
    "finetune": {
        "model.name": "vit_tiny",
        "model.image_size": 32,
        "model.frames": 8,
        "model.overrides": "{dim = 48, depth = 1}",
        "sample.rate": 2,
        "sample.views": 1,
        "sample.shrink": "true",
        "split.val_share": 0,
        "split.test_share": 0.3,
        "optim.batch": 2,
        "optim.max_steps": 4,
        "loop.save_every_steps": 1,
        "hardware.device": "cpu",
    },
    "evaluate": {"segments": 1, "crops": 1, "bootstrap_draws": 50, "hardware.device": "cpu"},
}
OVERRIDES = [f"{stage}.{key}={value}" for stage, values in SETTINGS.items() for key, value in values.items()]


def write_lists(clips: Sequence[Path], folder: Path) -> Path:
    """Write `labelled.csv`: the first half of the clips, two classes, each clip its own source."""
    path = folder / "labelled.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "label", "group"))
        writer.writerows((clip, clip.stem.split("-")[0], clip.stem) for clip in clips)
    return path


def steps_logged(run: Path) -> list[int]:
    """Return the steps that a run's log holds."""
    return [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]
