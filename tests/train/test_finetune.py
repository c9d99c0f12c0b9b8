from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from labelled import SMALL, small_settings, yoga

from hashtag2action.data.splits import Sample, Split
from hashtag2action.errors import UserError
from hashtag2action.models import build_classifier, build_videomae, load_model, save_checkpoint
from hashtag2action.settings import load, recipe_names
from hashtag2action.train.effective import effective
from hashtag2action.train.finetune import finetune
from hashtag2action.train.finetune_model import build_model
from hashtag2action.train.finetune_settings import FinetuneSettings
from hashtag2action.train.logbook import read_log
from hashtag2action.train.settings import PretrainSettings
from hashtag2action.train.split_file import read_split

CLASSES = ("parvatasana", "shavasana")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as pre-training leaves it, of the small network."""
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("pretrained") / "model.pt"
    sizes: dict[str, Any] = {"image_size": 32, "frames": 8, "dim": 96, "depth": 2}
    save_checkpoint(build_videomae("vit_tiny", **sizes), path)
    return path


def test_a_small_network_learns_its_clips_by_heart(shared_videos: Path, tmp_path: Path) -> None:
    samples = yoga(shared_videos)
    settings = small_settings(optim__max_steps=80, validate_every_epochs=10)
    summary = finetune(samples, settings, tmp_path)
    assert summary.train_top1 == 1.0
    assert summary.loss_last < 0.2 < 0.5 < summary.loss_first
    assert summary.steps == 80 and summary.chance == 0.5 and summary.pretrained is None
    assert summary.train_clips + summary.val_clips + summary.test_clips == len(samples)

    log = read_log(tmp_path)
    assert [record["step"] for record in log] == list(range(1, 81))
    assert summary.val_top1 is not None and any("val_top1" in record for record in log)
    written = read_split(tmp_path)
    assert written.classes == CLASSES
    assert not {s.group for s in written.split.train} & {s.group for s in (*written.split.test, *written.split.val)}
    model = torch.load(tmp_path / "model.pt", weights_only=True)
    assert model["classes"] == list(CLASSES) and (model["sampling"], model["rate"]) == ("dense", 4)
    assert load_model(tmp_path / "model.pt").config.num_classes == 2

    before = (tmp_path / "summary.json").stat().st_mtime_ns
    assert finetune(samples, settings, tmp_path) == summary
    assert (tmp_path / "summary.json").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="begun with other settings"):
        finetune(samples, small_settings(optim__max_steps=81), tmp_path)


EVERYTHING: dict[str, Any] = {
    "optim__max_steps": 12,
    "sample__views": 2,
    "sample__balance": 1.0,
    "augment__erase": 0.5,
    "augment__operations": 4,
    "optim__average": 0.9,
    "mix__probability": 1.0,
    "model__drop_path": 0.3,
    "model__head_dropout": 0.3,
    "loop__save_every_steps": 3,
    "split__val_share": 0.0,
}


STOPPING: dict[str, Any] = {
    "optim__epochs": 60,
    "optim__min_lr": 1e-30,
    "optim__lr": 1e-30,  # nothing gets better after the first validation
    "patience_epochs": 20,
    "validate_every_epochs": 2,
    "split__val_share": 0.3,
    "loop__save_every_steps": 3,
    "loop__keep_best": 1,
}


@pytest.mark.parametrize("changes", [EVERYTHING, STOPPING], ids=["everything", "early stopping"])
def test_a_killed_run_goes_on_bit_for_bit(shared_videos: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    """Every kind of randomness is on, or early stopping; one run is left alone, one is killed in the middle."""
    samples = yoga(shared_videos, people=4)
    settings = small_settings(**changes)
    whole = finetune(samples, settings, tmp_path / "whole")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; from labelled import small_settings, yoga\n"
        "from hashtag2action.train.finetune import finetune\n"
        f"finetune(yoga(Path(sys.argv[2]), people=4), small_settings(**{changes!r}), Path(sys.argv[3]))\n"
    )
    killed = tmp_path / "killed"
    here = str(Path(__file__).parent)
    process = subprocess.Popen(
        [sys.executable, "-c", script, here, str(shared_videos), str(killed)], stdout=subprocess.DEVNULL
    )
    until = time.monotonic() + 120
    while (
        not (killed / "checkpoints" / "step-00000006.pt").exists()
        and process.poll() is None
        and time.monotonic() < until
    ):
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (killed / "summary.json").exists()
    resumed = finetune(samples, settings, killed)
    assert resumed.loss_last == whole.loss_last and resumed.loss_first == whole.loss_first
    first, second = (
        torch.load(tmp_path / name / "model.pt", weights_only=True)["model"] for name in ("whole", "killed")
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    whole_log, killed_log = ({r["step"]: r["loss"] for r in read_log(tmp_path / name)} for name in ("whole", "killed"))
    assert whole_log.keys() == set(range(1, whole.steps + 1)) and len(killed_log) >= whole.steps - 1
    assert (resumed.steps, resumed.best_step, resumed.val) == (whole.steps, whole.best_step, whole.val)
    assert whole.stopped_early == resumed.stopped_early == (changes is STOPPING)
    assert all(whole_log[step] == loss for step, loss in killed_log.items())


def test_the_pretrained_encoder_is_started_from(encoder: Path, shared_videos: Path, tmp_path: Path) -> None:
    settings = small_settings(optim__max_steps=1, optim__lr=1e-12, split__val_share=0.0)
    summary = finetune(yoga(shared_videos, people=3), settings, tmp_path, pretrained=encoder)
    source = torch.load(encoder, weights_only=True)["model"]
    assert summary.pretrained == str(encoder)
    assert summary.new == ["fc_norm.weight", "fc_norm.bias", "head.weight", "head.bias"]
    assert summary.matched == sum(key.startswith(("encoder.blocks", "encoder.patch_embed")) for key in source)
    tuned = torch.load(tmp_path / "model.pt", weights_only=True)["model"]
    for key in ("patch_embed.proj.weight", "blocks.1.mlp.fc2.weight"):
        assert torch.allclose(tuned[key], source[f"encoder.{key}"], atol=1e-6)


def test_a_head_of_other_classes_is_not_taken_over(tmp_path: Path) -> None:
    settings = small_settings()
    path = tmp_path / "other.pt"
    other = build_classifier("vit_tiny", 2, image_size=32, frames=8, dim=96, depth=2, init_scale=1.0)
    save_checkpoint(other, path, extra={"classes": ["bow", "arrow"]})
    for classes, same in ((["bow", "arrow"], True), (["run", "jump"], False)):
        model, report = build_model(settings, classes, path)
        assert report is not None
        assert torch.equal(model.head.weight, other.head.weight) == same
        assert torch.equal(model.blocks[0].norm1.weight, other.blocks[0].norm1.weight)


@pytest.mark.parametrize(("freeze", "frozen"), [("none", 0), ("embedding", 2), (1, 15), ("encoder", 28)])
def test_frozen_layers_keep_their_weights(
    freeze: str | int, frozen: int, encoder: Path, shared_videos: Path, tmp_path: Path
) -> None:
    settings = small_settings(optim__max_steps=3, model__freeze=freeze, model__drop_path=0.5, split__val_share=0.0)
    start, _ = build_model(settings, CLASSES, encoder)
    assert sum(not parameter.requires_grad for parameter in start.parameters()) == frozen
    finetune(yoga(shared_videos, people=3), settings, tmp_path, pretrained=encoder)
    end = torch.load(tmp_path / "model.pt", weights_only=True)["model"]
    for name, parameter in start.named_parameters():
        assert torch.equal(parameter, end[name]) != parameter.requires_grad, name


def test_unreadable_clips_are_replaced_and_counted(
    shared_videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    samples = yoga(shared_videos, people=3)
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a video")
    split = Split((*samples, Sample(broken, CLASSES[0], "broken")), (), (Sample(broken, CLASSES[1], "broken"),))
    summary = finetune(split, small_settings(optim__max_steps=4), tmp_path / "run")
    assert list(summary.bad_clips) == [str(broken)]
    assert summary.train_top1 <= len(samples) / (len(samples) + 1)
    assert any("1 sources are on more than one side" in note for note in summary.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("none", "no labelled clips"),
        ("one class", "a single class"),
        ("unseen in training", "none of the 2 classes"),
        ("out of range", "none of the 2 classes"),
        ("twice", "listed twice"),
        ("other size", "patch_embed.proj.weight is .*choose the size"),
        ("too many frozen", "9 blocks asked, the network has 2"),
        ("no such file", "no such file"),
    ],
)
def test_wrong_input_ends_in_one_clear_line(change: str, message: str, tmp_path: Path, encoder: Path) -> None:
    samples = [Sample(tmp_path / f"{i}.mp4", CLASSES[i % 2], str(i)) for i in range(6)]
    settings, classes, start, data = small_settings(), None, None, samples
    split = Split(tuple(samples[:4]), (), tuple(samples[4:]))
    if change == "none":
        data = []
    elif change == "one class":
        data = samples[::2]
    elif change == "unseen in training":
        split = replace(split, test=(Sample(tmp_path / "new.mp4", "new", "x"),))
    elif change == "out of range":
        data, classes = [*samples, Sample(tmp_path / "7.mp4", "7", "7")], CLASSES
    elif change == "twice":
        classes = (*CLASSES, CLASSES[0])
    elif change == "other size":
        settings, start = small_settings(model__overrides={"dim": 48, "depth": 2, "heads": 3}), encoder
    elif change == "too many frozen":
        settings = small_settings(model__freeze=9)
    elif change == "no such file":
        start = tmp_path / "missing.pt"
    with pytest.raises(UserError, match=message) as error:
        finetune(split if change == "unseen in training" else data, settings, tmp_path / "run", start, classes)
    assert "\n" not in str(error.value)


def test_effective_values_of_the_papers_recipe() -> None:
    """Table 3 on UCF101's 9,537 training clips: 1e-3 * 8 / 256, layer decay .9 over 12 blocks."""
    settings = load(FinetuneSettings, "finetune", "paper")
    values = effective(settings, 9537)
    assert values["peak learning rate, head"] == pytest.approx(3.125e-5)
    assert values["peak learning rate, patch embedding"] == pytest.approx(3.125e-5 * 0.9**13)
    assert values["steps"] == 100 * 9537 // 8
    assert values["warm-up steps"] == 100 * 9537 // 8 // 20
    model, optim, sample = settings.model, settings.optim, settings.sample
    assert (model.name, model.image_size, model.frames, sample.rate) == ("vit_b", 224, 16, 4)
    assert (optim.batch, optim.lr, optim.betas, optim.weight_decay, optim.epochs) == (8, 1e-3, (0.9, 0.999), 0.05, 100)
    assert (model.drop_path, optim.layer_decay, settings.hardware.workers) == (0.35, 0.9, 24)


