"""Labels, values, noisy labels, a teacher, a running mean and early stopping, on real clips and a small network."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled import small_settings, yoga

from hashtag2action.data.splits import Sample, Split
from hashtag2action.data.targets import read_targets
from hashtag2action.errors import UserError
from hashtag2action.models import build_classifier, load_model, save_checkpoint
from hashtag2action.train.evaluate import evaluate
from hashtag2action.train.evaluate_targets import evaluate_targets
from hashtag2action.train.finetune import finetune
from hashtag2action.train.finetune_settings import EvaluateSettings, TargetSettings
from hashtag2action.train.logbook import read_log
from hashtag2action.train.objective import target_loss
from hashtag2action.train.split_file import read_split
from hashtag2action.train.validation import judge

VIEWS = EvaluateSettings(segments=2, crops=1, bootstrap_draws=100)
POSES = ("parvatasana", "shavasana", "trikonasana")


def write_targets(folder: Path, samples: list[Sample], names: tuple[str, ...], rows: list[list[float]]) -> Path:
    file = folder / "targets.csv"
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["path", "group", *names])
        for sample, row in zip(samples, rows, strict=True):
            writer.writerow([sample.path, sample.group, *row])
    return file


def test_labels_are_learnt_each_on_its_own(shared_videos: Path, tmp_path: Path) -> None:
    """Three labels that overlap: lying down, bowing, and a pose at all."""
    samples = yoga(shared_videos, people=6)
    rows = [[float(s.label == "shavasana"), float(s.label == "parvatasana"), 1.0] for s in samples]
    file = write_targets(tmp_path, samples, ("lying", "bowing", "pose"), rows)
    settings = small_settings(optim__max_steps=80, target__kind="labels", target__file=file, split__val_share=0.0)
    summary = finetune(None, settings, tmp_path / "run")
    assert summary.classes == ["lying", "bowing", "pose"] and summary.kind == "labels" and summary.train_top1 is None
    assert summary.train is not None and summary.train["map"] > 0.95 and summary.loss_last < summary.loss_first
    assert summary.test is not None and set(summary.test) == {"loss", "map"}
    assert torch.load(tmp_path / "run/model.pt", weights_only=True)["kind"] == "labels"

    (tmp_path / "gone.mp4").write_bytes(b"no video")
    more = [*samples, Sample(tmp_path / "gone.mp4", "", "gone")]
    file = write_targets(tmp_path, more, ("pose", "bowing", "lying"), [*([c, b, a] for a, b, c in rows), [0, 1, 1]])
    judged = evaluate_targets(None, file, tmp_path / "run", VIEWS, tmp_path / "judged")
    assert (judged.kind, judged.figure, judged.videos) == ("labels", "map", len(more))
    assert judged.outputs["pose"] == 1.0 and judged.mean == pytest.approx(np.mean(list(judged.outputs.values())))
    assert 0.6 < judged.interval[0] <= judged.mean <= judged.interval[1] <= 1.0
    assert list(judged.unreadable) == [str(tmp_path / "gone.mp4")]
    assert evaluate_targets(None, file, tmp_path / "run", VIEWS, tmp_path / "judged") == judged
    with pytest.raises(UserError, match="name the truth with --targets"):
        evaluate(samples, tmp_path / "run", VIEWS, tmp_path / "classes")
    with pytest.raises(UserError, match="not in both"):
        evaluate_targets(None, write_targets(tmp_path, samples, ("pose", "up"), [[1, 0]] * len(samples)), tmp_path / "run", VIEWS, tmp_path / "odd")  # fmt: skip


def test_values_are_regressed(shared_videos: Path, tmp_path: Path) -> None:
    """Seven values a clip, as in the Emotional Reaction Intensity task."""
    samples = yoga(shared_videos, people=6)
    rows = [[(k + 1) / 8 if s.label == POSES[k % 2] else 0.1 for k in range(7)] for s in samples]
    file = write_targets(tmp_path, samples, tuple("abcdefg"), rows)
    settings = small_settings(optim__max_steps=80, target__kind="values", target__file=file, validate_every_epochs=10)
    summary = finetune(samples, settings, tmp_path / "run")
    assert summary.train is not None and summary.train["pearson"] > 0.6
    assert summary.test is not None and -1 <= summary.test["pearson"] <= 1
    assert summary.val is None or any("val_pearson" in record for record in read_log(tmp_path / "run"))
    test = list(read_split(tmp_path / "run").split.test)
    judged = evaluate_targets(test, file, tmp_path / "run", EvaluateSettings(segments=1, crops=1), tmp_path / "judged")
    assert judged.mean == pytest.approx(summary.test["pearson"], abs=1e-4) and judged.figure == "pearson"
    assert judged.loss == pytest.approx(summary.test["loss"], abs=1e-5) and judged.videos == summary.test_clips
    assert judged.interval[0] <= judged.mean <= judged.interval[1]


def test_generalised_loss_by_hand() -> None:
    logits, target = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([[0.8, 0.2, 0.0]])
    p = np.exp([2.0, 0.0, -1.0]) / np.exp([2.0, 0.0, -1.0]).sum()
    settings = TargetSettings(loss="generalised", q=0.7)
    by_hand = 0.8 * (1 - p[0] ** 0.7) / 0.7 + 0.2 * (1 - p[1] ** 0.7) / 0.7
    assert float(target_loss(logits, target, settings)) == pytest.approx(by_hand, rel=1e-5)
    near = target_loss(logits, target, TargetSettings(loss="generalised", q=1e-4))
    assert float(near) == pytest.approx(-(0.8 * math.log(p[0]) + 0.2 * math.log(p[1])), rel=1e-3)
    labels = TargetSettings(kind="labels", file="x.csv", loss="generalised", q=0.5)
    likely = 1 / (1 + math.exp(-2.0))
    expected = np.mean([(1 - likely**0.5) / 0.5, (1 - 0.5**0.5) / 0.5])
    assert float(target_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0]]), labels)) == pytest.approx(expected)


def test_generalised_loss_trusts_wrong_labels_less() -> None:
    """The gradient of a sample that looks wrong is weaker than cross-entropy's, by its likelihood to the power q."""
    for loss in ("cross_entropy", "generalised"):
        logits = torch.tensor([[4.0, 0.0]], requires_grad=True)
        target_loss(logits, torch.tensor([[0.0, 1.0]]), TargetSettings(loss=loss, q=0.7)).backward()
        if loss == "cross_entropy":
            plain = logits.grad
    assert plain is not None and logits.grad is not None
    unlikely = 1 / (1 + math.exp(4.0))
    assert torch.allclose(logits.grad, plain * unlikely**0.7, rtol=1e-4)


