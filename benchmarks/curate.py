"""How long curating takes, and whether it decides as the paper's tools do.

    python benchmarks/curate.py ~/videos --count 6 --json curate.json

Of the videos given, two kinds are made with ffmpeg: 720x1280 of 15 s and 320x240 of 7 s, 30 frames a second, each cropped to shape, scaled and
repeated as needed. On each of them run, one after another and each in one process:

(a) decode: every frame decoded once by PyAV with one thread, and nothing else;
(b) paper: the `scenedetect` command with its default detector, 10 frames extracted to JPEG by ffmpeg, YOLOv8n on each of them, on its own
    and at 640 pixels as Ultralytics scales it, and the clip re-encoded by ffmpeg with `scenedetect split-video`'s settings;
(c) ours: `examine_video` (the scan: probe, scenes, people, quality) and `curate_video` (with the clip), after a recipe.

The network is the same file in (b) and (c) and loaded before the clock starts. Seconds are those of processor that a process and those it
starts use, so that all have one core, as it were, and a busy machine changes little. A row holds, for each kind, seconds a video (`decode_s`,
`scan_s`, `ours_s`, `paper_s`, the least of `--rounds` but for `paper_s`, which runs once), their ratios `scan_x` (to `decode_s`) and `paper_x` (to
`ours_s`), `agreement` (share of videos with the same decision) and `worker_mb` (most memory of a process that curates them all).
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2

from hashtag2action.collect.folder import SUFFIXES
from hashtag2action.curate.people import PersonDetector, detector_file
from hashtag2action.curate.scan import checked_frames
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.video import curate_video, examine_video
from hashtag2action.files import write_json
from hashtag2action.media.container import open_video, video_stream
from hashtag2action.settings import load

KINDS = {"720x1280": (720, 1280, 15), "320x240": (320, 240, 7)}
INPUT_PX = 640


def main() -> None:
    """Measure what the command line asks for, print a table and write the rows."""
    options = _options()
    cv2.setNumThreads(1)
    settings = load(CurateSettings, "curate", options.recipe, options.set)
    detector = PersonDetector(detector_file(settings), 1, settings.confidence, settings.overlap)
    rows = []
    with tempfile.TemporaryDirectory(prefix="h2a-curate-") as name:
        for kind in options.kinds:
            videos = make_videos(
                kind, _spread(_videos(options.videos), options.count), Path(name) / kind, options.ffmpeg
            )
            rows.append({"kind": kind, "recipe": options.recipe} | measure(videos, settings, detector, options))
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items() if key != "videos"), flush=True)
    if options.json:
        write_json(options.json, rows)


def make_videos(kind: str, sources: Sequence[Path], folder: Path, ffmpeg: str) -> list[Path]:
    """Write one video of a kind for each source, with x264's defaults."""
    width, height, seconds = KINDS[kind]
    folder.mkdir(parents=True)
    made = []
    for number, source in enumerate(sources):
        made.append(folder / f"{number:03}.mp4")
        shape = f"scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height},fps=30"
        _run([ffmpeg, "-stream_loop", "-1", "-i", source, "-t", seconds, "-an", "-vf", shape, made[-1]])
    return made


def measure(
    videos: Sequence[Path], settings: CurateSettings, detector: PersonDetector, options: argparse.Namespace
) -> dict[str, Any]:
    """Return one kind's row: seconds a video, agreement and memory."""
    rows = []
    for path in videos:
        clip = path.with_suffix(".clip.mp4")
        decode_s, _ = _fastest(lambda path=path: decode_all(path), options.rounds)
        scan_s, _ = _fastest(lambda path=path: examine_video(path, settings), options.rounds)
        ours_s, report = _fastest(lambda path=path, clip=clip: curate_video(path, settings, clip), options.rounds)
        row = {"decode_s": decode_s, "scan_s": scan_s, "ours_s": ours_s, "ours": report.decision.value}
        if not options.no_paper:
            paper_s, decision = _fastest(lambda path=path: paper(path, settings, detector, options.ffmpeg), 1)
            row |= {"paper_s": paper_s, "paper": decision}
        rows.append(row)
    timed = [key for key in rows[0] if key.endswith("_s")]
    mean = {key: round(sum(row[key] for row in rows) / len(rows), 4) for key in timed}
    more = {"scan_x": round(mean["scan_s"] / mean["decode_s"], 2)}
    if not options.no_paper:
        more["paper_x"] = round(mean["paper_s"] / mean["ours_s"], 2)
        more["agreement"] = round(sum(row["ours"] == row["paper"] for row in rows) / len(rows), 3)
    return {**mean, **more, "worker_mb": worker_mb(videos, settings), "videos": rows}


