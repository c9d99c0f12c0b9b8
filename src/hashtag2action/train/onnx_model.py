"""An exported model in ONNX Runtime, without PyTorch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashtag2action.data.eval_views import Pixels
from hashtag2action.errors import UserError
from hashtag2action.train.scoring import Forward

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, as in `data.augment`, which needs PyTorch
METADATA = "h2a"
"""Entry of the file's metadata: JSON with `classes`, `rate`, `sampling`, `kind`, as `h2a export` writes it."""


@dataclass(frozen=True)
class OnnxModel:
    """A session with what the file tells of its input and its classes."""

    forward: Forward
    frames: int
    size: int
    outputs: int
    about: dict[str, Any]


def load_onnx(path: Path, batch_views: int = 15) -> OnnxModel:
    """Open a classifier that `h2a export --format onnx` wrote. Raises `UserError` for any other file."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=onnxruntime.get_available_providers())
    except (errors.Fail, errors.InvalidGraph, errors.InvalidProtobuf, errors.NotImplemented) as error:
        raise UserError(f"{path}: not an ONNX model ({str(error).splitlines()[0][:120]})") from error
    video, answer = session.get_inputs()[0], session.get_outputs()[0]
    if len(video.shape) != 5 or answer.name != "logits" or not isinstance(answer.shape[-1], int):
        raise UserError(f"{path}: no classifier of videos; export one with `h2a export FILE.onnx --format onnx`")
    text = session.get_modelmeta().custom_metadata_map.get(METADATA, "{}")
    about = json.loads(text)
    softmax = about.get("kind", "classes") == "classes"

    def forward(views: Pixels) -> NDArray[np.float64]:
        scores = []
        for first in range(0, len(views), batch_views):
            batch = normalized(views[first : first + batch_views])
            scores.append(likelihoods(session.run([answer.name], {video.name: batch})[0], softmax))
        return np.concatenate(scores)

    return OnnxModel(forward, int(video.shape[2]), int(video.shape[3]), int(answer.shape[-1]), about)


def normalized(views: Pixels) -> NDArray[np.float32]:
    """Return uint8 `(V, 3, T, S, S)` as the network takes it: ImageNet's mean and deviation."""
    shape = (1, 3, 1, 1, 1)
    scale = 1 / (255 * np.array(DEVIATION, np.float32).reshape(shape))
    offset = np.array(MEAN, np.float32).reshape(shape) / np.array(DEVIATION, np.float32).reshape(shape)
    return views * scale - offset


def likelihoods(logits: NDArray[np.float32], softmax: bool) -> NDArray[np.float64]:
    """Turn logits `(V, outputs)` into probabilities, or each into a value of 0..1."""
    values = logits.astype(np.float64)
    if not softmax:
        return np.asarray(1 / (1 + np.exp(-values)))
    exponent = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(exponent / exponent.sum(axis=1, keepdims=True))
