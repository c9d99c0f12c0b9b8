"""`h2a study`: how much data is enough, which data is better, and how sure we are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hashtag2action.cli.common import require, show
from hashtag2action.cli.options import CatalogUrl, EngineName, Folder, Json, RayAddress, Recipe, Set
from hashtag2action.errors import UserError

if TYPE_CHECKING:
    from hashtag2action.catalog.store import Catalog
    from hashtag2action.study.settings import StudySettings

app = typer.Typer(help="Measure how much data is enough and which data is better.", no_args_is_help=True)


@app.command()
def extrapolate(
    results: Annotated[
        Path, typer.Argument(help="CSV with a column size and accuracy or top1; a row a run, or a row a size.")
    ],
    more: Annotated[list[str] | None, typer.Argument(metavar="[TARGET]...", help="Further targets.")] = None,
    targets: Annotated[
        list[str] | None, typer.Option("--targets", "-t", help="Accuracies: .95 .96 or .95,.96; 95 to 99 % without it.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for tables and figure; beside the CSV without it.")
    ] = None,
    only: Annotated[
        str | None, typer.Option("--curves", help="Try these alone, by SciPy's names: lomax,t,`power law`.")
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=20, help="Bootstrap resamples of the likeliest curve; less likely ones get fewer.")
    ] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the resamples.")] = 0,
    noise: Annotated[
        float | None, typer.Option(min=1e-6, max=0.5, help="Standard deviation of one run's accuracy, if known: .003.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes at work on fits; 0 takes every core.")] = 0,
    timeout_s: Annotated[float, typer.Option("--timeout", min=1, help="Seconds after which a fit is killed.")] = 60.0,
    json: Json = None,
) -> None:
    """Estimate the sizes that target accuracies need, from accuracies at smaller sizes."""
    from hashtag2action.study.extrapolate import extrapolate as extrapolate_results
    from hashtag2action.study.measured import parse_targets
    from hashtag2action.study.needs_table import print_needs, save

    wanted = parse_targets([*(targets or ()), *(more or ())])
    names = [name.strip() for name in only.split(",")] if only else None
    result = extrapolate_results(
        results, wanted, resamples=resamples, seed=seed, noise=noise, workers=workers, timeout_s=timeout_s, names=names
    )
    print_needs(result, save(result, out or results.with_name(f"{results.stem}-extrapolation"), json))


Labelled = Annotated[
    str,
    typer.Option(
        "--labelled", "-l", help="KIND:ROOT such as ucf101:/data/ucf, a folder per class, a CSV, or `workspace`."
    ),
]
SnapshotName = Annotated[str | None, typer.Option("--snapshot", help="Snapshot to pre-train on; `h2a dataset freeze`.")]
Runs = Annotated[int | None, typer.Option(min=1, max=16, help="Runs of each size or condition.")]
PlanOnly = Annotated[bool, typer.Option("--plan", help="Only plan; `h2a study work` does the jobs, anywhere.")]
Processes = Annotated[int, typer.Option("--workers", min=1, help="Processes that do jobs, each one at a time.")]


@app.command()
def size(
    workspace: Folder,
    labelled: Labelled,
    snapshot: SnapshotName = None,
    clips: Annotated[
        str | None,
        typer.Option("--clips", help="In place of a snapshot: a folder of videos or a CSV, or `registered`."),
    ] = None,
    sizes: Annotated[str | None, typer.Option("--sizes", help="1000:6000:1000 (both ends), or 100,200,400.")] = None,
    runs: Runs = None,
    name: Annotated[str, typer.Option("--name", help="What the study is called.")] = "size",
    recipe: Recipe = "paper_size",
    overrides: Set = None,
    plan: PlanOnly = False,
    engine: EngineName = "local",
    workers: Processes = 1,
    ray_address: RayAddress = None,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Pre-train on more and more clips, fine-tune and test each. Run it again to go on."""
    from hashtag2action.study.plan import plan_size

    changes = _sizes(sizes) | ({"runs": runs} if runs else {})
    settings, opened = _settings(recipe, changes, overrides), _open(workspace, catalog)
    plan_size(opened, _checked(name), settings, labelled, snapshot, _source(clips))
    if not plan:
        _work(workspace, catalog, name, engine, workers, ray_address, settings.lease_s)
    _close(opened, name, json)


