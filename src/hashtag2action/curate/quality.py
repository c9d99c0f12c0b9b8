"""How good a video is to learn from, beyond whether a person is in it: scores that decide nothing by default.

All of them come from the frames that the one pass decodes: about one and a half a second, each looked at as two strips (every row in full
resolution with few columns, and the other way round), as a small grey picture, and with the two frames that follow it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hashtag2action.curate.bars import Box, find_bars
from hashtag2action.curate.settings import QualityLimits
from hashtag2action.media.frames import pixels, reformat

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from hashtag2action.media.probe import Probe

Values = np.ndarray[Any, Any]
Kind = Literal["none", "plain", "blurred"]

SAMPLES = 24  # at most, spread over the video
SAMPLES_PER_S = 1.5
STRIP_PX = 64  # columns (or rows) of a strip
PICTURE_PX = 240  # shorter side of the picture that text is looked for in
CROP_PX = 384  # side of the middle square that sharpness is measured in
STROKE, LIGHT, DARK = 50, 180, 70  # luma levels: by how much a letter's stroke stands out, and what it is then
LETTERS, DENSE = (25, 9), 0.2  # size in which strokes are counted, and the share of it that they take
SEAM = 6  # luma levels by which two pictures differ where they meet, more than neighbours do
LEVELS = 4  # luma levels of 256
STILL = 0.004  # mean difference, 0 to 1, under which two samples show the same picture


@dataclass(frozen=True)
class Quality:
    """Measures of a video, 0 to 1 unless said otherwise; `score` sums them up.

    `content` is what lies within the bars: left, top, right, bottom as shares of the stored picture (before rotation).
    """

    score: float
    motion: float  # mean difference of luma between two samples
    still: float  # share of samples that show the picture of the one before: 1 is a photograph, near 1 a slide show
    shake: float  # how much the picture jumps from frame to frame beyond moving evenly, in shares of its shorter side
    sharpness: float  # share of the finest detail that blurring takes away
    brightness: float  # mean luma
    bars: float  # share of the picture that letterbox or side bars cover
    bars_kind: Kind
    content: Box
    text: float  # share of the picture that letters and stickers cover
    screen: float  # share of the picture that the most frequent four luma levels fill, as on a computer's screen
    split: float  # share of a middle line along which two pictures meet
    short_side_px: int
    aspect: float  # width by height, as displayed


class QualityMeter:
    """Takes in the frames of a video, in order, and keeps what the scores need of a few of them."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._step = max(3, round(probe.fps / SAMPLES_PER_S), -(-probe.frames // SAMPLES))
        self._count = 0
        self._shape: tuple[int, int] | None = None
        self._rows: list[Values] = []
        self._columns: list[Values] = []
        self._pictures: list[Values] = []
        self._sharpness: list[float] = []
        self._triples: list[list[Values]] = []

    def add(self, frame: VideoFrame, luma: Values) -> None:
        """Take in the next frame; `luma` is it made small, uint8."""
        place = (self._count - self._step // 2) % self._step if self._count >= self._step // 2 else self._step
        if place == 0 and self._sample(frame):
            self._triples.append([])
        if place < 3 and self._triples:
            self._triples[-1].append(luma)
        self._count += 1

    def finish(self) -> Quality | None:
        """Return the scores, or nothing where no frame could be looked at."""
        import cv2

        if not self._rows:
            return None
        rows, columns = np.stack(self._rows), np.stack(self._columns)
        pictures = np.stack(self._pictures)
        content, kind = find_bars(rows, columns)
        inside = _within(pictures, content)
        moves = [cv2.norm(a, b, cv2.NORM_L1) / (255 * a.size) for a, b in itertools.pairwise(inside)]
        measures = {
            "motion": float(np.mean(moves)) if moves else 0.0,
            "still": float(np.mean([move < STILL for move in moves])) if moves else 1.0,
            "shake": _shake(self._triples),
            "sharpness": float(np.median(self._sharpness)),
            "brightness": float(inside.mean()) / 255,
            "bars": 1.0 - (content[2] - content[0]) * (content[3] - content[1]),
            "text": float(np.median([_text_share(picture) for picture in inside])),
            "screen": _few_levels(_within(rows, (0.0, content[1], 1.0, content[3]))),
            "split": max(_seam(rows, content[1], content[3]), _seam(columns, content[0], content[2])),
        }
        measures = {name: round(value, 4) for name, value in measures.items()}
        short_side = min(self._probe.width, self._probe.height)
        return Quality(
            score=round(_score(measures, short_side), 4),
            **measures,
            bars_kind=kind,
            content=content,
            short_side_px=short_side,
            aspect=round(self._probe.width / self._probe.height, 4),
        )

    def _sample(self, frame: VideoFrame) -> bool:
        """Keep strips and a picture of a frame; not of one whose size differs from the first's."""
        if frame.format.name not in ("yuv420p", "yuvj420p", "nv12", "yuv422p", "yuv444p", "gray"):
            frame = reformat(frame, None, None, "gray")
        plane = pixels(frame.planes[0])
        self._shape = self._shape or plane.shape
        if plane.shape != self._shape:
            return False
        height, width = plane.shape
        self._rows.append(plane[:, :: max(1, width // STRIP_PX)].copy())
        self._columns.append(plane[:: max(1, height // STRIP_PX)].T.copy())
        self._pictures.append(_shrunk(plane))
        top, left = max(0, (height - CROP_PX) // 2), max(0, (width - CROP_PX) // 2)
        self._sharpness.append(_sharpness(plane[top : top + CROP_PX, left : left + CROP_PX]))
        return True


def fault(quality: Quality, limits: QualityLimits) -> str | None:
    """Return the first limit that a video breaks, in words, or nothing."""
    for name, limit in limits.model_dump(exclude={"description"}, exclude_none=True).items():
        bound, measure = name.split("_", 1)
        value = getattr(quality, measure)
        if (value < limit) if bound == "min" else (value > limit):
            return f"{measure.replace('_', ' ')} {value:g}, {'under' if bound == 'min' else 'over'} {limit:g}"
    return None


def _score(measures: dict[str, float], short_side_px: int) -> float:
    """Return one number, 0 to 1: a product, so that one grave fault is enough to spoil a video."""
    good = [
        _ramp(measures["motion"], 0.0, 0.01),
        1 - _ramp(measures["still"], 0.3, 1.0),
        1 - 0.5 * _ramp(measures["shake"], 0.01, 0.06),
        0.3 + 0.7 * _ramp(measures["sharpness"], 0.1, 0.5),
        _ramp(measures["brightness"], 0.03, 0.2),
        1 - 0.8 * measures["bars"],
        1 - _ramp(measures["text"], 0.05, 0.3),
        1 - 0.8 * _ramp(measures["screen"], 0.2, 0.7),
        1 - 0.5 * _ramp(measures["split"], 0.3, 0.6),
        0.3 + 0.7 * _ramp(short_side_px, 90, 320),
    ]
    return float(np.prod(good))


def _ramp(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _within(images: Values, box: Box) -> Values:
    """Return the part of images (N, H, W) that a box of shares covers; never nothing."""
    height, width = images.shape[1:]
    left, top = min(int(box[0] * width + 0.5), width - 1), min(int(box[1] * height + 0.5), height - 1)
    return images[:, top : max(top + 1, round(box[3] * height)), left : max(left + 1, round(box[2] * width))]


def _shrunk(plane: Values) -> Values:
    """Return a plane with a shorter side of `PICTURE_PX`, never enlarged; halving it first takes half the time or less."""
    import cv2

    height, width = plane.shape
    scale = min(1.0, PICTURE_PX / min(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    while min(plane.shape) >= 2 * PICTURE_PX:
        plane = cv2.resize(plane, (plane.shape[1] // 2, plane.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)


def _sharpness(luma: Values) -> float:
    """Return 0 (blurred) to 1: by how much blurring lowers the differences of neighbours (Crété-Roffet et al., 2007)."""
    import cv2

    if min(luma.shape) < 16:
        return 0.0
    lost = []
    luma = np.ascontiguousarray(luma)
    for kernel, here, before in (((9, 1), np.s_[:, 1:], np.s_[:, :-1]), ((1, 9), np.s_[1:], np.s_[:-1])):
        blurred = cv2.blur(luma, kernel)
        sharp = cv2.absdiff(luma[here], luma[before])
        soft = cv2.absdiff(blurred[here], blurred[before])
        total = cv2.sumElems(sharp)[0]
        lost.append(cv2.sumElems(cv2.subtract(sharp, soft))[0] / total if total else 0.0)
    return min(lost)


def _shake(triples: Sequence[Sequence[Values]]) -> float:
    """Return the median change of the picture's own movement between three frames in a row, in shares of its side."""
    import cv2

    jerks = []
    for triple in triples:
        if len(triple) < 3 or len({image.shape for image in triple}) > 1 or min(triple[0].shape) < 16:
            continue
        a, b, c = (image.astype(np.float32) for image in triple[:3])
        window = _fading_out(*a.shape)
        (first, sure), (second, sure_too) = cv2.phaseCorrelate(a, b, window), cv2.phaseCorrelate(b, c, window)
        if min(sure, sure_too) > 0.15:
            jerks.append(float(np.hypot(second[0] - first[0], second[1] - first[1])) / min(a.shape))
    return float(np.median(jerks)) if jerks else 0.0


@lru_cache(maxsize=4)
def _fading_out(height: int, width: int) -> Values:
    import cv2

    return cv2.createHanningWindow((width, height), cv2.CV_32F)


def _text_share(picture: Values) -> float:
    """Return the share of a grey picture where thin strokes of high contrast, light or dark, are as dense as in letters."""
    import cv2

    kernel = np.ones((7, 7), np.uint8)
    light: Values = cv2.inRange(cv2.morphologyEx(picture, cv2.MORPH_TOPHAT, kernel), STROKE + 1, 255)
    dark: Values = cv2.inRange(cv2.morphologyEx(picture, cv2.MORPH_BLACKHAT, kernel), STROKE + 1, 255)
    strokes = (light & cv2.inRange(picture, LIGHT + 1, 255)) | (dark & cv2.inRange(picture, 0, DARK - 1))
    count = cv2.boxFilter(strokes & 1, cv2.CV_16U, LETTERS, normalize=False)
    return float((count > DENSE * LETTERS[0] * LETTERS[1]).mean())


def _few_levels(images: Values) -> float:
    """Return the share of pixels that have one of the most frequent levels: drawings have few levels, what a camera saw many."""
    import cv2

    counts = np.sum([cv2.calcHist([image], [0], None, [256], (0, 256)) for image in images], axis=0).ravel()
    return float(np.sort(counts)[-LEVELS:].sum() / images.size)


def _seam(strips: Values, start: float, end: float) -> float:
    """Return the share of a line near the middle, across strips (N, length, width), where pictures meet at all times."""
    length = strips.shape[1]
    middle, reach = (start + end) / 2 * length, max(2.0, 0.03 * (end - start) * length)
    low, high = max(4, int(middle - reach)), min(length - 5, int(middle + reach) + 1)
    if high <= low:
        return 0.0
    near = strips[:, low - 4 : high + 4].astype(np.int16)
    steps = np.abs(near[:, 2:] - near[:, :-2])  # between two rows that have one between them
    sharp = steps[:, 3:-3] - np.maximum(steps[:, :-6], steps[:, 6:])
    return float((np.median(sharp, axis=0) > SEAM).mean(axis=1).max())
