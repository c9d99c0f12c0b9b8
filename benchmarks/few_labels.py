"""Is pre-training worth it where labels are few? The same fine-tuning from a pre-trained encoder and from nothing.

    python benchmarks/few_labels.py --videos ../shared/data --pretrained runs/model.pt --json few_labels.json

Two labelled sets: yoga poses, tested on 4 people who are never trained on, and fights on surveillance cameras, tested on
6 groups of neighbouring clips a class that are never trained on. Both starts get the same recipe, steps, data and seeds,
unless `--scratch-set` or `--pretrained-set` gives one of them settings of its own; the difference has a 95 % interval,
drawn over sources. Without `--pretrained` the encoder is pre-trained here, without labels, on every recording but the
tested ones. Runs are kept in `--folder`, and resumed.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from hashtag2action.data.splits import Sample, Split
from hashtag2action.files import write_json
from hashtag2action.settings import load
from hashtag2action.train.evaluate import evaluate
from hashtag2action.train.finetune import finetune
from hashtag2action.train.finetune_settings import EvaluateSettings, FinetuneSettings
from hashtag2action.train.metrics import bootstrap_interval
from hashtag2action.train.pretrain import pretrain
from hashtag2action.train.settings import PretrainSettings

TESTED = {
    "yoga": {"subj00", "subj03", "subj08", "subj10"},  # with two who hold each of the six poses left for training
    "fight": {f"{label}_{number:02}" for label in ("fight", "nofight") for number in range(6, 12)},
}
UNLABELLED = ("signs", "panda")
STARTS = ("scratch", "pretrained")


def main() -> None:
    options = _options()
    rows = read_manifest(options.videos)
    splits = {name: split_of(rows, name, options.videos) for name in options.sets}
    encoder = options.pretrained or pretrained_here(rows, options)
    records = [
        one_run(name, splits[name], start, encoder if start == "pretrained" else None, seed, options)
        for name in options.sets
        for seed in range(options.seeds)
        for start in STARTS
    ]
    summary = [summarise(name, splits[name], records) for name in options.sets]
    show(summary)
    if options.json:
        write_json(options.json, {"pretrained": str(encoder), "summary": summary, "runs": records})


def read_manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def split_of(rows: list[dict[str, str]], name: str, folder: Path) -> Split:
    """Return training and test of a set; groups are people, or ten neighbouring clips of one camera."""
    samples = [Sample(folder / row["path"], row["label"], row["group"]) for row in rows if row["source"] == name]
    held = TESTED[name]
    train = tuple(sample for sample in samples if sample.group not in held)
    return Split(train, (), tuple(sample for sample in samples if sample.group in held))


def pretrained_here(rows: list[dict[str, str]], options: argparse.Namespace) -> Path:
    clips = [
        options.videos / row["path"]
        for row in rows
        if row["source"] in UNLABELLED or (row["source"] in TESTED and row["group"] not in TESTED[row["source"]])
    ]
    settings = load(PretrainSettings, "pretrain", options.recipe, options.pretrain_set)
    pretrain(clips, settings, options.folder / "pretrain")
    return Path(options.folder / "pretrain" / "model.pt")


def one_run(
    name: str, split: Split, start: str, encoder: Path | None, seed: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Fine-tune and test once: top-1, whether each test clip is right, and the training's seconds."""
    folder = options.folder / f"{name}-{start}-{seed}"
    own = options.scratch_set if start == "scratch" else options.pretrained_set
    settings = load(FinetuneSettings, "finetune", options.recipe, [*options.set, *own, f"seed={seed}"])
    trained = finetune(split, settings, folder, encoder)
    judged = load(EvaluateSettings, "evaluate", options.evaluate)
    tested = evaluate(split.test, folder, judged, folder / "evaluate")
    predictions = json.loads((folder / "evaluate" / "predictions.json").read_text(encoding="utf-8"))
    right = [bool(p["scores"]) and p["top5"][0][0] == p["label"] for p in predictions]
    figures = {"steps": trained.steps, "seconds": trained.seconds, "train_top1": trained.train_top1}
    return {"set": name, "start": start, "seed": seed, "top1": tested.top1, **figures, "right": right}


def summarise(name: str, split: Split, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return both starts' mean top-1 and the mean difference, with intervals over sources (all seeds of one together)."""
    right = {
        start: np.array([r["right"] for r in records if (r["set"], r["start"]) == (name, start)], dtype=float)
        for start in STARTS
    }
    groups = [sample.group for sample in split.test] * len(right["scratch"])
    gain = right["pretrained"] - right["scratch"]
    found: dict[str, Any] = {
        "set": name,
        "train_clips": len(split.train),
        "test_clips": len(split.test),
        "sources": len(set(groups)),
        "chance": 1 / len(split.classes),
    }
    for what, values in (*right.items(), ("gain", gain)):
        found[what] = float(values.mean())
        found[f"{what}_by_seed"] = values.mean(axis=1).tolist()
        found[f"{what}_interval"] = bootstrap_interval(values.ravel(), groups)
    return found


def show(summary: list[dict[str, Any]]) -> None:
    print("set    train  test  sources  chance" + "".join(f"{name:>26}" for name in ("scratch", "pretrained", "gain")))
    for row in summary:
        cells = [
            f"{row[w]:.3f} [{row[f'{w}_interval'][0]:.3f}, {row[f'{w}_interval'][1]:.3f}]" for w in (*STARTS, "gain")
        ]
        counts = f"{row['train_clips']:5}  {row['test_clips']:4}  {row['sources']:7}  {row['chance']:6.3f}"
        print(f"{row['set']:6} {counts}" + "".join(f"{cell:>26}" for cell in cells))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, default=Path("../shared/data"), help="folder with a manifest.csv")
    parser.add_argument("--pretrained", type=Path, help="model to start from, of the recipe's size")
    parser.add_argument("--sets", nargs="+", choices=list(TESTED), default=list(TESTED))
    parser.add_argument("--recipe", default="tiny_cpu", help="of pre-training and fine-tuning")
    parser.add_argument("--evaluate", default="paper", help="recipe of the test")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the fine-tuning")
    for start in STARTS:
        parser.add_argument(
            f"--{start}-set", action="append", default=[], metavar="KEY=VALUE", help="change that of one start alone"
        )
    parser.add_argument(
        "--pretrain-set", action="append", default=[], metavar="KEY=VALUE", help="change the pre-training"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("few_labels"), help="where the runs are kept")
    parser.add_argument("--json", type=Path, help="write the table and every run there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
