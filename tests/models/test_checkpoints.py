"""Checkpoints of every layout in the wild, and files that must not load."""

from __future__ import annotations

import argparse
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hashtag2action.errors import UserError
from hashtag2action.models import (
    VideoClassifier,
    VideoMAE,
    build_classifier,
    build_videomae,
    export_model,
    load_model,
    load_pretrained,
    sample_masks,
    save_checkpoint,
)
from hashtag2action.models.positions import interpolate_positions, sinusoid_positions

SMALL: dict[str, Any] = {"image_size": 64, "frames": 8, "dim": 48, "depth": 2, "heads": 3}
HEAD = {"fc_norm.weight", "fc_norm.bias", "head.weight", "head.bias"}


def small_videomae(**overrides: Any) -> VideoMAE:
    settings = {**SMALL, "decoder_dim": 24, "decoder_depth": 1, "decoder_heads": 2, **overrides}
    return _shuffled(build_videomae("vit_s", **settings))


def small_classifier(classes: int = 7, **overrides: Any) -> VideoClassifier:
    return _shuffled(build_classifier("vit_s", classes, **{**SMALL, **overrides}))


def _shuffled(model: Any) -> Any:
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


State = dict[str, Tensor]
OFFICIAL_EXTRAS = {"args": argparse.Namespace(lr=1e-3, model="vit"), "epoch": 3, "scaler": {"scale": 65536.0}}
LAYOUTS: dict[str, Callable[[State], dict[str, Any]]] = {
    "bare": lambda state: dict(state),
    "model": lambda state: {"model": state},
    "official with arguments": lambda state: {"model": state, **OFFICIAL_EXTRAS},
    "compiled": lambda state: {"model": {f"_orig_mod.{key}": value for key, value in state.items()}},
    "data parallel, compiled": lambda state: {"model": {f"module._orig_mod.{key}": v for key, v in state.items()}},
    "backbone": lambda state: {"state_dict": {f"backbone.{key}": value for key, value in state.items()}},
    "deepspeed": lambda state: {"module": state, "dp_world_size": 32, "ds_config": {"fp16": {"enabled": True}}},
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("build", [small_videomae, small_classifier])
def test_every_layout_loads_whole(tmp_path: Path, build: Callable[[], Any], layout: Callable[..., Any]) -> None:
    source, model = build(), build()
    torch.save(layout(source.state_dict()), tmp_path / "checkpoint.pth")
    report = load_pretrained(model, tmp_path / "checkpoint.pth")
    assert set(report.matched) == set(source.state_dict())
    assert report.new == report.left == ()
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in source.state_dict().items())


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_pretrained_encoder_becomes_a_classifier(tmp_path: Path, layout: Callable[..., Any]) -> None:
    source, model = small_videomae(), small_classifier()
    untouched = model.head.weight.clone()
    torch.save(layout(source.state_dict()), tmp_path / "pretrain.pth")
    report = load_pretrained(model, tmp_path / "pretrain.pth")
    assert set(report.new) == HEAD
    assert {"norm.weight", "norm.bias", "mask_token"} <= set(report.left)
    assert torch.equal(model.head.weight, untouched)
    video = torch.randn(2, 3, 8, 64, 64)
    assert torch.equal(model.encode(video), source.encoder.encode(video))


def test_classifier_weights_go_back_into_an_encoder(tmp_path: Path) -> None:
    source, model = small_classifier(), small_videomae()
    save_checkpoint(source, tmp_path / "model.pt")
    report = load_pretrained(model, tmp_path / "model.pt")
    assert "encoder.blocks.1.mlp.fc2.weight" in report.matched
    assert set(report.left) == HEAD
    assert "decoder.head.weight" in report.new


def test_head_of_other_classes_is_left_and_said(tmp_path: Path) -> None:
    save_checkpoint(small_classifier(7), tmp_path / "model.pt")
    report = load_pretrained(small_classifier(4), tmp_path / "model.pt")
    assert set(report.new) == {"head.weight", "head.bias"}
    assert "head of 7 classes left" in str(report)


