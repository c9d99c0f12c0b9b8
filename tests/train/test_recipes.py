"""Every fine-tuning recipe against the published tables, as they are in the reference and as worked out by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hashtag2action.errors import UserError
from hashtag2action.settings import load, recipe_names
from hashtag2action.train.effective import effective
from hashtag2action.train.finetune_settings import FinetuneSettings

OFFICIAL = {  # recipe: row of VideoMAE V2's table
    "vit_b_k400": "B K400",
    "vit_b_k710": "B K710",
    "vit_b_ssv2": "B SSv2",
    "vit_l_k400": "L K400",
    "vit_l_ssv2": "L SSv2",
    "vit_h_k400": "H K400/K710 (K600: same, 1 GPU default)",
    "vit_h_k600": "H K400/K710 (K600: same, 1 GPU default)",
    "vit_h_k710": "H K400/K710 (K600: same, 1 GPU default)",
    "vit_h_ssv2": "H SSv2",
    "vit_g_k400": "g K400 (direct)",
    "vit_g_k710": "g K710",
    "vit_g_k710_k400": "g K710->K400/K600",
    "vit_g_k710_k600": "g K710->K400/K600",
    "vit_g_k710_ucf101": "g K710->UCF101",
    "vit_g_k710_hmdb51": "g K710->HMDB51",
    "vit_g_ssv2": "g SSv2",
}
FIRST_VERSION = {"vit_s_k400": "K400 S FT", "vit_s_ssv2": "SSv2 S FT", "vit_b_ucf101": "UCF101 B FT"}
OWN = {"paper", "own_data", "tiny_cpu", "demo"}

PEAK = {  # base rate * clips a step / 256, by hand
    "vit_b_k400": 1.4e-3, "vit_b_k710": 1.4e-3, "vit_b_ssv2": 2e-3, "vit_l_k400": 1.5e-3, "vit_l_ssv2": 3.75e-4,
    "vit_h_k400": 5e-4, "vit_h_k600": 5e-4, "vit_h_k710": 5e-4, "vit_h_ssv2": 2.5e-4, "vit_g_k400": 7.5e-4,
    "vit_g_k710": 3.75e-4, "vit_g_k710_k400": 3.75e-6, "vit_g_k710_k600": 3.75e-6, "vit_g_k710_ucf101": 9.375e-5,
    "vit_g_k710_hmdb51": 4.6875e-5, "vit_g_ssv2": 1.125e-4, "vit_s_k400": 7.5e-4, "vit_s_ssv2": 1.5e-3,
    "vit_b_ucf101": 2.5e-4, "paper": 3.125e-5,
}  # fmt: skip
DEPTH = {"s": 12, "b": 12, "l": 24, "h": 32, "g": 40}


def settings_of(recipe: str) -> FinetuneSettings:
    return load(FinetuneSettings, "finetune", recipe)


def rows_of(reference: Path, first: str) -> dict[str, list[str]]:
    """The table whose header begins with `first`, by each row's first cell."""
    lines = (reference / "videomae_v2.md").read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows: dict[str, list[str]] = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0]] = cells[1:]
    return rows


def test_every_recipe_is_checked_here() -> None:
    assert set(recipe_names("finetune")) == OFFICIAL.keys() | FIRST_VERSION.keys() | OWN


@pytest.mark.parametrize("recipe", OFFICIAL)
def test_official_values(recipe: str, reference: Path) -> None:
    gpus, clips, lr, decay, drop_path, dropout, weight_decay, epochs, rate, test = rows_of(reference, "script")[
        OFFICIAL[recipe]
    ]
    settings = settings_of(recipe)
    optim, sample, model = settings.optim, settings.sample, settings.model
    assert optim.batch == int(gpus) * int(clips) and settings.mix.clips == int(clips)
    assert (optim.lr, optim.layer_decay, optim.weight_decay) == (float(lr), float(decay), float(weight_decay))
    assert (model.drop_path, model.head_dropout) == (float(drop_path), float(dropout))
    assert optim.epochs == int(epochs.split()[0])
    clipped = re.search(r"clip ([\d.]+)", epochs)
    assert optim.clip_grad == (float(clipped[1]) if clipped else None)
    warmup = re.search(r"warm-up (\d+)", epochs)
    assert optim.warmup_epochs == (int(warmup[1]) if warmup else 5)
    assert (sample.sampling, sample.rate) == (("tsn", 4) if rate == "TSN" else ("dense", int(rate)))
    segments, crops = test.split("x")
    assert f"{segments} segments x {crops} crops" in settings.description
    assert optim.min_lr == 1e-6