def test_judging_counts_unreadable_clips_as_wrong() -> None:
    scores = np.array([[0.9, 0.1], [np.nan, np.nan], [0.3, 0.7]])
    truth = np.eye(2)[[0, 0, 1]]
    found = judge(scores, truth, "classes")
    assert found["top1"] == pytest.approx(2 / 3)
    assert found["loss"] == pytest.approx(-np.mean(np.log([0.9, 0.5, 0.7])))
    assert judge(scores, truth, "values")["loss"] == pytest.approx(np.mean([0.1**2, 0.5**2, 0.3**2]))


def test_a_teacher_without_labels_passes_on_what_it_knows(shared_videos: Path, tmp_path: Path) -> None:
    """With weight 1 the labels are not looked at: shuffled ones do no harm. The teacher's classes stand in another order."""
    samples = yoga(shared_videos, POSES[:2], people=4)
    classes = POSES[:2]
    teacher = finetune(
        Split(tuple(samples), (), ()), small_settings(optim__max_steps=150), tmp_path / "t", None, classes[::-1]
    )
    assert teacher.train_top1 is not None and teacher.train_top1 >= 0.75
    shuffled = [Sample(s.path, classes[i % 2], s.group) for i, s in enumerate(samples)]
    settings = small_settings(optim__max_steps=150, distil__teacher=tmp_path / "t", distil__weight=1.0)
    finetune(Split(tuple(shuffled), (), ()), settings, tmp_path / "s", None, classes)
    from hashtag2action.data.augment import normalize
    from hashtag2action.data.eval_views import EvalPlan, read_views

    plan = EvalPlan(frames=8, rate=4, size=32, segments=1, crops=1)

    def answers(run: str, names: Sequence[str]) -> list[str]:
        model = load_model(tmp_path / run / "model.pt").eval()
        with torch.no_grad():
            return [names[int(model(normalize(read_views(s.path, plan))).argmax())] for s in samples]

    agreed = np.mean([a == b for a, b in zip(answers("s", classes), answers("t", classes[::-1]), strict=True)])
    assert agreed >= 0.75  # shuffled labels agree with the teacher by half


