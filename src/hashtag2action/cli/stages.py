"""The main job and its stages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hashtag2action.cli.common import existing, open_stage, open_workspace, show, write
from hashtag2action.cli.options import (
    CatalogUrl,
    Detector,
    EngineName,
    Folder,
    Json,
    RayAddress,
    Recipe,
    Set,
    Weights,
    Workers,
)
from hashtag2action.errors import UserError


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
    workspace: Folder, recipe: Recipe = None, overrides: Set = None, json: Json = None, catalog: CatalogUrl = None
) -> None:
    """Pre-train VideoMAE V2 on the accepted clips, without labels."""
    show("Pre-trained", open_stage(workspace, "pretrain", recipe, overrides, catalog=catalog).pretrain(), json)


def finetune(
    workspace: Folder, recipe: Recipe = None, overrides: Set = None, json: Json = None, catalog: CatalogUrl = None
) -> None:
    """Fine-tune a classifier on labels or hashtags, from the pre-trained encoder."""
    show("Fine-tuned", open_stage(workspace, "finetune", recipe, overrides, catalog=catalog).finetune(), json)


def evaluate(
    workspace: Folder, recipe: Recipe = None, overrides: Set = None, json: Json = None, catalog: CatalogUrl = None
) -> None:
    """Test the fine-tuned model on held-out videos: segments x crops, top-1, top-5, confusion."""
    show("Evaluated", open_stage(workspace, "evaluate", recipe, overrides, catalog=catalog).evaluate(), json)


def report(workspace: Folder, json: Json = None, catalog: CatalogUrl = None) -> None:
    """Write the report page."""
    show("Report", {"report": existing(workspace, catalog).report()}, json)


def recipes(stage: Annotated[str | None, typer.Argument(help="run, curate, pretrain, finetune or evaluate.")] = None, name: Annotated[str | None, typer.Argument(help="A recipe to show whole.")] = None) -> None:  # fmt: skip
    """List the named settings of every stage, or show one."""
    from hashtag2action.console import out, table
    from hashtag2action.pipeline import STAGES
    from hashtag2action.settings import load, recipe_names

    if stage is not None and stage not in STAGES:
        raise UserError(f"{stage}: no such stage; choose one of {', '.join(STAGES)}")
    if name is not None and stage is not None:
        out.print_json(load(STAGES[stage], stage, name).model_dump_json())
        return
    for each in [stage] if stage else STAGES:
        table(each, {recipe: load(STAGES[each], each, recipe).description for recipe in recipe_names(each)})


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
