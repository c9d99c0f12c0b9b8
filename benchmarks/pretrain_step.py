"""Time and memory of one optimiser step of masked pre-training: ours, transformers' and the official code's.

    python benchmarks/pretrain_step.py --sizes vit_s vit_b --inputs 112 224 --official ~/VideoMAEv2 --json rows.json

A step is targets, forward, loss, backward and AdamW on one prepared batch of 16-frame clips: tube mask .9 and, for
ours and the official model, a decoder mask that drops half of the tokens (running cell; random where 2x2 cells do not
tile the grid). Transformers' model decodes everything that is hidden. Every implementation lives in a process of its
own; they take turns step by step, and the fastest step counts, so that a busy machine slows all alike. On a CPU
everything is float32, on CUDA bf16 autocast. Ours keeps freed memory for the next step, as our training does on a
CPU; `--same-allocator` gives the others that too. A row holds `impl`, `size`, `input` (pixels), `batch`, `seconds`,
`peak_mb` (memory on top of the imported libraries), `gflops` (billions of operations in one step, counted by
PyTorch), `gflops_per_s` and `peak_share`, the share of the fastest matrix product measured on the same machine.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import resource
import sys
import time
import types
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hashtag2action.files import write_json
from hashtag2action.models.allocator import keep_freed_memory
from hashtag2action.models.config import VideoMAEConfig
from hashtag2action.models.masking import sample_masks
from hashtag2action.models.sizes import make_config
from hashtag2action.models.videomae import VideoMAE
from hashtag2action.models.vit import Block

LossStep = Callable[[], Tensor]


def main() -> None:
    """Measure what the command line asks for, print a table and write the rows."""
    compare(parse(__doc__), _work)


def compare(options: argparse.Namespace, work: Callable[..., None]) -> None:
    """Measure every size and input; `work` is what each implementation's process does (see `_work`)."""
    cases = [(size, side) for size in options.sizes for side in options.inputs]
    peak = matmul_peak(options.device)
    print(f"matrix product peak: {peak:.0f} GFLOP/s on {options.device}, {torch.get_num_threads()} threads")
    print("impl          size      input batch   s/step  clips/s      MB    GFLOP  peak")
    rows = []
    for size, side in cases:
        for row in measure(options, size, side, work):
            row["gflops_per_s"] = round(row["gflops"] / row["seconds"], 1)
            row["peak_share"] = round(row["gflops_per_s"] / peak, 3)
            rows.append(row)
            rate = row["batch"] / row["seconds"]
            print(
                f"{row['impl']:13} {size:9} {side:5} {row['batch']:5} {row['seconds']:8.3f} {rate:8.2f} "
                f"{row['peak_mb']:7.0f} {row['gflops']:8.0f} {row['peak_share']:5.2f}",
                flush=True,
            )
    if options.json:
        write_json(options.json, rows)


def measure(options: argparse.Namespace, size: str, side: int, work: Callable[..., None]) -> list[dict[str, Any]]:
    """Let every implementation take its turn `options.rounds` times and return a row for each."""
    context = multiprocessing.get_context("spawn")
    workers: dict[str, tuple[Any, Connection]] = {}
    for impl in options.impls:
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, impl, size, side, options), daemon=True)
        process.start()
        theirs.close()
        workers[impl] = process, ours
        ours.recv()  # built: the next one may use the cores
    seconds: dict[str, list[float]] = {impl: [] for impl in workers}
    for _ in range(options.rounds):
        for impl, (_, pipe) in workers.items():
            pipe.send("step")
            seconds[impl].append(pipe.recv())
    rows = []
    for impl, (process, pipe) in workers.items():
        pipe.send("stop")
        rows.append({"impl": impl, "size": size, "input": side, "batch": options.batch, "seconds": min(seconds[impl])})
        rows[-1] |= pipe.recv()
        process.join()
    return rows