def test_early_stopping_keeps_the_best_model_and_never_sees_the_test(shared_videos: Path, tmp_path: Path) -> None:
    """At a rate that ruins the weights the first validations are the best. The test's files are not there to be read."""
    samples = yoga(shared_videos, people=6)
    test = tuple(Sample(tmp_path / f"{i}.mp4", s.label, f"test-{i}") for i, s in enumerate(samples[:2]))
    settings = small_settings(
        optim__epochs=60,
        optim__lr=3.0,
        patience_epochs=6,
        validate_every_epochs=2,
        split__val_share=0.3,
        loop__keep_best=0,
    )
    summary = finetune(Split(tuple(samples), (), test), settings, tmp_path / "run")
    assert summary.stopped_early and summary.steps < 60 * summary.train_clips / 8
    assert summary.val_clips > 0 and summary.train_clips + summary.val_clips == len(samples)
    assert any("held out of it for validation" in note for note in summary.notes)
    log = [record for record in read_log(tmp_path / "run") if "val_loss" in record]
    best = min(log, key=lambda record: (record["val_loss"], record["step"]))
    assert summary.best_step == best["step"]
    assert summary.val is not None and summary.val["loss"] == pytest.approx(best["val_loss"], rel=1e-4)
    split = json.loads((tmp_path / "run/split.json").read_text())
    assert not {s["group"] for s in split["val"]} & {s["group"] for s in split["train"]}


def test_the_running_mean_is_what_is_kept(shared_videos: Path, tmp_path: Path) -> None:
    samples = yoga(shared_videos, people=3)
    settings = small_settings(
        optim__max_steps=3, optim__average=0.5, loop__save_every_steps=1, loop__keep_last=9, split__val_share=0.0
    )
    finetune(samples, settings, tmp_path)
    steps = [
        torch.load(tmp_path / f"checkpoints/step-{step:08d}.pt", weights_only=True)["model"]["model.fc_norm.weight"]
        for step in (1, 2, 3)
    ]
    expected = 0.25 * steps[0] + 0.25 * steps[1] + 0.5 * steps[2]
    kept = torch.load(tmp_path / "model.pt", weights_only=True)["model"]["fc_norm.weight"]
    assert torch.allclose(kept, expected, atol=1e-6) and not torch.equal(kept, steps[2])


def test_a_run_starts_from_another_ones_folder_with_a_new_head(shared_videos: Path, tmp_path: Path) -> None:
    samples = yoga(shared_videos, POSES, people=3)
    finetune(Split(tuple(samples), (), ()), small_settings(optim__max_steps=2), tmp_path / "merged")
    settings = small_settings(optim__max_steps=1, optim__lr=1e-12, split__val_share=0.0)
    second = finetune(yoga(shared_videos, people=3), settings, tmp_path / "target", pretrained=tmp_path / "merged")
    assert second.pretrained == str(tmp_path / "merged/model.pt") and second.new == ["head.weight", "head.bias"]
    before, after = (torch.load(tmp_path / n / "model.pt", weights_only=True)["model"] for n in ("merged", "target"))
    assert torch.allclose(before["fc_norm.weight"], after["fc_norm.weight"], atol=1e-6)


