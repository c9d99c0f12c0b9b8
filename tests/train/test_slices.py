from __future__ import annotations

import numpy as np

from hashtag2action.train.slices import Gap, accuracy_by, gap

RIGHT = np.array([True] * 5 + [False] * 5 + [True, False])
GROUPS = [str(i) for i in range(12)]


def test_words_are_parts_and_numbers_are_quarters() -> None:
    words = ["a"] * 5 + ["b"] * 5 + [None, ""]
    found = accuracy_by(RIGHT, {"word": words, "number": [float(i) for i in range(12)], "nothing": [None] * 12}, GROUPS)
    assert [(s.part, s.videos, s.top1) for s in found["word"]] == [("a", 5, 1.0), ("b", 5, 0.0), ("unknown", 2, 0.5)]
    assert [s.videos for s in found["number"]] == [3, 3, 3, 3] and "nothing" not in found
    assert next(s.part for s in found["number"]) == "0 to 2.75"
    assert [round(s.top1, 2) for s in found["number"]] == [1.0, 0.67, 0.0, 0.33]
    assert all(s.low <= s.top1 <= s.high for parts in found.values() for s in parts)


def test_the_gap_is_between_parts_that_are_large_enough() -> None:
    found = accuracy_by(RIGHT, {"word": ["a"] * 5 + ["b"] * 5 + ["c"] * 2}, GROUPS)
    assert gap(found["word"]) == Gap("a", "b", 1.0)
    assert gap(found["word"][:1]) is None


def test_equal_numbers_are_one_part() -> None:
    (part,) = accuracy_by(RIGHT, {"number": [2.0] * 12}, GROUPS)["number"]
    assert part.videos == 12 and part.top1 == 0.5
