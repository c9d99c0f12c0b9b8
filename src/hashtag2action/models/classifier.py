"""Action recognition: the encoder over all patches, mean pooling, a linear head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hashtag2action.models.config import ClassifierConfig
from hashtag2action.models.vit import NORM_EPS, VisionTransformer


class VideoClassifier(VisionTransformer):
    """The official fine-tuning model: mean over tokens, `fc_norm`, dropout, `head`."""

    config: ClassifierConfig

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__(config)
        self.fc_norm = nn.LayerNorm(config.dim, eps=NORM_EPS)
        self.head_dropout = nn.Dropout(config.head_dropout)
        self.head = nn.Linear(config.dim, config.num_classes)
        self.apply(_init_truncated)
        with torch.no_grad():
            self.head.weight.mul_(config.init_scale)
            self.head.bias.mul_(config.init_scale)

    def features(self, video: Tensor) -> Tensor:
        """Embed normalised clips `(B, 3, T, H, W)` as `(B, dim)`: the normalised mean of all tokens."""
        return self.fc_norm(self.encode(video).mean(dim=1))

    def forward(self, video: Tensor) -> Tensor:
        """Score normalised clips `(B, 3, T, H, W)`: logits `(B, num_classes)`."""
        return self.head(self.head_dropout(self.features(video)))


def _init_truncated(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
