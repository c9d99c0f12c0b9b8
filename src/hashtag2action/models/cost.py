"""What a training costs: floating-point operations, counted by PyTorch, and an estimate of the energy.

A model on the "meta" device is counted in no time and memory.
"""

from __future__ import annotations

from typing import Any

BACKWARD = 2  # a backward pass takes about twice the operations of its forward pass
PUE = 1.2  # power of the whole building over that of its computers; newer data centres lie between 1.1 and 1.5
WATTS = {"cpu": 10.0, "cuda": 400.0}
"""Assumed draw of one CPU core at work and of one accelerator: an A100 SXM's limit; 700 for an H100."""
FORMULA = "energy in kWh = hours x devices x watts / 1000 x PUE"


def pretrain_flops(model: Any, **masking: Any) -> int:
    """Return the operations of one view's forward and backward pass; `masking` goes to `models.sample_masks`."""
    import torch

    from hashtag2action.models.masking import sample_masks

    config = model.config
    masks = sample_masks(1, config.grid, **masking, generator=torch.Generator("cpu").manual_seed(0), device="cpu")
    video = torch.zeros(
        1, 3, config.frames, config.image_size, config.image_size, device=next(model.parameters()).device
    )
    return (1 + BACKWARD) * _forward(lambda: model.loss(video, *masks))


def classify_flops(model: Any) -> int:
    """Return the operations of one view's forward pass (`VideoClassifier`); training takes three times as many."""
    import torch

    config = model.config
    video = torch.zeros(
        1, 3, config.frames, config.image_size, config.image_size, device=next(model.parameters()).device
    )
    return _forward(lambda: model(video))


def energy_kwh(hours: float, device: str, devices: int = 1, watts: float | None = None, pue: float = PUE) -> float:
    """Estimate energy by `FORMULA`; `devices` are accelerators, or cores where `device` is "cpu"."""
    return hours * devices * (WATTS.get(device, WATTS["cuda"]) if watts is None else watts) / 1000 * pue


def _forward(call: Any) -> int:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        call()
    return int(counter.get_total_flops())
