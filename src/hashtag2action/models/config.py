"""What a network is made of: frozen settings that are saved with its weights."""

from __future__ import annotations

from dataclasses import dataclass

from hashtag2action.errors import UserError

Grid = tuple[int, int, int]
"""Tokens along time, height and width."""


@dataclass(frozen=True)
class EncoderConfig:
    """The Vision Transformer that turns a clip `(3, frames, image_size, image_size)` into tokens."""

    image_size: int = 224
    frames: int = 16
    tubelet: int = 2
    patch: int = 16
    dim: int = 768
    depth: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    drop_path: float = 0.0
    """Rate of the last block; it grows linearly from 0 at the first."""
    layer_scale: float = 0.0
    """Initial value of gamma_1 and gamma_2; 0 leaves them out, as every published recipe does."""
    learnable_positions: bool = False
    position_grid: Grid | None = None
    """Grid on which the fixed sinusoids are made before they are interpolated to `grid`; None means `grid` itself."""
    checkpointing: bool = False
    """Recompute each block in the backward pass: less memory, about a third more time."""

    def __post_init__(self) -> None:
        if self.image_size % self.patch:
            raise UserError(f"image_size: {self.image_size} is not a multiple of patch {self.patch}")
        if self.frames % self.tubelet:
            raise UserError(f"frames: {self.frames} is not a multiple of tubelet {self.tubelet}")
        if self.dim % self.heads:
            raise UserError(f"dim: {self.dim} is not a multiple of heads {self.heads}")

    @property
    def grid(self) -> Grid:
        """Tokens along time, height and width."""
        side = self.image_size // self.patch
        return self.frames // self.tubelet, side, side

    @property
    def tokens(self) -> int:
        """Tokens of a whole clip."""
        t, h, w = self.grid
        return t * h * w

    @property
    def patch_pixels(self) -> int:
        """Values in one patch, `3 * tubelet * patch * patch`."""
        return 3 * self.tubelet * self.patch * self.patch


@dataclass(frozen=True)
class VideoMAEConfig(EncoderConfig):
    """Encoder and decoder of masked pre-training; `mlp_ratio` is shared, as in the official code."""

    decoder_dim: int = 384
    decoder_depth: int = 4
    decoder_heads: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decoder_dim % self.decoder_heads:
            raise UserError(f"decoder_dim: {self.decoder_dim} is not a multiple of decoder_heads {self.decoder_heads}")


@dataclass(frozen=True)
class ClassifierConfig(EncoderConfig):
    """Encoder and classification head of fine-tuning."""

    num_classes: int = 400
    head_dropout: float = 0.0
    init_scale: float = 0.001
    """Factor on the head's freshly drawn weight and bias (official default)."""
