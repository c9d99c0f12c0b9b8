"""Clips as training reads them: decoded once, cropped into views, in an order that only the seed decides.

Position `p` of the endless stream of clips is clip `order(seed, p // N)[p % N]`; what is drawn for it depends on the
seed, the epoch and the clip alone. So any number of workers or processes, and any step to resume from, gives the same
batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hashtag2action.data.augment import Box, center_box, multi_scale_box, shrink_side
from hashtag2action.errors import UserError
from hashtag2action.media.container import MediaError
from hashtag2action.media.decode import Frames, open_frames
from hashtag2action.media.sampling import Indices, pretrain_indices


@dataclass(frozen=True)
class BadClip:
    """A clip that could not be read, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class ClipSample:
    """One decoded clip and where its views are cut."""

    path: Path
    frames: Tensor
    """uint8 `(T, H, W, 3)`; empty where neither the clip nor its replacements could be read."""
    boxes: tuple[Box, ...]
    bad: tuple[BadClip, ...] = ()
    """Clips that were tried before this one."""


@dataclass(frozen=True)
class ViewPlan:
    """How every clip is drawn: `frames` frames every `rate`, `views` crops for an input of `size` pixels."""

    frames: int = 16
    rate: int = 4
    views: int = 4
    size: int = 224
    shrink: bool = False
    crop: Literal["multi_scale", "center"] = "multi_scale"
    max_replacements: int = 10


class ClipDataset(Dataset[ClipSample]):
    """Samples by `(epoch, clip number)`.

    Keeps decoded clips in memory while they fit `cache_mb`, on the first visit; samples do not depend on it.
    """

    def __init__(self, clips: Sequence[Path], plan: ViewPlan, seed: int, cache_mb: float = 0) -> None:
        self.clips = list(clips)
        self.plan = plan
        self.seed = seed
        self._room = int(cache_mb * 2**20)
        self._cache: dict[int, Frames] = {}

    def __getitem__(self, key: tuple[int, int]) -> ClipSample:
        """Draw the sample of clip number `key[1]` in epoch `key[0]`; an unreadable clip is replaced by another."""
        rng = np.random.default_rng([self.seed, *key])
        number = key[1]
        bad: list[BadClip] = []
        for _ in range(self.plan.max_replacements + 1):
            draw = rng.spawn(1)[0]  # so that the next replacement does not depend on how far this clip got
            try:
                frames = self._read(number, draw)
            except MediaError as error:
                bad.append(BadClip(self.clips[number], str(error)))
                number = int(rng.integers(len(self.clips)))
                continue
            boxes = tuple(self._box(frames.shape[2], frames.shape[1], draw) for _ in range(self.plan.views))
            return ClipSample(self.clips[number], torch.from_numpy(frames), boxes, tuple(bad))
        return ClipSample(self.clips[number], torch.empty(0, dtype=torch.uint8), (), tuple(bad))

    def _read(self, number: int, rng: np.random.Generator) -> Frames:
        if number in self._cache:
            return self._cache[number][self._draw(len(self._cache[number]), rng)]
        side = shrink_side(self.plan.size) if self.plan.shrink else None
        with open_frames(self.clips[number]) as reader:
            indices = self._draw(reader.frames, rng)
            frames = reader.read(indices, side)
            if reader.frames * frames[0].nbytes <= self._room:
                with suppress(MediaError):  # a fault beyond the frames drawn is another sample's
                    self._keep(number, reader.read(range(reader.frames), side))
        return frames

    def _box(self, width: int, height: int, rng: np.random.Generator) -> Box:
        if self.plan.crop == "center":
            return center_box(width, height)
        return multi_scale_box(width, height, self.plan.size, rng)

    def _draw(self, frames: int, rng: np.random.Generator) -> Indices:
        return pretrain_indices(frames, self.plan.frames, self.plan.rate, rng)

    def _keep(self, number: int, frames: Frames) -> None:
        self._room -= frames.nbytes
        self._cache[number] = frames


@lru_cache(maxsize=2)
def clip_order(clips: int, seed: int, epoch: int) -> Indices:
    """Return the order in which an epoch visits the clips."""
    return np.random.default_rng([seed, epoch]).permutation(clips)


@dataclass(frozen=True)
class Share:
    """Which part of each global batch one process takes, and in how many rounds of a step."""

    batch: int
    rounds: int = 1
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if self.batch % (self.rounds * self.world):
            raise UserError(
                f"batch: {self.batch} clips do not divide among {self.world} processes in {self.rounds} rounds; "
                "choose a multiple"
            )

    @property
    def size(self) -> int:
        """Clips in one round of this process."""
        return self.batch // (self.rounds * self.world)

    def positions(self, step: int, turn: int) -> range:
        """Return the positions in the stream of clips of this process's round `turn` of `step`."""
        start = step * self.batch + (turn * self.world + self.rank) * self.size
        return range(start, start + self.size)

    def rows(self, turn: int) -> slice:
        """Return this round's rows of the global batch."""
        start = (turn * self.world + self.rank) * self.size
        return slice(start, start + self.size)


def clip_batches(
    dataset: ClipDataset, share: Share, first_step: int, steps: int, workers: int = 0
) -> Iterator[list[ClipSample]]:
    """Yield the samples of each round of steps `first_step` to `steps - 1`, one forward pass each, in order.

    Raises `UserError` that names the files where a clip and all its replacements are unreadable.
    """
    keys = _Keys(share, first_step, steps, len(dataset.clips), dataset.seed)
    own = torch.Generator()  # so that reading leaves torch's global generator, from which dropout draws, as it is
    loader = DataLoader(dataset, batch_sampler=keys, num_workers=workers, collate_fn=list, generator=own)
    for samples in loader:
        for sample in samples:
            if sample.frames.numel() == 0:
                names = ", ".join(sorted({str(bad.path) for bad in sample.bad}))
                raise UserError(
                    f"{names}: unreadable, and so are the clips tried instead; curate them again or leave them out"
                )
        yield samples


@dataclass(frozen=True)
class _Keys:
    """The sample keys of each round, made as the loader asks for them."""

    share: Share
    first_step: int
    steps: int
    clips: int
    seed: int

    def __len__(self) -> int:
        return (self.steps - self.first_step) * self.share.rounds

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for step in range(self.first_step, self.steps):
            for turn in range(self.share.rounds):
                yield [self._key(position) for position in self.share.positions(step, turn)]

    def _key(self, position: int) -> tuple[int, int]:
        epoch, slot = divmod(position, self.clips)
        return epoch, int(clip_order(self.clips, self.seed, epoch)[slot])
