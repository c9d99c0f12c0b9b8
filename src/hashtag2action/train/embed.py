"""Embeddings of clips in a Parquet file, and the clips nearest to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashtag2action.errors import UserError
from hashtag2action.files import atomic_path
from hashtag2action.train.features import load_encoder, pooled_features

KEY = b"h2a"


@dataclass(frozen=True)
class EmbedSummary:
    """What `embed` wrote."""

    file: str
    model: str
    clips: int
    unreadable: dict[str, str]
    """Reason by path; these have no row."""
    dim: int


@dataclass(frozen=True)
class Neighbour:
    """A clip and the cosine between its embedding and that of the clip asked for, both less the set's mean, -1..1."""

    path: str
    label: str
    similarity: float


def embed(
    clips: Sequence[Path],
    model: Path,
    file: Path,
    labels: Mapping[Path, str] | None = None,
    segments: int = 1,
    readers: int = 1,
) -> EmbedSummary:
    """Write `path`, `label` and `embedding` (float32, `dim` values) of every readable clip to a Parquet file.

    The file's metadata tell the model and its hash, and how clips were looked at. Raises `UserError` for no clips, or
    where none can be read.
    """
    import json
    from dataclasses import asdict

    import pyarrow as pa
    import pyarrow.parquet as pq

    if not clips:
        raise UserError("embed: no clips; name videos or a folder of them")
    encoder = load_encoder(model, segments)
    found = pooled_features(encoder, clips, readers=readers)
    kept = np.flatnonzero(found.readable).tolist()
    if not kept:
        raise UserError(f"{clips[0]}: {next(iter(found.problems.values()))}; none of {len(clips)} clips can be read")
    dim = found.rows.shape[1]
    values = pa.array(found.rows[kept].ravel(), pa.float32())
    table = pa.table(
        {
            "path": [str(clips[i].absolute()) for i in kept],
            "label": [(labels or {}).get(clips[i], "") for i in kept],
            "embedding": pa.FixedSizeListArray.from_arrays(values, dim),
        }
    )
    source = str(encoder.file.absolute())
    about = {"model": source, "sha256": encoder.sha256, "plan": asdict(encoder.plan)}
    with atomic_path(Path(file)) as temporary:
        pq.write_table(table.replace_schema_metadata({KEY: json.dumps(about)}), temporary, compression="zstd")
    return EmbedSummary(str(file), source, len(kept), found.problems, dim)


def similar(clip: Path, file: Path, count: int = 10, model: Path | None = None) -> list[Neighbour]:
    """Return the clips of an embedded set that are nearest to `clip` (itself not among them), the nearest first.

    `model` replaces the path that the set names, where the model has moved. Raises `UserError` where the set or the clip
    cannot be read, or the model is another than the set's.
    """
    about, paths, labels, rows = _read(Path(file))
    encoder = load_encoder(model or Path(about["model"]), about["plan"]["segments"], about["plan"]["rate"])
    if encoder.sha256 != about["sha256"]:
        raise UserError(f"{encoder.file}: is not the model that {file} was made with; embed the clips again")
    found = pooled_features(encoder, [Path(clip)])
    if found.problems:
        raise UserError(f"{clip}: {next(iter(found.problems.values()))}; give a video file")
    mean = rows.mean(axis=0)  # what all clips share is most of a masked autoencoder's feature
    rows, query = rows - mean, found.rows[0] - mean
    cosine = rows @ query / (np.linalg.norm(rows, axis=1) * np.linalg.norm(query) + 1e-12)
    own = str(Path(clip).absolute())
    order = [i for i in np.argsort(-cosine, kind="stable") if paths[i] != own][:count]
    return [Neighbour(paths[i], labels[i], float(cosine[i])) for i in order]


def _read(file: Path) -> tuple[dict[str, Any], list[str], list[str], NDArray[np.float32]]:
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file, columns=["path", "label", "embedding"])
        about = json.loads((table.schema.metadata or {})[KEY])
        flat = table["embedding"].combine_chunks().flatten().to_numpy()
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{file}: not a set that `h2a embed` wrote ({str(error).splitlines()[0]})") from error
    rows = flat.reshape(table.num_rows, -1)
    return about, table["path"].to_pylist(), table["label"].to_pylist(), rows
