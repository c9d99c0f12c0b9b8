"""Bars around a picture: letterbox, pillarbox, and the blurred copies that fill a screen of another shape.

A bar's border is a line right across the picture that is there in every frame. What lies beyond it is plain, or much
smoother than the picture; blurred bars come in pairs of one width.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

Values = np.ndarray[Any, Any]
Box = tuple[float, float, float, float]

LEAST, MOST = 0.02, 0.45  # share of the picture's side that one bar takes
LEAST_BLURRED = 0.06
PLAIN = 5.0  # luma levels within which a plain row lies (standard deviation)
LINE = 5.0  # luma levels between two rows that make a border
SMOOTH = 0.5  # detail of a blurred bar, compared with the picture's


def find_bars(rows: Values, columns: Values) -> tuple[Box, Literal["none", "plain", "blurred"]]:
    """Return what lies within the bars as shares (left, top, right, bottom), and their kind.

    `rows` (N, height, few) and `columns` (N, width, few) are luma of N frames, uint8.
    """
    top, bottom, across = _ends(rows)
    left, right, along = _ends(columns)
    kinds = {across, along} - {"none"}
    kind: Any = "blurred" if "blurred" in kinds else "plain" if kinds else "none"
    return (left, top, right, bottom), kind


def _ends(strips: Values) -> tuple[float, float, str]:
    """Return where the picture begins and ends along the axis of length in (N, length, few), 0 to 1, and the bars' kind."""
    length = strips.shape[1]
    line = np.zeros(length + 1, np.float32)  # line[i]: how much row i differs from the one before, in most frames
    line[1:length] = np.quantile([_mean_step(strip[1:], strip[:-1]) for strip in strips], 0.25, axis=0)
    least, most = max(1, round(LEAST * length)), int(MOST * length)
    if most <= round(LEAST_BLURRED * length) + 3:
        return 0.0, 1.0, "none"
    plain = np.mean([_deviation(strip) < PLAIN for strip in strips], axis=0) > 0.8
    start, end = _plain_rows(plain, line, least), _plain_rows(plain[::-1], line[::-1], least)
    if start or end:
        return round(start / length, 4), round(1 - end / length, 4), "plain"
    return _blurred(strips, line, round(LEAST_BLURRED * length), most)


def _mean_step(one: Values, other: Values) -> Values:
    """Return how far two uint8 images differ in each row, on average."""
    import cv2

    return _row_means(cv2.absdiff(one, other))


def _deviation(strip: Values) -> Values:
    """Return the standard deviation of each row."""
    away = strip - _row_means(strip)[:, None]
    return np.sqrt(_row_means(away * away))


def _row_means(image: Values) -> Values:
    import cv2

    return cv2.reduce(image, 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F)[:, 0]


def _plain_rows(plain: Values, line: Values, least: int) -> int:
    """Return how many rows from the start on are one plain bar, up to a border; 0 where there is none."""
    count = len(plain) if plain.all() else int(np.argmin(plain))
    if count < least or count > MOST * len(plain):
        return 0
    border = count - 1 + int(np.argmax(line[count - 1 : count + 3]))
    return border + 1 if line[border] > LINE else 0


def _blurred(strips: Values, line: Values, least: int, most: int) -> tuple[float, float, str]:
    length = strips.shape[1]
    detail = np.median([_mean_step(strip[:, 1:], strip[:, :-1]) for strip in strips], axis=0)
    near = np.maximum(line[least:most], np.maximum(line[least - 1 : most - 1], line[least + 1 : most + 1]))
    far = line[::-1][least:most]
    both = np.minimum(
        near, np.maximum(far, np.maximum(line[::-1][least - 1 : most - 1], line[::-1][least + 1 : most + 1]))
    )
    at = least + int(np.argmax(both))
    inner = float(np.median(detail[at + 2 : length - at - 2]))
    outer = float(np.median(np.concatenate([detail[: at - 1], detail[length - at + 1 :]]))) if at > 1 else inner
    usual = float(np.median(np.concatenate([line[1:at], line[length - at + 1 : length]]))) if at > 1 else 255.0
    if both[at - least] > max(LINE, 4 * usual) and outer < SMOOTH * inner:
        return round((at + 2) / length, 4), round(1 - (at + 2) / length, 4), "blurred"
    return 0.0, 1.0, "none"
