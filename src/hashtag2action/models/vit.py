"""The plain Vision Transformer of VideoMAE: pre-norm blocks, no class token, official parameter names."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from hashtag2action.models.config import EncoderConfig
from hashtag2action.models.patches import gather_patches, unfold_patches
from hashtag2action.models.positions import sinusoid_positions

NORM_EPS = 1e-6


class VisionTransformer(nn.Module):
    """Patch embedding, positions and blocks; what follows the last block is the owner's business."""

    pos_embed: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config: EncoderConfig = config
        self.patch_embed = PatchEmbed(config)
        self.blocks = make_blocks(
            config.dim, config.depth, config.heads, config.mlp_ratio, config.drop_path, config.layer_scale
        )
        table = sinusoid_positions(config.grid, config.dim, config.position_grid)
        if config.learnable_positions:
            self.pos_embed = nn.Parameter(table)
        else:
            self.register_buffer("pos_embed", table, persistent=False)

    def encode(self, video: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Run the blocks over `(B, 3, T, H, W)`, or over its `tokens` `(B, n)` only: `(B, n, dim)`."""
        positions = self.pos_embed if tokens is None else self.pos_embed[0][tokens]
        x = self.patch_embed(video, tokens)
        return run_blocks(self.blocks, x + positions.to(x.dtype), self.config.checkpointing)


class PatchEmbed(nn.Module):
    """The official tubelet convolution, computed as one matrix product over the patches that are needed."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.tubelet, self.patch = config.tubelet, config.patch
        self.shape = (3, config.frames, config.image_size, config.image_size)
        kernel = (config.tubelet, config.patch, config.patch)
        self.proj = nn.Conv3d(3, config.dim, kernel_size=kernel, stride=kernel)

    def forward(self, video: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Embed all patches of `(B, 3, T, H, W)`, or those named by `tokens` `(B, n)`: `(B, n, dim)`.

        Raises `ValueError` for a video of another shape than the model's.
        """
        if tuple(video.shape[1:]) != self.shape:
            raise ValueError(f"video is {tuple(video.shape)}, the model takes (B, {', '.join(map(str, self.shape))})")
        if tokens is None:
            patches = unfold_patches(video, self.tubelet, self.patch)
        else:
            patches = gather_patches(video, tokens, self.tubelet, self.patch)
        return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


class Block(nn.Module):
    """Attention and MLP, each on a normalised input and added to the residual."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float, drop_path: float, layer_scale: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = MLP(dim, int(dim * mlp_ratio))
        self.drop_path = drop_path
        self.gamma_1 = nn.Parameter(torch.full((dim,), layer_scale)) if layer_scale else None
        self.gamma_2 = nn.Parameter(torch.full((dim,), layer_scale)) if layer_scale else None

    def forward(self, x: Tensor, last: int | None = None) -> Tensor:
        """Map `(B, N, dim)` to itself, or to its `last` tokens only: the others still serve as keys and values."""
        residual = x if last is None else x[:, -last:]
        x = residual + self._branch(self.attn(self.norm1(x), last), self.gamma_1)
        return x + self._branch(self.mlp(self.norm2(x)), self.gamma_2)

    def _branch(self, x: Tensor, gamma: nn.Parameter | None) -> Tensor:
        if gamma is not None:
            x = x * gamma
        if self.training and self.drop_path:
            x = drop_samples(x, self.drop_path)
        return x


class Attention(nn.Module):
    """Multi-head self-attention with separate query and value biases and none for the keys."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, last: int | None = None) -> Tensor:
        """Mix `(B, N, dim)`; with `last`, only that many tokens at the end ask, while all answer: `(B, last, dim)`."""
        dim = x.shape[-1]
        if last is None or last == x.shape[1]:
            bias = torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias))
            query, key, value = F.linear(x, self.qkv.weight, bias).chunk(3, dim=-1)
        else:
            for_query, for_rest = self.qkv.weight.split((dim, 2 * dim))
            query = F.linear(x[:, -last:], for_query, self.q_bias)
            bias = torch.cat((torch.zeros_like(self.v_bias), self.v_bias))
            key, value = F.linear(x, for_rest, bias).chunk(2, dim=-1)
        mixed = F.scaled_dot_product_attention(self._split(query), self._split(key), self._split(value))
        return self.proj(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, N, head dim)


class MLP(nn.Module):
    """Two layers with the exact GELU between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(..., dim)` to `(..., dim)`."""
        return self.fc2(F.gelu(self.fc1(x)))


def make_blocks(
    dim: int, depth: int, heads: int, mlp_ratio: float, drop_path: float, layer_scale: float
) -> nn.ModuleList:
    """Build `depth` blocks whose drop-path rate grows linearly from 0 to `drop_path`."""
    rates = [drop_path * i / max(depth - 1, 1) for i in range(depth)]
    return nn.ModuleList(Block(dim, heads, mlp_ratio, rate, layer_scale) for rate in rates)


def run_blocks(blocks: nn.ModuleList, x: Tensor, checkpointing: bool, last: int | None = None) -> Tensor:
    """Run the blocks one after another; the final one returns only its `last` tokens where that is given."""
    for i, block in enumerate(blocks):
        wanted = last if i == len(blocks) - 1 else None
        if checkpointing and torch.is_grad_enabled():
            x = checkpoint(block, x, wanted, use_reentrant=False)
        else:
            x = block(x, wanted)
    return x


def drop_samples(x: Tensor, rate: float) -> Tensor:
    """Zero whole samples of `(B, ...)` with probability `rate` and scale the others to keep the expectation."""
    keep = torch.empty(x.shape[0], *(1,) * (x.ndim - 1), dtype=x.dtype, device=x.device).bernoulli_(1 - rate)
    return x * keep.div_(1 - rate)
