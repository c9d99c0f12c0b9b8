from __future__ import annotations

import numpy as np
import pytest

from hashtag2action.media.sampling import (
    crop_starts,
    dense_indices,
    dense_test_indices,
    pretrain_indices,
    tsn_indices,
    tsn_test_indices,
)


def test_pretrain_starts_cover_the_whole_video():
    drawn = [pretrain_indices(70, 16, 4, np.random.default_rng(seed)) for seed in range(200)]
    assert {int(index[0]) for index in drawn} == set(range(7))  # 70 - 64 + 1 starts
    assert all(np.array_equal(np.diff(index), np.full(15, 4)) for index in drawn)
    assert max(int(index[-1]) for index in drawn) == 66


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (30, [0, 4, 8, 12, 16, 20, 24, 28] + [28] * 8),
        (1, [0] * 16),
        (64, list(range(0, 64, 4))),
    ],
)
def test_short_videos_repeat_their_last_sampled_frame(frames, expected):
    assert pretrain_indices(frames, 16, 4, np.random.default_rng(0)).tolist() == expected


def test_dense_central_window():
    index = dense_indices(164, 16, 4)
    assert index[0] == 50 and index[-1] == 113  # (64 + 164) // 2 = 114 ends the window of 64
    assert index.tolist() == [min(int(50 + k * 64 / 15), 113) for k in range(16)]


def test_dense_random_windows_stay_inside():
    drawn = [dense_indices(100, 16, 4, np.random.default_rng(seed)) for seed in range(300)]
    assert min(int(i[0]) for i in drawn) == 0 and max(int(i[-1]) for i in drawn) == 98
    assert all(int(i[-1]) - int(i[0]) == 63 for i in drawn)


@pytest.mark.parametrize(("frames", "expected"), [(20, [0, 5, 10, 15, 19] + [19] * 11), (3, [2] * 16)])
def test_dense_short_video_is_read_whole(frames, expected):
    assert dense_indices(frames, 16, 4).tolist() == expected


def test_dense_test_segments():
    views = dense_test_indices(300, 16, 4, 5)  # 75 strided frames, room 59, starts 0 14 29 44 59
    assert views[:, 0].tolist() == [0, 56, 116, 176, 236]
    assert views[-1, -1] == 296
    assert dense_test_indices(300, 16, 4, 1)[0, 0] == 29 * 4
    assert dense_test_indices(10, 16, 4, 5).tolist() == [[0, 4, 8] + [8] * 13] * 5


def test_tsn_takes_one_frame_of_each_part():
    assert tsn_indices(32, 16).tolist() == list(range(1, 32, 2))
    drawn = tsn_indices(160, 16, np.random.default_rng(0))
    assert (drawn // 10).tolist() == list(range(16))
    assert tsn_indices(5, 16, np.random.default_rng(0)).max() <= 4


def test_tsn_test_views_interleave():
    views = tsn_test_indices(64, 16, 2)
    assert views.tolist() == [list(range(0, 64, 4)), list(range(2, 64, 4))]


@pytest.mark.parametrize(("crops", "expected"), [(3, [0, 50, 100]), (1, [50]), (2, [0, 100])])
def test_crop_starts(crops, expected):
    assert crop_starts(324, 224, crops) == expected
