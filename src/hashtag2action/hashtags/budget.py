"""Where to spend the next requests: more on hashtags that gave clips, some on every other.

A bandit: each hashtag's share of videos that become clips is drawn from what is believed of it (a beta distribution,
Thompson sampling), and the requests of a round go to the highest draws. A part of each round, the floor, is spread
evenly, so that no hashtag is given up on an early accident.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from hashtag2action.catalog.yields import TagYield
from hashtag2action.files import atomic_write
from hashtag2action.hashtags.settings import BudgetSettings


@dataclass(frozen=True)
class Arm:
    """What a hashtag has given, in videos; `left` is how many more requests it can take."""

    hashtag: str
    kept: float
    lost: float
    left: int


@dataclass(frozen=True)
class Share:
    """A line of the plan; what it rests on is beside it."""

    hashtag: str
    requests: int
    expected_kept: float
    yield_mean: float  # clips a video
    yield_low: float  # 95 % interval
    yield_high: float
    seen: int
    kept: int
    people: int
    duplicates: int
    poor: int


def plan_requests(yields: Sequence[TagYield], requests: int, settings: BudgetSettings, per_hashtag: int) -> list[Share]:
    """Divide the next `requests` among hashtags by what each has given, most first; those that need none are left out.

    `per_hashtag` is the number of posts at which a hashtag is full.
    """
    arms = [_arm(row, settings, per_hashtag) for row in yields]
    shares = allocate(arms, requests, settings)
    plan = []
    for row, arm, number in zip(yields, arms, shares, strict=True):
        a, b = settings.prior_kept + arm.kept, settings.prior_lost + arm.lost
        draws = np.random.default_rng(settings.seed).beta(a, b, 4000)
        low, high = (float(value) for value in np.quantile(draws, [0.025, 0.975]))
        mean = a / (a + b)
        expected = number * settings.videos_a_request * mean
        plan.append(Share(row.hashtag, number, round(expected, 1), round(mean, 4), round(low, 4), round(high, 4),
                          row.seen, row.kept, row.people, row.duplicates, row.poor))  # fmt: skip
    return sorted((share for share in plan if share.requests), key=lambda share: (-share.requests, share.hashtag))


def allocate(arms: Sequence[Arm], requests: int, settings: BudgetSettings) -> list[int]:
    """Return how many of `requests` go to each arm, none more than it can take."""
    chance = np.random.default_rng(settings.seed)
    left = np.array([arm.left for arm in arms], dtype=np.int64)
    given = np.zeros(len(arms), dtype=np.int64)
    if not len(arms):
        return []
    kept = np.array([arm.kept for arm in arms]) + settings.prior_kept
    lost = np.array([arm.lost for arm in arms]) + settings.prior_lost
    even = round(requests * settings.floor)
    for turn in range(even):
        open_arms = np.flatnonzero(given < left)
        if not len(open_arms):
            return [int(number) for number in given]
        fewest = open_arms[given[open_arms] == given[open_arms].min()]
        given[fewest[(turn + settings.seed) % len(fewest)]] += 1
    for _ in range(requests - even):
        draw = np.where(given < left, chance.beta(kept, lost), -1.0)
        best = int(draw.argmax())
        if draw[best] < 0:
            break
        given[best] += 1
    return [int(number) for number in given]


def write_plan(path: Path, plan: Sequence[Share]) -> None:
    """Write the plan as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Share)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(share) for share in plan)
    atomic_write(path, text.getvalue())


def _arm(row: TagYield, settings: BudgetSettings, per_hashtag: int) -> Arm:
    kept = row.kept + settings.review_worth * row.review
    room = max(0.0, per_hashtag - row.seen) / settings.videos_a_request
    return Arm(row.hashtag, kept, max(0.0, row.decided - kept), 0 if row.complete else int(np.ceil(room)))
