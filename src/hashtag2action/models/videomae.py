"""Masked video modelling with dual masking (VideoMAE V2): the encoder sees a few patches, the decoder rebuilds others.

Only what is needed is computed. Patches are gathered before they are embedded; the decoder's last block, its head and
the targets exist only for tokens that are asked for. The results are those of the official model.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hashtag2action.models.config import VideoMAEConfig
from hashtag2action.models.patches import gather_patches, normalized_targets
from hashtag2action.models.positions import sinusoid_positions
from hashtag2action.models.vit import NORM_EPS, VisionTransformer, make_blocks, run_blocks

PIXEL_STD = (0.229, 0.224, 0.225)
"""ImageNet standard deviations by which the input's channels were divided."""


class VideoMAE(nn.Module):
    """Encoder and decoder of pre-training, with the official parameter names.

    Masks are boolean `(B, t*h*w)`: True hides a token from the encoder, and True keeps it out of the decoder's
    targets. Each sample of a batch shows the same number of tokens and decodes the same number.
    """

    pixel_std: Tensor
    decoder_positions: Tensor

    def __init__(self, config: VideoMAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.encoder_to_decoder = nn.Linear(config.dim, config.decoder_dim, bias=False)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, config.decoder_dim))
        table = sinusoid_positions(config.grid, config.decoder_dim, config.position_grid)
        self.register_buffer("decoder_positions", table, persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD), persistent=False)
        self.apply(_init_xavier)
        nn.init.trunc_normal_(self.mask_token, std=0.02, a=-0.02, b=0.02)

    def forward(self, video: Tensor, encoder_mask: Tensor, decoder_mask: Tensor) -> Tensor:
        """Predict `(B, N_decoded, 2*p*p*3)` normalised pixels, (pixel, channel) ordered, from a clip `(B, 3, T, H, W)`.

        Raises `ValueError` for masks of another shape or with counts that differ between samples.
        """
        plan = plan_tokens(encoder_mask, decoder_mask, self.config.tokens, video.device)
        return self.decoder.head(self._decode(video, plan.visible, plan.decoded, plan.decoded.shape[1]))

    def loss(self, video: Tensor, encoder_mask: Tensor, decoder_mask: Tensor) -> Tensor:
        """Mean squared error over the decoded tokens that were hidden from the encoder: a scalar, float32.

        Decoded tokens that the encoder saw take part as the official queries do, but nothing is predicted for them.
        """
        plan = plan_tokens(encoder_mask, decoder_mask, self.config.tokens, video.device)
        return self._loss(video, plan)

    def _loss(self, video: Tensor, plan: TokenPlan) -> Tensor:
        decoded, count = plan.uncounted_first, plan.most_counted
        hidden = decoded[:, -count:]
        features = self._decode(video, plan.visible, decoded, count)
        with torch.no_grad():
            patches = gather_patches(video, hidden, self.config.tubelet, self.config.patch)
            target = normalized_targets(patches, self.pixel_std)
        predictions = F.linear(features, *self._channels_first_head())
        if plan.weights is None:
            return F.mse_loss(predictions.float(), target)
        errors = (predictions.float() - target).square().mean(-1)
        return (errors * plan.weights).sum() / plan.weights.sum()

    def _decode(self, video: Tensor, visible: Tensor, decoded: Tensor, last: int) -> Tensor:
        """Return normalised decoder features `(B, last, decoder_dim)` of the last tokens of `decoded` `(B, n)`."""
        seen = self.encoder_to_decoder(self.encoder(video, visible))
        positions = self.decoder_positions[0].to(seen.dtype)
        queries = self.mask_token.to(seen.dtype) + positions[decoded]
        return self.decoder(torch.cat((seen + positions[visible], queries), dim=1), last)

    def _channels_first_head(self) -> tuple[Tensor, Tensor]:
        """The head with its outputs in the order of `gather_patches`, so that no target has to be reordered."""
        head = self.decoder.head
        weight = head.weight.unflatten(0, (-1, 3)).transpose(0, 1).flatten(0, 1)
        return weight, head.bias.unflatten(0, (-1, 3)).t().flatten()


