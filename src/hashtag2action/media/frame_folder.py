"""A video as a folder of numbered pictures (`img_00001.jpg`), read like a video file.

Lists name a first picture and a count; both travel in the path, as `FOLDER/frames@FIRST+COUNT`, so that whatever takes
a video's path takes these too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashtag2action.media.container import MAX_PIXELS, MediaError

FPS = 0.0
"""Pictures do not tell their rate."""

_SPAN = re.compile(r"frames@(\d{1,9})\+(\d{1,9})")
_NUMBER = re.compile(r"(\d+)$")
_SUFFIXES = (".jpg", ".jpeg", ".png")


def frames_path(folder: Path, first: int, count: int) -> Path:
    """Return the path of `count` pictures of a folder, from the one numbered `first` on."""
    return folder / f"frames@{first}+{count}"


def is_frame_folder(path: Path) -> bool:
    """Tell whether a path stands for pictures: a folder, or what `frames_path` returns."""
    return path.is_dir() or _SPAN.fullmatch(path.name) is not None


class FrameFolder:
    """Pictures in the order of their numbers; the interface is that of `decode.FrameReader`."""

    fps = FPS

    def __init__(self, path: Path) -> None:
        """Raises `MediaError` where the folder is missing or holds no numbered pictures of the span."""
        span = _SPAN.fullmatch(path.name)
        folder = path.parent if span else path
        try:
            pictures = [item for item in folder.iterdir() if item.suffix.lower() in _SUFFIXES]
        except OSError as error:
            raise MediaError("missing", f"no folder {folder.name} of pictures") from error
        numbered = {int(found.group(1)): item for item in pictures if (found := _NUMBER.search(item.stem))}
        if span:
            first, count = int(span.group(1)), int(span.group(2))
            numbered = {number: item for number, item in numbered.items() if first <= number < first + count}
        if not numbered:
            raise MediaError("empty", f"no numbered pictures in {folder.name}")
        self._files = [numbered[number] for number in sorted(numbered)]
        self.frames = len(self._files)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the first picture in pixels."""
        height, width = self.read([0]).shape[1:3]
        return width, height

    def read(self, indices: Sequence[int] | NDArray[np.int64], short_side: int | None = None) -> NDArray[np.uint8]:
        """Return the pictures numbered `indices` from 0 as `(N, H, W, 3)` RGB, as `decode.read_frames` does."""
        wanted = [int(i) for i in indices]
        if min(wanted) < 0 or max(wanted) >= self.frames:
            raise MediaError("truncated", f"picture {max(wanted)} asked of {self.frames}")
        found = {i: _picture(self._files[i], short_side) for i in sorted(set(wanted))}
        if len({image.shape for image in found.values()}) > 1:
            raise MediaError("unreadable", "the picture size changes within the clip")
        return np.stack([found[i] for i in wanted])


def _picture(path: Path, short_side: int | None) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=("JPEG", "PNG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise MediaError("too_large", f"pictures of {image.width}x{image.height}")
            rgb: Any = image.convert("RGB")
            if short_side and min(rgb.size) > short_side:
                scale = short_side / min(rgb.size)
                rgb = rgb.resize((round(rgb.width * scale), round(rgb.height * scale)), Image.Resampling.BOX)
            return np.asarray(rgb)
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError) as error:
        raise MediaError("unreadable", f"{path.name} is no picture that can be read") from error
