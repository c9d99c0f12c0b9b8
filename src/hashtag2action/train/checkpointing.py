"""Checkpoints of a run: written whole, found again, and never more of them than were asked for."""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch

from hashtag2action.files import atomic_path, write_json

if TYPE_CHECKING:
    from lightning_fabric import Fabric

logger = logging.getLogger(__name__)


class Checkpoints:
    """The folder `checkpoints/` of a run: the newest `keep_last` and the `keep_best` of lowest score.

    With several processes every method must be called by all of them; the first one writes.
    """

    def __init__(self, folder: Path, fabric: Fabric, keep_last: int = 2, keep_best: int = 1) -> None:
        self.folder = folder
        self._fabric = fabric
        self._keep_last, self._keep_best = keep_last, keep_best

    def save(self, step: int, state: Mapping[str, Any], score: float | None = None) -> Path:
        """Write `state` (modules and optimisers by name, and plain values) as the checkpoint after `step` steps."""
        path = self.folder / f"step-{step:08d}.pt"
        with atomic_path(path) if self._fabric.is_global_zero else nullcontext(path) as temporary:
            self._fabric.save(temporary, dict(state))
        if self._fabric.is_global_zero:
            scores = {**self._scores(), str(step): score}
            kept = self._kept(scores)
            for old in self.steps():
                if old not in kept:
                    self.path(old).unlink(missing_ok=True)
            write_json(self.folder / "scores.json", {key: value for key, value in scores.items() if int(key) in kept})
        self._fabric.barrier()
        return path

    def load_newest(self, state: dict[str, Any]) -> dict[str, Any] | None:
        """Restore modules and optimisers in `state` from the newest sound checkpoint and return its plain values.

        A damaged one is skipped with a warning. Returns None where there is none.
        """
        for step in reversed(self.steps()):
            problem = damage(self.path(step))
            if problem is None:
                return self.load(step, state)
            logger.warning("%s: damaged checkpoint skipped (%s)", self.path(step), problem)
        return None

    def load(self, step: int, state: dict[str, Any]) -> dict[str, Any]:
        """Restore from the checkpoint after `step` steps; returns the values that are neither module nor optimiser."""
        from lightning_fabric.strategies import ModelParallelStrategy
        from lightning_fabric.wrappers import _unwrap_objects

        values = torch.load(self.path(step), map_location="cpu", weights_only=True)
        if isinstance(self._fabric.strategy, ModelParallelStrategy):
            _load_sharded(_unwrap_objects(state), values)
            return values
        for name, target in state.items():
            if isinstance(target, (torch.nn.Module, torch.optim.Optimizer)):
                target.load_state_dict(values.pop(name))
        return dict(values)

    def steps(self) -> list[int]:
        """Return after how many steps checkpoints exist, in ascending order."""
        return sorted(int(path.stem.removeprefix("step-")) for path in self.folder.glob("step-*.pt"))

    def path(self, step: int) -> Path:
        """Return where the checkpoint after `step` steps lies."""
        return self.folder / f"step-{step:08d}.pt"

    def discard_after(self, step: int) -> None:
        """Remove checkpoints newer than `step`: damaged ones that were skipped, or a course that was abandoned."""
        if self._fabric.is_global_zero:
            for newer in self.steps():
                if newer > step:
                    self.path(newer).unlink()
        self._fabric.barrier()

    def _scores(self) -> dict[str, float | None]:
        path = self.folder / "scores.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def _kept(self, scores: Mapping[str, float | None]) -> set[int]:
        existing = self.steps()
        ranked = sorted(
            (score, int(step)) for step, score in scores.items() if score is not None and int(step) in existing
        )
        return {*existing[-self._keep_last :], *(step for _, step in ranked[: self._keep_best])}


def _load_sharded(targets: dict[str, Any], values: dict[str, Any]) -> None:
    """Give a module and an optimiser that processes share out what a checkpoint of any strategy holds, and take it from `values`."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict, set_optimizer_state_dict

    module, optimizer = targets["model"], targets["optimizer"]
    whole = StateDictOptions(full_state_dict=True)
    set_model_state_dict(module, values.pop("model"), options=whole)
    found = values.pop("optimizer")
    if not found["state"]:  # of before the first step, by another strategy
        return
    names = {parameter: name for name, parameter in module.named_parameters()}
    order = [names[parameter] for group in optimizer.param_groups for parameter in group["params"]]
    named = {order[key] if isinstance(key, int) else key: value for key, value in found["state"].items()}
    groups = [
        {**group, "params": [order[key] if isinstance(key, int) else key for key in group["params"]]}
        for group in found["param_groups"]
    ]
    set_optimizer_state_dict(module, optimizer, {"state": named, "param_groups": groups}, options=whole)


def damage(path: Path) -> str | None:
    """Say what is wrong with a checkpoint file, None where it is sound: its archive is whole and every checksum holds."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            if broken is not None:
                return f"checksum of {broken}"
        torch.load(path, map_location="meta", weights_only=True, mmap=True)
    except (zipfile.BadZipFile, OSError, RuntimeError, EOFError, UnpicklingError) as error:
        return str(error).splitlines()[0]
    return None


def load_weights(path: Path, averaged: bool = False) -> dict[str, torch.Tensor]:
    """Return the objective's parameters and buffers by name, on the CPU, from a checkpoint of the training loop.

    With `averaged`, those of the running mean that was kept beside them.
    """
    content = torch.load(path, map_location="cpu", weights_only=True)
    if not averaged:
        return dict(content["model"])
    mean = content["average"].items()
    return {name.removeprefix("module."): value for name, value in mean if name.startswith("module.")}
