"""Judge a classifier on labelled videos: every video by several views, every number with the doubt it leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hashtag2action.console import track
from hashtag2action.data.splits import Sample
from hashtag2action.errors import UserError
from hashtag2action.files import atomic_path, write_json
from hashtag2action.settings import digest
from hashtag2action.train.classifier_file import weights_file
from hashtag2action.train.evaluate_summary import EvaluateSummary, summarise
from hashtag2action.train.finetune_settings import EvaluateSettings
from hashtag2action.train.predict import Predictor, load_predictor
from hashtag2action.train.run_folder import begin, read_summary
from hashtag2action.train.slices import Value

Record = dict[str, Any]


def evaluate(
    samples: Sequence[Sample],
    model: Path,
    settings: EvaluateSettings,
    folder: Path,
    columns: Mapping[str, Mapping[Path, Value]] | None = None,
    classes: Path | None = None,
) -> EvaluateSummary:
    """Score labelled videos with a fine-tuned model and leave everything about it in `folder`.

    `model` and `classes` are as for `load_predictor`. `columns` holds facts by which accuracy is broken down besides
    brightness and length, such as `{"hashtag": {path: "yoga"}}`. Writes `settings.json`, `scores.jsonl` (a line a video as
    it is scored, from which an interrupted evaluation goes on), `predictions.json` and `predictions.parquet` (per video)
    and, when all is done, `summary.json`. Raises `UserError` where there are no videos, none of their labels is one of the
    model's classes, or the model is no classifier of single classes.
    """
    folder, columns = Path(folder), columns or {}
    if not samples:
        raise UserError("evaluation: no labelled videos; give some, or hold out more of them")
    file = weights_file(model)
    rows = [(sample.path, sample.label, sample.group) for sample in samples]
    facts = {name: [values.get(sample.path) for sample in samples] for name, values in columns.items()}
    run = digest(settings, rows, file, *([facts] if facts else []))
    finished = begin(folder, run, {"settings": settings.model_dump(mode="json"), "model": str(file)})
    if finished:
        return EvaluateSummary.from_json(finished)
    predictor = load_predictor(model, settings, classes)
    _check(samples, predictor, file)
    records = score_samples(samples, predictor, settings, folder / "scores.jsonl")
    predictions = [
        _prediction(sample, record, predictor.classes) | {name: values[i] for name, values in facts.items()}
        for i, (sample, record) in enumerate(zip(samples, records, strict=True))
    ]
    summary = summarise(samples, records, facts, predictor.classes, str(file), settings)
    write_json(folder / "predictions.json", predictions)
    write_table(folder / "predictions.parquet", predictions)
    write_json(folder / "summary.json", summary.to_json())
    return EvaluateSummary.from_json(read_summary(folder))


def _check(samples: Sequence[Sample], predictor: Predictor, file: Path) -> None:
    if predictor.kind != "classes":
        raise UserError(
            f"{file}: predicts {predictor.kind}, not one class a video; name the truth with --targets FILE.csv"
        )
    known = set(predictor.classes)
    if not any(sample.label in known for sample in samples):
        raise UserError(
            f"{samples[0].path}: label {samples[0].label!r}, like all others, is none of the model's classes "
            f"({', '.join(predictor.classes[:5])}, ...); evaluate on the classes that it was trained on"
        )


def score_samples(
    samples: Sequence[Sample], predictor: Predictor, settings: EvaluateSettings, path: Path
) -> list[Record]:
    """Score what `path` does not hold yet, adding a line a video: number, scores or problem, and seconds."""
    done = _read_records(path)
    rest = [number for number in range(len(samples)) if number not in done]
    with path.open("a", encoding="utf-8") as file:
        videos = predictor.scores([samples[number].path for number in rest], settings.readers)
        for number, (video, seconds) in zip(rest, track(videos, len(rest), "evaluating"), strict=True):
            done[number] = {
                "number": number,
                "scores": None if video.scores is None else video.scores.tolist(),
                "problem": video.problem,
                "seconds": seconds,
                "length_s": video.seconds,
                "brightness": video.brightness,
            }
            file.write(json.dumps(done[number]) + "\n")
            file.flush()
    return [done[number] for number in range(len(samples))]


def _read_records(path: Path) -> dict[int, Record]:
    """Read the whole lines of an interrupted evaluation and cut off what a kill left of the last."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        return {}
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    records = [json.loads(line) for line in whole.splitlines()]
    return {record["number"]: record for record in records}


def _prediction(sample: Sample, record: Record, classes: Sequence[str]) -> Record:
    found = {"path": str(sample.path), "label": sample.label, "group": sample.group}
    found |= {"length_s": record["length_s"], "brightness": record["brightness"], "problem": record["problem"]}
    if record["scores"] is None:
        return {**found, "scores": None, "top5": [], "predicted": None, "right": False}
    order = np.argsort(-np.array(record["scores"]), kind="stable")[:5]
    top5 = [[classes[i], record["scores"][i]] for i in order]
    predicted = classes[order[0]]
    return {
        **found,
        "scores": record["scores"],
        "top5": top5,
        "predicted": predicted,
        "right": predicted == sample.label,
    }


def write_table(path: Path, predictions: Sequence[Record]) -> None:
    """Write a line a video: all but the five best, whose scores are in the column `scores`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{key: value for key, value in row.items() if key != "top5"} for row in predictions]
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows), temporary, compression="zstd")