def test_class_index_picks_rows_of_the_head(tmp_path: Path) -> None:
    source, model = small_classifier(710), small_classifier(3)
    save_checkpoint(source, tmp_path / "k710.pt")
    (tmp_path / "index.json").write_text("[341, 0, 709]")
    report = load_pretrained(model, tmp_path / "k710.pt", class_index=tmp_path / "index.json")
    video = torch.randn(2, 3, 8, 64, 64)
    torch.testing.assert_close(model(video), source(video)[:, [341, 0, 709]])
    assert report.new == ()


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("[1, 2]", "lists 2 classes, the model has 3"),
        ("[1, 2, 710]", "asks for number 710"),
        ("{}", "must be a non-empty JSON list"),
        ("[1, true, 2]", "must be a non-empty JSON list"),
        ("[1,", "not valid JSON"),
        (None, "No such file"),
    ],
)
def test_wrong_class_indices_are_one_line(tmp_path: Path, index: str | None, message: str) -> None:
    save_checkpoint(small_classifier(710), tmp_path / "k710.pt")
    if index is not None:
        (tmp_path / "index.json").write_text(index)
    with pytest.raises(UserError, match=message):
        load_pretrained(small_classifier(3), tmp_path / "k710.pt", class_index=tmp_path / "index.json")


@pytest.mark.parametrize("build", [small_videomae, small_classifier])
def test_a_file_of_ours_rebuilds_the_model(tmp_path: Path, build: Callable[[], Any]) -> None:
    source = build()
    save_checkpoint(source, tmp_path / "model.pt", extra={"classes": ["a", "b"], "epoch": 2})
    export_model(source, tmp_path / "model.safetensors", "safetensors")
    for name in ("model.pt", "model.safetensors"):
        model = load_model(tmp_path / name)
        assert type(model) is type(source)
        assert model.config == source.config
        assert all(torch.equal(value, model.state_dict()[key]) for key, value in source.state_dict().items())
    assert torch.load(tmp_path / "model.pt", weights_only=True)["classes"] == ["a", "b"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_positions_follow_the_checkpoint_to_another_grid(tmp_path: Path) -> None:
    source = small_videomae()
    save_checkpoint(source, tmp_path / "model.pt")
    model = small_classifier(image_size=96, frames=16)
    report = load_pretrained(model, tmp_path / "model.pt")
    assert "positions interpolated from 4x4x4 to 8x6x6 tokens" in str(report)
    expected = interpolate_positions(source.encoder.pos_embed, (4, 4, 4), (8, 6, 6))
    torch.testing.assert_close(model.pos_embed, expected)

    save_checkpoint(model, tmp_path / "larger.pt")
    torch.testing.assert_close(load_model(tmp_path / "larger.pt").pos_embed, expected)


def test_official_files_keep_the_sinusoids_of_the_models_own_grid(tmp_path: Path) -> None:
    torch.save({"model": small_classifier().state_dict()}, tmp_path / "official.pth")
    model = small_classifier(image_size=96)
    load_pretrained(model, tmp_path / "official.pth")
    assert torch.equal(model.pos_embed, sinusoid_positions((4, 6, 6), 48))


def test_stored_positions_are_interpolated(tmp_path: Path) -> None:
    source = small_classifier(learnable_positions=True)
    assert "pos_embed" in source.state_dict()
    torch.save({"module": source.state_dict()}, tmp_path / "official.pth")
    model = small_classifier(learnable_positions=True, image_size=96)
    report = load_pretrained(model, tmp_path / "official.pth")
    assert "pos_embed" in report.matched
    torch.testing.assert_close(model.pos_embed, interpolate_positions(source.pos_embed, (4, 4, 4), (4, 6, 6)))


def test_interpolation_keeps_a_smooth_table() -> None:
    """Ramps over the frame and over time stay ramps inside; PyTorch's bicubic kernel misses them by up to .047."""
    t, y, x = torch.meshgrid(torch.arange(4.0), torch.arange(8.0), torch.arange(8.0), indexing="ij")
    ramps = torch.stack((t, y, x), -1).reshape(1, -1, 3)
    resized = interpolate_positions(ramps, (4, 8, 8), (8, 16, 16)).view(8, 16, 16, 3)
    centres = (torch.arange(16.0) + 0.5) / 2 - 0.5
    torch.testing.assert_close(resized[0, 4:12, 8, 1], centres[4:12], atol=0.05, rtol=0)
    torch.testing.assert_close(resized[0, 8, 4:12, 2], centres[4:12], atol=0.05, rtol=0)
    torch.testing.assert_close(resized[2:6, 8, 8, 0], ((torch.arange(8.0) + 0.5) / 2 - 0.5)[2:6])


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("touched-by-a-checkpoint"),))


