"""Finding copies among fingerprints: candidates by parts of their looks, proof by their moves.

Comparing each with each is out of the question for hundreds of thousands. Two looks are compared where they agree
in one of 32 samples of 16 bits, which copies do, and few others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hashtag2action.curate.fingerprint import LAG, LOOK_BITS, LOOK_BYTES, MOVE_BITS, STEP_BYTES, lowest

LOOK_APART = 26  # of 128 bits, at most, between the looks of copies
STILL_LOOK_APART = 5  # where nothing moves, and the look is all there is
STILL_MOVES = 3.0  # a step, on average: fewer are noise
SHIFT = 0.2  # of the shorter video, that may be missing at either end
SAMPLES, SAMPLE_BITS = 32, 16
WITHIN = 2000  # neighbours compared in a sample's group, should thousands of videos share it
PAIRS = (
    20  # per video, on average, that a sample may name: more come from thousands of the same look, as of a black frame
)

Looks = NDArray[np.uint8]  # (N, 16)


def looks_of(fingerprints: Sequence[bytes]) -> Looks:
    """Return the looks of fingerprints, packed: (N, 16)."""
    return np.frombuffer(b"".join(data[:LOOK_BYTES] for data in fingerprints), np.uint8).reshape(-1, LOOK_BYTES)


def candidates(looks: Looks, others: Looks | None = None) -> NDArray[np.int64]:
    """Return (M, 2) pairs of rows whose looks differ little, mirrored or not: `looks` among themselves or with `others`.

    Rows of `others` are counted on from those of `looks`. Each pair is named once, the lower row first.
    """
    both = looks if others is None else np.concatenate([looks, others])
    found = np.empty(0, np.int64)  # a pair as lower row * rows + higher row
    for flipped in (False, True):
        stack = np.concatenate([both, both ^ _MIRROR]) if flipped else both
        for bits in _samples():
            found = np.union1d(found, _agreeing(stack, bits, len(both)))
    pairs = np.stack(np.divmod(found, max(1, len(both))), 1)
    return pairs if others is None else pairs[(pairs[:, 0] < len(looks)) & (pairs[:, 1] >= len(looks))]


def similarity(one: bytes, other: bytes) -> float:
    """Return how surely two fingerprints are of the same recording, 0 to 1, mirrored or not.

    It is the cosine between their moves at the best shift. Where nothing moves in both, it is 1 for all but equal looks.
    """
    return max(_similarity(one, other, mirrored=False), _similarity(one, other, mirrored=True), 0.0)


def _similarity(one: bytes, other: bytes, *, mirrored: bool) -> float:
    apart = int(_distance(looks_of([one]), looks_of([other]) ^ _MIRROR if mirrored else looks_of([other]))[0])
    if apart > LOOK_APART:
        return 0.0
    short, long = sorted((_moves(one), _moves(other) * _MOVE_MIRROR if mirrored else _moves(other)), key=len)
    if len(long) * (1 - 2 * SHIFT) > len(short):
        return 0.0
    if max(np.abs(moves).sum() / len(moves) for moves in (short, long)) < STILL_MOVES:
        return float(apart <= STILL_LOOK_APART)
    products = short @ long.T
    ends = [np.concatenate([[0.0], np.abs(moves).sum(1).cumsum()]) for moves in (short, long)]
    slack = max(1, int(SHIFT * len(short)))
    best = 0.0
    for shift in range(-slack, len(long) - len(short) + slack + 1):
        first, last = max(0, -shift), min(len(short), len(long) - shift)
        size = (ends[0][last] - ends[0][first]) * (ends[1][last + shift] - ends[1][first + shift])
        if size > 0:
            best = max(best, float(np.trace(products, offset=shift)) / size**0.5)
    return best


def _moves(data: bytes) -> NDArray[np.float32]:
    """Return the moves of a fingerprint (T, 63): -1, 0 or 1."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8, offset=LOOK_BYTES).reshape(-1, 2, STEP_BYTES // 2), axis=-1)
    bits = bits[LAG:, :, :MOVE_BITS] if len(bits) > LAG else bits[:, :, :MOVE_BITS]
    return (2.0 * bits[:, 0] - 1.0).astype(np.float32) * bits[:, 1]


def _agreeing(stack: Looks, bits: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return pairs of rows of the first `count` (the rest are their mirror images) that agree in `bits` and look alike."""
    keys = np.packbits(np.unpackbits(stack, axis=1)[:, bits], axis=1).astype(np.uint32)
    numbers = keys[:, 0] << 8 | keys[:, 1]
    words = stack.view(">u8")
    rows = np.lexsort((words[:, 1], words[:, 0], numbers))  # the likeliest copies are neighbours
    numbers = numbers[rows]
    at = np.arange(len(rows))
    found, named = [np.empty(0, np.int64)], 0
    for ahead in range(1, WITHIN + 1):
        at = at[at < len(rows) - ahead]
        at = at[numbers[at] == numbers[at + ahead]]
        if not len(at) or named > PAIRS * count:
            break
        one, other = rows[at], rows[at + ahead]
        near = _distance(stack[one], stack[other]) <= LOOK_APART
        one, other = one[near] % count, other[near] % count
        pairs = (np.minimum(one, other) * count + np.maximum(one, other))[one != other]
        found.append(pairs)
        named += len(pairs)
    return np.concatenate(found)


def _distance(one: Looks, other: Looks) -> NDArray[np.int64]:
    """Return in how many bits rows differ."""
    return _ONES[np.ascontiguousarray(one ^ other).view(np.uint16)].sum(1, dtype=np.int64)


def _samples() -> list[NDArray[np.int64]]:
    """Return which bits of a look each sample holds: any of the lower half of its frequencies, which are the surest."""
    chance = np.random.default_rng(0)
    return [chance.choice(LOOK_BITS * 3 // 4, SAMPLE_BITS, replace=False) for _ in range(SAMPLES)]


_ONES = np.unpackbits(np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(-1, 2), axis=1).sum(1, dtype=np.uint8)
_MIRROR = np.packbits(lowest(LOOK_BITS)[1] % 2)
_MOVE_MIRROR = np.where(lowest(MOVE_BITS)[1] % 2, -1, 1).astype(np.float32)
