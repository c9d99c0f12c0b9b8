"""Does a short pre-training on a laptop teach the encoder anything? Probes before and after, on unseen people.

Pre-trains `tiny_cpu` on every clip of three folders of recordings without their labels, then classifies six yoga poses
from frozen features, tested on people the classifier never saw. About 10 minutes of training a seed on 2 cores.

    python benchmarks/probe_gain.py --videos ../shared/data --json probe_gain.json
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from hashtag2action.models import load_model
from hashtag2action.settings import load
from hashtag2action.train.pretrain import build_model, pretrain
from hashtag2action.train.probe import clip_features, probe
from hashtag2action.train.settings import PretrainSettings

FOLDERS = ("signs", "panda", "yoga")
COLUMNS = ("loss_first", "loss_last", "linear_random", "linear_trained", "knn_random", "knn_trained")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, default=Path("../shared/data"), help="folder with a manifest.csv")
    parser.add_argument("--recipe", default="tiny_cpu")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the recipe"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("probe_gain"), help="where the runs are kept, and resumed")
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args()

    clips, yoga = read_manifest(options.videos)
    rows = [one_seed(seed, clips, yoga, options) for seed in range(options.seeds)]
    print("seed  " + "  ".join(f"{name:>14}" for name in COLUMNS))
    for row in rows:
        print(f"{row['seed']:4}  " + "  ".join(f"{row[name]:14.3f}" for name in COLUMNS))
    print("mean  " + "  ".join(f"{np.mean([row[name] for row in rows]):14.3f}" for name in COLUMNS))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


def read_manifest(folder: Path) -> tuple[list[Path], list[tuple[Path, str, str]]]:
    """Return all clips to train on, and the yoga clips with label and person."""
    with (folder / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].split("/")[0] in FOLDERS]
    yoga = [(folder / row["path"], row["label"], row["group"]) for row in rows if row["path"].startswith("yoga/")]
    return [folder / row["path"] for row in rows], yoga


def one_seed(
    seed: int, clips: list[Path], yoga: list[tuple[Path, str, str]], options: argparse.Namespace
) -> dict[str, float]:
    settings = load(PretrainSettings, "pretrain", options.recipe, [*options.set, f"seed={seed}"])
    folder = options.folder / f"seed-{seed}"
    summary = pretrain(clips, settings, folder)
    paths, labels, people = zip(*yoga, strict=True)
    random, trained = (
        probe(clip_features(model, paths, settings.sample.rate), labels, people)
        for model in (build_model(settings), load_model(folder / "model.pt"))
    )
    return {
        "seed": seed,
        "steps": summary.steps,
        "seconds": summary.seconds,
        "loss_first": summary.loss_first,
        "loss_last": summary.loss_last,
        "baseline_loss": summary.baseline_loss,
        "linear_random": random.linear,
        "linear_trained": trained.linear,
        "knn_random": random.knn,
        "knn_trained": trained.knn,
    }


if __name__ == "__main__":
    main()