def matmul_peak(device: str, seconds: float = 2.0) -> float:
    """Return the GFLOP/s of the fastest of several square matrix products, float32 on a CPU and bf16 on CUDA."""
    best = 0.0
    for n in (1024, 2048) if device == "cpu" else (4096, 8192):
        a, b = (torch.randn(n, n, device=device, dtype=_dtype(device)) for _ in range(2))
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            for _ in range(10 if device == "cuda" else 1):
                a @ b
            _wait(device)
            best = max(best, (10 if device == "cuda" else 1) * 2 * n**3 / (time.perf_counter() - start) / 1e9)
    return best


def _work(pipe: Connection, impl: str, size: str, side: int, options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    if options.device == "cpu" and (impl == "ours" or options.same_allocator):
        keep_freed_memory()
    build = {"ours": _ours, "transformers": _transformers, "official": partial(_official, folder=options.official)}[
        impl
    ]
    config = make_config(VideoMAEConfig, size, image_size=side)
    device = options.device
    torch.manual_seed(0)
    video = torch.randn(options.batch, 3, config.frames, side, side, device=device)
    cells = config.grid[1] % 2 == 0
    masks = sample_masks(options.batch, config.grid, decoder="running_cell" if cells else "random", device=device)
    if impl == "transformers":
        importlib.import_module("transformers.models.videomae")
    before = rss_mb()
    model, loss_of = build(config, video, *masks)
    serve(pipe, impl, model, loss_of, before, options)


def serve(
    pipe: Connection, impl: str, model: nn.Module, loss_of: LossStep, before: float, options: argparse.Namespace
) -> None:
    """Take a step of `loss_of` whenever `pipe` asks for one, then report memory beyond `before` MB and operations."""
    device = options.device
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.05, fused=True if impl == "ours" else None
    )
    if impl == "ours" and options.compile:
        for block in model.modules():
            if isinstance(block, Block):
                block.compile()

    def step() -> float:
        start = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16) if device == "cuda" else nullcontext():
            loss = loss_of()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        _wait(device)
        return time.perf_counter() - start

    for _ in range(options.warm_up):
        step()
    pipe.send("built")
    while pipe.recv() == "step":
        pipe.send(step())
    peak = torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else _peak_rss_mb() - before
    torch.compiler.set_stance("force_eager")
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        loss_of().backward()
    pipe.send({"peak_mb": round(peak, 1), "gflops": round(counter.get_total_flops() / 1e9, 1)})


def _ours(config: VideoMAEConfig, video: Tensor, hidden: Tensor, spared: Tensor) -> tuple[nn.Module, LossStep]:
    model = VideoMAE(config).to(video.device)
    return model, lambda: model.loss(video, hidden, spared)


def _transformers(config: VideoMAEConfig, video: Tensor, hidden: Tensor, spared: Tensor) -> tuple[nn.Module, LossStep]:
    from transformers import VideoMAEConfig as TheirConfig
    from transformers import VideoMAEForPreTraining

    theirs = TheirConfig(
        image_size=config.image_size,
        hidden_size=config.dim,
        num_hidden_layers=config.depth,
        num_attention_heads=config.heads,
        intermediate_size=int(config.dim * config.mlp_ratio),
        decoder_hidden_size=config.decoder_dim,
        decoder_num_hidden_layers=config.decoder_depth,
        decoder_num_attention_heads=config.decoder_heads,
        decoder_intermediate_size=int(config.decoder_dim * config.mlp_ratio),
        attn_implementation="sdpa",
    )
    model = VideoMAEForPreTraining(theirs).to(video.device).train()
    frames_first = video.transpose(1, 2).contiguous()
    return model, lambda: model(frames_first, bool_masked_pos=hidden).loss


