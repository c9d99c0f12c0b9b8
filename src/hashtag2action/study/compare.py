"""Which data is better: arms at equal size and budget, run by run (paper, section 6 and Figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from hashtag2action.catalog import jobs
from hashtag2action.catalog.jobs import Cell
from hashtag2action.catalog.store import Catalog
from hashtag2action.errors import UserError
from hashtag2action.study.data_size import write_results
from hashtag2action.study.figures import compare_figure
from hashtag2action.study.results import points

DRAWS = 10_000


@dataclass(frozen=True)
class Difference:
    """Top-1 of `a` minus that of `b` over the runs that both have; shares are 0 to 1."""

    a: str
    b: str
    runs: int
    difference: float
    interval: tuple[float, float]
    """95 % bootstrap percentiles; runs and sources of test clips are drawn, both."""
    p: float
    """Exact two-sided sign-flip test of the runs' differences."""
    smallest_p: float
    """What the test gives at best with so many runs."""


def compare_results(catalog: Catalog, study: str) -> dict[str, Any]:
    """Write figure (SVG, PNG, CSV), `NAME-runs.csv` and `NAME.json` of what is done; return the differences.

    Raises `UserError` where no two conditions have a run in common yet.
    """
    cells = jobs.cells(catalog, study)
    found = points(cells)
    differences = [d for a, b in combinations([p.condition for p in found], 2) if (d := difference(cells, a, b))]
    if not differences:
        raise UserError(f"{study}: no two conditions have a run in common yet; `h2a study work {study}` does some")
    clips = next(cell.result["videos"] for cell in cells if cell.result is not None)
    figure = compare_figure(study, found, differences, clips)
    return write_results(
        catalog,
        study,
        cells,
        figure,
        {"differences": {f"{d.a} - {d.b}": asdict(d) for d in differences}},
        compare_sentences(differences, clips),
    )


def difference(cells: Sequence[Cell], a: str, b: str, draws: int = DRAWS, seed: int = 0) -> Difference | None:
    """Compare two conditions over the runs that both have done; None where there is none."""
    import numpy as np

    done = {
        name: {cell.run: cell.result for cell in cells if cell.condition == name and cell.result} for name in (a, b)
    }
    runs = sorted(done[a].keys() & done[b].keys())
    if not runs:
        return None
    gains = np.array([np.subtract(done[a][run]["right"], done[b][run]["right"]) for run in runs], dtype=float)
    low, high = bootstrap(gains, done[a][runs[0]]["groups"], draws, seed)
    p = sign_flip([done[a][run]["top1"] for run in runs], [done[b][run]["top1"] for run in runs])
    return Difference(a, b, len(runs), float(gains.mean()), (low, high), p, 2.0 ** (1 - len(runs)))


def sign_flip(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the two-sided p of paired values if either of a pair could as well be the other's: all 2^n flips, exactly."""
    import numpy as np
    from scipy import stats

    if len(a) < 2:
        return 1.0

    def statistic(x: Any, y: Any, axis: int = -1) -> Any:
        return np.mean(x - y, axis=axis)

    test = stats.permutation_test(
        (np.array(a), np.array(b)), statistic, permutation_type="samples", n_resamples=np.inf, vectorized=True
    )
    return float(test.pvalue)


def bootstrap(gains: Any, groups: Sequence[str], draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the mean of `gains` (runs, clips), drawing runs and groups of clips with replacement."""
    import numpy as np

    _, index = np.unique(np.array(groups), return_inverse=True)
    sizes = np.bincount(index)
    sums = np.stack([np.bincount(index, weights=row) for row in gains])  # (runs, groups)
    rng = np.random.default_rng(seed)
    runs, number = sums.shape
    by_run = rng.multinomial(runs, np.full(runs, 1 / runs), size=draws)
    by_group = rng.multinomial(number, np.full(number, 1 / number), size=draws)
    means = np.einsum("dr,rg,dg->d", by_run, sums, by_group) / (runs * (by_group @ sizes))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def compare_sentences(differences: Sequence[Difference], clips: int) -> list[str]:
    """Return what was found about the first pair, and how far it can be trusted."""
    first = differences[0]
    low, high = (100 * value for value in first.interval)
    told = [
        f"{first.a} against {first.b}: {100 * first.difference:+.1f} points over {first.runs} paired runs, 95 % interval {low:+.1f} to "
        f"{high:+.1f}, p = {first.p:.3g} (exact sign-flip test over runs).",
        f"Equal numbers of clips, equal settings and seeds in each run; {clips} held-out clips, the same in all runs. The interval "
        "draws runs and sources of test clips; the test takes the test clips as given.",
    ]
    if first.smallest_p > 0.05:
        told.append(
            f"With {first.runs} runs this test cannot come below p = {first.smallest_p:.3g}, whatever the difference; six runs could reach .03."
        )
    if len(differences) > 1:
        told.append(
            f"{len(differences)} pairs are shown; the first is the question, and no p is corrected for the others."
        )
    return told
