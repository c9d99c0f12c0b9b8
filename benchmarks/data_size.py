"""The data-size study on two cores: accuracy on unseen people by the number of clips pre-trained on.

Copies the clips of a folder of recordings at 96 pixels (their decoding would take most of the time), pre-trains on
nested random subsets without their labels, fine-tunes each on yoga poses and tests on people that neither training saw.
Three quarters of an hour; started again, it goes on where it stopped.

    OMP_NUM_THREADS=1 python benchmarks/data_size.py --videos ../shared/data --workspace data_size --workers 2
"""

from __future__ import annotations

import argparse
import csv
import time
from fractions import Fraction
from pathlib import Path

import av

from hashtag2action.catalog.store import Catalog
from hashtag2action.engine import make_engine
from hashtag2action.files import atomic_path, write_json
from hashtag2action.settings import load
from hashtag2action.study.data_size import size_results
from hashtag2action.study.plan import plan_size
from hashtag2action.study.settings import StudySettings, parse_sizes
from hashtag2action.study.work import MEMORY_MB, TIMEOUT_S, Crew, work

FOLDERS = ("signs", "panda", "yoga", "fight")
LABELLED = "yoga"
SIDE_PX, MAX_S = 96, 4.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, default=Path("../shared/data"), help="folder with a manifest.csv")
    parser.add_argument("--workspace", type=Path, default=Path("data_size"), help="where all is kept, and resumed")
    parser.add_argument("--recipe", default="tiny_size")
    parser.add_argument("--sizes", type=parse_sizes, help="60,120,240 or 100:400:100")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args()

    changes = {name: value for name in ("sizes", "runs") if (value := getattr(options, name))}
    settings = load(StudySettings, "study", options.recipe, changes, options.set)
    began = time.perf_counter()
    clips, labelled = prepare(options.videos, options.workspace)
    print(f"clips ready after {time.perf_counter() - began:.0f} s")
    catalog = Catalog(options.workspace)
    plan_size(catalog, "size", settings, str(labelled), source=f"files:{clips}")
    engine = make_engine("local", options.workers, timeout_s=TIMEOUT_S, memory_mb=MEMORY_MB)
    done = work(Crew(catalog.workspace, None, "size"), engine if options.workers > 1 else None)
    results = size_results(catalog, "size") | {"seconds": time.perf_counter() - began}
    print(f"{done.done} of {done.total} jobs done after {results['seconds']:.0f} s; {results['figure']}")
    for size, row in results["sizes"].items():
        print(f"{size:>5} clips: top-1 {row['top1']:.3f} over {row['runs']} runs")
    if options.json:
        write_json(options.json, results)


def prepare(videos: Path, workspace: Path) -> tuple[Path, Path]:
    """Copy the clips small, and return a CSV of those to pre-train on and one of the labelled ones with their people."""
    with (videos / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].split("/")[0] in FOLDERS]
    for row in rows:
        target = workspace / "small" / Path(row["path"]).with_suffix(".mp4")
        if not target.is_file():
            with atomic_path(target) as temporary:
                shrink(videos / row["path"], temporary)
        row["file"] = str(target.relative_to(workspace))
    clips, labelled = workspace / "clips.csv", workspace / "labelled.csv"
    for path, chosen, columns in (
        (clips, rows, ("file",)),
        (labelled, [row for row in rows if row["path"].startswith(f"{LABELLED}/")], ("file", "label", "group")),
    ):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(chosen)
    return clips, labelled


def shrink(source: Path, target: Path) -> None:
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        rate = Fraction(reading.streams.video[0].average_rate or 25).limit_denominator(1001)
        stream = writing.add_stream("libx264", rate=rate)
        stream.pix_fmt, stream.options = "yuv420p", {"preset": "veryfast", "g": "16", "bf": "0", "crf": "20"}
        for number, frame in enumerate(reading.decode(video=0)):
            if number == 0:
                scale = SIDE_PX / min(frame.width, frame.height)
                stream.width, stream.height = (round(s * scale / 2) * 2 for s in (frame.width, frame.height))
            if number > MAX_S * rate:
                break
            small = frame.reformat(stream.width, stream.height, "yuv420p", interpolation="AREA")
            small.pts, small.time_base = number, 1 / rate
            writing.mux(stream.encode(small))
        writing.mux(stream.encode(None))


if __name__ == "__main__":
    main()
