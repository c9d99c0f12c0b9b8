"""The result of an extrapolation as tables on the screen, CSV, JSON and figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hashtag2action.console import out, table
from hashtag2action.files import atomic_write, write_json
from hashtag2action.report.figures import save_figure
from hashtag2action.study.curves import curve
from hashtag2action.study.extrapolate import Extrapolation
from hashtag2action.study.needs_figure import needs_figure
from hashtag2action.study.ranking import Ranked, parameters
from hashtag2action.study.results import as_csv

TOP = 10


def save(result: Extrapolation, folder: Path, json: Path | None = None) -> list[Path]:
    """Write `needs.csv`, `ranking.csv` (every curve), `check.csv`, `extrapolation.json` and the figure; return paths."""
    tables = {"needs.csv": need_rows(result), "ranking.csv": ranking_rows(result), "check.csv": check_rows(result)}
    for name, rows in tables.items():
        atomic_write(folder / name, as_csv(rows))
    written = [folder / name for name in tables] + save_figure(needs_figure(result), folder)
    for path in [folder / "extrapolation.json", *([json] if json else [])]:
        write_json(path, as_json(result))
        written.append(path)
    return written


def print_needs(result: Extrapolation, written: Sequence[Path]) -> None:
    """Print needed sizes, the ten best curves, the check run and every warning."""
    largest = float(result.points.sizes[-1])
    _print(f"[bold]Clips needed[/bold] (measured at {result.points.sizes[0]:,.0f} to {largest:,.0f}; 90 % interval)")
    for need in result.needs:
        line = f"  {_percent(need.target):>7}  {_size(need.size):>10}  {_size(need.low)} to {_size(need.high)}"
        _print(line + ("" if not need.doubts else f"  [yellow]not supported: {'; '.join(need.doubts)}[/yellow]"))
    targets = "".join(f"{_percent(need.target):>10}" for need in result.needs)
    _print(f"\n[bold]The best {TOP} of {len(result.ranked)} curves[/bold] (error of the sizes left out, AICc)")
    _print(f"  {'curve':24}{'fit':>9}{'left out':>10}{'AICc':>9}{targets}")
    for each in result.ranked[:TOP]:
        sizes = "".join(f"{_size(size):>10}" for size in result.need_of(each.trial.fit))
        fitted, left = _rms(result, each), 100 * each.trial.held_out
        _print(f"  {each.trial.fit.name:24}{fitted:>7.3f} %{left:>8.3f} %{each.aicc:>9.1f}{sizes}")
    if result.check:
        _print(f"\n[bold]Check[/bold]: fitted to sizes up to {result.fitted_to:,.0f}")
        for check in result.check:
            span = f"{_percent(check.low)} to {_percent(check.high)}"
            said = "inside" if check.inside else "[yellow]outside[/yellow]"
            _print(
                f"  {check.size:>10,.0f}  foretold {_percent(check.foretold)} ({span}), measured {_percent(check.measured)}: {said}"
            )
    lost = [each for each in result.ranked if not each.trial.fit.converged]
    _print(f"\n{len(lost)} fits did not converge and have no vote: {', '.join(each.trial.fit.name for each in lost)}")
    for warning in result.warnings:
        _print(f"[yellow]warning: {warning}[/yellow]")
    table("\nExtrapolation", {"noise of one run": _percent(result.ensemble.noise), "seconds": round(result.seconds), "files": written[0].parent})  # fmt: skip


def need_rows(result: Extrapolation) -> list[dict[str, Any]]:
    """Return a row for each target; sizes are whole clips, `inf` where no size is enough."""
    return [
        {
            "target": need.target, "size": _whole(need.size), "low": _whole(need.low), "high": _whole(need.high),
            "unreached_share": round(need.unreached, 4), "supported": not need.doubts, "doubts": "; ".join(need.doubts),
        }
        for need in result.needs
    ]  # fmt: skip


def ranking_rows(result: Extrapolation) -> list[dict[str, Any]]:
    """Return a row for each curve tried, the best first, with the sizes that it alone needs."""
    votes = {voter.fit.name: voter for voter in result.ensemble.voters}
    shares = {name: voter.fit.name for voter in votes.values() for name in voter.same}
    rows = []
    for each in result.ranked:
        found = each.trial.fit
        row: dict[str, Any] = {
            "place": each.place, "curve": found.name, "parameters": len(curve(found.name).parameters), "converged": found.converged,
            "note": found.note, "fit_rms": _rms(result, each) / 100 if found.free else math.inf, "held_out_rms": each.trial.held_out,
            "aicc": each.aicc, "place_by_fit": each.by_fit, "place_by_held_out": each.by_held_out, "place_by_aicc": each.by_aicc,
            "vote": round(votes[found.name].weight, 5) if found.name in votes else 0.0, "same_as": shares.get(found.name, ""),
        }  # fmt: skip
        sizes = result.need_of(found) if found.free else [math.nan] * len(result.needs)
        row |= {f"needs_{need.target:g}": _whole(size) for need, size in zip(result.needs, sizes, strict=True)}
        rows.append(row)
    return rows


def check_rows(result: Extrapolation) -> list[dict[str, Any]]:
    """Return a row for each size left out of the check run; accuracies 0..1."""
    return [
        {
            "fitted_to": result.fitted_to, "size": check.size, "measured": check.measured, "foretold": check.foretold,
            "low": check.low, "high": check.high, "inside": check.inside,
        }
        for check in result.check
    ]  # fmt: skip


def as_json(result: Extrapolation) -> dict[str, Any]:
    """Return everything as plain values; infinite numbers are None."""
    points = result.points
    measured = zip(points.sizes.tolist(), points.accuracies.tolist(), points.runs.tolist(), strict=True)
    value = {
        "measured": [{"size": size, "accuracy": accuracy, "runs": runs} for size, accuracy, runs in measured],
        "noise": result.ensemble.noise,
        "needs": need_rows(result),
        "ranking": [
            row | {"fitted": parameters(each.trial.fit), "size_unit": result.unit}
            for row, each in zip(ranking_rows(result), result.ranked, strict=True)
        ],
        "check": check_rows(result),
        "warnings": list(result.warnings),
        "seconds": round(result.seconds, 1),
    }
    return dict(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print(line: str) -> None:
    out.print(line, soft_wrap=True)


def _rms(result: Extrapolation, each: Ranked) -> float:
    return 100 * math.sqrt(each.trial.fit.rss / float(result.points.runs.sum()))


def _whole(size: float) -> float:
    return float(round(size)) if math.isfinite(size) else float(size)


def _size(size: float) -> str:
    if math.isnan(size):
        return "?"
    return f"{size:,.0f}" if size < 1e7 else ("never" if math.isinf(size) else f"{size:.0e}")


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