def _official(
    config: VideoMAEConfig, video: Tensor, hidden: Tensor, spared: Tensor, folder: Path
) -> tuple[nn.Module, LossStep]:
    stand_in_for_timm()
    sys.path.insert(0, str(folder))
    module = importlib.import_module("models.modeling_pretrain")
    model = module.PretrainVisionTransformer(
        img_size=config.image_size,
        patch_size=config.patch,
        encoder_embed_dim=config.dim,
        encoder_depth=config.depth,
        encoder_num_heads=config.heads,
        encoder_num_classes=0,
        decoder_num_classes=config.patch_pixels,
        decoder_embed_dim=config.decoder_dim,
        decoder_depth=config.decoder_depth,
        decoder_num_heads=config.decoder_heads,
        mlp_ratio=config.mlp_ratio,
        qkv_bias=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
    ).to(video.device)
    mean = torch.tensor([0.485, 0.456, 0.406], device=video.device).view(1, 3, 1, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], device=video.device).view(1, 3, 1, 1, 1)

    def loss() -> Tensor:
        with torch.no_grad():  # as its training loop makes them: for every patch, then the decoded ones are picked
            labels = _all_targets(video * std + mean, config)[~spared].unflatten(0, (len(video), -1))
        errors = F.mse_loss(model(video, hidden, spared).float(), labels, reduction="none").mean(-1)
        counted = hidden[~spared].unflatten(0, (len(video), -1))
        return (errors * counted).sum() / counted.sum()

    return model, loss


def _all_targets(pixels: Tensor, config: VideoMAEConfig) -> Tensor:
    t, h, w = config.grid
    cells = pixels.reshape(len(pixels), 3, t, config.tubelet, h, config.patch, w, config.patch)
    patches = cells.permute(0, 2, 4, 6, 3, 5, 7, 1).reshape(len(pixels), t * h * w, -1, 3)
    mean, deviation = patches.mean(2, keepdim=True), patches.var(2, keepdim=True).sqrt()
    return ((patches - mean) / (deviation + 1e-6)).flatten(2)


def stand_in_for_timm() -> None:
    """The official model takes four names from timm, which needs torchvision; none of them does work in a step."""
    layers, registry = types.ModuleType("timm.models.layers"), types.ModuleType("timm.models.registry")
    layers.drop_path = lambda x, *_: x  # type: ignore[attr-defined]
    layers.to_2tuple = lambda x: x if isinstance(x, tuple) else (x, x)  # type: ignore[attr-defined]
    layers.trunc_normal_ = nn.init.trunc_normal_  # type: ignore[attr-defined]
    registry.register_model = lambda function: function  # type: ignore[attr-defined]
    sys.modules |= {
        "timm": types.ModuleType("timm"),
        "timm.models": types.ModuleType("timm.models"),
        "timm.models.layers": layers,
        "timm.models.registry": registry,
    }


def _dtype(device: str) -> torch.dtype:
    return torch.bfloat16 if device == "cuda" else torch.float32


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _peak_rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def parse(description: str | None, batch: int = 8) -> argparse.Namespace:
    """Read the command line of a comparison."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["vit_s", "vit_b"])
    parser.add_argument("--inputs", nargs="+", type=int, default=[112, 224], help="side of the square input in pixels")
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--rounds", type=int, default=5, help="steps of each implementation that are timed")
    parser.add_argument("--warm-up", type=int, default=1)
    parser.add_argument("--impls", nargs="+", default=None, help="of ours, official, transformers")
    parser.add_argument("--official", type=Path, help="checkout of github.com/OpenGVLab/VideoMAEv2")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true", help="torch.compile our model")
    parser.add_argument("--same-allocator", action="store_true", help="let all implementations keep freed memory")
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    if options.impls is None:
        options.impls = ["ours", *(["official"] if options.official else []), "transformers"]
    if "official" in options.impls and not (options.official and (options.official / "models").is_dir()):
        parser.error("--official must name a checkout of VideoMAEv2 (a folder with models/ in it)")
    return options


if __name__ == "__main__":
    main()
