from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hashtag2action.data.augment import center_box
from hashtag2action.data.clips import ClipDataset, ClipSample, Share, ViewPlan, clip_batches, clip_order
from hashtag2action.errors import UserError

PLAN = ViewPlan(frames=4, rate=2, views=2, size=64, max_replacements=3)


@pytest.fixture(scope="module")
def with_bad(small_clips, tmp_path_factory) -> list[Path]:
    """Real clips with a text file and half a video among them."""
    folder = tmp_path_factory.mktemp("bad")
    text, half = folder / "text.mp4", folder / "half.mp4"
    text.write_text("not a video")
    half.write_bytes(small_clips[0].read_bytes()[:2000])
    return [*small_clips[:3], text, *small_clips[3:6], half]


def read(clips, *, share=None, first=0, steps=3, workers=0, cache_mb=0.0, seed=7) -> list[list[ClipSample]]:
    dataset = ClipDataset(clips, PLAN, seed, cache_mb)
    return list(clip_batches(dataset, share or Share(4), first, steps, workers))


def same(one: ClipSample, other: ClipSample) -> bool:
    return (one.path, one.boxes, one.bad) == (other.path, other.boxes, other.bad) and torch.equal(
        one.frames, other.frames
    )


def assert_same(one: list[list[ClipSample]], other: list[list[ClipSample]]) -> None:
    assert len(one) == len(other)
    assert all(same(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize(("workers", "cache_mb"), [(1, 0), (2, 0), (2, 50), (0, 50), (0, 1.5)])
def test_batches_depend_on_neither_workers_nor_memory(with_bad, workers, cache_mb):
    assert_same(read(with_bad, steps=5), read(with_bad, steps=5, workers=workers, cache_mb=cache_mb))


def test_batches_from_a_later_step_are_those_of_the_whole_run(small_clips):
    assert_same(read(small_clips, steps=6)[4:], read(small_clips, first=4, steps=6))


def test_another_seed_gives_other_batches(small_clips):
    one, other = read(small_clips), read(small_clips, seed=8)
    assert not all(same(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize(("rounds", "world"), [(1, 2), (2, 1), (2, 2)])
def test_processes_and_rounds_share_the_same_global_batch(small_clips, rounds, world):
    whole = [sample for batch in read(small_clips, steps=2) for sample in batch]
    parts = [read(small_clips, share=Share(4, rounds, rank, world), steps=2) for rank in range(world)]
    joined = [
        sample for step in range(2) for turn in range(rounds) for part in parts for sample in part[step * rounds + turn]
    ]
    assert_same([whole], [joined])


def test_every_epoch_visits_every_clip_once(small_clips):
    count = len(small_clips)
    seen = [sample.path for batch in read(small_clips, share=Share(2), steps=count) for sample in batch]
    assert sorted(seen[:count]) == sorted(seen[count:]) == sorted(small_clips)
    assert seen[:count] != seen[count:]
    assert np.array_equal(clip_order(count, 7, 0), clip_order(count, 7, 0))


def test_bad_clips_are_recorded_and_replaced(with_bad):
    samples = [sample for batch in read(with_bad, steps=4) for sample in batch]
    bad = {(record.path.name, record.reason.split(":")[0]) for sample in samples for record in sample.bad}
    assert {name for name, _ in bad} == {"text.mp4", "half.mp4"}
    assert all(sample.frames.shape[0] == 4 and sample.path in with_bad for sample in samples)
    assert not {"text.mp4", "half.mp4"} & {sample.path.name for sample in samples}


def test_only_bad_clips_end_with_their_names(tmp_path):
    clips = []
    for i in range(3):
        clips.append(tmp_path / f"{i}.mp4")
        clips[-1].write_text("not a video")
    with pytest.raises(UserError, match=r"0\.mp4.*unreadable"):
        read(clips)
    with pytest.raises(UserError, match="unreadable"):
        read(clips, workers=1)


def test_a_batch_that_does_not_divide_is_an_error():
    with pytest.raises(UserError, match="6 clips do not divide among 4 processes"):
        Share(6, 1, 0, 4)


def test_central_crops_are_always_the_same(small_clips):
    dataset = ClipDataset(small_clips, replace(PLAN, crop="center"), seed=0)
    boxes = {box for epoch in range(3) for box in dataset[epoch, 0].boxes}
    height, width = dataset[0, 0].frames.shape[1:3]
    assert boxes == {center_box(width, height)}
