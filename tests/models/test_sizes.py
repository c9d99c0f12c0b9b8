"""The named networks: the official parameter counts, and settings that fail first."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hashtag2action.errors import UserError
from hashtag2action.models import build_classifier, build_videomae
from hashtag2action.models.sizes import DECODERS, ENCODERS

PARAMETERS = {
    "vit_s": (22_033_936, 24_029_376),
    "vit_b": (86_534_800, 94_210_944),
    "vit_l": (304_270_736, 317_782_016),
    "vit_h": (632_119_440, 645_659_392),
    "vit_g": (1_012_174_352, 1_026_306_560),
}
"""Fine-tuning with 400 classes and pre-training, counted on the official models."""


@pytest.mark.parametrize("name", PARAMETERS)
def test_official_parameter_counts(name: str) -> None:
    with torch.device("meta"):
        models = build_classifier(name, 400), build_videomae(name)
    assert tuple(sum(p.numel() for p in model.parameters()) for model in models) == PARAMETERS[name]


@pytest.mark.parametrize(("name", "tensors"), [("vit_s", 218), ("vit_b", 218), ("vit_l", 374)])
def test_official_tensor_counts(name: str, tensors: int) -> None:
    with torch.device("meta"):
        assert len(build_videomae(name).state_dict()) == tensors


def test_every_encoder_has_a_decoder() -> None:
    assert ENCODERS.keys() == DECODERS.keys()


@pytest.mark.parametrize("name", ENCODERS)
def test_classifier_starts_undecided_and_embeds(name: str) -> None:
    """One block of each size on a small clip: near-equal logits, as the small initial head makes them."""
    torch.manual_seed(0)
    patch = ENCODERS[name].get("patch", 16)
    model = build_classifier(name, 5, depth=1, frames=4, image_size=2 * patch).eval()
    video = torch.randn(2, 3, 4, 2 * patch, 2 * patch)
    with torch.no_grad():
        assert model.features(video).shape == (2, ENCODERS[name]["dim"])
        logits = model(video)
    assert logits.shape == (2, 5)
    assert logits.abs().max() < 0.01


def test_drop_path_grows_over_depth() -> None:
    model = build_classifier("vit_tiny", 5, drop_path=0.2)
    assert [block.drop_path for block in model.blocks] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.2])


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("vit_m", {}, "unknown size 'vit_m', did you mean"),
        ("vit_b", {"decoder_dept": 2}, "unknown setting 'decoder_dept', did you mean 'decoder_depth'"),
        ("vit_b", {"image_size": 100}, "100 is not a multiple of patch 16"),
        ("vit_b", {"frames": 15}, "15 is not a multiple of tubelet 2"),
        ("vit_b", {"heads": 7}, "768 is not a multiple of heads 7"),
        ("vit_b", {"decoder_heads": 7}, "384 is not a multiple of decoder_heads 7"),
    ],
)
def test_wrong_settings_are_named(name: str, overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_videomae(name, **overrides)
