"""The pre-training model against the official output and against a plain float64 rewriting of its formulas."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hashtag2action.models import VideoMAE, VideoMAEConfig, build_videomae, sample_masks
from hashtag2action.models.patches import channels_last, gather_patches, unfold_patches
from hashtag2action.models.vit import drop_samples

TINY: dict[str, Any] = {
    "image_size": 64,
    "dim": 48,
    "depth": 2,
    "heads": 3,
    "decoder_dim": 24,
    "decoder_depth": 1,
    "decoder_heads": 2,
}
"""The size at which the official model made the golden file."""

MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)
STD = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)


@pytest.fixture(scope="module")
def golden(reference: Path) -> dict[str, Any]:
    return torch.load(reference / "golden_videomaev2_tiny.pt", weights_only=True)


def test_matches_the_official_output(golden: dict[str, Any]) -> None:
    model = build_videomae("vit_s", **TINY)
    model.load_state_dict(golden["pretrain_state"])
    with torch.no_grad():
        predictions = model(golden["x"], golden["enc_mask"], golden["dec_mask"])
        loss = model.loss(golden["x"], golden["enc_mask"], golden["dec_mask"])
    torch.testing.assert_close(predictions, golden["pretrain_out"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(loss, golden["loss"], atol=1e-5, rtol=1e-5)


def test_one_step_from_the_official_state_matches_float64(golden: dict[str, Any]) -> None:
    model = build_videomae("vit_s", **TINY)
    model.load_state_dict(golden["pretrain_state"])
    _assert_step_matches(model, golden["x"], golden["enc_mask"], golden["dec_mask"])


CASES = {
    "official proportions": (TINY, {}),
    "every hidden token decoded": (TINY, {"decoder_ratio": 0}),
    "random masks, uneven counts": (TINY, {"encoder": "random", "decoder": "random"}),
    "deeper decoder": ({**TINY, "decoder_depth": 3}, {}),
    "patch 14, ratio 48/11": ({**TINY, "image_size": 56, "patch": 14, "dim": 66, "mlp_ratio": 48 / 11}, {}),
    "layer scale": ({**TINY, "layer_scale": 0.3}, {}),
    "four frames, odd grid": ({**TINY, "image_size": 80, "frames": 4}, {"decoder": "random", "encoder_ratio": 0.75}),
    "activation checkpointing": ({**TINY, "checkpointing": True}, {}),
}


@pytest.mark.parametrize(("settings", "masking"), CASES.values(), ids=CASES.keys())
def test_matches_the_formulas(settings: dict[str, Any], masking: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = build_videomae("vit_s", **settings)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    config = model.config
    video = torch.randn(3, 3, config.frames, config.image_size, config.image_size)
    masks = sample_masks(3, config.grid, **masking)

    with torch.no_grad():
        predictions = model(video, *masks)
    expected, _ = plain_videomae(_float64(model), config, video.double(), *masks)
    torch.testing.assert_close(predictions.double(), expected, atol=1e-5, rtol=1e-5)
    _assert_step_matches(model, video, *masks)


def test_visible_tokens_carry_no_loss_even_where_they_are_decoded() -> None:
    torch.manual_seed(0)
    model = build_videomae("vit_s", **TINY)
    encoder_mask, decoder_mask = sample_masks(2, model.config.grid)
    counted = ~decoder_mask & encoder_mask
    video = torch.randn(2, 3, 16, 64, 64)
    pixels = unfold_patches(video, 2, 16)
    predictions = model(video, encoder_mask, decoder_mask)
    kept = predictions[counted[~decoder_mask].view(2, -1)]
    target = channels_last(_normalised(pixels[counted].double()))
    torch.testing.assert_close(
        model.loss(video, encoder_mask, decoder_mask).double(), (kept.double() - target).square().mean()
    )


def test_masks_that_do_not_fit_are_refused() -> None:
    model = build_videomae("vit_s", **TINY)
    video = torch.randn(2, 3, 16, 64, 64)
    encoder_mask, decoder_mask = sample_masks(2, model.config.grid)
    with pytest.raises(ValueError, match=r"the model takes \(B, 128\)"):
        model.loss(video, encoder_mask[:, :64], decoder_mask)
    uneven = encoder_mask.clone()
    uneven[0] = True
    with pytest.raises(ValueError, match="samples of a batch differ"):
        model.loss(video, uneven, decoder_mask)
    with pytest.raises(ValueError, match="neither may be 0"):
        model.loss(video, encoder_mask, torch.ones_like(decoder_mask))
    with pytest.raises(ValueError, match="the model takes"):
        model.loss(video[..., :48], encoder_mask, decoder_mask)


def test_gathered_patches_equal_unfolded_ones() -> None:
    video = torch.randn(2, 3, 8, 48, 32)
    tokens = torch.stack([torch.randperm(4 * 3 * 2)[:9] for _ in range(2)])
    unfolded = unfold_patches(video, 2, 16)
    gathered = gather_patches(video, tokens, 2, 16)
    assert torch.equal(gathered, unfolded.gather(1, tokens.unsqueeze(-1).expand(-1, -1, unfolded.shape[-1])))


def test_drop_path_keeps_the_expectation_and_drops_whole_samples() -> None:
    torch.manual_seed(0)
    dropped = drop_samples(torch.ones(4000, 3, 2), 0.25)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (dropped.amax((1, 2)) == dropped.amin((1, 2))).all()
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)


def _assert_step_matches(model: VideoMAE, video: Tensor, encoder_mask: Tensor, decoder_mask: Tensor) -> None:
    """One fused AdamW step of the model equals AdamW's formulas on float64 gradients of the plain loss."""
    lr, betas, decay, eps = 1e-2, (0.9, 0.95), 0.05, 1e-8
    before = _float64(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=betas, weight_decay=decay, eps=eps, fused=True)
    loss = model.loss(video, encoder_mask, decoder_mask)
    loss.backward()
    gradients = {key: parameter.grad for key, parameter in model.named_parameters()}
    optimizer.step()

    for value in before.values():
        value.requires_grad_()
    _, expected = plain_videomae(before, model.config, video.double(), encoder_mask, decoder_mask)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    after = dict(model.named_parameters())
    for key, value in before.items():
        torch.testing.assert_close(
            gradients[key].double(), value.grad, atol=1e-5, rtol=1e-4, msg=lambda m, k=key: k + m
        )
        first, second = value.grad, value.grad.square()  # the moments after bias correction
        clear = value.grad.abs() > 1e-4  # elsewhere Adam divides rounding errors by themselves
        stepped = value.detach() * (1 - lr * decay) - lr * first / (second.sqrt() + eps)
        torch.testing.assert_close(after[key].detach().double()[clear], stepped[clear], atol=1e-5, rtol=1e-5)


