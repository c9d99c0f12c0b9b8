"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Option("--workspace", "-w", help="Folder that holds catalog, clips, runs and report.")]
Recipe = Annotated[
    str | None, typer.Option("--recipe", "-r", help="Named settings, or a TOML file; see `h2a recipes`.")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", "-s", help="Change one setting: [STAGE.]KEY=VALUE. May be repeated.")
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
Data = Annotated[
    str | None, typer.Option("--data", help="A labelled data set on disk, KIND:ROOT; see `h2a dataset check --help`.")
]
SplitNumber = Annotated[int, typer.Option("--split", min=1, help="Which official split of UCF101 or HMDB51.")]
