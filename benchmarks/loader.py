"""How many clips a second one core brings to the model, against decord and PIL as the official loader uses them.

One clip is 16 frames at stride 4 and 4 views of 224 pixels, normalised. Compared are the official way on source videos
and on the stored form, and this project's on the stored form, each in one process with one thread. Rates are clips per
second of processor time, so that another program on the machine changes them little.

    pip install --no-deps --target /tmp/decord decord==0.6.0
    PYTHONPATH=/tmp/decord python benchmarks/loader.py --json loader.json VIDEO ...

Sources are re-encoded from the videos given to 720 pixels with keyframes 250 and 30 frames apart, 15 s long.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image

from hashtag2action.curate.cut import encoder_options
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.data.augment import IMAGENET_MEAN, IMAGENET_STD, multi_scale_box
from hashtag2action.data.clips import ClipDataset, Share, ViewPlan
from hashtag2action.media.sampling import pretrain_indices
from hashtag2action.models.allocator import keep_freed_memory
from hashtag2action.settings import load
from hashtag2action.train.settings import MaskSettings, PretrainSettings
from hashtag2action.train.views import view_rounds

PLAN = ViewPlan(frames=16, rate=4, views=4, size=224)
SECONDS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path, help="videos of at least 720 pixels and 15 s")
    parser.add_argument("--clips", type=int, default=12, help="clips read in each timing")
    parser.add_argument("--repeats", type=int, default=3, help="timings of each, in turn; the median counts")
    parser.add_argument("--step", action="store_true", help="also train a few steps and report the share spent waiting")
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as training does, and here for both

    with tempfile.TemporaryDirectory() as name:
        forms = prepare(options.videos, Path(name))
        runs: dict[tuple[str, str], Callable[[], None]] = {}
        for form, paths in forms.items():
            runs["decord + PIL", form] = lambda paths=paths: official(paths, options.clips)
            runs["hashtag2action", form] = lambda paths=paths: ours(paths, options.clips)
        rates = measure(runs, options.clips, options.repeats)
        rows = [{"loader": loader, "form": form, "clips_per_s_core": rate} for (loader, form), rate in rates.items()]
        if options.step:
            rows.append(waiting(forms["stored"]))
    show(rows, rates)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


def prepare(videos: list[Path], folder: Path) -> dict[str, list[Path]]:
    """Encode each video as two kinds of source and as curation stores it."""
    curate = load(CurateSettings, "curate", "paper")
    kinds = {
        "720p, GOP 250": (720, {"preset": "medium", "crf": "23", "g": "250"}),
        "720p, GOP 30": (720, {"preset": "medium", "crf": "23", "g": "30"}),
        "stored": (curate.short_side_px, encoder_options(curate)),
    }
    forms: dict[str, list[Path]] = {}
    for kind, (side, encoder) in kinds.items():
        forms[kind] = [encode(video, folder / f"{len(forms)}-{i}.mp4", side, encoder) for i, video in enumerate(videos)]
    return forms


def encode(source: Path, target: Path, side: int, options: dict[str, str]) -> Path:
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        video = reading.streams.video[0]
        video.thread_type = "AUTO"
        rate = video.average_rate
        width, height = video.codec_context.width, video.codec_context.height
        scale = side / min(width, height)
        stream = writing.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height = round(width * scale / 2) * 2, round(height * scale / 2) * 2
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(islice(reading.decode(video), int(SECONDS * rate))):
            picture = frame.reformat(stream.width, stream.height, "yuv420p")
            picture.pict_type = av.video.frame.PictureType.NONE
            picture.pts, picture.time_base = number, 1 / rate  # evenly spaced, whatever the source's are
            writing.mux(stream.encode(picture))
        writing.mux(stream.encode(None))
    return target


def official(paths: list[Path], clips: int) -> None:
    """Read as the official loader does: decord with one thread, PIL crops and resizes, one tensor a view."""
    import decord

    rng = np.random.default_rng(0)
    mean = torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
    std = torch.tensor(IMAGENET_STD).view(3, 1, 1)
    for i in range(clips):
        reader = decord.VideoReader(str(paths[i % len(paths)]), num_threads=1, ctx=decord.cpu(0))
        frames = reader.get_batch(pretrain_indices(len(reader), PLAN.frames, PLAN.rate, rng)).asnumpy()
        images = [Image.fromarray(frame) for frame in frames]
        for _ in range(PLAN.views):
            left, top, width, height = multi_scale_box(*images[0].size, PLAN.size, rng)
            cut = [image.crop((left, top, left + width, top + height)) for image in images]
            small = [image.resize((PLAN.size, PLAN.size), Image.Resampling.BILINEAR) for image in cut]
            stack = torch.from_numpy(np.concatenate([np.asarray(image) for image in small], axis=2))
            pixels = stack.permute(2, 0, 1).contiguous().float().div(255)
            pixels.view(PLAN.frames, 3, PLAN.size, PLAN.size).sub_(mean).div_(std)


def ours(paths: list[Path], clips: int) -> None:
    """Read through the training path, masks left in, nothing kept in memory."""
    dataset = ClipDataset(paths, PLAN, seed=0)
    for batch in view_rounds(dataset, Share(1), MaskSettings(), (8, 14, 14), clips, 0, 0):
        batch.inputs(torch.device("cpu"))


def measure(runs: dict[tuple[str, str], Callable[[], None]], clips: int, repeats: int) -> dict[tuple[str, str], float]:
    """Return the median clips per second of processor time, the runs taken in turn so that all see the same machine."""
    times: dict[tuple[str, str], list[float]] = {key: [] for key in runs}
    for repeat in range(repeats + 1):
        for key, run in random.Random(repeat).sample(sorted(runs.items(), key=lambda item: item[0]), len(runs)):
            began = time.process_time()
            run()
            if repeat:  # the first round warms caches up
                times[key].append(clips / (time.process_time() - began))
    return {key: float(np.median(values)) for key, values in times.items()}


def waiting(paths: list[Path]) -> dict[str, Any]:
    """Train ViT-S a few steps at 224 pixels on all cores and return the share of the time spent waiting for clips."""
    from hashtag2action.train.pretrain import pretrain

    changes = {
        "model.name": "vit_s",
        "optim.batch": 2,
        "optim.max_steps": 4,
        "hardware.workers": 1,
        "hardware.device": "cpu",
    }
    torch.set_num_threads(torch.get_num_interop_threads())
    with tempfile.TemporaryDirectory() as name:
        summary = pretrain(paths, load(PretrainSettings, "pretrain", None, changes), Path(name))
    return {"loader": "hashtag2action", "form": "stored", "model": "vit_s", "data_wait": summary.data_wait}


def show(rows: list[dict[str, Any]], rates: dict[tuple[str, str], float]) -> None:
    print(f"{'loader':16} {'form':16} clips/s per core")
    for row in rows:
        if "data_wait" in row:
            print(f"{row['model']} step: {row['data_wait']:.1%} of the time spent waiting for clips")
        else:
            print(f"{row['loader']:16} {row['form']:16} {row['clips_per_s_core']:.2f}")
    mine = rates["hashtag2action", "stored"]
    for form in ("720p, GOP 250", "720p, GOP 30", "stored"):
        print(f"stored form here against decord + PIL on {form}: {mine / rates['decord + PIL', form]:.1f}x")


if __name__ == "__main__":
    main()