def test_a_checkpoint_never_runs_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": small_classifier().state_dict(), "evil": Hostile()}, tmp_path / "new.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps({"model": {}, "evil": Hostile()}, protocol=2))
    for name in ("new.pth", "old.pth"):
        with pytest.raises(UserError, match=name):
            load_pretrained(small_classifier(), name)
    assert not (tmp_path / "touched-by-a-checkpoint").exists()


def _truncated(path: Path) -> None:
    save_checkpoint(small_classifier(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BAD_FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda path: None, "no such file"),
    "empty": (lambda path: path.write_bytes(b""), "damaged|could run code"),
    "text": (lambda path: path.write_text("not weights\n" * 50), "damaged|could run code"),
    "noise": (lambda path: path.write_bytes(bytes(range(256)) * 40), "damaged|could run code"),
    "truncated": (_truncated, "damaged"),
    "a tensor": (lambda path: torch.save(torch.ones(3), path), "holds a Tensor"),
    "no tensors": (lambda path: torch.save({"model": {"epoch": 1}}, path), "holds no tensors"),
    "another network": (
        lambda path: torch.save({"conv1.weight": torch.ones(3)}, path),
        "none of its 1 tensors matches",
    ),
    "another size": (
        lambda path: save_checkpoint(small_classifier(dim=96), path),
        r"patch_embed.proj.weight is \(96, .*\) in the file and \(48, ",
    ),
}


@pytest.mark.parametrize(("write", "message"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_files_end_in_one_line(tmp_path: Path, write: Callable[[Path], Any], message: str) -> None:
    path = tmp_path / "bad.pth"
    write(path)
    with pytest.raises(UserError, match=message) as caught:
        load_pretrained(small_classifier(), path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_damaged_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        load_model(path)


def test_weights_without_settings_need_a_size(tmp_path: Path) -> None:
    torch.save({"model": small_classifier().state_dict()}, tmp_path / "official.pth")
    with pytest.raises(UserError, match="holds weights without settings"):
        load_model(tmp_path / "official.pth")


def test_settings_of_another_version_are_refused(tmp_path: Path) -> None:
    model = small_classifier()
    described = {"kind": "classifier", "config": {"dim": 48, "flavour": "new"}}
    torch.save({"model": model.state_dict(), "h2a": described}, tmp_path / "future.pt")
    with pytest.raises(UserError, match="unknown settings"):
        load_model(tmp_path / "future.pt")


def test_official_fine_tuned_weights_give_the_official_logits(reference: Path, tmp_path: Path) -> None:
    golden = torch.load(reference / "golden_videomaev2_tiny.pt", weights_only=True)
    torch.save({"module": golden["finetune_state"]}, tmp_path / "official.pth")
    model = build_classifier("vit_s", 7, image_size=64, dim=48, depth=2, heads=3).eval()
    report = load_pretrained(model, tmp_path / "official.pth")
    assert report.new == report.left == ()
    with torch.no_grad():
        torch.testing.assert_close(model(golden["x"]), golden["logits"], atol=1e-5, rtol=1e-5)


def test_a_loaded_model_reconstructs_the_same(tmp_path: Path) -> None:
    source = small_videomae()
    masks = sample_masks(2, source.config.grid, encoder_ratio=0.75)
    video = torch.randn(2, 3, 8, 64, 64)
    save_checkpoint(source, tmp_path / "model.pt")
    model = load_model(tmp_path / "model.pt")
    assert isinstance(model, VideoMAE)
    assert torch.equal(model(video, *masks), source(video, *masks))


def test_the_report_names_all_tensors_once(tmp_path: Path) -> None:
    save_checkpoint(small_videomae(), tmp_path / "model.pt")
    model = small_classifier()
    report = load_pretrained(model, tmp_path / "model.pt")
    assert sorted((*report.matched, *report.new)) == sorted(model.state_dict())
    assert json.dumps(report.left)
