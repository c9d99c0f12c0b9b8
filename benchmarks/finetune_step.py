"""Time and memory of one optimiser step of fine-tuning: ours, transformers' and the official code's.

    python benchmarks/finetune_step.py --sizes vit_s --inputs 224 --official ~/VideoMAEv2 --json rows.json

A step is forward, cross-entropy against mixup targets of 400 classes, backward and AdamW on one prepared batch of
16-frame clips; transformers' attention is PyTorch's (SDPA). No implementation drops paths. How they take turns and what
a row holds is as in `pretrain_step.py`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hashtag2action.data.mixing import MixDraw, mix, soft_targets
from hashtag2action.models.allocator import keep_freed_memory
from hashtag2action.models.classifier import VideoClassifier
from hashtag2action.models.config import ClassifierConfig
from hashtag2action.models.sizes import make_config
from pretrain_step import LossStep, compare, parse, rss_mb, serve, stand_in_for_timm

CLASSES = 400


def main() -> None:
    """Measure what the command line asks for, print a table and write the rows."""
    compare(parse(__doc__, batch=2), _work)


def _work(pipe: Connection, impl: str, size: str, side: int, options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    if options.device == "cpu" and (impl == "ours" or options.same_allocator):
        keep_freed_memory()
    build = {"ours": _ours, "transformers": _transformers, "official": partial(_official, folder=options.official)}[
        impl
    ]
    config = make_config(ClassifierConfig, size, image_size=side, num_classes=CLASSES)
    torch.manual_seed(0)
    video = torch.randn(options.batch, 3, config.frames, side, side, device=options.device)
    target = soft_targets(torch.arange(options.batch, device=options.device), CLASSES, 0.1)
    mix(video, target, 1, [MixDraw(0.7)] * -(-options.batch // 2))
    if impl == "transformers":
        importlib.import_module("transformers.models.videomae")
    before = rss_mb()
    model, loss_of = build(config, video, target)
    serve(pipe, impl, model, loss_of, before, options)


def _ours(config: ClassifierConfig, video: Tensor, target: Tensor) -> tuple[nn.Module, LossStep]:
    model = VideoClassifier(config).to(video.device)
    return model, lambda: F.cross_entropy(model(video), target)


def _transformers(config: ClassifierConfig, video: Tensor, target: Tensor) -> tuple[nn.Module, LossStep]:
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    theirs = VideoMAEConfig(
        image_size=config.image_size,
        hidden_size=config.dim,
        num_hidden_layers=config.depth,
        num_attention_heads=config.heads,
        intermediate_size=int(config.dim * config.mlp_ratio),
        num_labels=CLASSES,
        attn_implementation="sdpa",
    )
    model = VideoMAEForVideoClassification(theirs).to(video.device).train()
    frames_first = video.transpose(1, 2).contiguous()
    return model, lambda: F.cross_entropy(model(frames_first).logits, target)


def _official(config: ClassifierConfig, video: Tensor, target: Tensor, folder: Path) -> tuple[nn.Module, LossStep]:
    stand_in_for_timm()
    sys.path.insert(0, str(folder))
    module = importlib.import_module("models.modeling_finetune")
    model = module.VisionTransformer(
        img_size=config.image_size,
        patch_size=config.patch,
        num_classes=CLASSES,
        embed_dim=config.dim,
        depth=config.depth,
        num_heads=config.heads,
        mlp_ratio=config.mlp_ratio,
        qkv_bias=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        init_scale=config.init_scale,
    ).to(video.device)

    def loss() -> Tensor:
        logits: Tensor = model(video)
        return -(target * logits.log_softmax(dim=-1)).sum(dim=-1).mean()

    return model, loss


if __name__ == "__main__":
    main()
