"""The command line: one thin command per verb, no logic of its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hashtag2action import collect_cli, hashtags_cli
from hashtag2action.errors import UserError

if TYPE_CHECKING:
    from hashtag2action.pipeline import Workspace

app = typer.Typer(
    name="h2a",
    help="From hashtags to a trained action recogniser: curate videos, pre-train, fine-tune, evaluate, report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(hashtags_cli.app, name="hashtags")
app.add_typer(collect_cli.app, name="collect")

Folder = Annotated[Path, typer.Option("--workspace", "-w", help="Folder that holds catalog, clips, runs and report.")]
Recipe = Annotated[
    str | None, typer.Option("--recipe", "-r", help="Named settings, or a TOML file; see `h2a recipes`.")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", "-s", help="Change one setting: STAGE.KEY=VALUE. May be repeated.")
]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the result to this file, for machines.")]
EngineName = Annotated[str, typer.Option("--engine", help="Where videos are curated: local or ray.")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Processes at work on videos; 0 takes every core.")]
RayAddress = Annotated[
    str | None, typer.Option("--ray-address", help="A running Ray cluster, in place of one on this machine.")
]
CatalogUrl = Annotated[
    str | None, typer.Option("--catalog", help="Database URL, in place of the workspace's SQLite file.")
]
Detector = Annotated[
    str | None, typer.Option("--detector", help="yolov8n, or onnx:FILE for a YOLOv8- or YOLOX-style file.")
]
Weights = Annotated[Path | None, typer.Option("--weights", help="The detector's weights, in place of fetched ones.")]


@app.command()
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
    opened = _open(workspace, recipe, overrides, engine, workers, ray_address, catalog, detector, weights)
    _close(opened.run(videos), json)


@app.command()
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

    opened = _open(workspace, "demo", overrides, engine, workers, ray_address, None, detector, weights)
    _close(run_demo(opened), json)


@app.command()
def register(videos: Annotated[Path, typer.Argument(help="Folder of videos, or a CSV.")], workspace: Folder, json: Json = None, engine: EngineName = "local", workers: Workers = 0, ray_address: RayAddress = None, catalog: CatalogUrl = None) -> None:  # fmt: skip
    """Enter videos in the catalog: path, content hash, hashtags, probe results."""
    from hashtag2action.collect.folder import find_videos

    find_videos(videos)
    opened = _open(workspace, None, None, engine, workers, ray_address, catalog)
    _show("Registered", opened.register(videos), json)


@app.command()
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
    opened = _stage(workspace, "curate", recipe, overrides, engine, workers, ray_address, catalog, detector, weights)
    _show("Curated", opened.curate(), json)


@app.command()
def describe(workspace: Folder, json: Json = None, catalog: CatalogUrl = None) -> None:
    """Count what the catalog holds: by hashtag, decision, reason and length."""
    _show("Data set", _existing(workspace, catalog).describe(), json)


@app.command()
def pretrain(
    workspace: Folder, recipe: Recipe = None, overrides: Set = None, json: Json = None, catalog: CatalogUrl = None
) -> None:
    """Pre-train VideoMAE V2 on the accepted clips, without labels."""
    _show("Pre-trained", _stage(workspace, "pretrain", recipe, overrides, catalog=catalog).pretrain(), json)


@app.command()
def finetune(
    workspace: Folder, recipe: Recipe = None, overrides: Set = None, json: Json = None, catalog: CatalogUrl = None
) -> None:
    """Fine-tune a classifier on labels or hashtags, from the pre-trained encoder."""
    _show("Fine-tuned", _stage(workspace, "finetune", recipe, overrides, catalog=catalog).finetune(), json)


@app.command()
def evaluate(
    workspace: Folder, recipe: Recipe = None, overrides: Set = None, json: Json = None, catalog: CatalogUrl = None
) -> None:
    """Test the fine-tuned model on held-out videos: segments x crops, top-1, top-5, confusion."""
    _show("Evaluated", _stage(workspace, "evaluate", recipe, overrides, catalog=catalog).evaluate(), json)


@app.command()
def predict(
    video: Annotated[Path, typer.Argument(help="A video, or a folder of videos.")],
    workspace: Annotated[
        Path | None, typer.Option("--workspace", "-w", help="Use its latest fine-tuned model.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", "-m", help="A fine-tuning run's folder, or a model file.")
    ] = None,
    views: Annotated[int, typer.Option("--views", min=1, help="Clips along the video; their mean is shown.")] = 1,
    json: Json = None,
) -> None:
    """Name the action in a video: the five most likely classes."""
    from hashtag2action.collect.folder import find_videos
    from hashtag2action.train.finetune_settings import EvaluateSettings
    from hashtag2action.train.predict import load_predictor

    if model is None and workspace is None:
        raise UserError("predict: no model named; give --workspace DIR or --model FILE")
    paths = [entry.path for entry in find_videos(video)] if video.is_dir() else [video]
    file = model or _existing(workspace or Path(), None).model()
    predictor = load_predictor(file, EvaluateSettings(segments=views, crops=1))
    found = {str(path): dict(predictor.predict(path).top5) for path in paths}
    for path, scores in found.items():
        _show(path, scores, None)
    _write(found, json)


@app.command()
def export(
    path: Annotated[Path, typer.Argument(help="File to write, or folder for hf.")],
    workspace: Folder,
    format: Annotated[str, typer.Option("--format", help="safetensors, hf or onnx.")] = "safetensors",
    stage: Annotated[str, typer.Option("--stage", help="Whose model: pretrain or finetune.")] = "finetune",
    json: Json = None,
) -> None:
    """Write the latest model for other programs."""
    from hashtag2action.models import export_model, load_model
    from hashtag2action.models.checkpoints import read_checkpoint

    file = _existing(workspace, None).model(stage)
    written = export_model(load_model(file), path, format, classes=read_checkpoint(file).get("classes"))  # type: ignore[arg-type]
    _show("Exported", {"model": file, "format": format, "written": written}, json)


@app.command()
def report(workspace: Folder, json: Json = None, catalog: CatalogUrl = None) -> None:
    """Write the report page."""
    _show("Report", {"report": _existing(workspace, catalog).report()}, json)


@app.command()
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


app.command()(collect_cli.forget)


def main() -> None:
    """Run the command; a user's mistake is one line and status 2, Ctrl-C status 130."""
    try:
        app(standalone_mode=False)
    except UserError as error:
        _say(str(error))
        sys.exit(2)
    except typer.Exit as error:
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _say("stopped; the same command goes on from here")
        sys.exit(130)
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is None:
            raise
        _say(f"{usage().rstrip('.')}; see `h2a --help`")
        sys.exit(2)


