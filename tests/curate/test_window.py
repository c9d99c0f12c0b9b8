from __future__ import annotations

import numpy as np
import pytest

from hashtag2action.curate.scenes import Scene
from hashtag2action.curate.window import choose_window


def times(count: int, fps: float = 10.0) -> list[float]:
    return [round(index / fps, 6) for index in range(count + 1)]


def test_a_short_scene_is_kept_whole() -> None:
    window = choose_window(Scene(1.0, 11.0, 10, 110), 10.0, times(200), np.ones(200), [20, 90], [0.5, 0.5])
    assert (window.start_frame, window.end_frame, window.rule) == (10, 110, "whole_scene")
    assert window.score == window.mean_score == pytest.approx(99 * 0.5)


def test_the_window_is_where_people_move() -> None:
    motion = np.full(300, 0.01)
    motion[30:60] = 0.9  # wild motion, but nobody there
    motion[180:220] = 0.3
    window = choose_window(
        Scene(0.0, 30.0, 0, 300), 10.0, times(300), motion, [50, 150, 200, 250], [0.0, 0.0, 0.6, 0.0]
    )
    assert window.rule == "person_motion"
    assert window.start_frame <= 180 and window.end_frame >= 220
    assert window.end_s - window.start_s == pytest.approx(10.0)
    assert window.score > 2 * window.mean_score


def test_without_people_motion_decides() -> None:
    motion = np.zeros(300)
    motion[205] = 1.0
    window = choose_window(Scene(0.0, 30.0, 0, 300), 10.0, times(300), motion, [100], [0.0])
    assert window.rule == "motion"
    assert (window.start_frame, window.end_frame) == (106, 206)  # the first window that holds it


def test_of_equal_windows_the_first() -> None:
    window = choose_window(Scene(2.0, 30.0, 20, 300), 10.0, times(300), np.zeros(300), [], [])
    assert (window.start_frame, window.end_frame, window.score) == (20, 120, 0.0)


def test_a_variable_rate_counts_in_seconds() -> None:
    at = [*np.arange(0, 20, 0.5), *np.arange(20, 40, 0.05), 40.0]
    motion = np.zeros(len(at) - 1)
    motion[100] = 1.0
    window = choose_window(Scene(0.0, 40.0, 0, len(at) - 1), 10.0, at, motion, [100], [0.5])
    assert window.end_s - window.start_s <= 10.0 + 1e-6
    assert window.start_frame <= 100 < window.end_frame
    assert (window.start_s, window.end_s) == (at[window.start_frame], at[window.end_frame])


def test_a_frame_longer_than_the_cap_stands_alone() -> None:
    window = choose_window(Scene(0.0, 100.0, 0, 2), 10.0, [0.0, 50.0, 100.0], np.array([0.0, 1.0]), [0], [0.1])
    assert window.end_frame - window.start_frame == 1


def test_the_cut_before_the_scene_is_no_motion() -> None:
    motion = np.zeros(300)
    motion[100] = 1.0
    window = choose_window(Scene(10.0, 30.0, 100, 300), 10.0, times(300), motion, [150], [0.5])
    assert window.score == 0.0
