"""Commands that use a trained model."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hashtag2action.cli.common import existing, show, write
from hashtag2action.cli.options import Folder, Json
from hashtag2action.errors import UserError

if TYPE_CHECKING:
    from hashtag2action.data.splits import Split
    from hashtag2action.train.predict import Prediction

Model = Annotated[
    Path | None, typer.Option("--model", "-m", help="A training run's folder, a model file, or an ONNX file.")
]
Latest = Annotated[Path | None, typer.Option("--workspace", "-w", help="Use its latest model, and its clips.")]
Segments = Annotated[int, typer.Option("--segments", min=1, help="Clips along each video that are averaged.")]
Readers = Annotated[int, typer.Option("--readers", min=1, help="Threads that decode ahead of the model.")]


def predict(
    video: Annotated[Path, typer.Argument(help="A video, or a folder of videos.")],
    workspace: Latest = None,
    model: Model = None,
    classes: Annotated[
        Path | None, typer.Option("--classes", help="Names of the outputs, one a line, for an official checkpoint.")
    ] = None,
    views: Annotated[int, typer.Option("--views", min=1, help="Clips along the video; their mean is shown.")] = 1,
    every: Annotated[
        float | None, typer.Option("--every", min=0.01, help="Show the scores over time, every so many seconds.")
    ] = None,
    json: Json = None,
) -> None:
    """Name the action in a video: the five most likely classes, for the whole or along its time."""
    with _quick_start():
        from hashtag2action.console import err
        from hashtag2action.data.benchmarks.files import walk_videos
        from hashtag2action.train.finetune_settings import EvaluateSettings
        from hashtag2action.train.predict import load_predictor

        file = _model(model, workspace, "predict")
        paths = list(walk_videos(video)) if video.is_dir() else [video]
        if not paths:
            raise UserError(f"{video}: no videos in it; expected files such as {video}/one.mp4")
        predictor = load_predictor(file, EvaluateSettings(segments=views, crops=1), classes)
    found: dict[str, Any] = {}
    for path in paths:
        try:
            answer = predictor.predict(path, every)
        except UserError as error:
            if len(paths) == 1:
                raise
            err.print(f"h2a: {error}")
            found[str(path)] = {"problem": str(error)}
            continue
        _show_prediction(answer)
        found[str(path)] = _plain(answer) if every else dict(answer.top5)
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
    content = read_checkpoint(file)
    network = load_model(file, content)
    about = {name: content[name] for name in ("classes", "rate", "sampling", "kind") if name in content}
    written = export_model(network, path, format, classes=content.get("classes"), about=about)  # type: ignore[arg-type]
    show("Exported", {"model": file, "format": format, "written": written}, json)


def probe(
    model: Model = None,
    workspace: Latest = None,
    data: Annotated[str | None, typer.Option("--data", help="KIND:ROOT, see `h2a dataset check`.")] = None,
    split: Annotated[int, typer.Option("--split", min=1, help="Official split of --data.")] = 1,
    kinds: Annotated[str, typer.Option("--kinds", help="linear, knn, attentive; separated by commas.")] = (
        "linear,knn,attentive"
    ),
    segments: Segments = 3,
    readers: Readers = 1,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for features and result.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    json: Json = None,
) -> None:
    """Judge a frozen encoder: linear classifier, nearest neighbours and attention on its features, on unseen groups."""
    from dataclasses import asdict

    from hashtag2action.train.probe import probe_split

    file = _model(model, workspace, "probe", stage="pretrain")
    folder = out or (workspace / "probes" if workspace else Path("probe"))
    parts = _labelled(data, split, workspace, seed)
    found = probe_split(parts, file, folder, kinds.split(","), segments, readers, seed)
    rows: dict[str, Any] = {"model": found.model, "clips": f"{found.train_clips} to train, {found.test_clips} to test"}
    rows |= {
        s.kind: f"{s.top1:.1%}, 95 % interval {s.low:.0%} to {s.high:.0%} ({s.seconds:.1f} s)" for s in found.scores
    }
    rows |= {"chance": f"{found.chance:.1%}", "unreadable": len(found.unreadable), "written": folder / "probe.json"}
    show("Probed", rows)
    write(asdict(found), json)


def embed(
    videos: Annotated[Path, typer.Argument(help="A folder of videos, or one video.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write.")] = Path("embeddings.parquet"),
    model: Model = None,
    workspace: Latest = None,
    segments: Segments = 1,
    readers: Readers = 1,
    json: Json = None,
) -> None:
    """Write what the encoder makes of each video, as vectors in a Parquet file."""
    from dataclasses import asdict

    from hashtag2action.data.benchmarks.files import walk_videos
    from hashtag2action.train.embed import embed as embed_clips

    file = _model(model, workspace, "embed")
    clips = list(walk_videos(videos)) if videos.is_dir() else [videos]
    labels = {clip: clip.parent.name for clip in clips if clip.parent != videos}
    found = asdict(embed_clips(clips, file, out, labels, segments, readers))
    show("Embedded", found | {"unreadable": len(found["unreadable"])})
    write(found, json)


def similar(
    clip: Annotated[Path, typer.Argument(help="The video to compare with.")],
    index: Annotated[Path, typer.Option("--index", "-i", help="What `h2a embed` wrote.")] = Path("embeddings.parquet"),
    count: Annotated[int, typer.Option("--count", "-k", min=1, help="How many to show.")] = 10,
    model: Model = None,
    json: Json = None,
) -> None:
    """Find the embedded videos that are nearest to one."""
    from dataclasses import asdict

    from hashtag2action.console import table
    from hashtag2action.train.embed import similar as nearest

    found = nearest(clip, index, count, model)
    table(f"Nearest to {clip.name}", {each.path: f"{each.similarity:.3f} {each.label}" for each in found})
    if json is not None:
        from hashtag2action.files import write_json

        write_json(json, [asdict(each) for each in found])


@contextmanager
def _quick_start() -> Iterator[None]:
    """Look for no garbage while modules are imported, nor ever among them: a fifth of starting and ending PyTorch."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _model(model: Path | None, workspace: Path | None, command: str, stage: str = "finetune") -> Path:
    if model is None and workspace is None:
        raise UserError(f"{command}: no model named; give --workspace DIR or --model FILE")
    return model or existing(workspace or Path()).model(stage)


def _labelled(data: str | None, split: int, workspace: Path | None, seed: int) -> Split:
    """Return the clips to probe with: a data set on disk, or those of a workspace's latest fine-tuning."""
    from hashtag2action.data.benchmarks import parse_source, read_benchmark
    from hashtag2action.train.split_file import read_split

    if data is not None:
        return read_benchmark(*parse_source(data), split).to_split(seed=seed)
    if workspace is None:
        raise UserError("probe: no clips named; give --data KIND:ROOT, or --workspace DIR with a fine-tuning run")
    return read_split(existing(workspace).model("finetune").parent).split


def _show_prediction(found: Prediction) -> None:
    from hashtag2action.console import table

    rows: dict[str, str] = {name: f"{score:.4g}" for name, score in found.top5}
    for window in found.windows:
        best = ", ".join(f"{name} {score:.2f}" for name, score in window.top5[:3])
        rows[f"{window.start_s:.1f} to {window.end_s:.1f} s"] = best
    table(found.path.name, rows)


def _plain(found: Prediction) -> Mapping[str, Any]:
    windows = [{"start_s": w.start_s, "end_s": w.end_s, "top5": dict(w.top5)} for w in found.windows]
    return {"top5": dict(found.top5), "seconds": found.seconds, "windows": windows}
