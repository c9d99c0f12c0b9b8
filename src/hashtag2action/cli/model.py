"""Commands that use a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hashtag2action.cli.common import existing, show, write
from hashtag2action.cli.options import Folder, Json
from hashtag2action.errors import UserError


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
    file = model or existing(workspace or Path()).model()
    predictor = load_predictor(file, EvaluateSettings(segments=views, crops=1))
    found = {str(path): dict(predictor.predict(path).top5) for path in paths}
    for path, scores in found.items():
        show(path, scores, None)
    write(found, json)


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

    file = existing(workspace).model(stage)
    written = export_model(load_model(file), path, format, classes=read_checkpoint(file).get("classes"))  # type: ignore[arg-type]
    show("Exported", {"model": file, "format": format, "written": written}, json)
