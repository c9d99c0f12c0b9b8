"""Does `h2a study extrapolate` recover needs that are known?

    python benchmarks/extrapolate.py --seed 2026 --json rows.json

Each of the known curves is measured with noise (`known_curves.py`), every distribution is tried as the command does,
and the needed size at 95 % is compared with the true one. The last lines say the median error, how often the 90 %
interval holds the truth, and how long trying everything took.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from hashtag2action.files import write_json
from hashtag2action.study.extrapolate import extrapolate
from known_curves import TARGET, Known, known_curves


def main() -> None:
    """Recover the needs of the known curves, print a line for each, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=2026, help="which curves, and which noise")
    parser.add_argument("--curves", type=int, default=20)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    print(f"{'family':26}{'reach':>6}{'need':>9}{'estimate':>10}{'error':>8}{'low':>9}{'high':>9}  holds  seconds")
    for known in known_curves(options.seed, options.curves):
        rows.append(row := recover(known, options.resamples, options.workers))
        print(
            f"{row['family']:26}{row['reach']:6.2f}{row['need']:9.0f}{row['estimate']:10.0f}{row['error']:8.1%}"
            f"{row['low']:9.0f}{row['high']:9.0f}  {row['holds']!s:5}  {row['seconds']:7.1f}",
            flush=True,
        )
    summary = summarise(rows)
    print(summary)
    if options.json:
        finite = [{key: None if value == math.inf else value for key, value in row.items()} for row in rows]
        write_json(options.json, {"summary": summary, "rows": finite})


def recover(known: Known, resamples: int, workers: int) -> dict[str, Any]:
    """Return what is estimated for one known curve; `reach` is the true need in largest sizes measured."""
    points = known.points()
    result = extrapolate(points, [TARGET], resamples=resamples, workers=workers)
    need = result.needs[0]
    return {
        "family": known.family,
        "reach": known.need / float(points.sizes[-1]),
        "need": known.need,
        "estimate": need.size,
        "error": abs(need.size / known.need - 1),
        "low": need.low,
        "high": need.high,
        "holds": need.low <= known.need <= need.high,
        "doubts": list(need.doubts),
        "seconds": result.seconds,
    }


def summarise(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the figures that are reported."""
    return {
        "curves": len(rows),
        "median_error": statistics.median(row["error"] for row in rows),
        "coverage_of_90_percent_interval": sum(row["holds"] for row in rows) / len(rows),
        "median_high_over_low": statistics.median(row["high"] / row["low"] for row in rows),
        "longest_seconds": max(row["seconds"] for row in rows),
    }


if __name__ == "__main__":
    main()
