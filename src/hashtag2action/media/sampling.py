"""Which frames of a video make a clip.

Every function maps a count of frames to frame indices, counted from 0 in display order. Randomness comes only from the
generator handed in, so a sample can be drawn again. Rules and constants are those of VideoMAE V2's loaders.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def pretrain_indices(frames: int, clip_frames: int, rate: int, rng: np.random.Generator) -> Indices:
    """Return `clip_frames` indices `rate` apart from a random start; a short video repeats its last sampled frame."""
    room = frames - clip_frames * rate + 1
    start = int(rng.integers(room)) if room > 0 else 0
    last = start + (frames - 1 - start) // rate * rate
    return np.minimum(start + np.arange(clip_frames, dtype=np.int64) * rate, last)


def dense_indices(frames: int, clip_frames: int, rate: int, rng: np.random.Generator | None = None) -> Indices:
    """Return the indices of one fine-tuning clip: a window of `clip_frames * rate` frames, random or central.

    Without `rng` the window is the central one, as validation reads it. A video no longer than the window is read whole
    and its last frame repeated.
    """
    span = clip_frames * rate
    if frames <= span:
        read = min(frames // rate, clip_frames)
        spread = np.linspace(0, frames, num=read)
        index = np.concatenate([spread, np.full(clip_frames - read, frames)])
        return np.clip(index, 0, frames - 1).astype(np.int64)
    end = int(rng.integers(span, frames)) if rng is not None else (span + frames) // 2
    return np.clip(np.linspace(end - span, end, num=clip_frames), end - span, end - 1).astype(np.int64)


def dense_test_indices(frames: int, clip_frames: int, rate: int, segments: int) -> Indices:
    """Return `(segments, clip_frames)` indices: evenly spaced starts `k * (T - clip_frames) / (segments - 1)` after striding.

    With one segment the clip is the central one. A short video repeats its last strided frame.
    """
    strided = np.arange(0, frames, rate, dtype=np.int64)
    if len(strided) < clip_frames:
        strided = np.concatenate([strided, np.full(clip_frames - len(strided), strided[-1])])
    room = len(strided) - clip_frames
    starts = [room // 2] if segments == 1 else [int(k * (room / (segments - 1))) for k in range(segments)]
    return np.stack([strided[start : start + clip_frames] for start in starts])


def tsn_indices(frames: int, clip_frames: int, rng: np.random.Generator | None = None) -> Indices:
    """Return one frame from each of `clip_frames` equal parts (TSN, Something-Something): random, or each part's middle."""
    if rng is None:
        tick = frames / clip_frames
        return np.minimum((tick / 2 + tick * np.arange(clip_frames)).astype(np.int64), frames - 1)
    part = frames // clip_frames
    if part > 0:
        return np.arange(clip_frames, dtype=np.int64) * part + rng.integers(part, size=clip_frames)
    return np.sort(rng.integers(frames, size=clip_frames))


def tsn_test_indices(frames: int, clip_frames: int, segments: int) -> Indices:
    """Return `(segments, clip_frames)` interleaved indices, one frame from each part in every row."""
    tick = frames / clip_frames
    starts = np.arange(segments)[:, None] * tick / segments
    return np.minimum((starts + tick * np.arange(clip_frames)).astype(np.int64), frames - 1)


def crop_starts(long_side: int, short_side: int, crops: int) -> list[int]:
    """Return where `crops` square crops of `short_side` start along the long side: both ends and evenly between."""
    room = long_side - short_side
    return [room // 2] if crops == 1 else [int(k * (room / (crops - 1))) for k in range(crops)]
