"""The networks by name, from a laptop's to the paper's giant."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any, TypeVar

from hashtag2action.errors import UserError
from hashtag2action.models.classifier import VideoClassifier
from hashtag2action.models.config import ClassifierConfig, EncoderConfig, VideoMAEConfig
from hashtag2action.models.videomae import VideoMAE

ENCODERS: dict[str, dict[str, Any]] = {
    "vit_tiny": {"dim": 192, "depth": 6, "heads": 3},
    "vit_s": {"dim": 384, "depth": 12, "heads": 6},
    "vit_b": {"dim": 768, "depth": 12, "heads": 12},
    "vit_l": {"dim": 1024, "depth": 24, "heads": 16},
    "vit_h": {"dim": 1280, "depth": 32, "heads": 16},
    "vit_g": {"dim": 1408, "depth": 40, "heads": 16, "patch": 14, "mlp_ratio": 48 / 11},
}
"""Official sizes (VideoMAE V2); `vit_tiny` is ours, for CPUs."""

DECODERS: dict[str, dict[str, Any]] = {
    "vit_tiny": {"decoder_dim": 96, "decoder_heads": 3, "decoder_depth": 2},
    "vit_s": {"decoder_dim": 192, "decoder_heads": 3},
    "vit_b": {"decoder_dim": 384, "decoder_heads": 6},
    "vit_l": {"decoder_dim": 512, "decoder_heads": 8},
    "vit_h": {"decoder_dim": 512, "decoder_heads": 8},
    "vit_g": {"decoder_dim": 512, "decoder_heads": 8},
}

Config = TypeVar("Config", bound=EncoderConfig)


def build_videomae(name: str, **overrides: Any) -> VideoMAE:
    """Build the pre-training model of a size; `overrides` are fields of `VideoMAEConfig`.

    Raises `UserError` for an unknown size or field.
    """
    return VideoMAE(make_config(VideoMAEConfig, name, **overrides))


def build_classifier(name: str, num_classes: int, **overrides: Any) -> VideoClassifier:
    """Build the classifier of a size; `overrides` are fields of `ClassifierConfig`.

    Raises `UserError` for an unknown size or field.
    """
    return VideoClassifier(make_config(ClassifierConfig, name, num_classes=num_classes, **overrides))


def make_config(kind: type[Config], name: str, **overrides: Any) -> Config:
    """Return the settings of a named size with `overrides` applied."""
    if name not in ENCODERS:
        known = ", ".join(ENCODERS)
        raise UserError(f"model: unknown size {name!r}{_nearest(name, list(ENCODERS))}; known are {known}")
    fields = [field.name for field in dataclasses.fields(kind)]
    for key in overrides:
        if key not in fields:
            raise UserError(f"model: unknown setting {key!r}{_nearest(key, fields)}")
    decoder = DECODERS[name] if issubclass(kind, VideoMAEConfig) else {}
    return kind(**{**ENCODERS[name], **decoder, **overrides})


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f", did you mean {close[0]!r}?" if close else ""
