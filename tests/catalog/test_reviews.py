"""A reviewer's word: at once, on record, and stronger than the engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from backends import OpenCatalog
from test_store import CLIP, add, pending

from hashtag2action.catalog.reviews import Applied, Review, find_content, forget_reviews, queue, record, verdicts
from hashtag2action.catalog.schema import Decision, Reason
from hashtag2action.catalog.snapshot import freeze
from hashtag2action.catalog.statistics import describe
from hashtag2action.catalog.store import Catalog
from hashtag2action.errors import UserError

YES, NO = Decision.ACCEPTED, Decision.REJECTED


def content(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def reviewed(tmp_path: Path, open_catalog: OpenCatalog) -> Catalog:
    """Three videos wait for a reviewer, one is accepted, one was dropped before it was cut."""
    catalog = open_catalog(tmp_path)
    for number, name in enumerate("abcde"):
        video = add(catalog, name, sha256=content(number))
        clip = CLIP | {"path": f"clips/{name}.mp4", "sha256": content(100 + number)}
        if name == "e":
            catalog.set_decision(video, NO, Reason.SCENE_TOO_SHORT, settings_digest="s")
        elif name == "d":
            catalog.set_decision(video, YES, Reason.PERSON, clips=[clip], settings_digest="s")
        else:
            catalog.set_decision(video, Decision.REVIEW, Reason.FEW_PERSON_FRAMES, clips=[clip], settings_digest="s")
    return catalog


def test_verdicts_take_effect_at_once(reviewed: Catalog) -> None:
    words = [Review(content(0), YES, "ann", "dances"), Review(content(1), NO, "bob"), Review(content(3), NO, "bob")]
    assert record(reviewed, words) == Applied(accepted=1, rejected=2, waiting=0, unknown=0)
    assert [clip.path for clip in reviewed.clips()] == ["clips/a.mp4"]
    assert [clip.path for clip in freeze(reviewed, "now").clips] == ["clips/a.mp4"]
    assert [video.title for video in queue(reviewed)] == ["c"]
    counts = describe(reviewed)
    assert (counts.accepted, counts.review, counts.reviewed, counts.rejects["reviewer"]) == (1, 1, 3, 2)
    assert record(reviewed, [Review(content(1), YES, "ann")]).accepted == 1
    assert [clip.path for clip in reviewed.clips()] == ["clips/a.mp4", "clips/b.mp4"]


def test_the_last_word_counts_and_all_are_kept(reviewed: Catalog) -> None:
    record(reviewed, [Review(content(0), YES, "ann", "first", 5.0)])
    record(reviewed, [Review(content(0), NO, "bob\x00", "second " + "x" * 2000), Review(content(9), YES, "bob")])
    last = verdicts(reviewed)
    assert {sha256: review.decision for sha256, review in last.items()} == {content(0): NO, content(9): YES}
    assert last[content(0)].by == "bob" and len(last[content(0)].why) == 1000 and last[content(0)].at > 1e9
    assert record(reviewed, []) == Applied(0, 0, 0, 0)


def test_a_verdict_outlives_another_curation(reviewed: Catalog) -> None:
    record(reviewed, [Review(content(2), YES, "ann")])
    video = next(video for video in reviewed.videos() if video.title == "c")
    reviewed.set_decision(video.id, Decision.PENDING, None, settings_digest=None)
    assert verdicts(reviewed)[content(2)].decision is YES


def test_accepting_what_has_no_clip_sends_it_to_curation(reviewed: Catalog) -> None:
    assert pending(reviewed, "s") == []
    assert record(reviewed, [Review(content(4), YES, "ann")]).waiting == 1
    assert pending(reviewed, "s") == ["e"]
    assert record(reviewed, [Review(content(77), NO, "ann")]).unknown == 1


def test_a_copy_of_the_same_content_stays_a_duplicate(reviewed: Catalog) -> None:
    original = next(video for video in reviewed.videos() if video.title == "a")
    copy = add(reviewed, "copy", sha256=content(0))
    reviewed.set_decision(copy, NO, Reason.DUPLICATE, duplicate_of=original.id)
    assert record(reviewed, [Review(content(0), YES, "ann")]) == Applied(1, 0, 0, 0)
    decisions = {video.title: (video.decision, video.reason) for video in reviewed.videos()}
    assert (decisions["a"], decisions["copy"]) == (("accepted", "reviewer"), ("rejected", "duplicate"))


def test_videos_are_named_by_hash_or_path(reviewed: Catalog) -> None:
    assert find_content(reviewed, ["clips/b.mp4", "/videos/c.mp4", content(3)]) == [content(1), content(2), content(3)]
    for target in ("nothing", "000000", "", "%", "clips/%", "0" * 65, "x' OR 1=1 --"):
        with pytest.raises(UserError, match=r"no such video|several videos"):
            find_content(reviewed, [target])


def test_verdicts_on_what_is_forgotten_go(reviewed: Catalog) -> None:
    record(reviewed, [Review(content(0), YES, "ann"), Review(content(1), YES, "ann")])
    with reviewed.session() as session:
        forget_reviews(session, [content(0)])
    assert list(verdicts(reviewed)) == [content(1)]