def test_defaults_are_the_official_ones() -> None:
    settings = FinetuneSettings()
    assert (settings.label_smoothing, settings.sample.views, settings.optim.layer_decay) == (0.1, 2, 0.75)
    assert (settings.mix.mixup, settings.mix.cutmix, settings.mix.probability, settings.mix.switch) == (
        0.8,
        1.0,
        1.0,
        0.5,
    )
    assert (settings.augment.scale, settings.augment.flip, settings.augment.erase) == ((0.08, 1.0), 0.5, 0.25)
    assert (settings.optim.min_lr, settings.optim.warmup_lr, settings.optim.warmup_epochs) == (1e-6, 1e-8, 5)


@pytest.mark.parametrize("recipe", recipe_names("finetune"))
def test_recipes_load_and_fit_the_pretraining_of_their_name(recipe: str) -> None:
    settings = load(FinetuneSettings, "finetune", recipe)
    assert settings.description
    twin = {"paper": "vit_b_paper"}.get(recipe, recipe)
    if twin in recipe_names("pretrain"):
        before = load(PretrainSettings, "pretrain", twin)
        assert (settings.model.name, settings.model.image_size) == (before.model.name, before.model.image_size)
        assert settings.model.frames == before.model.frames and settings.sample.rate == before.sample.rate
        patch = before.model.overrides.get("patch"), settings.model.overrides.get("patch")
        assert patch[0] == patch[1]


def test_settings_used_are_written_beside_the_results(shared_videos: Path, tmp_path: Path) -> None:
    settings = small_settings(optim__max_steps=1)
    finetune(yoga(shared_videos, people=3), settings, tmp_path)
    written = json.loads((tmp_path / "settings.json").read_text())
    assert FinetuneSettings.model_validate(written["settings"]) == settings
    assert written["settings"]["model"]["overrides"] == SMALL["model.overrides"]
