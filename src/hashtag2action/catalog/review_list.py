"""The list that a reviewer works through: a CSV with a picture or the clip to look at, filled in and read back."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from hashtag2action.catalog.reviews import BY_CHARACTERS, WHY_CHARACTERS, Review
from hashtag2action.catalog.schema import Decision, Video
from hashtag2action.errors import UserError
from hashtag2action.files import atomic_path
from hashtag2action.media.container import MediaError
from hashtag2action.media.decode import open_frames

COLUMNS = (
    "sha256",
    "verdict",
    "why",
    "by",
    "now",
    "reason",
    "title",
    "hashtags",
    "person_frames",
    "quality",
    "look_at",
)
MAX_BYTES = 256 * 2**20
MAX_ROWS = 1_000_000
WORDS = {
    "accept": Decision.ACCEPTED, "accepted": Decision.ACCEPTED, "yes": Decision.ACCEPTED,
    "reject": Decision.REJECTED, "rejected": Decision.REJECTED, "no": Decision.REJECTED,
}  # fmt: skip
SHEET_FRAMES = 6
SHEET_PX = 240  # short side of a frame
_SHA256 = re.compile("[0-9a-f]{64}")


def write_list(workspace: Path, videos: Sequence[Video], path: Path, sheets: Path | None = None) -> int:
    """Write videos to a CSV whose columns `verdict` and `why` are to be filled in; return how many.

    With `sheets`, a folder, every clip gets a picture of six of its frames there, and `look_at` names that; else the clip.
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for video in videos:
            clip = workspace / video.clips[0].path if video.clips else None
            look_at = (_sheet(clip, sheets) if sheets and clip else None) or clip or Path(video.path)
            report: Mapping[str, object] = video.report or {}
            quality = report.get("quality")
            score = quality.get("score") if isinstance(quality, dict) else None
            cells = (
                video.sha256, "", "", "", video.decision, video.reason, video.title, " ".join(t.hashtag for t in video.hashtags),
                report.get("person_frames"), score, look_at,
            )  # fmt: skip
            writer.writerow([_cell(cell) for cell in cells])
    return len(videos)


def read_list(path: Path, by: str, at: float) -> list[Review]:
    """Return the verdicts of a CSV, its empty ones left out; `by` speaks where a row names nobody.

    The columns `sha256` and `verdict` (accept or reject) are needed, `why` and `by` may be there, others are not read.
    Raises `UserError` that names the line for anything else.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: larger than {MAX_BYTES >> 20} MB; give a list that `h2a review export` wrote")
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _rows(path, csv.DictReader(file, strict=True), by, at)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give a list that `h2a review export` wrote") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: no CSV in UTF-8 ({error}); save it as such") from error


def _rows(path: Path, table: csv.DictReader[str], by: str, at: float) -> list[Review]:
    if missing := {"sha256", "verdict"} - set(table.fieldnames or ()):
        raise UserError(f"{path}: no column `{min(missing)}`; give a list that `h2a review export` wrote")
    reviews: dict[str, Review] = {}
    for row in table:
        line = f"{path}, line {table.line_num}"
        word = (row["verdict"] or "").strip().lower()
        if not word:
            continue
        sha256 = (row["sha256"] or "").strip().lower()
        if not _SHA256.fullmatch(sha256):
            raise UserError(f"{line}: `sha256` is not 64 hexadecimal digits; leave that column as it was written")
        if word not in WORDS:
            raise UserError(f"{line}: verdict {word[:40]!r}; write accept or reject, or leave it empty")
        if sha256 in reviews and reviews[sha256].decision is not WORDS[word]:
            raise UserError(f"{line}: the same video is accepted and rejected; choose one")
        if len(reviews) == MAX_ROWS:
            raise UserError(f"{line}: more than {MAX_ROWS} verdicts; divide the list")
        who, why = (_plain(row.get("by")) or by)[:BY_CHARACTERS], _plain(row.get("why"))[:WHY_CHARACTERS]
        reviews[sha256] = Review(sha256, WORDS[word], who, why, at)
    return list(reviews.values())


def _plain(text: str | None) -> str:
    """Return a text without control characters; a quote that kept a spreadsheet from running it goes."""
    clean = "".join(letter for letter in text or "" if letter.isprintable() or letter == " ").strip()
    return clean[1:] if clean[:1] == "'" and clean[1:2] in tuple("=+-@") else clean


def _cell(value: object) -> object:
    text = "" if value is None else str(value).replace("\x00", "").encode("utf-8", "replace").decode()
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _sheet(clip: Path, folder: Path) -> Path | None:
    """Write frames of a clip side by side as a JPEG, unless it is there; None where the clip cannot be read."""
    import numpy as np
    from PIL import Image

    target = folder.resolve() / f"{clip.stem}.jpg"
    if not target.is_file():
        try:
            with open_frames(clip) as reader:
                numbers = np.linspace(0, reader.frames - 1, SHEET_FRAMES).astype(int)
                frames = reader.read(numbers, SHEET_PX)
        except MediaError:
            return None
        with atomic_path(target) as temporary:
            Image.fromarray(np.concatenate(list(frames), axis=1)).save(temporary, "JPEG", quality=80)
    return target
