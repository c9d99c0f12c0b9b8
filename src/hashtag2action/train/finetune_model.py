"""The classifier that fine-tuning starts from: new, or with a pre-trained encoder, wholly trainable or in part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from hashtag2action.errors import UserError
from hashtag2action.models import LoadReport, VideoClassifier, build_classifier, load_pretrained
from hashtag2action.models.checkpoints import read_checkpoint
from hashtag2action.models.vit import Block
from hashtag2action.train.finetune_settings import FinetuneSettings


def build_model(
    settings: FinetuneSettings, classes: Sequence[str], pretrained: Path | None
) -> tuple[VideoClassifier, LoadReport | None]:
    """Build the classifier with new weights that only the seed decides, then load what `pretrained` has of them.

    A head that was trained on classes of other names is not taken over, even where their number is the same, unless
    `model.class_index` says which of its rows are meant. Raises `UserError` for a checkpoint that does not fit.
    """
    model = settings.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = build_classifier(
            model.name,
            len(classes),
            **{
                "image_size": model.image_size,
                "frames": model.frames,
                "drop_path": model.drop_path,
                "head_dropout": model.head_dropout,
                "checkpointing": model.checkpointing,
                **model.overrides,
            },
        )
    report = None
    if pretrained is not None:
        head = {name: value.clone() for name, value in network.head.state_dict().items()}
        report = load_pretrained(network, pretrained, class_index=model.class_index)
        others = read_checkpoint(pretrained).get("classes")
        renamed = others is not None and list(others) != list(classes) and model.class_index is None
        if model.head == "new" or renamed:
            network.head.load_state_dict(head)
    freeze(network, model.freeze)
    return network, report


def freeze(model: VideoClassifier, what: str | int) -> None:
    """Exclude parameters from training (see `ClassifierSettings.freeze`) and drop path from the frozen blocks."""
    if what == "none":
        return
    count = {"embedding": 0, "encoder": len(model.blocks)}[what] if isinstance(what, str) else what
    if count > len(model.blocks):
        raise UserError(f"model.freeze: {count} blocks asked, the network has {len(model.blocks)}")
    frozen: list[nn.Module] = [model.patch_embed, *list(model.blocks)[:count]]
    for module in frozen:
        module.requires_grad_(False)
        if isinstance(module, Block):
            module.drop_path = 0.0
    model.pos_embed.requires_grad_(False)
