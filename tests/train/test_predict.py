from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from labelled import yoga

from hashtag2action.errors import UserError
from hashtag2action.models import build_classifier, save_checkpoint
from hashtag2action.train.finetune_settings import EvaluateSettings
from hashtag2action.train.predict import load_predictor, predict

CLASSES = ["a", "b", "c", "d", "e", "f"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("run")
    network = build_classifier("vit_tiny", 6, image_size=32, frames=8, dim=96, depth=2, init_scale=80.0)
    save_checkpoint(network, folder / "model.pt", extra={"classes": CLASSES, "sampling": "dense", "rate": 3})
    return folder


def test_the_five_most_likely_classes(model: Path, shared_videos: Path) -> None:
    path = yoga(shared_videos)[0].path
    found = predict(path, model)
    scores = [score for _, score in found.top5]
    assert (found.path, found.views, len(scores)) == (path, 1, 5)
    assert scores == sorted(scores, reverse=True) and 0.7 < sum(scores) < 1
    assert {name for name, _ in found.top5} < set(CLASSES)
    assert predict(path, model / "model.pt").top5 == found.top5
    many = predict(path, model, EvaluateSettings(segments=5, crops=3))
    assert many.views == 15 and many.top5 != found.top5


def test_one_predictor_serves_many_videos(model: Path, shared_videos: Path) -> None:
    predictor = load_predictor(model)
    for sample in yoga(shared_videos)[:3]:
        assert predictor.predict(sample.path).top5 == predict(sample.path, model).top5


@pytest.mark.parametrize("name", ["text.mp4", "empty.mp4", "missing.mp4"])
def test_a_file_that_is_no_video_ends_in_one_clear_line(name: str, model: Path, tmp_path: Path) -> None:
    if name != "missing.mp4":
        (tmp_path / name).write_text("no video" if name == "text.mp4" else "")
    with pytest.raises(UserError, match=name) as error:
        predict(tmp_path / name, model)
    assert "\n" not in str(error.value)


def test_importing_the_stage_loads_no_heavy_module() -> None:
    code = (
        "import sys, hashtag2action.train.predict, hashtag2action.train.finetune_settings\n"
        "print([name for name in ('torch', 'av', 'cv2', 'scipy', 'lightning_fabric') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
