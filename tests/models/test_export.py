"""Exported models compute what the original computes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hashtag2action.errors import UserError
from hashtag2action.models import build_classifier, build_videomae, export_model, sample_masks

SIZES: dict[str, dict[str, Any]] = {
    "vit_tiny": {"image_size": 64},
    "vit_s": {"image_size": 32, "frames": 4, "depth": 2},
    "vit_g": {"image_size": 28, "frames": 4, "depth": 1},
}
"""Every head size and ratio of the family, made shallow and small."""


def _video(model: Any, batch: int) -> torch.Tensor:
    config = model.config
    return torch.randn(batch, 3, config.frames, config.image_size, config.image_size)


def _drawn(model: Any, std: float = 0.05) -> Any:
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return model.eval()


@pytest.mark.parametrize("name", SIZES)
def test_onnx_gives_the_same_logits_at_any_batch(tmp_path: Path, name: str) -> None:
    import onnxruntime

    model = _drawn(build_classifier(name, 6, **SIZES[name]), std=0.1).train()
    export_model(model, tmp_path / "model.onnx", "onnx")
    assert model.training, "exporting leaves the model as it was"
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for batch in (1, 2, 5):
        video = _video(model, batch)
        with torch.no_grad():
            expected = model.eval()(video).numpy()
        (logits,) = session.run(["logits"], {"video": video.numpy()})
        np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=1e-4)


def test_onnx_of_a_pretraining_model_is_its_encoder(tmp_path: Path) -> None:
    import onnxruntime

    model = _drawn(build_videomae("vit_tiny", image_size=64))
    export_model(model, tmp_path / "encoder.onnx", "onnx")
    session = onnxruntime.InferenceSession(tmp_path / "encoder.onnx", providers=["CPUExecutionProvider"])
    video = _video(model, 3)
    with torch.no_grad():
        expected = model.encoder(video).numpy()
    (tokens,) = session.run(["tokens"], {"video": video.numpy()})
    np.testing.assert_allclose(tokens, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", SIZES)
def test_hf_classifier_gives_the_same_logits(tmp_path: Path, name: str) -> None:
    transformers = pytest.importorskip("transformers")
    model = _drawn(build_classifier(name, 3, **SIZES[name]), std=0.1)
    export_model(model, tmp_path / "hf", "hf", classes=["run", "jump", "swim"])
    theirs, info = transformers.VideoMAEForVideoClassification.from_pretrained(
        tmp_path / "hf", output_loading_info=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert theirs.config.id2label == {0: "run", 1: "jump", 2: "swim"}
    video = _video(model, 2)
    with torch.no_grad():
        logits = theirs.eval()(video.transpose(1, 2)).logits
        torch.testing.assert_close(logits, model(video), atol=1e-4, rtol=1e-4)


def test_hf_pretraining_model_gives_the_same_tokens_predictions_and_loss(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = _drawn(build_videomae("vit_tiny", image_size=64))
    export_model(model, tmp_path / "hf", "hf")
    video = _video(model, 2)
    hidden, spared = sample_masks(2, model.config.grid, decoder_ratio=0)
    encoder = transformers.VideoMAEModel.from_pretrained(tmp_path / "hf").eval()
    theirs, info = transformers.VideoMAEForPreTraining.from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    with torch.no_grad():
        tokens = encoder(video.transpose(1, 2)).last_hidden_state
        torch.testing.assert_close(tokens, model.encoder(video), atol=1e-4, rtol=1e-4)
        output = theirs.eval()(video.transpose(1, 2), bool_masked_pos=hidden)
        torch.testing.assert_close(output.logits, model(video, hidden, spared), atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(output.loss, model.loss(video, hidden, spared), atol=1e-4, rtol=1e-4)


def test_hf_folder_says_how_to_prepare_clips(tmp_path: Path) -> None:
    export_model(build_classifier("vit_tiny", 3, image_size=64), tmp_path / "hf", "hf")
    processor = json.loads((tmp_path / "hf" / "preprocessor_config.json").read_text())
    assert processor["crop_size"] == {"height": 64, "width": 64}
    assert processor["image_mean"] == [0.485, 0.456, 0.406]
    assert sorted(path.name for path in (tmp_path / "hf").iterdir()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]


def test_what_a_format_cannot_express_is_refused(tmp_path: Path) -> None:
    model = build_classifier("vit_tiny", 3, image_size=64, layer_scale=0.1)
    with pytest.raises(UserError, match="layer scale"):
        export_model(model, tmp_path / "hf", "hf")
    with pytest.raises(UserError, match="known are safetensors, hf, onnx"):
        export_model(model, tmp_path / "x", "tflite")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="2 class names for a model of 3"):
        export_model(build_classifier("vit_tiny", 3), tmp_path / "hf", "hf", classes=["a", "b"])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        export_model(build_classifier("vit_tiny", 3), tmp_path / "file", "hf")
    with torch.device("meta"):
        giant = build_classifier("vit_g", 710)
    with pytest.raises(UserError, match="2 GB"):
        export_model(giant, tmp_path / "g.onnx", "onnx")
    assert not (tmp_path / "g.onnx").exists()


def test_a_missing_onnx_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match="pip install"):
        export_model(build_classifier("vit_tiny", 3, image_size=64), tmp_path / "x.onnx", "onnx")
