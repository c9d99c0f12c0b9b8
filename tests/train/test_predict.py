from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled import yoga
from typer.testing import CliRunner

from hashtag2action.cli import app
from hashtag2action.data.eval_views import EvalPlan
from hashtag2action.errors import UserError
from hashtag2action.models import build_classifier, build_videomae, checkpoints, export_model, save_checkpoint
from hashtag2action.train.finetune_settings import EvaluateSettings
from hashtag2action.train.predict import load_predictor, predict, window_indices

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
    assert scores == sorted(scores, reverse=True) and 0.7 < sum(scores) < 1 + 1e-9
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


def test_the_weights_are_read_once(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, load = [], torch.load
    monkeypatch.setattr(checkpoints.torch, "load", lambda *a, **k: read.append(a) or load(*a, **k))
    load_predictor(model)
    assert len(read) == 1


def test_loading_draws_no_weights(model: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load_predictor(model)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("wrapper", ["model", "module"])
def test_an_official_checkpoint_with_a_list_of_classes(wrapper: str, tmp_path: Path, small_clips: list[Path]) -> None:
    torch.manual_seed(0)
    network = build_classifier("vit_s", 7)
    torch.save({wrapper: network.state_dict()}, tmp_path / "vit_s.pth")
    (tmp_path / "classes.txt").write_text("\n".join(f"class {i}" for i in range(7)) + "\n")
    found = load_predictor(tmp_path / "vit_s.pth", classes=tmp_path / "classes.txt")
    assert found.plan == EvalPlan(16, 4, 224, 1, 1) and found.classes[6] == "class 6"
    assert all(
        torch.equal(a, b)
        for a, b in zip(_network(found).state_dict().values(), network.state_dict().values(), strict=True)
    )
    with pytest.raises(UserError, match="does not name its 7 classes; give --classes"):
        load_predictor(tmp_path / "vit_s.pth")
    (tmp_path / "few.txt").write_text("one\n")
    with pytest.raises(UserError, match="names 1 classes"):
        load_predictor(tmp_path / "vit_s.pth", classes=tmp_path / "few.txt")
    torch.save({"model": build_videomae("vit_tiny").state_dict()}, tmp_path / "pretrain.pth")
    with pytest.raises(UserError, match="holds no classifier"):
        load_predictor(tmp_path / "pretrain.pth")


def _network(predictor: object) -> torch.nn.Module:
    cells = predictor.forward.__closure__  # type: ignore[attr-defined]
    return next(cell.cell_contents for cell in cells if isinstance(cell.cell_contents, torch.nn.Module))


def test_an_exported_model_answers_alike_without_pytorch(model: Path, tmp_path: Path, shared_videos: Path) -> None:
    content = checkpoints.read_checkpoint(model / "model.pt")
    about = {name: content[name] for name in ("classes", "rate", "sampling")}
    file = tmp_path / "model.onnx"
    export_model(checkpoints.load_model(model / "model.pt"), file, "onnx", about=about)
    video = yoga(shared_videos)[0].path
    code = (
        "import sys, json, pathlib\n"
        "from hashtag2action.train.predict import load_predictor\n"
        f"found = load_predictor(pathlib.Path({str(file)!r})).predict(pathlib.Path({str(video)!r}))\n"
        "print(json.dumps([found.top5, 'torch' in sys.modules]))"
    )
    top5, torch_too = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))
    expected = predict(video, model).top5
    assert not torch_too and [name for name, _ in top5] == [name for name, _ in expected]
    assert [score for _, score in top5] == pytest.approx([score for _, score in expected], abs=0.01)
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(UserError, match="not an ONNX model"):
        load_predictor(tmp_path / "text.onnx")


def test_windows_by_hand() -> None:
    """8 frames at rate 3 span 24: of 60 frames, 36 are left over; steps of 15 begin at 0, 15, 30 and at last 36."""
    plan = EvalPlan(frames=8, rate=3)
    windows = window_indices(60, plan, 15)
    assert [int(window[0]) for window in windows] == [0, 15, 30, 36]
    assert windows[-1].tolist() == list(range(36, 60, 3))
    assert [w.tolist() for w in window_indices(10, plan, 15)] == [[0, 3, 6, 9, 9, 9, 9, 9]]
    assert len(window_indices(24, plan, 1)) == 1
    with pytest.raises(UserError, match="take longer steps"):
        window_indices(10_000_000, plan, 1)


def test_scores_over_time(model: Path, shared_videos: Path) -> None:
    path = yoga(shared_videos)[0].path
    predictor = load_predictor(model)
    found = predictor.predict(path, every_s=2.0)
    starts = [window.start_s for window in found.windows]
    assert starts[:2] == [0, pytest.approx(2, abs=0.05)] and found.views == len(starts) >= 3
    each = [dict(window.top5) for window in found.windows]
    for name, score in found.top5[:1]:
        assert score == pytest.approx(np.mean([top.get(name, 0) for top in each]), abs=0.05)
    assert found.windows[-1].end_s > starts[-1] and len({tuple(window.top5) for window in found.windows}) > 1


def test_the_command_goes_on_after_a_broken_video(model: Path, small_clips: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(small_clips[0].read_bytes())
    (folder / "b.mp4").write_text("text")
    told = tmp_path / "told.json"
    run = CliRunner().invoke(
        app, ["predict", str(folder), "--model", str(model), "--every", "0.5", "--json", str(told)]
    )
    assert run.exit_code == 0, run.output
    found = json.loads(told.read_text())
    assert set(found[str(folder / "a.mp4")]) == {"top5", "seconds", "windows"}
    assert "unreadable" in found[str(folder / "b.mp4")]["problem"]


def test_the_command_answers_in_a_few_seconds(model: Path, small_clips: list[Path]) -> None:
    """The measured figures are in docs/predict.md; the bound here is for a machine with other work."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "hashtag2action", "predict", str(small_clips[0]), "--model", str(model)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert time.perf_counter() - began < 20


def test_importing_the_stage_loads_no_heavy_module() -> None:
    code = (
        "import sys, hashtag2action.train.predict, hashtag2action.train.finetune_settings\n"
        "print([name for name in ('torch', 'av', 'cv2', 'scipy', 'lightning_fabric') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
