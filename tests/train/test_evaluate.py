from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled import yoga

from hashtag2action.data.augment import normalize
from hashtag2action.data.eval_views import EvalPlan, read_views
from hashtag2action.data.splits import Sample
from hashtag2action.errors import UserError
from hashtag2action.models import build_classifier, build_videomae, load_model, save_checkpoint
from hashtag2action.settings import load, recipe_names
from hashtag2action.train.evaluate import EvaluateSummary, evaluate
from hashtag2action.train.finetune_settings import EvaluateSettings

CLASSES = ["parvatasana", "shavasana", "trikonasana"]
SETTINGS = EvaluateSettings(segments=2, crops=3, bootstrap_draws=500)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with an untrained classifier whose head tells views well apart."""
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("run")
    network = build_classifier("vit_tiny", 3, image_size=32, frames=8, dim=96, depth=2, init_scale=80.0)
    save_checkpoint(network, folder / "model.pt", extra={"classes": CLASSES, "sampling": "dense", "rate": 3})
    return folder


@pytest.fixture(scope="module")
def samples(shared_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Six real clips, a text file that is called a video, and a clip of a class that the model does not know."""
    clips = yoga(shared_videos, ("parvatasana", "shavasana"), people=3)
    broken = tmp_path_factory.mktemp("broken") / "broken.mp4"
    broken.write_text("not a video")
    other = yoga(shared_videos, ("padmasana",), people=9)[0]
    return [*clips, Sample(broken, "shavasana", "subj00"), other]


@pytest.fixture(scope="module")
def result(
    model: Path, samples: list[Sample], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, EvaluateSummary]:
    folder = tmp_path_factory.mktemp("evaluate")
    return folder, evaluate(samples, model, SETTINGS, folder)


def test_scores_are_the_mean_softmax_of_the_views(
    model: Path, samples: list[Sample], result: tuple[Path, EvaluateSummary]
) -> None:
    predictions = json.loads((result[0] / "predictions.json").read_text())
    network = load_model(model / "model.pt").eval()
    plan = EvalPlan(frames=8, rate=3, size=32, segments=2, crops=3)
    for sample, found in zip(samples[:2], predictions, strict=False):
        with torch.no_grad():
            each = network(normalize(read_views(sample.path, plan))).double().softmax(-1)
        assert len(each) == 6 and each.std(0).max() > 1e-3
        assert found["scores"] == pytest.approx(each.mean(0).tolist(), abs=1e-6)
        best = int(each.mean(0).argmax())
        assert found["top5"][0] == [CLASSES[best], pytest.approx(found["scores"][best])]
        assert found["path"] == str(sample.path) and found["label"] == sample.label and len(found["top5"]) == 3


def test_every_video_counts(samples: list[Sample], result: tuple[Path, EvaluateSummary]) -> None:
    folder, summary = result
    predictions = json.loads((folder / "predictions.json").read_text())
    assert (summary.videos, summary.unreadable, summary.unknown_labels) == (8, 1, ["padmasana"])
    assert predictions[6]["scores"] is None and predictions[6]["problem"].startswith("unreadable")
    right = [bool(p["scores"]) and p["top5"][0][0] == p["label"] for p in predictions]
    assert summary.top1 == pytest.approx(np.mean(right))
    assert (summary.top5, summary.top_k) == (pytest.approx(6 / 8), 3)  # all but the unreadable and the unknown
    assert np.array(summary.confusion).sum() == 6 and summary.groups == len({sample.group for sample in samples})
    low, high = summary.top1_interval
    assert 0 <= low <= summary.top1 <= high <= 1
    assert summary.class_accuracy[2] is None and summary.chance == pytest.approx(1 / 3)
    by_class = [np.mean([r for r, s in zip(right, samples, strict=True) if s.label == name]) for name in CLASSES[:2]]
    assert summary.class_accuracy[:2] == pytest.approx(by_class)
    assert summary.mean_class_accuracy == pytest.approx(np.mean(by_class))
    assert summary.problems == {"unreadable": 1} and 0 <= summary.calibration_error <= 1