@app.command()
def compare(
    workspace: Folder,
    labelled: Labelled,
    snapshot: SnapshotName = None,
    a: Annotated[str | None, typer.Option("--a", help="snapshot[:NAME], registered, a folder or a CSV.")] = None,
    b: Annotated[str | None, typer.Option("--b", help="The other one.")] = None,
    through: Annotated[
        list[str] | None,
        typer.Option("--through", help="Labelled set between pre-training and --labelled; several are joined."),
    ] = None,
    size: Annotated[int | None, typer.Option("--size", min=1, help="Clips to pre-train on, of each.")] = None,
    runs: Runs = None,
    name: Annotated[str, typer.Option("--name", help="What the study is called.")] = "compare",
    recipe: Recipe = None,
    overrides: Set = None,
    plan: PlanOnly = False,
    engine: EngineName = "local",
    workers: Processes = 1,
    ray_address: RayAddress = None,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Pre-train on A, on B and not at all, at equal size; fine-tune alike; test the difference. Run it again to go on.

    Named comparisons: `--recipe curated`, `--recipe top_quality`, and `--recipe progressive --through KIND:ROOT`.
    """
    from hashtag2action.study.plan import plan_compare

    changes: dict[str, Any] = {"sizes": [size]} if size else {}
    changes |= {"runs": runs} if runs else {}
    changes |= {"between.labelled": through} if through else {}
    if a is not None and b is not None:
        arms = [{"name": "A", "source": _source(a)}, {"name": "B", "source": _source(b)}]
        changes["conditions"] = [*arms, {"name": "from scratch", "source": "nothing"}]
    elif (a or b) is not None:
        raise UserError("compare: give both --a and --b, or a recipe that names its conditions")
    settings, opened = _settings(recipe or "curated", changes, overrides), _open(workspace, catalog)
    plan_compare(opened, _checked(name), settings, labelled, snapshot)
    if not plan:
        _work(workspace, catalog, name, engine, workers, ray_address, settings.lease_s)
    _close(opened, name, json)


@app.command()
def work(
    name: Annotated[str, typer.Argument(help="A planned study.")],
    workspace: Folder,
    max_jobs: Annotated[int | None, typer.Option("--max-jobs", min=1, help="Stop after so many jobs.")] = None,
    lease: Annotated[
        float, typer.Option("--lease", min=1, help="Seconds after which a silent worker counts as dead.")
    ] = 120,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Be one worker of a planned study: for job arrays, one process a machine or device."""
    from hashtag2action.study.work import Crew, do_jobs

    opened = _known(workspace, catalog, name)
    do_jobs(0, Crew(workspace.resolve(), catalog, name, lease, max_jobs=max_jobs))
    _close(opened, name, json)


@app.command()
def status(workspace: Folder, name: Annotated[str | None, typer.Argument(help="One study.")] = None, json: Json = None, catalog: CatalogUrl = None) -> None:  # fmt: skip
    """Say how far studies have come, and write their figures."""
    from hashtag2action.catalog.jobs import studies

    opened = _open(workspace, catalog, exists=True)
    for each in [name] if name else studies(opened):
        _close(_known(workspace, catalog, each), each, json)


def _settings(recipe: str | None, changes: Mapping[str, Any], overrides: list[str] | None) -> StudySettings:
    from hashtag2action.settings import load
    from hashtag2action.study.settings import StudySettings

    return load(StudySettings, "study", recipe, changes, overrides or [])


def _sizes(text: str | None) -> dict[str, Any]:
    from hashtag2action.study.settings import parse_sizes

    try:
        return {"sizes": parse_sizes(text)} if text else {}
    except ValueError as error:
        raise UserError(f"--sizes {text}: expected first:last:step or numbers with commas") from error


def _source(text: str | None) -> str:
    """Turn what a user names into a condition's source: a path becomes `files:PATH`."""
    if text is None or text == "registered" or text.partition(":")[0] in ("snapshot", "files"):
        return text or ""
    return f"files:{Path(text).resolve()}"


def _checked(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}", name):
        raise UserError(f"--name {name[:60]}: use letters, digits, `.`, `_` and `-`")
    return name


def _open(workspace: Path, url: str | None, *, exists: bool = False) -> Catalog:
    from hashtag2action.catalog.store import Catalog

    if exists:
        require(workspace)
    return Catalog(workspace, url)


def _known(workspace: Path, url: str | None, name: str) -> Catalog:
    from hashtag2action.catalog.jobs import studies

    opened = _open(workspace, url, exists=True)
    if name not in (planned := studies(opened)):
        raise UserError(f"{name}: no such study (there: {', '.join(planned) or 'none'}); `h2a study size` plans one")
    return opened


def _work(
    workspace: Path, url: str | None, name: str, engine: str, workers: int, ray_address: str | None, lease_s: float
) -> None:
    from hashtag2action.engine import make_engine
    from hashtag2action.study.work import MEMORY_MB, TIMEOUT_S, Crew
    from hashtag2action.study.work import work as work_on

    crew = Crew(workspace.resolve(), url, name, lease_s)
    if engine == "local" and workers == 1:
        work_on(crew)
    else:
        work_on(crew, make_engine(engine, workers, timeout_s=TIMEOUT_S, memory_mb=MEMORY_MB, ray_address=ray_address))


def _close(opened: Catalog, name: str, json: Path | None) -> None:
    """Show how far a study is and what it found so far, and write its files."""
    from dataclasses import asdict

    from hashtag2action.catalog import jobs
    from hashtag2action.study.compare import compare_results
    from hashtag2action.study.data_size import size_results

    done = jobs.progress(opened, name)
    write_files = {"size": size_results, "compare": compare_results}[jobs.studies(opened)[name].kind]
    found: dict[str, Any] = {"jobs": asdict(done)}
    try:
        found |= write_files(opened, name)
    except UserError as error:
        found["results"] = str(error)
    show(f"Study {name}", found, json)
