"""What the finished jobs of a study came to: a row a run, and means with intervals."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hashtag2action.catalog.jobs import Cell
from hashtag2action.models.cost import energy_kwh

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Mean:
    """A mean over runs with its 95 % interval of Student's t, None for a single run; shares are 0 to 1."""

    runs: int
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Point:
    """The runs of one condition at one size, by number of run."""

    condition: str
    size: int
    top1: dict[int, float]
    top5: dict[int, float]

    @property
    def mean_top1(self) -> Mean:
        """Mean top-1."""
        return mean(list(self.top1.values()))

    @property
    def mean_top5(self) -> Mean:
        """Mean top-5."""
        return mean(list(self.top5.values()))


def run_rows(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return a row for each finished point: accuracies, losses and cost, those of a shared pre-training in every row."""
    rows = []
    for cell in cells:
        if cell.result is None:
            continue
        costs = list(cell.costs.values())
        rows.append(
            {
                "condition": cell.condition,
                "size": cell.size,
                "run": cell.run,
                "top1": round(cell.result["top1"], 6),
                "top5": round(cell.result["top5"], 6),
                "test_clips": cell.result["videos"],
                "train_top1": round(cell.result["train_top1"], 6),
                "pretrain_loss": round(cell.pretrained["loss_last"], 5) if cell.pretrained else "",
                "pretrain_steps": cell.pretrained["steps"] if cell.pretrained else 0,
                "clips_seen": sum(cost["clips"] for cost in costs),
                "pflop": _digits(sum(cost["flops"] for cost in costs) / 1e15),
                "hours": _digits(sum(cost["hours"] for cost in costs)),
                "kwh": _digits(sum(kwh(cost) for cost in costs)),
                "snapshot": cell.pretrained["digest"][:16] if cell.pretrained else "",
                "job": cell.job,
            }
        )
    return rows


def points(cells: Sequence[Cell]) -> list[Point]:
    """Gather the finished runs of each condition and size, in the order of the plan."""
    found: dict[tuple[str, int], Point] = {}
    for cell in cells:
        if cell.result is not None:
            point = found.setdefault((cell.condition, cell.size), Point(cell.condition, cell.size, {}, {}))
            point.top1[cell.run], point.top5[cell.run] = cell.result["top1"], cell.result["top5"]
    return list(found.values())


def mean(values: Sequence[float]) -> Mean:
    """Return the mean with its interval, which is cut at 0 and 1 for shares."""
    import numpy as np
    from scipy import stats

    number, middle = len(values), float(np.mean(values))
    if number < 2:
        return Mean(number, middle, None, None)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, number - 1) * np.std(values, ddof=1) / np.sqrt(number))
    return Mean(number, middle, max(0.0, middle - half), min(1.0, middle + half))


def total_cost(cells: Sequence[Cell]) -> dict[str, float]:
    """Add up what a study took, each job once however many points share it."""
    jobs = {key: cost for cell in cells for key, cost in cell.costs.items()}
    return {
        "jobs": len(jobs),
        "clips_seen": sum(cost["clips"] for cost in jobs.values()),
        "pflop": sum(cost["flops"] for cost in jobs.values()) / 1e15,
        "hours": sum(cost["hours"] for cost in jobs.values()),
        "kwh": sum(kwh(cost) for cost in jobs.values()),
    }


def kwh(cost: dict[str, Any]) -> float:
    """Estimate the energy of one job (`models.cost`)."""
    return energy_kwh(cost["hours"], cost["device"], cost["devices"])


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as CSV text."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _digits(value: float) -> float:
    """Round to five significant digits."""
    return float(f"{value:.5g}")