TABLES = {
    "path,a\nx.mp4,1.5\n": "line 2: a is 1.5, which is not in 0..1",
    "path,a\nx.mp4,high\n": "a is 'high', not a number",
    "path,a\nx.mp4,nan\n": "not in 0..1",
    "path,a\nx.mp4,1\nx.mp4,0\n": "listed twice",
    "path,a,a\nx.mp4,1,1\n": "there twice",
    "file,a\nx.mp4,1\n": "needs a column `path`",
    "path\nx.mp4\n": "needs a column `path` and one for each output",
    "path,a\n": "lists no clips",
    "path,a\ny.mp4,1\n": "has no line for",
}


@pytest.mark.parametrize("text", TABLES)
def test_wrong_targets_end_in_one_clear_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(text)
    with pytest.raises(UserError, match=TABLES[text]) as error:
        read_targets(file, binary=False).of([Sample(tmp_path / "x.mp4", "", "")])
    assert "\n" not in str(error.value)


def test_labels_are_0_or_1(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("path,a\nx.mp4,0.5\n")
    with pytest.raises(UserError, match="not 0 or 1"):
        read_targets(file, binary=True)
    with pytest.raises(UserError, match="cannot be read"):
        read_targets(tmp_path / "missing.csv", binary=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distil__teacher": "other.pt"}, "does not know 'parvatasana'"),
        ({"distil__teacher": "frames.pt"}, "takes 4 frames, the student 8"),
        ({"distil__teacher": "none.pt"}, "no such file"),
        ({"patience_epochs": 1, "split__val_share": 0.0}, "nothing to watch"),
        ({"hardware__strategy": "fsdp"}, "neither score a validation split nor average"),
    ],
)
def test_wrong_wishes_end_in_one_clear_line(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    for name, frames, classes in (("other", 8, ["run", "jump"]), ("frames", 4, list(POSES[:2]))):
        model = build_classifier("vit_tiny", 2, image_size=32, frames=frames, dim=96, depth=2)
        save_checkpoint(model, tmp_path / f"{name}.pt", extra={"classes": classes})
    if "distil__teacher" in changes:
        changes = {"distil__teacher": tmp_path / str(changes["distil__teacher"])}
    samples = [Sample(tmp_path / f"{i}.mp4", POSES[i % 2], str(i)) for i in range(12)]
    with pytest.raises(UserError, match=message) as error:
        finetune(samples, small_settings(**changes), tmp_path / "run")
    assert "\n" not in str(error.value)


def test_watching_the_test_split_is_refused(tmp_path: Path) -> None:
    samples = tuple(Sample(tmp_path / f"{i}.mp4", POSES[i % 2], str(i)) for i in range(6))
    with pytest.raises(UserError, match="choose by the test"):
        finetune(Split(samples[:4], samples[4:], samples[4:]), small_settings(patience_epochs=1), tmp_path / "run")


def test_official_recipes_say_that_their_scripts_watch_the_test(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    samples = [Sample(tmp_path / f"{i}.mp4", "a", str(i)) for i in range(6)]
    with pytest.raises(UserError, match="a single class"):
        finetune(samples, small_settings(split__official_watches_test=True), tmp_path / "run")
    assert "picks its best epoch by the list that it then reports as test" in caplog.text


def test_two_processes_mix_train_and_judge_as_one_does(shared_videos: Path, tmp_path: Path) -> None:
    samples = yoga(shared_videos, people=6)
    results = {}
    for processes in (1, 2):
        settings = small_settings(
            optim__max_steps=3, hardware__devices=processes, mix__probability=1.0, mix__clips=4, sample__views=2,
            augment__operations=2, split__val_share=0.3, validate_every_epochs=2,
        )  # fmt: skip
        summary = finetune(samples, settings, tmp_path / str(processes))
        weights = torch.load(tmp_path / str(processes) / "model.pt", weights_only=True)["model"]
        log = [record for record in read_log(tmp_path / str(processes)) if "val_loss" in record]
        results[processes] = summary, weights, log
    (one, first, log_one), (two, second, log_two) = results[1], results[2]
    assert two.effective["processes"] == 2 and two.val_clips > 1
    assert two.loss_last == pytest.approx(one.loss_last, rel=1e-4)
    assert [r["val_loss"] for r in log_two] == pytest.approx([r["val_loss"] for r in log_one], rel=1e-4)
    assert all(torch.allclose(first[name], second[name], atol=1e-4) for name in first)
