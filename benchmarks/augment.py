"""RandAugment of a clip: ours on tensors, Pillow frame by frame as the official code does it, and kornia; and its share of a step.

    python benchmarks/augment.py --video clip.mp4 --json augment.json

Every implementation gets the same operations (m7 n4 mstd .5 inc1) on the same 16 frames, in turns; seconds are means a
view. kornia joins in where it can be imported. Then one training step of `--size` is taken apart: what RandAugment, the
rest of the augmentation and mixing cost beside forward, backward and AdamW.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor
from torch.nn import functional as F

from hashtag2action.data.finetune_augment import AugmentPlan, draw_view, render_views
from hashtag2action.data.mixing import draw_mix, mix, soft_targets
from hashtag2action.data.randaugment import (
    NAMES,
    STRENGTHS,
    Operation,
    RandAugmentPlan,
    apply_operation,
    draw_operations,
)
from hashtag2action.files import write_json
from hashtag2action.media.decode import open_frames, read_frames
from hashtag2action.models import build_classifier
from hashtag2action.models.allocator import keep_freed_memory

Apply = Callable[[Tensor, Operation], Tensor]
FRAMES = 16
FILL = (128, 128, 128)


def main() -> None:
    options = _options()
    keep_freed_memory()
    with open_frames(options.video) as reader:
        indices = np.linspace(0, reader.frames - 1, FRAMES).astype(np.int64)
    frames = torch.from_numpy(read_frames(options.video, indices)).to(options.device)
    print(
        f"{FRAMES} frames of {frames.shape[2]}x{frames.shape[1]}, {options.device}, {torch.get_num_threads()} threads"
    )
    rows = [*by_operation(frames, options.device), *per_view(frames, options.views), *step_shares(frames, options)]
    if options.json:
        write_json(options.json, rows)


def by_operation(frames: Tensor, device: str, rounds: int = 3) -> list[dict[str, Any]]:
    """Time each operation at level .7: the fastest of `rounds`."""
    rows = []
    impls = implementations(device)
    print("operation      " + "".join(f"{name:>12}" for name in impls) + "   ms a clip")
    for name in NAMES:
        operation = Operation(name, STRENGTHS[name](0.7, 1.0))
        seconds = {impl: min(_time(apply, frames, operation) for _ in range(rounds)) for impl, apply in impls.items()}
        print(f"{name:15}" + "".join(f"{1000 * value:12.1f}" for value in seconds.values()), flush=True)
        rows += [{"what": "operation", "impl": impl, "name": name, "seconds": value} for impl, value in seconds.items()]
    return rows


def per_view(frames: Tensor, views: int) -> list[dict[str, Any]]:
    """Time whole views, each with the operations drawn for it."""
    rng = np.random.default_rng(0)
    drawn = [draw_operations(RandAugmentPlan(), rng) for _ in range(views)]
    impls = implementations(str(frames.device))
    seconds = dict.fromkeys(impls, 0.0)
    for operations in drawn:
        for impl, apply in impls.items():
            picture = frames
            for operation in operations:
                seconds[impl] += _time(apply, picture, operation)
                picture = apply(picture, operation)
    for impl, total in seconds.items():
        print(f"{impl:12} {1000 * total / views:8.1f} ms a view of {FRAMES} frames, mean of {views}")
    return [{"what": "view", "impl": impl, "seconds": total / views} for impl, total in seconds.items()]


def step_shares(frames: Tensor, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Take one step of `options.batch` clips, two views each, apart."""
    device = options.device
    model = build_classifier(options.size, 400, drop_path=0.1).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    rng = np.random.default_rng(0)
    height, width = frames.shape[1:3]
    parts = dict.fromkeys(("RandAugment", "crop, flip, erase", "mix", "forward, backward, AdamW"), 0.0)
    for turn in range(options.steps + 1):  # the first one warms up
        views = [
            [draw_view(width, height, 224, AugmentPlan(), True, rng) for _ in range(2)] for _ in range(options.batch)
        ]
        spent = []
        start = _now(device)
        pictures = [_augment(frames, view.operations) for clip in views for view in clip]
        spent.append(_now(device) - start)
        plain = [[view.__class__(view.box, view.flip, view.erased, view.noise_seed)] for clip in views for view in clip]
        start = _now(device)
        video = render_views(zip(pictures, plain, strict=True), 224)
        spent.append(_now(device) - start)
        start = _now(device)
        target = soft_targets(torch.arange(options.batch, device=device).repeat_interleave(2), 400, 0.1)
        mix(video, target, 2, [draw_mix(224, rng)] * -(-options.batch // 2))
        spent.append(_now(device) - start)
        start = _now(device)
        F.cross_entropy(model(video), target).backward()
        optimizer.step()
        optimizer.zero_grad()
        spent.append(_now(device) - start)
        if turn:
            parts = {
                name: value + more / options.steps for (name, value), more in zip(parts.items(), spent, strict=True)
            }
    whole = sum(parts.values())
    print(f"one step of {options.size}, {options.batch} clips x 2 views at 224, mean of {options.steps}: {whole:.2f} s")
    for name, value in parts.items():
        print(f"  {name:26} {value:8.3f} s {value / whole:7.1%}")
    return [
        {"what": "step", "size": options.size, "part": name, "seconds": v, "share": v / whole}
        for name, v in parts.items()
    ]


def implementations(device: str) -> dict[str, Apply]:
    found: dict[str, Apply] = {"ours": apply_operation, "pillow": _pillow}
    if importlib.util.find_spec("kornia"):
        found["kornia"] = _kornia
    return found if device == "cpu" else {name: apply for name, apply in found.items() if name != "pillow"}


def _augment(frames: Tensor, operations: tuple[Operation, ...]) -> Tensor:
    for operation in operations:
        frames = apply_operation(frames, operation)
    return frames


def _pillow(frames: Tensor, operation: Operation) -> Tensor:
    pictures = [_pillow_one(Image.fromarray(frame), *operation) for frame in frames.numpy()]
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures]))


