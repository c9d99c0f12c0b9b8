"""The main job and its stages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hashtag2action.cli.common import existing, open_stage, open_workspace, show, write
from hashtag2action.cli.options import (
    CatalogUrl,
    Data,
    Detector,
    EngineName,
    Folder,
    Json,
    RayAddress,
    Recipe,
    Set,
    SplitNumber,
    Weights,
    Workers,
)
from hashtag2action.errors import UserError

if TYPE_CHECKING:
    from hashtag2action.settings import Settings


def run(
    videos: Annotated[
        Path, typer.Argument(help="Folder of videos whose sub-folders are hashtags, or a CSV that lists files.")
    ],
    workspace: Folder,
    recipe: Recipe = None,
    overrides: Set = None,
    json: Json = None,
    engine: EngineName = "local",
    workers: Workers = 0,
    ray_address: RayAddress = None,
    catalog: CatalogUrl = None,
    detector: Detector = None,
    weights: Weights = None,
) -> None:
    """Do the main job: register, curate, pre-train, fine-tune, evaluate, report. Run it again to go on or to refresh."""
    from hashtag2action.collect.folder import find_videos

    find_videos(videos)
    opened = open_workspace(workspace, recipe, overrides, engine, workers, ray_address, catalog, detector, weights)
    _close(opened.run(videos), json)


def demo(
    workspace: Folder = Path("demo"),
    overrides: Set = None,
    json: Json = None,
    engine: EngineName = "local",
    workers: Workers = 0,
    ray_address: RayAddress = None,
    detector: Detector = None,
    weights: Weights = None,
) -> None:
    """Fetch sample videos and do the main job on them, small enough for a laptop."""
    from hashtag2action.demo import run_demo

    opened = open_workspace(workspace, "demo", overrides, engine, workers, ray_address, None, detector, weights)
    _close(run_demo(opened), json)


def register(videos: Annotated[Path, typer.Argument(help="Folder of videos, or a CSV.")], workspace: Folder, json: Json = None, engine: EngineName = "local", workers: Workers = 0, ray_address: RayAddress = None, catalog: CatalogUrl = None) -> None:  # fmt: skip
    """Enter videos in the catalog: path, content hash, hashtags, probe results."""
    from hashtag2action.collect.folder import find_videos

    find_videos(videos)
    opened = open_workspace(workspace, None, None, engine, workers, ray_address, catalog)
    show("Registered", opened.register(videos), json)


def curate(
    workspace: Folder,
    recipe: Recipe = None,
    overrides: Set = None,
    json: Json = None,
    engine: EngineName = "local",
    workers: Workers = 0,
    ray_address: RayAddress = None,
    catalog: CatalogUrl = None,
    detector: Detector = None,
    weights: Weights = None,
    shard: Annotated[str | None, typer.Option("--shard", help="Take part I of N, as in 0/4: for job arrays.")] = None,
    exclude_like: Annotated[
        list[Path] | None, typer.Option("--exclude-like", help="Keep out what looks like a video of this folder.")
    ] = None,
    all_scenes: Annotated[bool, typer.Option("--all-scenes", help="A clip of every scene that qualifies.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what hung, crashed or ran out of memory.")
    ] = False,
) -> None:
    """Find scenes and people in the registered videos, decide, and write clips."""
    opened = open_stage(
        workspace, "curate", recipe, overrides, engine, workers, ray_address, catalog, detector, weights
    )
    show("Curated", opened.curate(), json)


def describe(workspace: Folder, json: Json = None, catalog: CatalogUrl = None) -> None:
    """Count what the catalog holds: by hashtag, decision, reason and length."""
    show("Data set", existing(workspace, catalog).describe(), json)


def pretrain(
    workspace: Folder,
    recipe: Recipe = None,
    overrides: Set = None,
    snapshot: Annotated[str | None, typer.Option("--snapshot", help="Train on this frozen data set.")] = None,
    shards: Annotated[Path | None, typer.Option("--shards", help="Train on this folder of shards.")] = None,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Pre-train VideoMAE V2 without labels, on the accepted clips or a frozen part of them."""
    opened = open_stage(workspace, "pretrain", recipe, overrides, catalog=catalog)
    _show_once("Pre-trained", opened.pretrain(snapshot, shards), json)


