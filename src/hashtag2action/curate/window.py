"""Which part of a long scene is kept.

The paper keeps "the most relevant 10-second segment, typically featuring the most significant action" (section 4)
and leaves open which that is. Here it is the window with the highest sum, over its frames, of the share of the picture
that people cover times the motion. Without a person anywhere, motion alone decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hashtag2action.curate.scenes import Scene

Rule = Literal["whole_scene", "person_motion", "motion"]
Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Window:
    """Frames `start_frame` to `end_frame - 1` of a video, and how their choice came about.

    `score` is the window's sum, `mean_score` the average over all windows that could have been chosen.
    """

    start_s: float
    end_s: float
    start_frame: int
    end_frame: int
    rule: Rule
    score: float
    mean_score: float


def choose_window(
    scene: Scene, max_s: float, times_s: Sequence[float], motion: Values, checked: Sequence[int], areas: Sequence[float]
) -> Window:
    """Return the scene, or the best part of at most `max_s` seconds of it; of equals the earliest.

    `times_s` and `motion` are those of the whole video. `areas` holds the share of the picture that people cover in the
    frames `checked`; between them it is interpolated over time.
    """
    starts = np.array(times_s[scene.start_frame : scene.end_frame])
    moved = motion[scene.start_frame : scene.end_frame].copy()
    moved[0] = 0.0
    area = np.interp(starts, [times_s[index] for index in checked], areas) if checked else np.zeros(len(starts))
    weight = area * moved if area.any() else moved
    rule: Rule = "person_motion" if area.any() else "motion"
    total = np.concatenate([[0.0], np.cumsum(weight)])
    if scene.duration_s <= max_s + 1e-6:
        score = round(float(total[-1]), 6)
        return Window(scene.start_s, scene.end_s, scene.start_frame, scene.end_frame, "whole_scene", score, score)
    ends_s = np.array(times_s[scene.start_frame + 1 : scene.end_frame + 1])
    ends = np.searchsorted(ends_s, starts + max_s + 1e-6, side="right")
    possible = starts + max_s <= scene.end_s + 1e-6
    scores = np.round(total[ends] - total[:-1], 6)
    first = int(np.argmax(np.where(possible, scores, -1.0)))
    start, end = scene.start_frame + first, scene.start_frame + max(int(ends[first]), first + 1)
    return Window(
        times_s[start], times_s[end], start, end, rule, float(scores[first]), round(float(scores[possible].mean()), 6)
    )
