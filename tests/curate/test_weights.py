from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from hashtag2action.curate.weights import PUBLISHED, yolov8n_onnx
from hashtag2action.errors import UserError
from hashtag2action.wheels import cache_folder


class Trap:
    def __reduce__(self) -> tuple[type, tuple[str]]:
        return Path, ("sprung",)


def test_the_export_is_the_network(weights: Path) -> None:
    session = onnxruntime.InferenceSession(str(weights), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"images": np.zeros((2, 3, 64, 96), np.float32)})
    assert output.shape == (2, 84, 8 * 12 + 4 * 6 + 2 * 3)


def test_the_cache_is_used_again(weights: Path) -> None:
    changed = weights.stat().st_mtime_ns
    assert yolov8n_onnx(None, cache_folder()) == weights
    assert weights.stat().st_mtime_ns == changed
    assert weights.name == f"yolov8-{PUBLISHED[:16]}.onnx"


def test_an_onnx_file_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").touch()
    assert yolov8n_onnx(tmp_path / "mine.onnx", tmp_path / "cache") == tmp_path / "mine.onnx"
    assert not (tmp_path / "cache").exists()


def test_an_unknown_pickle_is_not_opened(tmp_path: Path) -> None:
    trap = tmp_path / "trap.pt"
    trap.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(UserError, match="could run any code"):
        yolov8n_onnx(trap, tmp_path / "cache")


def test_nothing_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9/")
    for variable in ("PIP_FIND_LINKS", "PIP_CONFIG_FILE"):
        monkeypatch.setenv(variable, "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(UserError, match="--detector onnx:FILE") as caught:
        yolov8n_onnx(None, tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*.pt"))
