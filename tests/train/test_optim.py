from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from hashtag2action.settings import load, recipe_names
from hashtag2action.train.optim import (
    Schedule,
    clean_name,
    lr_scale,
    make_optimizer,
    make_schedule,
    parameter_groups,
    set_lr,
)
from hashtag2action.train.settings import OptimSettings, PretrainSettings

EFFECTIVE = {  # lr * batch / 256, reference table of the official recipes and the paper's Table 2
    "vit_b": (4.0e-3, 4.0e-5, 200, 20),
    "vit_l": (6.0e-3, 6.0e-5, 300, 30),
    "vit_h": (8.0e-3, 8.0e-5, 300, 30),
    "vit_g": (4.8e-3, 8.0e-5, 300, 30),
    "vit_b_paper": (1.25e-4, 1.25e-6, 200, 20),
    "ucf101_v1_style": (2.25e-4, 7.5e-6, 3200, 40),
}


@pytest.mark.parametrize("recipe", EFFECTIVE)
def test_effective_rates_of_the_recipes(recipe):
    settings = load(PretrainSettings, "pretrain", recipe)
    peak, floor, epochs, warmup = EFFECTIVE[recipe]
    clips = settings.optim.batch * 10
    schedule = make_schedule(settings.optim, clips, settings.sample.views)
    assert schedule.peak == pytest.approx(peak) and schedule.floor == pytest.approx(floor)
    assert (schedule.steps, schedule.warmup, schedule.start) == (epochs * 10, warmup * 10, 0)


def test_counting_views_multiplies_the_rate():
    settings = load(PretrainSettings, "pretrain", "vit_g", {"optim.lr_scaling": "views"})
    assert lr_scale(settings.optim, settings.sample.views) * settings.optim.lr == pytest.approx(4 * 4.8e-3)


def test_every_recipe_says_what_it_is():
    assert set(EFFECTIVE) <= set(recipe_names("pretrain"))
    assert all(load(PretrainSettings, "pretrain", name).description for name in recipe_names("pretrain"))


def test_schedule_by_hand():
    rate = Schedule(steps=10, warmup=3, peak=1.0, floor=0.1)
    cosine = [0.1 + 0.45 * (1 + math.cos(math.pi * i / 7)) for i in range(7)]
    assert [rate(step) for step in range(10)] == pytest.approx([0, 0.5, 1.0, *cosine])
    assert [Schedule(4, 0, 1, 0)(i) for i in range(4)] == pytest.approx(
        [1, 0.5 + 0.5 * math.sqrt(0.5), 0.5, 0.5 - 0.5 * math.sqrt(0.5)]
    )
    assert Schedule(10, 3, 1.0, 0.1, start=0.2)(1) == pytest.approx(0.6)


def test_max_steps_keeps_the_share_of_warm_up():
    schedule = make_schedule(OptimSettings(epochs=200, warmup_epochs=20, max_steps=50), clips=1000)
    assert (schedule.steps, schedule.warmup) == (50, 5)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mask_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.patch_embed = nn.Linear(3, 4)
        self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 2)


def test_groups_by_kind_and_layer():
    net = Net()
    options = parameter_groups(((name, p.shape) for name, p in net.named_parameters()), 0.05, layer_decay=0.5, depth=3)
    assert options["patch_embed.weight"] == {"weight_decay": 0.05, "lr_scale": 0.5**4}
    assert options["patch_embed.bias"] == {"weight_decay": 0.0, "lr_scale": 0.5**4}
    assert [options[f"blocks.{i}.weight"]["lr_scale"] for i in range(3)] == [0.125, 0.25, 0.5]
    assert options["mask_token"] == {"weight_decay": 0.05, "lr_scale": 0.5**4}
    assert options["norm.weight"] == {"weight_decay": 0.0, "lr_scale": 1.0}
    assert options["head.weight"] == {"weight_decay": 0.05, "lr_scale": 1.0}

    optimizer = make_optimizer(net, options, OptimSettings())
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(net.parameters()))
    set_lr(optimizer, 0.8)
    assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8])


def test_clean_name():
    assert clean_name("_forward_module._orig_mod.blocks.0.norm1.weight") == "blocks.0.norm1.weight"
