from __future__ import annotations

import logging

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from hashtag2action.train.checkpointing import Checkpoints, damage


@pytest.fixture
def fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def write(folder, fabric, scores, **keep) -> Checkpoints:
    checkpoints = Checkpoints(folder, fabric, **keep)
    for step, score in enumerate(scores, start=1):
        model = nn.Linear(200, 200)
        nn.init.constant_(model.weight, step)
        checkpoints.save(step, {"model": model, "step": step}, score)
    return checkpoints


@pytest.mark.parametrize(
    ("scores", "keep", "kept"),
    [
        ([5, 4, 3, 2, 1], {"keep_last": 2, "keep_best": 1}, [4, 5]),
        ([5, 1, 3, 2, 4], {"keep_last": 2, "keep_best": 1}, [2, 4, 5]),
        ([5, 1, 3, 2, 4], {"keep_last": 1, "keep_best": 2}, [2, 4, 5]),
        ([5, 1, None, 2, 4], {"keep_last": 1, "keep_best": 0}, [5]),
    ],
)
def test_keeps_the_newest_and_the_best(tmp_path, fabric, scores, keep, kept):
    assert write(tmp_path, fabric, scores, **keep).steps() == kept
    assert {path.suffix for path in tmp_path.iterdir()} == {".pt", ".json"}


def spoil_by_cutting(path):
    path.write_bytes(path.read_bytes()[:-1000])


def spoil_one_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def spoil_all(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("spoil", [spoil_by_cutting, spoil_one_byte, spoil_all])
def test_a_damaged_newest_is_skipped_with_a_warning(tmp_path, fabric, caplog, spoil):
    checkpoints = write(tmp_path, fabric, [3, 2, 1], keep_last=3)
    spoil(checkpoints.path(3))
    model = nn.Linear(200, 200)
    with caplog.at_level(logging.WARNING):
        values = checkpoints.load_newest({"model": model})
    assert values == {"step": 2} and model.weight[0, 0] == 2
    assert "step-00000003.pt: damaged checkpoint skipped" in caplog.text
    assert damage(checkpoints.path(2)) is None


def test_none_where_nothing_was_saved(tmp_path, fabric):
    assert Checkpoints(tmp_path / "none", fabric).load_newest({}) is None


def test_code_in_a_checkpoint_is_not_run(tmp_path, fabric):
    checkpoints = write(tmp_path, fabric, [1], keep_last=3)
    torch.save({"model": {}, "evil": print}, checkpoints.path(2))
    assert damage(checkpoints.path(2))
    assert checkpoints.load_newest({"model": nn.Linear(200, 200)}) == {"step": 1}