class Encoder(VisionTransformer):
    """The blocks over visible tokens, and a norm."""

    def __init__(self, config: VideoMAEConfig) -> None:
        super().__init__(config)
        self.norm = nn.LayerNorm(config.dim, eps=NORM_EPS)

    def forward(self, video: Tensor, visible: Tensor | None = None) -> Tensor:
        """Encode the tokens `visible` `(B, n)`, all of them where it is None: `(B, n, dim)`."""
        return self.norm(self.encode(video, visible))


class Decoder(nn.Module):
    """A few narrow blocks that turn queries and encoded tokens into pixels."""

    def __init__(self, config: VideoMAEConfig) -> None:
        super().__init__()
        self.checkpointing = config.checkpointing
        self.blocks = make_blocks(
            config.decoder_dim,
            config.decoder_depth,
            config.decoder_heads,
            config.mlp_ratio,
            config.drop_path,
            config.layer_scale,
        )
        self.norm = nn.LayerNorm(config.decoder_dim, eps=NORM_EPS)
        self.head = nn.Linear(config.decoder_dim, config.patch_pixels)

    def forward(self, x: Tensor, last: int) -> Tensor:
        """Map `(B, N, dim)` to normalised features of its `last` tokens; the head is the caller's."""
        return self.norm(run_blocks(self.blocks, x, self.checkpointing, last)[:, -last:])


class TokenPlan(NamedTuple):
    """Which tokens go where, as indices `(B, n)` in ascending order."""

    visible: Tensor
    decoded: Tensor
    uncounted_first: Tensor
    """The decoded tokens, those that the encoder saw before those that count in the loss."""
    most_counted: int
    weights: Tensor | None
    """1 where one of the last `most_counted` tokens counts; None where all do."""


def plan_tokens(encoder_mask: Tensor, decoder_mask: Tensor, tokens: int, device: torch.device) -> TokenPlan:
    """Turn two boolean masks `(B, tokens)` into indices on `device`.

    Masks may stay on the CPU while the video is on an accelerator: the counts are then known without waiting for it.
    """
    if encoder_mask.shape != decoder_mask.shape or encoder_mask.shape[1:] != (tokens,):
        raise ValueError(
            f"masks are {tuple(encoder_mask.shape)} and {tuple(decoder_mask.shape)}, the model takes (B, {tokens})"
        )
    target = ~decoder_mask
    counted = target & encoder_mask
    counts = torch.stack((encoder_mask.logical_not().sum(1), target.sum(1), counted.sum(1)))
    (fewest_seen, fewest_decoded, fewest_counted), (seen, decoded, most_counted) = torch.stack(
        counts.aminmax(dim=1)
    ).tolist()
    if fewest_seen != seen or fewest_decoded != decoded:
        raise ValueError(
            f"samples of a batch differ: {fewest_seen} to {seen} visible tokens, {fewest_decoded} to {decoded} decoded"
        )
    if not seen or not most_counted:
        raise ValueError(
            f"masks leave {seen} visible tokens and {most_counted} that count in the loss; neither may be 0"
        )

    encoder_mask, target, counted = (mask.to(device, non_blocking=True) for mask in (encoder_mask, target, counted))
    ordered = _sort(target.to(torch.uint8) + counted.to(torch.uint8))
    uncounted_first = ordered[:, tokens - decoded :]
    weights = None
    if fewest_counted != most_counted:
        weights = counted.gather(1, uncounted_first[:, -most_counted:]).float()
    return TokenPlan(
        visible=_sort(encoder_mask)[:, :seen],
        decoded=_sort(target)[:, tokens - decoded :],
        uncounted_first=uncounted_first,
        most_counted=most_counted,
        weights=weights,
    )


def _sort(keys: Tensor) -> Tensor:
    return keys.to(torch.uint8).argsort(dim=1, stable=True)


def _init_xavier(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
