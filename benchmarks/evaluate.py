"""What the test with several views costs beyond the forward passes: reading, decoding, resizing, cropping, averaging.

Scores real videos with a network of random weights, once as `h2a evaluate` does and once with views that lie ready in
memory, alternately, and reports the ratio. Also how long prediction takes to start and to answer.

    python benchmarks/evaluate.py --videos ../shared/data/panda/person --model vit_s --json evaluate.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hashtag2action.data.benchmarks.files import walk_videos
from hashtag2action.data.eval_views import EvalPlan, read_video
from hashtag2action.models import build_classifier, save_checkpoint
from hashtag2action.train.device import pick_device, pick_precision
from hashtag2action.train.scoring import score_videos, torch_forward

STARTUP = """
import time; began = time.perf_counter()
from pathlib import Path
from hashtag2action.cli import app
from hashtag2action.train.predict import load_predictor
from hashtag2action.train import classifier_file, device, scoring
import torch, av
from hashtag2action import models
from hashtag2action.data import augment
imported = time.perf_counter()
predictor = load_predictor(Path({model!r}))
loaded = time.perf_counter()
answer = predictor.predict(Path({video!r}))
done = time.perf_counter()
views = scoring.read_video(Path({video!r}), predictor.plan)
again = time.perf_counter()
predictor.forward(views.pixels)
print(imported - began, loaded - imported, done - loaded, time.perf_counter() - again)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, required=True, help="folder of videos")
    parser.add_argument("--count", type=int, default=2, help="videos that are scored")
    parser.add_argument("--model", default="vit_s")
    parser.add_argument("--size", type=int, default=224, help="side of the input in pixels")
    parser.add_argument("--segments", type=int, default=5)
    parser.add_argument("--crops", type=int, default=3)
    parser.add_argument("--readers", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--startup", type=int, default=3, metavar="TIMES", help="measure starting so often; 0: not")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()

    videos = list(walk_videos(options.videos))[: options.count]
    figures = views_cost(videos, options) | (startup(videos[0], options) if options.startup else {})
    for name, value in figures.items():
        print(f"{name:28} {value:.3f}" if isinstance(value, float) else f"{name:28} {value}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def views_cost(videos: list[Path], options: argparse.Namespace) -> dict[str, Any]:
    """Return seconds a video with and without reading, each the median of the rounds."""
    import torch  # after the package, so that its threads wait as in `h2a`

    torch.manual_seed(0)
    device = pick_device("auto")
    half = pick_precision("auto", device) == "bf16"
    model = build_classifier(options.model, 400, image_size=options.size).to(device)
    forward = torch_forward(model, context=lambda: torch.autocast(device, torch.bfloat16, enabled=half))
    plan = EvalPlan(size=options.size, segments=options.segments, crops=options.crops)
    ready = [read_video(path, plan).pixels for path in videos]
    forward(ready[0][:1])
    alone, whole = [], []
    for _ in range(options.rounds):
        began = time.perf_counter()
        for pixels in ready:
            forward(pixels)
        alone.append((time.perf_counter() - began) / len(videos))
        began = time.perf_counter()
        for _ in score_videos(forward, videos, plan, options.readers):
            pass
        whole.append((time.perf_counter() - began) / len(videos))
    return {
        "model": f"{options.model}, {options.size} pixels, {options.segments}x{options.crops} views, {device}",
        "videos": len(videos),
        "forward passes, s a video": statistics.median(alone),
        "evaluation, s a video": statistics.median(whole),
        "ratio": statistics.median(whole) / statistics.median(alone),
    }


def startup(video: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return the median seconds of a fresh process up to its imports, its model, its answer."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.pt"
        about = {"classes": [f"class {i}" for i in range(400)], "rate": 4, "sampling": "dense"}
        save_checkpoint(build_classifier(options.model, 400, image_size=options.size), file, extra=about)
        code = STARTUP.format(model=str(file), video=str(video))
        runs, whole = [], []
        for _ in range(options.startup):
            began = time.perf_counter()
            answer = subprocess.check_output([sys.executable, "-c", code], text=True)
            runs.append([float(part) for part in answer.split()])
            command = [sys.executable, "-m", "hashtag2action", "predict", str(video), "--model", str(file)]
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            whole.append(time.perf_counter() - began)
    imports, loading, answering, forward = (statistics.median(column) for column in zip(*runs, strict=True))
    return {
        "start-up, imports, s": imports,
        "weights, s": loading,
        "one video, one view, s": answering,
        "of which forward, s": forward,
        "h2a predict, s": statistics.median(whole),
        "h2a predict less forward, s": statistics.median(whole) - forward,
    }


if __name__ == "__main__":
    main()