@pytest.mark.parametrize("recipe", FIRST_VERSION)
def test_first_versions_values(recipe: str, reference: Path) -> None:
    gpus, clips, views, lr, decay, drop_path, dropout, epochs, other = rows_of(reference, "V1 script")[
        FIRST_VERSION[recipe]
    ]
    settings = settings_of(recipe)
    optim, model = settings.optim, settings.model
    assert optim.batch == int(gpus) * int(clips) and settings.sample.views == int(views)
    assert (optim.lr, optim.layer_decay, optim.epochs) == (float(lr), float(decay), int(epochs))
    assert (model.drop_path, model.head_dropout) == (float(drop_path), float(dropout))
    floor = re.search(r"min_lr ([\d.e-]+)", other)
    assert optim.min_lr == (float(floor[1]) if floor else 1e-6)
    assert model.checkpointing == ("grad ckpt" in other)


@pytest.mark.parametrize("recipe", OFFICIAL | FIRST_VERSION)
def test_what_all_official_scripts_share(recipe: str) -> None:
    settings = settings_of(recipe)
    optim, mixing, augment = settings.optim, settings.mix, settings.augment
    assert (optim.betas, optim.eps, optim.warmup_lr, optim.lr_scaling) == ((0.9, 0.999), 1e-8, 1e-8, "official")
    assert (settings.label_smoothing, settings.sample.views, settings.model.frames) == (0.1, 2, 16)
    assert (mixing.mixup, mixing.cutmix, mixing.probability, mixing.switch) == (0.8, 1.0, 1.0, 0.5)
    assert (augment.operations, augment.magnitude, augment.magnitude_deviation) == (4, 7, 0.5)
    assert (augment.scale, augment.ratio, augment.erase) == ((0.08, 1.0), (0.75, 4 / 3), 0.25)
    assert augment.flip == (0.0 if recipe.endswith("ssv2") else 0.5)
    assert settings.model.name == "_".join(recipe.split("_")[:2])
    assert settings.split.official_watches_test and optim.average is None and settings.patience_epochs is None


@pytest.mark.parametrize("recipe", PEAK)
def test_effective_rates_layer_by_layer(recipe: str) -> None:
    settings = settings_of(recipe)
    clips = 100 * settings.optim.batch
    values = effective(settings, clips)
    peak, decay, depth = PEAK[recipe], settings.optim.layer_decay, DEPTH[settings.model.name.removeprefix("vit_")]
    assert values["learning rate at its peak"] == pytest.approx(peak)
    assert values["peak learning rate, head"] == pytest.approx(peak)
    assert values[f"peak learning rate, block {depth}"] == pytest.approx(peak * decay)
    assert values["peak learning rate, block 1"] == pytest.approx(peak * decay**depth)
    assert values["peak learning rate, patch embedding"] == pytest.approx(peak * decay ** (depth + 1))
    assert f"peak learning rate, block {depth + 1}" not in values
    assert (values["steps"], values["epochs"]) == (100 * settings.optim.epochs, settings.optim.epochs)
    assert values["warm-up steps"] == 100 * settings.optim.warmup_epochs
    assert values["views a step"] == 2 * settings.optim.batch
    floor = settings.optim.min_lr * settings.optim.batch / 256
    assert values["learning rate at the last step"] == pytest.approx(floor, abs=1e-3 * peak)


@pytest.mark.parametrize("recipe", recipe_names("finetune"))
def test_effective_values_for_the_machine_at_hand(recipe: str) -> None:
    settings = settings_of(recipe)
    processes = 4 if settings.optim.batch % 4 == 0 else 2
    values = effective(settings, 5000, processes)
    assert values["clips a forward pass"] == settings.optim.batch / processes
    assert values["processes"] == processes and values["clips a step"] == settings.optim.batch
    with pytest.raises(UserError, match="do not divide"):
        effective(settings, 5000, 7)
    with pytest.raises(UserError, match="no clips"):
        effective(settings, 0)


def test_own_data_is_short_frozen_and_watched() -> None:
    settings = settings_of("own_data")
    assert settings.model.freeze == 8 and settings.patience_epochs is not None and settings.split.val_share > 0
    assert effective(settings, 300)["steps"] < 300
