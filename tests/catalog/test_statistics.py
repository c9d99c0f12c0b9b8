"""Counting by the database against counting by hand."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from backends import OpenCatalog

from hashtag2action.catalog.schema import Decision, Reason
from hashtag2action.catalog.statistics import DURATION_BINS, HashtagCount, describe, examples, titles
from hashtag2action.catalog.store import Catalog, Entry

REJECTS = [Reason.DUPLICATE, Reason.SCENE_TOO_SHORT, Reason.UNREADABLE, Reason.TIMEOUT]
EDGES_S = [0.4, 3.499, 3.5, 4.999, 5.0, 9.999, 10.0, 61.0]


def filled(catalog: Catalog, seed: int, videos: int) -> Catalog:
    """Fill a catalog with videos with random hashtags, decisions and scene lengths (the bins' edges among them)."""
    choose = random.Random(seed)
    tags = ["dance", "yoga", "跳舞", "<b>sax</b>", "mopping"]
    catalog.register(
        Entry(Path(f"/videos/{number}.mp4"), tuple(choose.sample(tags, choose.randrange(4))), title=f"title {number}")
        for number in range(videos)
    )
    for video in catalog.videos():
        decision = choose.choice(list(Decision))
        reason = {
            Decision.PENDING: None,
            Decision.ACCEPTED: Reason.PERSON,
            Decision.REVIEW: Reason.FEW_PERSON_FRAMES,
        }.get(decision, choose.choice(REJECTS))
        kept = decision in (Decision.ACCEPTED, Decision.REVIEW)
        clip = {
            "path": f"clips/{video.id}.mp4", "start_s": 1.25, "end_s": 1.25 + choose.random() * 9, "scene_s": choose.choice(EDGES_S),
            "frames": 90, "fps": 30.0, "width": 320, "height": 568, "size_bytes": choose.randrange(10**6), "sha256": "0" * 64,
        }  # fmt: skip
        facts = {"duration_s": choose.choice([None, choose.random() * 60]), "sha256": f"{choose.getrandbits(256):064x}"}
        catalog.set_decision(video.id, decision, reason, clips=[clip] if kept else [], facts=facts)
    return catalog


@pytest.mark.parametrize(("seed", "videos"), [(0, 0), (1, 1), (2, 60), (3, 200)])
def test_counts_equal_a_plain_count(tmp_path: Path, open_catalog: OpenCatalog, seed: int, videos: int) -> None:
    catalog = filled(open_catalog(tmp_path), seed, videos)
    rows, found = catalog.videos(), describe(catalog)
    decisions = Counter(row.decision for row in rows)
    assert (found.videos, found.accepted, found.review, found.rejected, found.pending) == (
        len(rows), decisions["accepted"], decisions["review"], decisions["rejected"], decisions["pending"],
    )  # fmt: skip
    assert found.rejects == Counter(row.reason for row in rows if row.decision == "rejected")
    assert list(found.rejects.values()) == sorted(found.rejects.values(), reverse=True)

    tags = {tag.hashtag for row in rows for tag in row.hashtags}
    expected = set()
    for tag in tags:
        of = [row.decision for row in rows if tag in {item.hashtag for item in row.hashtags}]
        expected.add(HashtagCount(tag, len(of), of.count("accepted"), of.count("review")))
    assert set(found.hashtags) == expected
    assert [row.kept for row in found.hashtags] == sorted((row.kept for row in found.hashtags), reverse=True)

    clips = catalog.clips()
    lower = [edge for _, edge in DURATION_BINS]
    bins = Counter(max(index for index, edge in enumerate(lower) if clip.scene_s >= edge) for clip in clips)
    assert list(found.durations.values()) == [bins[index] for index in range(len(lower))]
    assert list(found.durations) == ["under 3.5 s", "3.5-5 s", "5-10 s", "10+ s"]
    assert found.clips == len(clips) == sum(found.durations.values())
    assert found.clip_s == pytest.approx(sum(clip.end_s - clip.start_s for clip in clips))
    assert found.hours == pytest.approx(found.clip_s / 3600)
    assert found.clip_bytes == sum(clip.size_bytes for clip in clips)
    assert found.source_s == pytest.approx(sum(row.duration_s or 0 for row in rows))


def test_count_ranges_hold_every_hashtag_once(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    counts = (0, 199, 200, 399, 735, 800, 938)
    hashtags = tuple(HashtagCount(f"tag{kept}", 1000, kept, 0) for kept in counts)
    ranges = replace(describe(open_catalog(tmp_path)), hashtags=hashtags).count_ranges()
    assert ranges == {"under 200": 2, "200-400": 2, "400-600": 0, "600-800": 1, "800+": 2}


def test_examples_cover_hashtags_and_stay_the_same(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    catalog = filled(open_catalog(tmp_path), seed=4, videos=150)
    chosen = examples(catalog, Decision.ACCEPTED, 6)
    assert [row.id for row in chosen] == [row.id for row in examples(catalog, Decision.ACCEPTED, 6)]
    assert {row.decision for row in chosen} == {"accepted"}
    every = {min((tag.hashtag for tag in row.hashtags), default="") for row in catalog.videos(Decision.ACCEPTED)}
    assert {min((tag.hashtag for tag in row.hashtags), default="") for row in chosen} == every
    reasons = {row.reason for row in examples(catalog, Decision.REJECTED, len(REJECTS))}
    assert reasons == {reason.value for reason in REJECTS}
    assert examples(catalog, Decision.REVIEW, 0) == []


def test_titles_by_clip(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    catalog = filled(open_catalog(tmp_path), seed=5, videos=30)
    clips = catalog.clips()
    assert titles(catalog, [clip.path for clip in clips] + ["clips/none.mp4"]) == {
        clip.path: clip.video.title for clip in clips
    }
