"""What a video looks like in 128 bytes a second: the same for a copy that was altered, another for another video.

Both parts are signs of low cosine frequencies of small grey pictures without their borders. The *look* (128 bits) is
that of the average picture; copies are searched by it. The *moves* (63 signs, or 0 for stillness, eight times a second)
are those of what changed within half a second; they tell two takes before the same wall apart. Signs survive other
sizes, colours and compression; mirroring turns those of odd horizontal frequencies; trimming shifts the moves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashtag2action.media.container import MediaError, open_video, video_stream
from hashtag2action.media.frames import decode, pixels, reformat
from hashtag2action.media.probe import clockwise_rotation

METHOD = 1  # to be raised with every change after which old and new fingerprints do not compare
STEP_S = 0.125
MAX_STEPS = 240  # the first 30 seconds
LAG = 4  # steps between the two pictures whose difference is a move
LOOK_BITS, MOVE_BITS = 128, 63
LOOK_BYTES, STEP_BYTES = 16, 16  # a step has 8 bytes of signs, 8 that say which of them are moves
GRID = 64  # side of the pictures that are averaged over a step
SIDE = 32  # side of the picture that is transformed
FLAT = 3.0  # luma levels: a row or column that varies less, in every picture, is border
STILL = 6.0  # size of a coefficient that counts as a move; one luma level on the whole picture would be 32


class Fingerprinter:
    """Takes in the luma of every frame of a video, in order, and keeps one small picture a step."""

    def __init__(self, fps: float) -> None:
        self.full = False  # nothing that comes will change the fingerprint
        self._fps = fps
        self._frames = 0
        self._first_s: float | None = None
        self._pictures: list[NDArray[Any]] = []  # one for each step that is over
        self._sum = np.zeros((0, 0), np.float32)  # of the frames of the step that lasts
        self._count = 0

    def add(self, luma: NDArray[Any], time_s: float | None) -> None:
        """Take in a frame of any size, uint8 (H, W), and its timestamp; without one, the frame rate gives the time."""
        import cv2

        time_s = time_s if time_s is not None else self._frames / self._fps
        self._first_s = time_s if self._first_s is None else self._first_s
        self._frames += 1
        step = max(int((time_s - self._first_s) / STEP_S), len(self._pictures))
        self.full = step >= MAX_STEPS
        if self.full:
            return
        while len(self._pictures) < step:
            self._end_step()
        if not self._count:
            self._sum = np.zeros(luma.shape, np.float32)
        elif luma.shape != self._sum.shape:
            luma = cv2.resize(luma, self._sum.shape[::-1], interpolation=cv2.INTER_AREA)
        cv2.accumulate(luma, self._sum)
        self._count += 1

    def finish(self, rotation: int = 0) -> bytes | None:
        """Return the fingerprint of a video to be turned clockwise by `rotation` degrees; None where all is plain."""
        if not self._frames:
            return None
        self._end_step()
        return _fingerprint(np.rot90(np.stack(self._pictures), -rotation // 90, axes=(1, 2)))

    def _end_step(self) -> None:
        """Keep the mean of the step's frames, or the step before once more where none was shown."""
        import cv2

        if self._count:
            mean = self._sum / np.float32(self._count)
            self._pictures.append(cv2.resize(mean, (GRID, GRID), interpolation=cv2.INTER_AREA))
            self._count = 0
        else:
            self._pictures.append(self._pictures[-1])


def fingerprint_file(path: Path) -> bytes | None:
    """Decode the first half minute of a video for its fingerprint alone. Raises `MediaError` where it cannot be read."""
    with open_video(path) as container:
        stream = video_stream(container)
        taking = Fingerprinter(float(stream.average_rate or stream.guessed_rate or 25))
        rotation = None
        for frame in decode(container, stream):
            rotation = clockwise_rotation(frame) if rotation is None else rotation
            step = max(1, min(frame.width, frame.height) // 96)
            width, height = max(16, frame.width // step), max(16, frame.height // step)
            taking.add(pixels(reformat(frame, width, height, "gray8", "AREA").planes[0]), frame.time)
            if taking.full:
                break
        if rotation is None:
            raise MediaError("empty", "no frame can be decoded")
        return taking.finish(rotation)


def _fingerprint(pictures: NDArray[np.float32]) -> bytes | None:
    """Return the fingerprint of pictures (T, H, W) of luma, 0 to 255."""
    import cv2

    inside = _content(pictures)
    if inside is None:
        return None
    scaled = np.stack([cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for picture in pictures[inside]])
    basis = cv2.dct(np.eye(SIDE, dtype=np.float32), flags=cv2.DCT_ROWS)  # row x holds every frequency at place x
    waves = basis.T @ scaled @ basis
    moves = np.zeros((len(waves), MOVE_BITS + 1), np.float32)
    rows, columns = lowest(MOVE_BITS)
    moves[LAG:, :MOVE_BITS] = (waves[LAG:] - waves[:-LAG])[:, rows, columns]
    look = waves.mean(0)[lowest(LOOK_BITS)]
    signs = np.stack([moves > STILL, np.abs(moves) > STILL], 1)
    return np.packbits(look >= 0).tobytes() + np.packbits(signs, axis=-1).tobytes()


def _content(pictures: NDArray[np.float32]) -> tuple[slice, slice, slice] | None:
    """Return where the pictures are not plain, as an index; None where that is less than a quarter of a side."""
    rows = np.flatnonzero(pictures.std(2).max(0) > FLAT)
    if not len(rows) or rows[-1] - rows[0] < GRID // 4:
        return None
    down = slice(int(rows[0]), int(rows[-1]) + 1)
    columns = np.flatnonzero(pictures[:, down].std(1).max(0) > FLAT)
    if not len(columns) or columns[-1] - columns[0] < GRID // 4:
        return None
    return slice(None), down, slice(int(columns[0]), int(columns[-1]) + 1)


def lowest(count: int) -> tuple[Any, Any]:
    """Return the `count` lowest frequencies as (vertical, horizontal) indices, without the constant."""
    order = sorted(((v, u) for v in range(SIDE) for u in range(SIDE) if v + u), key=lambda f: (f[0] + f[1], f[0]))
    vertical, horizontal = np.array(order[:count]).T
    return vertical, horizontal
