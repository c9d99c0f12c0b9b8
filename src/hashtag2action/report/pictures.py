"""Pictures as data URIs: small JPEGs of video frames and of training's picture strips."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hashtag2action.media.container import MediaError
from hashtag2action.media.decode import Frames, open_frames, read_frames

if TYPE_CHECKING:
    from PIL.Image import Image

FRAME_PX = 208  # longest side of a frame in a card: twice its size on a page, for sharp screens
STRIP_PX = 1400  # width of a strip of frames
QUALITY = 72


@dataclass(frozen=True)
class Picture:
    """A JPEG as a `data:` URI, with its size in pixels."""

    uri: str
    width: int
    height: int


def frames_of(path: Path, indices: Sequence[int], longest_side: int = FRAME_PX) -> list[Picture] | None:
    """Return the frames numbered `indices` of a video, or None where they cannot be read (any more)."""
    if not indices:
        return []
    try:
        frames = read_frames(path, indices, short_side=longest_side)
    except MediaError:
        return None
    return [_frame(frame, longest_side) for frame in frames]


def thumbnail(path: Path, longest_side: int = FRAME_PX) -> Picture | None:
    """Return the frame in the middle of a video, or None where it cannot be read."""
    try:
        with open_frames(path) as reader:
            return _frame(reader.read([reader.frames // 2], longest_side)[0], longest_side)
    except MediaError:
        return None


def strip(path: Path, longest_side: int = STRIP_PX) -> Picture | None:
    """Return a picture file, no wider than `longest_side`, or None where it is missing or no picture."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return _jpeg(image.convert("RGB"), longest_side, quality=85)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None


def _frame(frame: Frames, longest_side: int) -> Picture:
    from PIL import Image

    return _jpeg(Image.fromarray(frame), longest_side, QUALITY)


def _jpeg(image: Image, longest_side: int, quality: int) -> Picture:
    from PIL.Image import Resampling

    image.thumbnail((longest_side, longest_side), Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, optimize=True)
    return Picture("data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode(), image.width, image.height)
