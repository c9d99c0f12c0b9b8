"""What the page admits follows from what was done."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hashtag2action.catalog.statistics import HashtagCount, Statistics
from hashtag2action.report.flow import gates
from hashtag2action.report.limits import limits
from hashtag2action.report.runs import Evaluation, Pretraining


def counted(**changes: object) -> Statistics:
    values: dict[str, object] = {
        "videos": 20, "accepted": 9, "review": 2, "rejected": 6, "pending": 3,
        "rejects": {"duplicate": 3, "unreadable": 1, "timeout": 1, "scene_too_short": 1},
        "hashtags": (HashtagCount("dance", 20, 9, 2),), "clips": 9, "durations": {}, "clip_s": 60.0, "clip_bytes": 1, "source_s": 90.0,
    }  # fmt: skip
    return Statistics(**(values | changes))  # type: ignore[arg-type]


def evaluated(
    top1: float, interval: tuple[float, float], videos: int = 8, per_class: tuple[int, ...] = (4, 4), **summary: object
) -> Evaluation:
    classes = tuple(f"class{n}" for n in range(len(per_class)))
    return Evaluation(
        summary=summary, settings={}, videos=videos, right=round(top1 * videos), top1=top1, interval=interval, classes=classes,
        per_class=per_class, chance=1 / len(classes), majority=max(per_class) / sum(per_class), confusion=None, predictions=(),
    )  # fmt: skip


def told(evaluation: Evaluation | None = None, pretraining: Pretraining | None = None, min_clip_s: float = 3.5) -> str:
    return " ".join(limits(counted(), min_clip_s, pretraining, None, evaluation)).replace("\u00a0", " ")


def test_nothing_evaluated() -> None:
    assert "no number on this page says how well actions are recognised" in told()


@pytest.mark.parametrize(
    ("evaluation", "said"),
    [
        (
            evaluated(0.5, (0.2, 0.8)),
            "It holds chance (50 %): these results do not show that the model recognises anything.",
        ),
        (
            evaluated(1.0, (0.6, 1.0), per_class=(6, 2)),
            "what always answering the test's most frequent class would give (75 %)",
        ),
        (evaluated(0.9, (0.8, 1.0)), "It lies above chance (50 %): something was learnt"),
        (evaluated(0.25, (0.1, 0.4), per_class=(6, 2)), "with 25 % the model is no better than that"),
        (evaluated(1.0, (1.0, 1.0), groups=2), "All draws of the bootstrap agree"),
        (evaluated(0.9, (0.8, 1.0), groups=3), "drawn from 3 sources only"),
        (evaluated(0.5, (0.2, 0.8), videos=8), "one clip more or less moves top-1 by 12.5 percentage points"),
        (evaluated(0.5, (0.2, 0.8), per_class=(8, 0)), "no clip of theirs was held out: class1"),
        (evaluated(0.5, (0.2, 0.8), unreadable=2), "2 held-out clips could not be read"),
        (
            evaluated(0.5, (0.2, 0.8), unknown_labels=["surfing"]),
            "Held out but never learnt, and so always wrong: surfing.",
        ),
        (evaluated(0.5, (0.2, 0.8)), "With 2 classes, every one of them is among the top 5"),
        (evaluated(0.5, (0.2, 0.8)), "with one seed"),
    ],
)
def test_doubt_about_an_evaluation(evaluation: Evaluation, said: str) -> None:
    assert said in told(evaluation)


def test_many_sources_and_classes_are_not_called_few() -> None:
    text = told(evaluated(0.9, (0.88, 0.92), videos=900, per_class=(90,) * 10, groups=300))
    assert "sources only" not in text and "among the top 5" not in text


@pytest.mark.parametrize(("last", "weak"), [(0.95, True), (0.5, False)])
def test_a_loss_that_hardly_fell_is_called_that(last: float, weak: bool) -> None:
    run = Pretraining({}, {}, 1.1, last, 1.0, None, ())
    assert ("too short to learn much" in told(pretraining=run)) == weak


@pytest.mark.parametrize(("min_clip_s", "said"), [(1.0, True), (3.5, False)])
def test_a_lowered_minimum_is_named(min_clip_s: float, said: bool) -> None:
    assert ("Clips from 1 s on were kept" in told(min_clip_s=min_clip_s)) == said


def test_gates_account_for_every_video() -> None:
    flow = gates(counted())
    assert [gate.left for gate in flow] == [20, 17, 15, 12, 11, 9]
    assert [gate.lost for gate in flow] == [0, 3, 2, 3, 1, 2]
    assert all(a.left - b.lost == b.left for a, b in pairwise(flow))
    assert flow[-1].left == counted().accepted


def test_gates_of_an_empty_catalog() -> None:
    empty = counted(videos=0, accepted=0, review=0, rejected=0, pending=0, rejects={})
    assert {gate.left for gate in gates(empty)} == {0}
