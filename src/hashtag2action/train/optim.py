"""The optimiser, its parameter groups and the learning rate at every step, as VideoMAE V2 sets them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hashtag2action.train.settings import OptimSettings

WRAPPERS = ("_forward_module.", "_orig_mod.")


@dataclass(frozen=True)
class Schedule:
    """Learning rate of every step: linear from `start` to `peak` over `warmup` steps, then a half cosine to `floor`.

    The last warm-up step has `peak` itself and so has the step after it, as the official schedule does.
    """

    steps: int
    warmup: int
    peak: float
    floor: float
    start: float = 0.0

    def __call__(self, step: int) -> float:
        """Return the learning rate of step 0, 1, ... `steps - 1`."""
        if step < self.warmup:
            share = step / (self.warmup - 1) if self.warmup > 1 else 0.0
            return self.start + (self.peak - self.start) * share
        share = (step - self.warmup) / max(self.steps - self.warmup, 1)
        return self.floor + 0.5 * (self.peak - self.floor) * (1 + math.cos(math.pi * min(share, 1.0)))


def make_schedule(settings: OptimSettings, clips: int, views: int = 1) -> Schedule:
    """Turn epochs over `clips` clips and base rates into steps and effective rates.

    Clips run on from one epoch into the next, so an epoch is `clips / batch` steps, not rounded down.
    """
    steps = settings.max_steps or max(1, int(settings.epochs * clips / settings.batch))
    warmup = int(steps * min(settings.warmup_epochs / settings.epochs, 1.0))
    scale = lr_scale(settings, views)
    return Schedule(steps, warmup, settings.lr * scale, settings.min_lr * scale, settings.warmup_lr * scale)


def lr_scale(settings: OptimSettings, views: int = 1) -> float:
    """Return what base learning rates are multiplied by.

    The official rule is batch / 256 with views left out (run_mae_pretraining.py); "views" multiplies by them too.
    """
    return settings.batch * (views if settings.lr_scaling == "views" else 1) / 256


def parameter_groups(
    names_and_shapes: Iterable[tuple[str, torch.Size]], weight_decay: float, layer_decay: float = 1.0, depth: int = 0
) -> dict[str, dict[str, Any]]:
    """Return, for every parameter name, the options of its group: `weight_decay` and `lr_scale`.

    Vectors, biases and `.scale` do not decay (official rule). With `layer_decay` below 1 the rate of layer `i` of
    `depth` blocks is multiplied by `layer_decay ** (depth + 1 - i)`: the patch embedding is layer 0, block `n` is
    layer `n + 1`, and everything after the blocks keeps the full rate. Taken before a strategy reshapes parameters.
    """
    options = {}
    for name, shape in names_and_shapes:
        plain = len(shape) <= 1 or name.endswith((".bias", ".scale"))
        scale = layer_decay ** (depth + 1 - _layer(name, depth))
        options[name] = {"weight_decay": 0.0 if plain else weight_decay, "lr_scale": scale}
    return options


def make_optimizer(module: nn.Module, options: dict[str, dict[str, Any]], settings: OptimSettings) -> torch.optim.AdamW:
    """Build fused AdamW over the trainable parameters of `module`, grouped by `options` (see `parameter_groups`)."""
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        choice = options[clean_name(name)]
        group = groups.setdefault((choice["weight_decay"], choice["lr_scale"]), {**choice, "params": []})
        group["params"].append(parameter)
    from torch.distributed.tensor import DTensor

    betas, eps = settings.betas, settings.eps
    optimizer = torch.optim.AdamW(list(groups.values()), lr=settings.lr, betas=betas, eps=eps, fused=True)
    if any(isinstance(parameter, DTensor) for parameter in module.parameters()):
        _begin(optimizer)
    return optimizer


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every group the rate `lr` times its own `lr_scale`."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]


def clean_name(name: str) -> str:
    """Strip what strategies and compilers put into parameter names."""
    for wrapper in WRAPPERS:
        name = name.replace(wrapper, "")
    return name


def _begin(optimizer: torch.optim.AdamW) -> None:
    """Set the state before the first step: where there is none, gathering a sharded one takes an empty step, and counts it."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            step = torch.zeros((), dtype=torch.float32, device=parameter.device)
            first, second = torch.zeros_like(parameter), torch.zeros_like(parameter)
            optimizer.state[parameter] = {"step": step, "exp_avg": first, "exp_avg_sq": second}


def _layer(name: str, depth: int) -> int:
    parts = clean_name(name).split(".")
    if "blocks" in parts:
        return int(parts[parts.index("blocks") + 1]) + 1
    if any(part in ("patch_embed", "pos_embed", "mask_token", "cls_token") for part in parts):
        return 0
    return depth + 1
