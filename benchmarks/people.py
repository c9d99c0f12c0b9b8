"""How often the rule "a person in 4 of 10 frames" is right, with sheets to check it by eye.

    python benchmarks/people.py --with videos/person --without videos/no_person --sheets sheets --json people.json

`--with` and `--without` name folders of videos with and without people in them. Every video is decided whatever its length. `--sheets` gets one
JPEG a video, in a folder for each outcome (hit, miss, false, right): the frames looked at, with a box around every person found. Precision
is the share of the accepted videos that are from `--with`, recall the share of those that are accepted. `--against paper --recipe fast` counts on how
many videos two recipes agree.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hashtag2action.collect.folder import SUFFIXES
from hashtag2action.curate.people import Detection
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.video import VideoReport, examine_video
from hashtag2action.files import write_json
from hashtag2action.media.decode import read_frames
from hashtag2action.settings import load

OUTCOMES = {(True, True): "hit", (True, False): "miss", (False, True): "false", (False, False): "right"}
TILE_PX = 240  # shorter side of a frame on a sheet


def main() -> None:
    """Decide every video, write its sheet and print precision and recall."""
    options = _options()
    cv2.setNumThreads(1)
    settings = load(CurateSettings, "curate", options.recipe, {"min_clip_s": 0.1}, options.set)
    other = load(CurateSettings, "curate", options.against or options.recipe, {"min_clip_s": 0.1})
    rows: list[dict[str, Any]] = []
    for shown, folders in ((True, options.with_people), (False, options.without)):
        for path in _videos(folders)[:: options.every]:
            report = examine_video(path, settings)
            outcome = OUTCOMES[shown, report.decision.value == "accepted"]
            rows.append(
                {"video": path.name, "outcome": outcome, "person_frames": report.person_frames, "people": report.people}
            )
            if options.against:
                rows[-1]["agrees"] = examine_video(path, other).decision is report.decision
            if options.sheets:
                _write_sheet(path, report, options.sheets / outcome / f"{path.stem}.jpg")
    counts = Counter(row["outcome"] for row in rows)
    accepted, known = counts["hit"] + counts["false"], counts["hit"] + counts["miss"]
    print(f"precision {counts['hit']} of {accepted}, recall {counts['hit']} of {known}, {len(rows)} videos")
    if options.against:
        print(f"{sum(row['agrees'] for row in rows)} of {len(rows)} decided as by {options.against}")
    if options.json:
        write_json(options.json, {"counts": counts, "videos": rows})


def _write_sheet(path: Path, report: VideoReport, target: Path) -> None:
    if not report.detections:
        return
    images = read_frames(path, [found.index for found in report.detections], TILE_PX)
    tiles = [_tile(image, found) for image, found in zip(images, report.detections, strict=True)]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 5)
    sheet = np.concatenate([np.concatenate(tiles[row : row + 5], axis=1) for row in range(0, len(tiles), 5)])
    target.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(target), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def _tile(image: np.ndarray, found: Detection) -> np.ndarray:
    image = image.copy()
    height, width = image.shape[:2]
    for box in found.boxes:
        corners = (round(box.x1 * width), round(box.y1 * height)), (round(box.x2 * width), round(box.y2 * height))
        cv2.rectangle(image, *corners, (255, 220, 0), 2)
        cv2.putText(image, f"{box.score:.2f}", corners[0], cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 220, 0), 1)
    return image


def _videos(folders: Sequence[Path]) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--with", dest="with_people", nargs="+", type=Path, default=[], metavar="DIR")
    parser.add_argument("--without", nargs="+", type=Path, default=[], metavar="DIR")
    parser.add_argument("--every", type=int, default=1, help="take every n-th video")
    parser.add_argument("--recipe", default="paper")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting of the recipe"
    )
    parser.add_argument("--against", metavar="RECIPE", help="count the videos that this recipe decides alike")
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