def _say(line: str) -> None:
    print(f"h2a: {line}", file=sys.stderr)


def _open(
    folder: Path,
    recipe: str | None,
    overrides: list[str] | None,
    engine: str = "local",
    workers: int = 0,
    ray_address: str | None = None,
    catalog: str | None = None,
    detector: str | None = None,
    weights: Path | None = None,
) -> Workspace:
    from hashtag2action.engine import make_engine
    from hashtag2action.pipeline import Workspace

    changes = list(overrides or ())
    changes += [f"curate.detector={detector}"] if detector else []
    changes += [f"curate.weights={weights.resolve()}"] if weights else []
    made = make_engine(engine, workers, ray_address=ray_address)
    return Workspace(folder, recipe, changes, catalog=catalog, engine=made)


def _stage(
    folder: Path, stage: str, recipe: str | None, overrides: list[str] | None, *more: Any, **options: Any
) -> Workspace:
    """Open an existing workspace, with a recipe and settings that belong to one stage."""
    _require(folder)
    changes = [f"{stage}.recipe={recipe}"] if recipe else []
    changes += [text if text.startswith(f"{stage}.") else f"{stage}.{text}" for text in overrides or ()]
    return _open(folder, None, changes, *more, **options)


def _existing(folder: Path, catalog: str | None) -> Workspace:
    _require(folder)
    return _open(folder, None, None, catalog=catalog)


def _require(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such workspace; begin with `h2a run VIDEOS --workspace {folder}`")


def _show(title: str, result: Mapping[str, Any], json: Path | None) -> None:
    from hashtag2action.console import table

    table(title, _flat(result))
    _write(result, json)


def _write(result: Mapping[str, Any], json: Path | None) -> None:
    if json is not None:
        from hashtag2action.files import write_json

        write_json(json, result)


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
    _write(summary, json)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the scalar values of nested mappings under dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif not isinstance(value, (list, tuple)):
            flat[prefix + str(key)] = f"{value:.4g}" if isinstance(value, float) else value
    return flat
