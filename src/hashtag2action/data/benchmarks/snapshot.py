"""A frozen data set of ours: `snapshots/NAME/clips.parquet` in a workspace, whose clips' paths are relative to it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from hashtag2action.data.benchmarks.rows import Lists, Row
from hashtag2action.errors import UserError


def read_frozen(folder: Path) -> Lists:
    """Read the clips that have a label, or else a hashtag, which then is the class; nothing is held out officially.

    A group is the one recorded, or the source video.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "clips.parquet"
    columns = ["path", "video_sha256", "label", "group", "hashtags"]
    try:
        clips: list[dict[str, Any]] = pq.read_table(path, columns=columns).to_pylist()
    except FileNotFoundError as error:
        raise UserError(
            f"{folder}: holds no clips.parquet; give a snapshot's folder, WORKSPACE/snapshots/NAME"
        ) from error
    except (pa.ArrowException, KeyError) as error:
        raise UserError(f"{path}: not the clips of a snapshot ({str(error).splitlines()[0]})") from error
    rows = []
    for clip in clips:
        if clip["path"].startswith("/") or ".." in PurePosixPath(clip["path"]).parts:
            raise UserError(f"{folder}: names a file outside the workspace ({clip['path'][:80]}); do not use it")
        if label := clip["label"] or next(iter(clip["hashtags"] or ()), ""):
            rows.append(Row((clip["path"],), label, clip["group"] or clip["video_sha256"]))
    notes = [f"{len(clips) - len(rows)} clips have neither label nor hashtag and are left out"]
    classes = tuple(sorted({row.label for row in rows}))
    return Lists(folder.name, classes, {"train": rows}, [], notes if len(rows) < len(clips) else [])
