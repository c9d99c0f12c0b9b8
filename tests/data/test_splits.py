from __future__ import annotations

import csv
import random
import time
from pathlib import Path

import pytest

from hashtag2action.data.splits import Sample, Split, split_by_group


def make(**classes: dict[str, int]) -> list[Sample]:
    """`make(run={"a": 2})`: two clips of class "run" from group "a"."""
    return [
        Sample(Path(f"{label}/{group}-{i}.mp4"), label, group)
        for label, groups in classes.items()
        for group, count in groups.items()
        for i in range(count)
    ]


def classes(part: tuple[Sample, ...]) -> set[str]:
    return {sample.label for sample in part}


def check(split: Split, samples: list[Sample]) -> None:
    assert sorted(map(str, split.train + split.val + split.test)) == sorted(map(str, samples))
    assert split.shared_groups() == ()
    assert classes(split.train) == classes(tuple(samples))


@pytest.mark.parametrize("seed", range(5))
def test_every_class_of_two_sources_is_trained_and_tested(seed: int) -> None:
    samples = make(run={"a": 3, "b": 1}, jump={"c": 2, "d": 2, "e": 2}, sit={"f": 9, "g": 1, "h": 1, "i": 1})
    split = split_by_group(samples, seed)
    check(split, samples)
    assert classes(split.test) == {"run", "jump", "sit"}
    assert classes(split.val) == {"jump", "sit"}
    assert any("run" in note and "validation" in note for note in split.notes)


def test_a_class_of_one_source_is_trained_only_and_counted() -> None:
    samples = make(run={"a": 3, "b": 1}, jump={"c": 2, "d": 2}, once={"e": 4}, twice_there={"a": 1})
    split = split_by_group(samples)
    check(split, samples)
    assert split.untested() == ("once", "twice_there")
    assert {sample.group for sample in split.train} >= {"a", "e"}
    assert split.notes[0].startswith("2 classes (once, twice_there): clips of one source only")
    assert split.val == ()
    assert any("no validation split" in note for note in split.notes)


def test_sources_that_hold_several_classes() -> None:
    """Chained sources can be told apart only in one way, which is found; a triangle of sources cannot at all."""
    chain = make(A={"1": 1, "2": 1}, B={"2": 1, "3": 1}, C={"3": 1, "4": 1}, D={"4": 1, "5": 1})
    split = split_by_group(chain)
    check(split, chain)
    assert classes(split.test) == {"A", "B", "C", "D"}
    triangle = make(A={"1": 1, "2": 1}, B={"2": 1, "3": 1}, C={"3": 1, "1": 1})
    split = split_by_group(triangle)
    check(split, triangle)
    assert len(classes(split.test)) == 2
    assert any("tied to those of other classes" in note for note in split.notes)


def test_the_same_split_in_any_order_and_another_by_another_seed() -> None:
    samples = make(run={str(i): 2 for i in range(20)}, jump={str(i): 1 for i in range(10, 30)})
    shuffled = random.Random(1).sample(samples, len(samples))
    first, second = split_by_group(samples, 3), split_by_group(shuffled, 3)
    assert set(first.test) == set(second.test) and set(first.val) == set(second.val)
    assert set(split_by_group(samples, 4).test) != set(first.test)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.4])
def test_shares_hold_for_every_class(share: float) -> None:
    samples = make(run={f"r{i}": 1 + i % 3 for i in range(60)}, jump={f"j{i}": 1 for i in range(40)})
    split = split_by_group(samples, val_share=0.2, test_share=share)
    check(split, samples)
    for label in ("run", "jump"):
        total = sum(sample.label == label for sample in samples)
        assert sum(sample.label == label for sample in split.test) / total == pytest.approx(share, abs=0.03)
        assert sum(sample.label == label for sample in split.val) / total == pytest.approx(0.2, abs=0.03)


def test_nothing_is_held_out_where_nothing_is_asked() -> None:
    samples = make(run={"a": 1, "b": 1}, jump={"c": 1, "d": 1})
    split = split_by_group(samples, val_share=0, test_share=0)
    assert split.train == tuple(samples) and not split.val and not split.test and not split.notes
    assert split_by_group([]).train == ()


def test_people_of_real_recordings_stay_together(shared_videos: Path) -> None:
    with (shared_videos / "manifest.csv").open() as file:
        samples = [
            Sample(Path(r["path"]), r["label"], r["group"]) for r in csv.DictReader(file) if r["source"] == "yoga"
        ]
    split = split_by_group(samples)
    check(split, samples)
    assert len({sample.group for sample in split.test}) == 3
    assert classes(split.test) == classes(tuple(samples))
    assert split.val and classes(split.val) <= classes(split.train)


def test_many_sources_are_split_in_seconds() -> None:
    samples = [Sample(Path(f"{i}.mp4"), f"tag{i % 100}", f"video{i}") for i in range(60_000)]
    start = time.perf_counter()
    split = split_by_group(samples)
    assert time.perf_counter() - start < 20
    assert len(split.test) == pytest.approx(0.25 * len(samples), rel=0.02)
    assert len(split.val) == pytest.approx(0.1 * len(samples), rel=0.02)