def _float64(model: VideoMAE) -> dict[str, Tensor]:
    return {key: value.detach().double().clone() for key, value in model.named_parameters()}


def plain_videomae(
    state: dict[str, Tensor], config: VideoMAEConfig, video: Tensor, encoder_mask: Tensor, decoder_mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Predictions and loss straight from the formulas, sample by sample, with every token computed."""
    assert not asdict(config)["learnable_positions"]
    kernel = (config.tubelet, config.patch, config.patch)
    outputs, errors = [], []
    for clip, hidden, spared in zip(video, encoder_mask, decoder_mask, strict=True):
        weight, bias = state["encoder.patch_embed.proj.weight"], state["encoder.patch_embed.proj.bias"]
        x = torch.nn.functional.conv3d(clip[None], weight, bias, stride=kernel).flatten(2)[0].T
        x = (x + _sinusoids(config.tokens, config.dim))[~hidden]
        for i in range(config.depth):
            x = _plain_block(state, f"encoder.blocks.{i}.", x, config.heads)
        x = _plain_norm(x, state, "encoder.norm.") @ state["encoder_to_decoder.weight"].T
        positions = _sinusoids(config.tokens, config.decoder_dim)
        x = torch.cat((x + positions[~hidden], state["mask_token"][0] + positions[~spared]))
        for i in range(config.decoder_depth):
            x = _plain_block(state, f"decoder.blocks.{i}.", x, config.decoder_heads)
        x = _plain_norm(x[int((~hidden).sum()) :], state, "decoder.norm.")
        x = x @ state["decoder.head.weight"].T + state["decoder.head.bias"]
        outputs.append(x)

        pixels = clip * STD.view(3, 1, 1, 1) + MEAN.view(3, 1, 1, 1)
        t, h, w = config.grid
        pixels = pixels.reshape(3, t, kernel[0], h, kernel[1], w, kernel[2]).permute(1, 3, 5, 2, 4, 6, 0)
        patches = pixels.reshape(config.tokens, -1, 3)  # (tokens, pixels, channels)
        centred = patches - patches.mean(1, keepdim=True)
        deviation = (centred.square().sum(1, keepdim=True) / (patches.shape[1] - 1)).sqrt()
        labels = (centred / (deviation + 1e-6)).flatten(1)[~spared]
        errors.append((x - labels).square().mean(1)[hidden[~spared]])
    return torch.stack(outputs), torch.cat(errors).mean()


def _plain_block(state: dict[str, Tensor], prefix: str, x: Tensor, heads: int) -> Tensor:
    scale_1, scale_2 = state.get(prefix + "gamma_1", 1.0), state.get(prefix + "gamma_2", 1.0)
    y = _plain_norm(x, state, prefix + "norm1.") @ state[prefix + "attn.qkv.weight"].T
    q, k, v = y.chunk(3, dim=1)
    q, v = q + state[prefix + "attn.q_bias"], v + state[prefix + "attn.v_bias"]
    size = q.shape[1] // heads
    mixed = []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        weights = (q[:, part] @ k[:, part].T / math.sqrt(size)).softmax(-1)
        mixed.append(weights @ v[:, part])
    y = torch.cat(mixed, 1) @ state[prefix + "attn.proj.weight"].T + state[prefix + "attn.proj.bias"]
    x = x + scale_1 * y
    y = _plain_norm(x, state, prefix + "norm2.") @ state[prefix + "mlp.fc1.weight"].T + state[prefix + "mlp.fc1.bias"]
    y = 0.5 * y * (1 + torch.erf(y / math.sqrt(2)))
    return x + scale_2 * (y @ state[prefix + "mlp.fc2.weight"].T + state[prefix + "mlp.fc2.bias"])


def _plain_norm(x: Tensor, state: dict[str, Tensor], prefix: str) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True)
    return centred / (variance + 1e-6).sqrt() * state[prefix + "weight"] + state[prefix + "bias"]


def _sinusoids(tokens: int, dim: int) -> Tensor:
    table = [
        [(math.cos if j % 2 else math.sin)(position / 10000 ** (2 * (j // 2) / dim)) for j in range(dim)]
        for position in range(tokens)
    ]
    return torch.tensor(table, dtype=torch.float64)


def _normalised(patches: Tensor) -> Tensor:
    pixels = patches.unflatten(-1, (3, -1)) * STD.view(3, 1) + MEAN.view(3, 1)
    return ((pixels - pixels.mean(-1, keepdim=True)) / (pixels.std(-1, keepdim=True) + 1e-6)).flatten(-2)
