"""Where training runs: accelerator, precision, and how processes find each other, through Lightning Fabric."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from hashtag2action.errors import UserError
from hashtag2action.models.allocator import keep_freed_memory
from hashtag2action.train.launcher import launched, world
from hashtag2action.train.settings import HardwareSettings

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch.distributed.device_mesh import DeviceMesh

T = TypeVar("T")


def make_fabric(settings: HardwareSettings, block: type[nn.Module] | None = None) -> Fabric:
    """Set up devices, strategy and precision; FSDP shards `block` by `block`.

    Under torchrun or Slurm the launcher's counts of processes hold; otherwise `settings.devices` processes are started.
    Raises `UserError` for hardware that is not here.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import ModelParallelStrategy

    accelerator = pick_device(settings.device)
    nodes, devices = world(settings.devices)
    if accelerator == "cuda" and devices > torch.cuda.device_count():
        raise UserError(f"hardware.devices: {devices} asked, {torch.cuda.device_count()} present; lower it")
    strategy: Any = "auto"
    if settings.strategy == "fsdp":
        if not launched():
            raise UserError(
                "hardware.strategy: fsdp is started with torchrun or Slurm: torchrun --nproc_per_node N -m hashtag2action ..."
            )
        shard = partial(_shard, block=block)
        strategy = ModelParallelStrategy(shard, nodes * devices, 1, save_distributed_checkpoint=False)
    elif nodes * devices > 1:
        strategy = "ddp" if launched() else "ddp_spawn"
    precision = pick_precision(settings.precision, accelerator)
    return Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=strategy,
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )


def launch(fabric: Fabric, function: Callable[..., T], *arguments: Any) -> T:
    """Run `function(fabric, *arguments)` in every process and return what the first one returns."""
    from torch.multiprocessing import ProcessRaisedException

    try:
        return fabric.launch(function, *arguments)
    except ProcessRaisedException as error:
        last = str(error).strip().splitlines()[-1]
        name = f"{UserError.__module__}.{UserError.__name__}: "
        if last.startswith(name):
            raise UserError(last.removeprefix(name)) from error
        raise


def pick_device(asked: str) -> str:
    """Resolve "auto" to cuda where there is one; raises `UserError` where cuda is asked and there is none."""
    present = torch.cuda.is_available()
    if asked == "cuda" and not present:
        raise UserError("hardware.device: cuda asked but this PyTorch sees no CUDA device; use auto or cpu")
    return ("cuda" if present else "cpu") if asked == "auto" else asked


def pick_precision(asked: str, accelerator: str) -> str:
    """Resolve "auto" to bf16 where the hardware computes in it: CUDA from sm80, CPUs with AMX or AVX512-BF16.

    Elsewhere bf16 is emulated, more than ten times slower on a CPU, so "auto" is fp32.
    """
    if asked != "auto":
        return asked
    if accelerator == "cuda":
        return "bf16" if torch.cuda.get_device_capability() >= (8, 0) else "fp32"
    features = Path("/proc/cpuinfo")
    flags = features.read_text().split() if features.exists() else []
    return "bf16" if {"amx_bf16", "avx512_bf16"} & set(flags) else "fp32"


def prepare_process(fabric: Fabric) -> None:
    """On a CPU, divide the cores among this machine's processes, unless OMP_NUM_THREADS says otherwise, and keep memory."""
    if fabric.device.type != "cpu":
        return
    keep_freed_memory()
    if fabric.world_size > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // world(fabric.world_size)[1]))


def _shard(module: nn.Module, mesh: DeviceMesh, block: type[nn.Module] | None) -> nn.Module:
    """Divide parameters, gradients and the optimiser's state among the processes (FSDP2)."""
    from torch.distributed.fsdp import fully_shard

    over = mesh["data_parallel"]
    for part in module.modules():
        if block is not None and isinstance(part, block):
            fully_shard(part, mesh=over)
    fully_shard(module, mesh=over)
    return module