def finetune(
    workspace: Folder,
    recipe: Recipe = None,
    overrides: Set = None,
    data: Data = None,
    split: SplitNumber = 1,
    pretrained: Annotated[
        Path | None, typer.Option("--pretrained", help="Weights to start from, in place of the workspace's own.")
    ] = None,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Fine-tune a classifier on labels or hashtags, from the pre-trained encoder."""
    opened = open_stage(workspace, "finetune", recipe, overrides, catalog=catalog)
    _show_once("Fine-tuned", opened.finetune(data, split, pretrained), json)


def evaluate(
    workspace: Folder,
    recipe: Recipe = None,
    overrides: Set = None,
    data: Data = None,
    split: SplitNumber = 1,
    model: Annotated[Path | None, typer.Option("--model", "-m", help="Test this model, on --data.")] = None,
    classes: Annotated[
        Path | None, typer.Option("--classes", help="Class names of a checkpoint that holds none, one a line.")
    ] = None,
    targets: Annotated[
        Path | None, typer.Option("--targets", help="CSV of several labels or values a video, for models of these.")
    ] = None,
    json: Json = None,
    catalog: CatalogUrl = None,
) -> None:
    """Test a model on held-out videos: segments x crops, top-1, top-5, confusion, calibration; mAP or correlation."""
    opened = open_stage(workspace, "evaluate", recipe, overrides, catalog=catalog)
    show("Evaluated", opened.evaluate(data, split, model, classes, targets), json)


def report(workspace: Folder, json: Json = None, catalog: CatalogUrl = None) -> None:
    """Write the report page."""
    show("Report", {"report": existing(workspace, catalog).report()}, json)


def recipes(
    stage: Annotated[
        str | None, typer.Argument(help="run, curate, pretrain, finetune, evaluate or study; `show` finds NAME in any.")
    ] = None,
    name: Annotated[str | None, typer.Argument(help="A recipe to show whole.")] = None,
    clips: Annotated[
        int, typer.Option("--clips", min=1, help="Training clips, for steps and scaled learning rates.")
    ] = 1000,
    processes: Annotated[int, typer.Option("--processes", min=1, help="Processes that train together.")] = 1,
) -> None:
    """List the named settings of every stage, or show one with what it comes to on so many clips."""
    from hashtag2action.console import out, table
    from hashtag2action.pipeline import STAGES
    from hashtag2action.settings import load, recipe_names
    from hashtag2action.study.settings import StudySettings

    stages = STAGES | {"study": StudySettings}
    if stage is not None and stage not in (*stages, "show"):
        raise UserError(f"{stage}: no such stage; choose one of {', '.join(stages)}")
    if stage == "show" and name is None:
        raise UserError("recipes show: name a recipe; `h2a recipes` lists them")
    if stage is None or name is None:
        for each in [stage] if stage else stages:
            table(each, {recipe: load(stages[each], each, recipe).description for recipe in recipe_names(each)})
        return
    found = [each for each in stages if name in recipe_names(each)] if stage == "show" else [stage]
    if not found:
        raise UserError(f"{name}: no stage has a recipe of that name; `h2a recipes` lists them")
    for each in found:
        settings = load(stages[each], each, name)
        out.print_json(settings.model_dump_json())
        if rows := _effective(settings, clips, processes):
            table(f"{each} {name}: effective values for {clips:,} clips", rows)


def _effective(settings: Settings, clips: int, processes: int) -> dict[str, Any]:
    """Return what a training comes to; nothing for other stages."""
    from hashtag2action.train.effective import effective
    from hashtag2action.train.finetune_settings import FinetuneSettings
    from hashtag2action.train.pretrain import effective_values
    from hashtag2action.train.settings import PretrainSettings

    if isinstance(settings, FinetuneSettings):
        return dict(effective(settings, clips, processes))
    if isinstance(settings, PretrainSettings):
        return dict(effective_values(settings, clips, processes))
    return {}


def _show_once(title: str, result: Mapping[str, Any], json: Path | None) -> None:
    """Show a result, where torchrun or Slurm runs several of this command in the first of them only."""
    from hashtag2action.train.launcher import first_process

    if first_process():
        show(title, result, json)


def _close(summary: Mapping[str, Any], json: Path | None) -> None:
    """Show what the main job came to: the figures that people ask for first."""
    from hashtag2action.console import table

    rows: dict[str, Any] = {
        "videos": summary["videos"],
        "clips kept": summary["clips"],
        "for review": summary["review"],
        "rejected": ", ".join(f"{count} {reason}" for reason, count in summary["rejects"].items()) or 0,
    }
    if cuts := summary.get("cuts"):
        rows["known cuts found"] = f"{cuts['found']} of {cuts['expected']}, {cuts['false']} false"
    if run := summary.get("pretrain"):
        error = f"{run['loss_first']:.3f} at first, {run['loss_last']:.3f} at last"
        rows["reconstruction loss"] = f"{error} (predicting each patch's mean: {run['baseline_loss']:.3f})"
    if run := summary.get("evaluate"):
        low, high = run["top1_interval"]
        rows["top-1"] = f"{run['top1']:.1%} of {run['videos']} held-out videos, 95 % interval {low:.0%} to {high:.0%}"
    rows |= {f"{stage} not done": why for stage, why in summary["not_done"].items()}
    rows["seconds"] = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in summary["seconds"].items())
    rows["report"] = summary["report"]
    table("Done", rows)
    write(summary, json)