def _pillow_one(picture: Image.Image, name: str, value: float) -> Image.Image:
    width, height = picture.size
    if name in ("color", "contrast", "brightness", "sharpness"):
        enhancer: Any = getattr(ImageEnhance, name.capitalize())(picture)
        return enhancer.enhance(value)  # type: ignore[no-any-return]
    if name == "solarize_add":
        return picture.point([min(v + int(value), 255) if v < 128 else v for v in range(256)] * 3)
    if name == "rotate":
        return picture.rotate(value, Image.Resampling.BICUBIC, fillcolor=FILL)
    moved = {
        "shear_x": (1, value, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, value, 1, 0),
        "translate_x": (1, 0, value * width, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, value * height),
    }
    if name in moved:
        bicubic = Image.Resampling.BICUBIC
        return picture.transform(picture.size, Image.Transform.AFFINE, moved[name], bicubic, fillcolor=FILL)
    function: Any = getattr(ImageOps, name)
    return function(picture, int(value)) if name in ("posterize", "solarize") else function(picture)  # type: ignore[no-any-return]


def _kornia(frames: Tensor, operation: Operation) -> Tensor:
    """The nearest of kornia's functions, which take float32 `(T, 3, H, W)` in 0..1."""
    enhance = importlib.import_module("kornia.enhance")
    warp = importlib.import_module("kornia.geometry.transform").warp_affine
    name, value = operation
    x = frames.permute(0, 3, 1, 2).float() / 255
    height, width = x.shape[2:]
    angle = np.deg2rad(value)
    moved = {
        "rotate": [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0]],
        "shear_x": [[1, value, 0], [0, 1, 0]],
        "shear_y": [[1, 0, 0], [value, 1, 0]],
        "translate_x": [[1, 0, value * width], [0, 1, 0]],
        "translate_y": [[1, 0, 0], [0, 1, value * height]],
    }
    grey = x.mean(dim=1, keepdim=True)
    if name in moved:
        matrix = torch.tensor(moved[name], dtype=torch.float32, device=x.device).expand(len(x), 2, 3)
        x = warp(x, matrix, (height, width), mode="bicubic")
    elif name == "solarize_add":
        x = enhance.solarize(x, 1.0, value / 255)
    elif name == "solarize":
        x = enhance.solarize(x, value / 255)
    elif name == "posterize":
        x = enhance.posterize(x, int(value))
    elif name == "autocontrast":
        x = enhance.normalize_min_max(x)
    elif name in ("equalize", "invert", "sharpness"):
        x = getattr(enhance, name)(x, value) if name == "sharpness" else getattr(enhance, name)(x)
    else:
        plain = {"color": grey, "contrast": grey.mean(dim=(2, 3), keepdim=True), "brightness": torch.zeros_like(grey)}
        x = enhance.add_weighted(x, value, plain[name].expand_as(x), 1 - value, 0.0)
    return (x.clamp(0, 1) * 255).to(torch.uint8).permute(0, 2, 3, 1)


def _time(apply: Apply, frames: Tensor, operation: Operation) -> float:
    start = _now(str(frames.device))
    apply(frames, operation)
    return _now(str(frames.device)) - start


def _now(device: str) -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, required=True, help="any clip; its size decides the times")
    parser.add_argument("--views", type=int, default=30, help="views with drawn operations that are timed")
    parser.add_argument("--size", default="vit_s", help="network of the step that is taken apart")
    parser.add_argument("--batch", type=int, default=2, help="clips of that step")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--json", type=Path, help="write the rows there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