def decode_all(path: Path) -> int:
    """Decode every frame of a video and return how many there are."""
    with open_video(path) as container:
        return sum(1 for _ in container.decode(video_stream(container)))


def paper(path: Path, settings: CurateSettings, detector: PersonDetector, ffmpeg: str) -> str:
    """Decide a video with the paper's tools, run one after another, and return the decision."""
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        command = Path(sys.executable).with_name("scenedetect")
        _run(
            [command, "--quiet", "--input", path, "--output", folder, "list-scenes", "--filename", "scenes", "--quiet"]
        )
        start, end, start_s, length_s = _longest(next(folder.glob("scenes*"), None), path)
        if length_s < settings.min_clip_s:
            return "rejected"
        wanted = "+".join(f"eq(n,{index})" for index in checked_frames(start, end, settings.frames_checked))
        _run([ffmpeg, "-i", path, "-vf", f"select='{wanted}'", "-vsync", "0", folder / "%02d.jpg"])
        people = sum(bool(detector.detect([_read(image)])[0]) for image in sorted(folder.glob("*.jpg")))
        seconds = min(length_s, settings.max_clip_s)
        coding = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "22", "-c:a", "aac"]
        _run([ffmpeg, "-ss", start_s, "-i", path, "-t", seconds, *coding, folder / "clip.mp4"])
    return "accepted" if people >= settings.min_person_frames else "review"


def worker_mb(videos: Sequence[Path], settings: CurateSettings) -> int:
    """Return the most memory that a fresh process holds while it curates all the videos."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_mb, (list(videos), settings))


def _peak_mb(videos: list[Path], settings: CurateSettings) -> int:
    for path in videos:
        curate_video(path, settings, path.with_suffix(".worker.mp4"))
    if (status := Path("/proc/self/status")).exists():  # ru_maxrss would hold that of the process it was forked from
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) >> 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 20


def _longest(table: Path | None, path: Path) -> tuple[int, int, float, float]:
    """Return a scene's first frame, its end, both from 0, and its start and length in seconds; the whole video without a table."""
    scenes = []
    if table is not None:
        lines = table.read_text().splitlines()
        header = next(number for number, line in enumerate(lines) if line.startswith("Scene Number"))
        scenes = list(csv.DictReader(lines[header:]))
    if not scenes:
        frames = decode_all(path)
        return 0, frames, 0.0, frames / 30
    best = max(scenes, key=lambda scene: float(scene["Length (seconds)"]))
    start = int(best["Start Frame"]) - 1
    return start, int(best["End Frame"]), float(best["Start Time (seconds)"]), float(best["Length (seconds)"])


def _read(path: Path) -> Any:
    """Return a picture as RGB, its longer side scaled to what the network takes."""
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    scale = INPUT_PX / max(image.shape[:2])
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)


def _fastest(work: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    best = float("inf")
    for _ in range(rounds):
        start = _cpu_s()
        result = work()
        best = min(best, _cpu_s() - start)
    return round(best, 4), result


def _cpu_s() -> float:
    """Return the seconds of processor that this process and those it started have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _run(command: Sequence[Any]) -> None:
    quiet = ["-y", "-v", "error"] if Path(command[0]).name != "scenedetect" else []
    words = [str(command[0]), *quiet, *map(str, command[1:])]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stderr}")


def _videos(given: Sequence[Path]) -> list[Path]:
    found = [path for one in given for path in (sorted(one.rglob("*")) if one.is_dir() else [one])]
    return [path for path in found if path.suffix.lower() in SUFFIXES]


def _spread(videos: Sequence[Path], count: int) -> list[Path]:
    """Return `count` of the videos, evenly spread."""
    if not videos:
        raise SystemExit("no videos given")
    return [videos[round(n * (len(videos) - 1) / max(1, count - 1))] for n in range(min(count, len(videos)))]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path, help="videos or folders of videos to make the inputs from")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--count", type=int, default=6, help="videos of each kind")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--recipe", default="fast")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting of the recipe"
    )
    parser.add_argument("--ffmpeg", default="ffmpeg", help="the ffmpeg binary")
    parser.add_argument("--no-paper", action="store_true", help="leave (b) out")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
