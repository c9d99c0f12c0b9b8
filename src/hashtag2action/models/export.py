"""Trained models for other programs: safetensors, a folder for Hugging Face transformers, ONNX."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from hashtag2action.errors import UserError
from hashtag2action.files import atomic_path, write_json
from hashtag2action.models.checkpoints import CONFIG_KEY, Model, describe
from hashtag2action.models.classifier import VideoClassifier
from hashtag2action.models.videomae import VideoMAE
from hashtag2action.models.vit import NORM_EPS, VisionTransformer

Format = Literal["safetensors", "hf", "onnx"]

ONNX_LIMIT = 2 * 1024**3 - 1
"""Bytes that one protobuf file can hold."""


def export_model(
    model: Model,
    path: str | Path,
    format: Format,
    *,
    classes: Sequence[str] | None = None,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Write `model` for other programs and return the path.

    `safetensors`: a file with the official names, which `load_model` reads too. `hf`: a folder that `transformers`
    loads as `VideoMAEForVideoClassification`, `VideoMAEForPreTraining` or `VideoMAEModel`; `classes` names the
    classes in it. `onnx`: a file that maps `video` `(batch, 3, T, H, W)` to `logits`, or to the encoder's `tokens`
    for a pre-training model; the batch is free, and `about` (class names, frame rate) travels in its metadata. Raises `UserError` for an unknown format or what the format cannot
    express.
    """
    path = Path(path)
    if format == "safetensors":
        _write_tensors(model.state_dict(), path, {CONFIG_KEY: json.dumps(describe(model))})
    elif format == "hf":
        _write_hf_folder(model, path, classes)
    elif format == "onnx":
        _write_onnx(model, path, about or {})
    else:
        raise UserError(f"format: unknown {format!r}; known are safetensors, hf, onnx")
    return path


def hf_config(model: Model, classes: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the `config.json` of transformers' VideoMAE for this model."""
    config = model.config
    if config.layer_scale or config.learnable_positions or config.position_grid not in (None, config.grid):
        raise UserError(
            "hf export: transformers' VideoMAE knows neither layer scale nor learnable or interpolated positions; "
            "export to safetensors or onnx"
        )
    values: dict[str, Any] = {
        "model_type": "videomae",
        "architectures": ["VideoMAEForVideoClassification"],
        "image_size": config.image_size,
        "patch_size": config.patch,
        "num_channels": 3,
        "num_frames": config.frames,
        "tubelet_size": config.tubelet,
        "hidden_size": config.dim,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "intermediate_size": int(config.dim * config.mlp_ratio),
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "layer_norm_eps": NORM_EPS,
        "qkv_bias": True,
        "qv_bias": True,
        "use_mean_pooling": True,
        "torch_dtype": "float32",
    }
    if isinstance(model, VideoMAE):
        values |= {
            "architectures": ["VideoMAEForPreTraining"],
            "use_mean_pooling": False,
            "norm_pix_loss": True,
            "decoder_hidden_size": model.config.decoder_dim,
            "decoder_num_hidden_layers": model.config.decoder_depth,
            "decoder_num_attention_heads": model.config.decoder_heads,
            "decoder_intermediate_size": int(model.config.decoder_dim * config.mlp_ratio),
        }
    else:
        names = list(classes or (f"LABEL_{i}" for i in range(model.config.num_classes)))
        if len(names) != model.config.num_classes:
            raise UserError(f"hf export: {len(names)} class names for a model of {model.config.num_classes} classes")
        values["id2label"] = {str(i): name for i, name in enumerate(names)}
        values["label2id"] = {name: i for i, name in enumerate(names)}
    return values


def hf_state(model: Model) -> dict[str, Tensor]:
    """Return the weights under transformers' names.

    The biases are called `q_bias` and `v_bias`, as in the published Hugging Face files: versions before 5 use them as
    they are, later ones rename them while loading.
    """
    return {new: value for key, value in model.state_dict().items() for new, value in _hf_tensors(key, value)}


def _hf_tensors(key: str, value: Tensor) -> list[tuple[str, Tensor]]:
    key = key.removeprefix("encoder.")
    if key in ("mask_token", "encoder_to_decoder.weight", "decoder.norm.weight", "decoder.norm.bias") or key.startswith(
        ("fc_norm.", "head.", "decoder.head.")
    ):
        return [(key.replace("head.", "classifier.") if key.startswith("head.") else key, value)]
    if key.startswith("patch_embed.proj."):
        return [(key.replace("patch_embed.proj.", "videomae.embeddings.patch_embeddings.projection."), value)]
    if key.startswith("norm."):
        return [(f"videomae.layernorm.{key.removeprefix('norm.')}", value)]
    stem = "decoder.decoder_layers." if key.startswith("decoder.") else "videomae.encoder.layer."
    number, part = key.split("blocks.", 1)[1].split(".", 1)
    if part == "attn.qkv.weight":
        stem = f"{stem}{number}.attention.attention"
        return [
            (f"{stem}.{name}.weight", part)
            for name, part in zip(("query", "key", "value"), value.chunk(3), strict=True)
        ]
    for ours, theirs in (
        ("norm1.", "layernorm_before."),
        ("norm2.", "layernorm_after."),
        ("attn.proj.", "attention.output.dense."),
        ("attn.", "attention.attention."),
        ("mlp.fc1.", "intermediate.dense."),
        ("mlp.fc2.", "output.dense."),
    ):
        if part.startswith(ours):
            return [(f"{stem}{number}.{theirs}{part.removeprefix(ours)}", value)]
    raise AssertionError(f"no transformers name for {key}")


def _write_hf_folder(model: Model, folder: Path, classes: Sequence[str] | None) -> None:
    if folder.is_file():
        raise UserError(f"{folder}: is a file; the hf format writes a folder, give another path")
    config = hf_config(model, classes)
    _write_tensors(hf_state(model), folder / "model.safetensors", {"format": "pt"})
    side = model.config.image_size
    processor = {
        "image_processor_type": "VideoMAEImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": side},
        "do_center_crop": True,
        "crop_size": {"height": side, "width": side},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    write_json(folder / "preprocessor_config.json", processor)
    write_json(folder / "config.json", config)


def _write_tensors(state: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    with atomic_path(path) as temporary:
        save_file({key: value.detach().cpu().contiguous() for key, value in state.items()}, temporary, metadata)


def _write_onnx(model: Model, path: Path, about: Mapping[str, Any]) -> None:
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise UserError("onnx export: the package onnx is missing; pip install 'hashtag2action[export]'") from error
    network: nn.Module = _encoder(model)
    output = "logits" if isinstance(model, VideoClassifier) else "tokens"
    if sum(p.numel() * p.element_size() for p in network.parameters()) > ONNX_LIMIT:
        raise UserError(f"{path}: the model exceeds the 2 GB that an ONNX file can hold; export to safetensors or hf")
    video = torch.zeros(2, *_encoder(model).patch_embed.shape, device=next(network.parameters()).device)
    training = network.training
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns about shape checks and about itself
        torch.onnx.export(
            network.eval(),
            (video,),
            temporary,
            dynamo=False,  # the newer exporter needs onnxscript
            opset_version=17,
            input_names=["video"],
            output_names=[output],
            dynamic_axes={"video": {0: "batch"}, output: {0: "batch"}},
        )
        written = onnx.load(temporary)
        onnx.helper.set_model_props(written, {CONFIG_KEY: json.dumps(dict(about))})
        onnx.save(written, temporary)
    network.train(training)


def _encoder(model: Model) -> VisionTransformer:
    return model.encoder if isinstance(model, VideoMAE) else model
