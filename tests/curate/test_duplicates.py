from __future__ import annotations

import pytest

from hashtag2action.catalog.schema import Video
from hashtag2action.curate.duplicates import find_duplicates


def video(number: int, path: str, sha256: str | None, *, decision: str = "pending", reason: str | None = None) -> Video:
    codec = "h264" if sha256 else None
    return Video(id=number, path=path, sha256=sha256, codec=codec, decision=decision, reason=reason)


def test_the_first_by_path_is_kept() -> None:
    videos = [video(1, "c", "x"), video(2, "a", "x"), video(3, "b", "x"), video(4, "d", "y")]
    assert find_duplicates(videos) == {1: 2, 3: 2}


@pytest.mark.parametrize(("decision", "reason"), [("accepted", "person"), ("review", "few_person_frames")])
def test_one_kept_before_stays_kept(decision: str, reason: str) -> None:
    videos = [video(1, "a", "x"), video(2, "b", "x", decision=decision, reason=reason)]
    assert find_duplicates(videos) == {1: 2}


def test_a_duplicate_is_not_kept_for_having_been_decided() -> None:
    videos = [
        video(1, "a", "x", decision="rejected", reason="duplicate"),
        video(2, "b", "x", decision="accepted", reason="person"),
    ]
    assert find_duplicates(videos) == {1: 2}


def test_what_cannot_be_read_is_no_duplicate() -> None:
    assert find_duplicates([video(1, "a", None), video(2, "b", None)]) == {}
