"""How much data is enough: accuracy by number of pre-training clips (paper, section 5 and Figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hashtag2action.catalog import jobs
from hashtag2action.catalog.jobs import Cell
from hashtag2action.catalog.store import Catalog
from hashtag2action.errors import UserError
from hashtag2action.files import atomic_write, write_json
from hashtag2action.report.figures import Figure, save_figure
from hashtag2action.study.figures import size_figure
from hashtag2action.study.results import as_csv, points, run_rows, total_cost

REPORT = Path("report") / "studies"


def size_results(catalog: Catalog, study: str) -> dict[str, Any]:
    """Write figure (SVG, PNG, CSV), `NAME-runs.csv` and `NAME.json` of what is done; return means and where files are.

    Raises `UserError` where no run is done yet.
    """
    cells = jobs.cells(catalog, study)
    found = points(cells)
    if not found:
        raise UserError(f"{study}: no run is done yet; `h2a study work {study}` does some")
    first = next(cell.result for cell in cells if cell.result is not None)
    figure = size_figure(study, found, first["chance"], first["videos"], first["top_k"] * first["chance"] < 0.75)
    sizes = {
        str(p.size): {
            "runs": p.mean_top1.runs,
            "top1": p.mean_top1.mean,
            "low": p.mean_top1.low,
            "high": p.mean_top1.high,
        }
        for p in found
    }
    return write_results(catalog, study, cells, figure, {"sizes": sizes}, size_sentences(cells))


def write_results(
    catalog: Catalog, study: str, cells: Sequence[Cell], figure: Figure, found: dict[str, Any], told: Sequence[str]
) -> dict[str, Any]:
    """Write the files of a study into `report/studies` and return what they hold."""
    folder = catalog.workspace / REPORT
    files = save_figure(figure, folder)
    runs = folder / f"{study}-runs.csv"
    atomic_write(runs, as_csv(run_rows(cells)))
    cost = total_cost(cells)
    summary = {"study": study, **found, "runs_done": len(run_rows(cells)), "runs_planned": len(cells), "cost": cost}
    about = {"title": figure.title, "alt": figure.alt, "sentences": list(told), **summary}
    write_json(folder / f"{study}.json", about)
    return summary | {"figure": files[0], "runs": runs}


def size_sentences(cells: Sequence[Cell]) -> list[str]:
    """Return what has to be known to read the figure, and what it does not show."""
    runs = max(cell.run for cell in cells) + 1
    done = [cell for cell in cells if cell.result is not None]
    clips = done[0].result["videos"] if done and done[0].result else 0
    steps = {cell.size: cell.pretrained["steps"] for cell in done if cell.pretrained}
    told = [
        f"Each run has its own random subset, weights and order of clips; within a run smaller subsets lie within larger ones. "
        f"Intervals are Student's t over {runs} runs, and say nothing of other test clips: one clip of {clips} is "
        f"{100 / max(1, clips):.1f} points."
    ]
    if len(set(steps.values())) > 1:
        told.append(
            f"Every size is trained for the same number of epochs, so more clips also mean more steps ({min(steps.values())} to "
            f"{max(steps.values())}): the figure shows data and training time together."
        )
    elif len(steps) > 1:
        told.append(
            f"Every size is trained for the same {next(iter(steps.values()))} steps: the sizes differ in variety alone."
        )
    if len(done) < len(cells):
        told.append(f"{len(cells) - len(done)} of {len(cells)} runs are not done yet.")
    return told
