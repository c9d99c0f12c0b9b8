"""Copies of real videos, altered as people alter them before they post them again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

ALTERATIONS = ("re-encoded", "scaled", "mirrored", "trimmed", "colour-shifted", "bordered", "all of them")
Picture = np.ndarray[Any, np.dtype[np.uint8]]


def alter(source: Path, target: Path, alteration: str, seed: int) -> None:
    """Write an altered copy; how strongly depends on `seed`."""
    chance = np.random.default_rng(seed)
    everything = alteration == "all of them"
    crf = int(chance.integers(32, 38)) if alteration == "re-encoded" or everything else 26
    scale = float(chance.uniform(0.4, 0.8)) if alteration == "scaled" and chance.random() < 0.5 else 1.4
    scale = scale if alteration == "scaled" else 0.7 if everything else 1.0
    with av.open(str(source)) as reading:
        pictures = [frame.to_ndarray(format="bgr24") for frame in reading.decode(video=0)]
        rate = reading.streams.video[0].average_rate
    if alteration == "trimmed" or everything:
        first, last = (int(len(pictures) * share) for share in chance.uniform(0, 0.1, 2))
        pictures = pictures[first : len(pictures) - last]
    changed = list(_changed(pictures, alteration, everything, chance))
    height, width = (round(side * scale / 2) * 2 for side in changed[0].shape[:2])
    with av.open(str(target), "w") as writing:
        stream = writing.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "superfast", "crf": str(crf)}
        for picture in changed:
            resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
            writing.mux(stream.encode(av.VideoFrame.from_ndarray(resized, format="bgr24")))
        writing.mux(stream.encode(None))


def _changed(
    pictures: list[Picture], alteration: str, everything: bool, chance: np.random.Generator
) -> Iterator[Picture]:
    curve = np.clip(255 * (np.arange(256) / 255) ** chance.uniform(0.7, 1.4), 0, 255).astype(np.uint8)
    hue, saturation = int(chance.integers(-20, 21)), chance.uniform(0.3, 1.6)
    height, width = pictures[0].shape[:2]
    style = int(chance.integers(3))
    bars = [int(side * chance.uniform(0.08, 0.2)) for side in (height, width)]
    top, side = (bars[0] if style != 1 else 0), (bars[1] if style != 0 else 0)
    colour = [(0, 0, 0), (255, 255, 255), (90, 30, 150)][int(chance.integers(3))]
    for picture in pictures:
        if alteration == "mirrored" or everything:
            picture = picture[:, ::-1]
        if alteration == "colour-shifted" or everything:
            tones = cv2.cvtColor(cv2.LUT(np.ascontiguousarray(picture), curve), cv2.COLOR_BGR2HSV).astype(np.float32)
            tones[..., 0] = (tones[..., 0] + hue) % 180
            tones[..., 1] = np.clip(tones[..., 1] * saturation, 0, 255)
            picture = cv2.cvtColor(tones.astype(np.uint8), cv2.COLOR_HSV2BGR)
        if alteration == "bordered" or everything:
            picture = cv2.copyMakeBorder(picture, top, top, side, side, cv2.BORDER_CONSTANT, value=colour)
        yield np.ascontiguousarray(picture)
