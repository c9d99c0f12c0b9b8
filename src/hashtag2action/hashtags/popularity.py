"""How often a hashtag has been viewed: as a table says, or estimated from sampled posts, with an interval.

The Research API has no view count of a hashtag. The sum over posts found is a lower bound; where every post of some
days was found, the days can be scaled up to the whole span.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from hashtag2action.errors import UserError
from hashtag2action.hashtags.candidates import to_tag


@dataclass(frozen=True)
class Views:
    """The views of a hashtag; `low` and `high` bound them with 95 % confidence (equal for a table's numbers)."""

    value: float
    low: float
    high: float
    source: str  # "table" or "sample"
    date: str = ""
    days: int = 0  # with posts in the sample


def read_views(path: Path) -> dict[str, Views]:
    """Read a CSV with the columns tag, views, date (YYYY-MM-DD); the newest row of a tag counts. Raises `UserError`."""
    views: dict[str, Views] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"tag", "views", "date"} <= set(rows.fieldnames or ()):
                raise UserError(f"{path}: the first line must name the columns tag,views,date")
            for row in rows:
                tag, number = to_tag(row["tag"] or ""), parse_count(row["views"] or "")
                try:
                    day = date.fromisoformat((row["date"] or "").strip()).isoformat()
                except ValueError:
                    number = None
                    day = ""
                if not tag or number is None:
                    raise UserError(
                        f"{path}, line {rows.line_num}: expected tag,views,date such as piano,44.4B,2023-11-14"
                    )
                if tag not in views or day >= views[tag].date:
                    views[tag] = Views(number, number, number, "table", day)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a CSV of views ({error}); columns tag,views,date") from error
    return views


def parse_count(text: str) -> float | None:
    """Return a number such as "29.4M", "44.4 Billion" or "1,200"; None for anything else."""
    text = text.strip().replace(",", "").lower()
    scales = {"k": 1e3, "m": 1e6, "b": 1e9, "thousand": 1e3, "million": 1e6, "billion": 1e9}
    for unit in sorted(scales, key=len, reverse=True):
        if text.endswith(unit):
            text, scale = text[: -len(unit)].strip(), scales[unit]
            break
    else:
        scale = 1.0
    try:
        number = float(text) * scale
    except ValueError:
        return None
    return number if 0 <= number < 1e18 else None


def estimate_views(
    daily: Sequence[tuple[int, int]], span_days: int, *, draws: int = 1000, seed: int = 0
) -> Views | None:
    """Estimate a hashtag's views over `span_days` from the sums of sampled days (day, views), by bootstrap over days.

    Days between the first and the last one sampled that have no post count as days without views. The lower end is
    never under the views that were seen. None without a sample.
    """
    if not daily:
        return None
    sums = dict(daily)
    days = [sums.get(day, 0) for day in range(min(sums), max(sums) + 1)]
    seen, span = float(sum(days)), max(span_days, len(days))
    if len(days) < 2:
        return Views(seen, seen, float("inf"), "sample", days=len(daily))
    chance = random.Random(seed)
    means = sorted(sum(chance.choices(days, k=len(days))) / len(days) for _ in range(draws))
    low, high = means[int(0.025 * draws)] * span, means[int(0.975 * draws)] * span
    return Views(seen / len(days) * span, max(low, seen), max(high, seen), "sample", days=len(daily))


def popular(views: Views | None, minimum: float) -> bool | None:
    """Whether a hashtag has at least `minimum` views; None where that cannot be said."""
    if views is None:
        return None
    if views.low >= minimum:
        return True
    return False if views.high < minimum else None


def most_viewed(tags: Sequence[str], views: Mapping[str, Views]) -> str | None:
    """Return the tag with the most views of those whose views are known, None without any; the first of equals."""
    known = [tag for tag in tags if tag in views]
    return max(known, key=lambda tag: views[tag].value, default=None)
