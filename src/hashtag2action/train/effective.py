"""What a fine-tuning recipe comes to on the machine and the clips at hand."""

from __future__ import annotations

from hashtag2action.errors import UserError
from hashtag2action.models import ClassifierConfig
from hashtag2action.models.sizes import make_config
from hashtag2action.train.finetune_settings import FinetuneSettings
from hashtag2action.train.job import Effective
from hashtag2action.train.optim import make_schedule


def effective(settings: FinetuneSettings, clips: int, world_size: int = 1) -> Effective:
    """Return batch, steps and scaled learning rates, layer by layer, for `clips` training clips on `world_size` processes.

    Raises `UserError` where the batch does not divide among them or there are no clips.
    """
    if clips < 1:
        raise UserError("effective values: no clips; give the number of training clips")
    optim, views = settings.optim, settings.sample.views
    if optim.batch % (optim.accumulate * world_size):
        raise UserError(
            f"optim.batch: {optim.batch} clips do not divide among {world_size} processes in {optim.accumulate} rounds; "
            "choose a multiple"
        )
    depth = make_config(ClassifierConfig, settings.model.name, **settings.model.overrides).depth
    schedule = make_schedule(optim, clips, views)
    names = ["patch embedding", *(f"block {number}" for number in range(1, depth + 1)), "head"]
    return {
        "clips": clips,
        "processes": world_size,
        "clips a step": optim.batch,
        "views a step": optim.batch * views,
        "clips a forward pass": optim.batch // (optim.accumulate * world_size),
        "views a forward pass": optim.batch * views // (optim.accumulate * world_size),
        "steps": schedule.steps,
        "warm-up steps": schedule.warmup,
        "epochs": schedule.steps * optim.batch / clips,
        "learning rate at the first step": schedule.start,
        "learning rate at its peak": schedule.peak,
        "learning rate at the last step": schedule(schedule.steps - 1),
        **{
            f"peak learning rate, {name}": schedule.peak * optim.layer_decay ** (depth + 1 - layer)
            for layer, name in enumerate(names)
        },
    }
