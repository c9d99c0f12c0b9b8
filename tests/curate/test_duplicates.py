from __future__ import annotations

import numpy as np
import pytest

from hashtag2action.catalog.fingerprints import Standing
from hashtag2action.catalog.schema import Reason
from hashtag2action.catalog.worklist import Copy
from hashtag2action.curate.duplicates import DuplicateSettings, find_alike, find_duplicates
from hashtag2action.curate.fingerprint import Fingerprinter


def copy(
    number: int, path: str, sha256: str, *, decision: str = "pending", reason: str | None = None, views: int = -1
) -> Copy:
    return Copy(number, path, sha256, decision, reason, views)


def test_the_first_by_path_is_kept() -> None:
    videos = [copy(1, "c", "x"), copy(2, "a", "x"), copy(3, "b", "x"), copy(4, "d", "y")]
    assert find_duplicates(videos) == {1: 2, 3: 2}


def test_the_most_viewed_is_kept() -> None:
    videos = [copy(1, "a", "x", decision="accepted", reason="person", views=3), copy(2, "b", "x", views=4)]
    assert find_duplicates(videos) == {1: 2}


@pytest.mark.parametrize(("decision", "reason"), [("accepted", "person"), ("review", "few_person_frames")])
def test_one_kept_before_stays_kept(decision: str, reason: str) -> None:
    videos = [copy(1, "a", "x"), copy(2, "b", "x", decision=decision, reason=reason)]
    assert find_duplicates(videos) == {1: 2}


def test_a_duplicate_is_not_kept_for_having_been_decided() -> None:
    videos = [
        copy(1, "a", "x", decision="rejected", reason="duplicate"),
        copy(2, "b", "x", decision="accepted", reason="person"),
    ]
    assert find_duplicates(videos) == {1: 2}


def still(picture: int) -> bytes:
    """Return the fingerprint of two seconds of a picture of noise, some of it taken from picture `picture // 10`."""
    chance = np.random.default_rng(picture)
    image = chance.integers(0, 256, (8, 8), dtype=np.uint8).repeat(12, 0).repeat(12, 1)
    taking = Fingerprinter(fps=10)
    for index in range(20):
        taking.add(image, index / 10)
    data = taking.finish()
    assert data is not None
    return data


def standing(number: int, data: bytes, *, views: int = -1, size: int = 1, reason: str = "person") -> Standing:
    return Standing(number, f"{number}.mp4", views, size, "accepted", reason, None, data[:16])


def alike(
    videos: list[Standing], data: dict[int, bytes], held: tuple[tuple[str, bytes], ...] = ()
) -> dict[int, tuple[str, int | None]]:
    ordered = sorted(videos, key=lambda video: video.rank)
    found = find_alike(ordered, held, DuplicateSettings(), lambda ids: {row: data[row] for row in ids})
    return {row: (why.reason.value, why.duplicate_of) for row, why in found.items()}


def test_rank_decides_who_is_kept() -> None:
    data = {number: still(1) for number in (1, 2, 3, 4)} | {5: still(2)}
    videos = [
        standing(1, data[1], size=9),
        standing(2, data[2], views=5),
        standing(3, data[3], views=7),
        standing(5, data[5]),
    ]
    assert alike(videos, data) == {1: ("near_duplicate", 3), 2: ("near_duplicate", 3)}
    reviewed = [*videos, standing(4, data[4], reason=Reason.REVIEWER.value)]
    assert alike(reviewed, data) == {number: ("near_duplicate", 4) for number in (1, 2, 3)}


def test_held_out_ones_are_no_reason_to_drop_others() -> None:
    """What looks like a held-out video goes; its own copies go for the same reason, not as duplicates of it."""
    data = {1: still(1), 2: still(1), 3: still(2)}
    videos = [standing(number, data[number]) for number in data]
    held = (("test/a.mp4", still(1)),)
    assert alike(videos, data, held) == {1: ("held_out", None), 2: ("held_out", None)}


def test_two_that_a_reviewer_accepted_stay() -> None:
    data = {1: still(1), 2: still(1)}
    videos = [standing(number, data[number], reason=Reason.REVIEWER.value) for number in data]
    assert alike(videos, data, (("test/a.mp4", still(1)),)) == {}


def test_nothing_to_compare() -> None:
    assert alike([], {}) == {}
    assert alike([], {}, (("test/a.mp4", still(1)),)) == {}