def test_where_the_model_fails_is_told(samples: list[Sample], result: tuple[Path, EvaluateSummary]) -> None:
    folder, summary = result
    predictions = json.loads((folder / "predictions.json").read_text())
    wrong = [p for p in predictions if p["scores"] and not p["right"]]
    assert sum(case["videos"] for case in summary.worst) == len(wrong)
    for case in summary.worst:
        clips = [p["path"] for p in wrong if (p["label"], p["predicted"]) == (case["label"], case["predicted"])]
        assert set(case["clips"]) <= set(clips) and case["videos"] == len(clips)
    assert {"class", "group", "brightness", "length_s"} == set(summary.slices)
    for parts in summary.slices.values():
        assert sum(part["videos"] for part in parts) == 8
        assert sum(part["videos"] * part["top1"] for part in parts) == pytest.approx(8 * summary.top1)
    assert any(part["part"] == "unknown" and part["videos"] == 1 for part in summary.slices["brightness"])


def test_scores_of_every_video_are_in_a_table(samples: list[Sample], result: tuple[Path, EvaluateSummary]) -> None:
    import pyarrow.parquet as pq

    rows = pq.read_table(result[0] / "predictions.parquet").to_pylist()
    assert [row["path"] for row in rows] == [str(sample.path) for sample in samples]
    assert rows[6]["scores"] is None and rows[6]["right"] is False and len(rows[0]["scores"]) == 3
    assert np.mean([row["right"] for row in rows]) == pytest.approx(result[1].top1)
    assert 0 < rows[0]["brightness"] < 1 and rows[0]["length_s"] > 1


def test_accuracy_by_facts_from_elsewhere(model: Path, samples: list[Sample], tmp_path: Path) -> None:
    hashtags = {sample.path: ("indoors" if i % 2 else "outdoors") for i, sample in enumerate(samples[:6])}
    found = evaluate(samples, model, SETTINGS, tmp_path / "run", {"hashtag": hashtags})
    assert {(part["part"], part["videos"]) for part in found.slices["hashtag"]} == {
        ("indoors", 3), ("outdoors", 3), ("unknown", 2)
    }  # fmt: skip
    assert json.loads((tmp_path / "run" / "predictions.json").read_text())[1]["hashtag"] == "indoors"


def test_an_interrupted_evaluation_goes_on(
    model: Path, samples: list[Sample], result: tuple[Path, EvaluateSummary], tmp_path: Path
) -> None:
    folder, summary = result
    half = tmp_path / "half"
    shutil.copytree(folder, half)
    (half / "summary.json").unlink()
    lines = (half / "scores.jsonl").read_text().splitlines(keepends=True)
    marked = json.loads(lines[0]) | {"seconds": 1000.0}
    (half / "scores.jsonl").write_text(json.dumps(marked) + "\n" + "".join(lines[1:4]) + lines[4][:20])
    again = evaluate(samples, model, SETTINGS, half)
    assert again.seconds > 1000 and again.top1 == summary.top1 and again.confusion == summary.confusion
    assert len((half / "scores.jsonl").read_text().splitlines()) == 8
    assert (half / "predictions.json").read_text() == (folder / "predictions.json").read_text()


def test_a_finished_evaluation_is_not_done_again(
    model: Path, samples: list[Sample], result: tuple[Path, EvaluateSummary]
) -> None:
    folder, summary = result
    before = (folder / "predictions.json").stat().st_mtime_ns
    assert evaluate(samples, model, SETTINGS, folder) == summary
    assert (folder / "predictions.json").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="begun with other settings"):
        evaluate(samples[:3], model, SETTINGS, folder)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("no videos", "no labelled videos"),
        ("no such class", "none of the model's classes"),
        ("no such model", "no such model"),
        ("empty folder", "holds no model.pt"),
        ("pre-training", "no classifier with class names"),
    ],
)
def test_wrong_input_ends_in_one_clear_line(
    case: str, message: str, model: Path, samples: list[Sample], tmp_path: Path
) -> None:
    if case == "no videos":
        samples = []
    elif case == "no such class":
        samples = [Sample(samples[0].path, "juggling", "a")]
    elif case == "no such model":
        model = tmp_path / "missing"
    elif case == "empty folder":
        model = tmp_path
    elif case == "pre-training":
        model = tmp_path / "model.pt"
        save_checkpoint(build_videomae("vit_tiny", image_size=32, frames=8, dim=96, depth=2), model)
    with pytest.raises(UserError, match=message) as error:
        evaluate(samples, model, SETTINGS, tmp_path / "evaluate")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("recipe", recipe_names("evaluate"))
def test_recipes_load(recipe: str) -> None:
    assert load(EvaluateSettings, "evaluate", recipe).description


def test_the_papers_views() -> None:
    settings = load(EvaluateSettings, "evaluate", "paper")
    assert (settings.segments, settings.crops) == (5, 3)
