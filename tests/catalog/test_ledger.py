"""Posts, searches, quotas, downloads and tombstones on both databases, hostile values among them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from hashtag2action.catalog.downloads import Attempted, arrived, failure_counts, record, to_download
from hashtag2action.catalog.harvest import DownloadState, Page, Post, Search
from hashtag2action.catalog.ledger import Answer, Ledger
from hashtag2action.catalog.posts import (
    NewPost,
    add_posts,
    co_occurring,
    daily_views,
    due_for_check,
    mark_checked,
    tag_counts,
)
from hashtag2action.catalog.store import Catalog
from hashtag2action.catalog.tombstones import Pseudonyms, bury
from hashtag2action.collect.research_api import to_post

sys.path.insert(0, str(Path(__file__).parent.parent / "collect"))

START, END = date(2025, 8, 1), date(2025, 12, 31)
OpenCatalog = Callable[[Path], Catalog]


def answer(*posts: NewPost, cursor: int = 100, has_more: bool = True) -> Answer:
    return Answer(posts, len(posts), cursor, has_more, "71")


def test_what_strangers_write_survives(open_catalog: OpenCatalog, tmp_path: Path) -> None:
    """NUL bytes, lone surrogates, ids and counts of 63 bits, right-to-left text, unknown fields."""
    posts = [
        to_post(
            {
                "id": 2**63 - 1, "view_count": 2**63 - 1, "create_time": 1_766_000_000, "username": "u\x00s\ud800er\x00",
                "video_description": "a\x00b \u202e مرحبا 😀 \udfff", "hashtag_names": ["wal\x00tz", "\ud800", "مرحبا"],
                "region_code": "US\x00", "later\x00field": {"n": 2**60, "t": "x\x00\ud800", "big": 10**30, "e": "😀"},
            }
        ),
        to_post({"id": str(2**53 + 1), "video_duration": 2**62, "view_count": 10**30, "music_id": 2**63 - 2}),
    ]  # fmt: skip
    ledger = Ledger(open_catalog(tmp_path / "work"))
    ledger.want({"dance": 5}, START, END)
    search = ledger.next_search(None, 8, 30)
    assert search is not None
    page = answer(*(post for post in posts if post is not None))
    assert ledger.reserve(search, "20260101", 100, (10, 1000))
    assert ledger.store(search, page, reserved=100, day="20260101", now=1.0, ready_at=1.0) == 2
    with open_catalog(tmp_path / "work").session() as session:
        first, second = session.scalars(sa.select(Post).order_by(Post.id))
        assert (first.platform_id, first.view_count) == ("9223372036854775807", 2**63 - 1)
        assert first.caption == "ab  مرحبا 😀 ?"
        assert (first.username, first.region) == ("us?er", "US")
        assert first.raw is not None and second.raw is not None
        assert first.raw["laterfield"] == {"n": 2**60, "t": "x?", "big": 10**30, "e": "😀"}
        assert (second.platform_id, second.view_count) == ("9007199254740993", None)
        assert second.raw["music_id"] == 2**63 - 2
    assert tag_counts(ledger.catalog) == {"dance": 2, "waltz": 1, "مرحبا": 1}
    assert co_occurring(ledger.catalog, ["waltz"])["waltz"]["dance"] == 1
    assert daily_views(ledger.catalog, "dance") == [(1_766_000_000 // 86_400, 2**63 - 1)]


def test_a_page_and_its_place_are_one(open_catalog: OpenCatalog, tmp_path: Path) -> None:
    ledger = Ledger(open_catalog(tmp_path / "work"))
    ledger.want({"dance": 5}, START, END)
    search = ledger.next_search(None, 8, 30)
    assert search is not None
    assert ledger.reserve(search, "20260101", 100, (10, 1000))
    ledger.store(search, answer(NewPost("1")), reserved=100, day="20260101", now=1.0, ready_at=1.0)
    assert ledger.used("20260101") == (1, 1)
    search.cursor = 0
    with pytest.raises(sa.exc.IntegrityError):  # the same page again
        ledger.store(search, answer(NewPost("2")), reserved=100, day="20260101", now=2.0, ready_at=1.0)
    again = Ledger(open_catalog(tmp_path / "work"))
    with again.catalog.session() as session:
        assert list(session.scalars(sa.select(Post.platform_id))) == ["1"]
        assert session.scalar(sa.select(sa.func.count()).select_from(Page)) == 1
        assert session.scalar(sa.select(Search.cursor)) == 100
    assert [(row.found, row.requests) for row in again.progress()] == [(1, 1)]
    assert not again.reserve(search, "20260101", 100, (1, 1000))
    assert not again.reserve(search, "20260101", 1000, (10, 1000))


def test_downloads_checks_and_tombstones(open_catalog: OpenCatalog, tmp_path: Path) -> None:
    ledger = Ledger(open_catalog(tmp_path / "work"))
    catalog, pseudonyms = ledger.catalog, Pseudonyms(ledger.catalog.workspace)
    new = [NewPost(str(number), ("dance",), "someone", url=f"https://example.org/{number}") for number in range(4)]
    with catalog.session() as session:
        bury(session, pseudonyms, "post", ["tiktok:3"], 1.0)
        assert len(add_posts(session, pseudonyms, "tiktok", new, 1.0)[0]) == 3
    wanted = to_download(catalog, ["dance"])
    assert [item.platform_id for item in wanted] == ["0", "1", "2"]
    done = Attempted(wanted[0].post_id, DownloadState.DONE, "videos/a.mp4", 2**40, "0" * 64)
    record(catalog, done)
    record(catalog, Attempted(wanted[1].post_id, DownloadState.RETRY, failures=((1.0, "too_slow", "x" * 512),)))
    assert [item.platform_id for item in to_download(catalog)] == ["2", "1"]
    assert arrived(catalog) == {wanted[0].post_id: "videos/a.mp4"}
    assert failure_counts(catalog) == {"too_slow": 1}
    assert due_for_check(catalog, "tiktok", 2.0) == ["0", "1", "2"]
    assert mark_checked(catalog, "tiktok", ["0", "1"], {"1"}, 5.0) == 1
    assert due_for_check(catalog, "tiktok", 2.0) == ["2"]


def test_a_manifest_of_endless_texts_fits_the_columns(open_catalog: OpenCatalog, tmp_path: Path) -> None:
    from hashtag2action.collect.folder import find_videos
    from hashtag2action.collect.sources import add_manifest

    row = dict.fromkeys(
        ("id", "label", "group", "title", "username", "licence", "origin", "region", "language"), "\u202eé" * 9999
    )
    lines = [
        {**row, "file": "none.mp4", "hashtags": ["x" * 9999]},
        {**row, "url": "https://example.org/1", "id": "\x00"},
    ]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    catalog = open_catalog(tmp_path / "work")
    assert add_manifest(catalog, tmp_path / "list.jsonl")["posts"] == 2
    (tmp_path / "list.csv").write_text(
        "file,hashtags,label,group,title\n" + ",".join(["n.mp4", *["y" * 9999] * 4]) + "\n"
    )
    assert catalog.register(find_videos(tmp_path / "list.csv")) == 1
    first, second = catalog.videos()
    assert all(0 < len(text or "") <= 256 for video in (first, second) for text in (video.label, video.group))
    assert all(0 < len(video.title) <= 1024 for video in (first, second))


def test_a_harvest_through_all_faults(open_catalog: OpenCatalog, tmp_path: Path) -> None:
    from fake_platform import ALL_FAULTS, KEY, SECRET, FakePlatform
    from virtual_clock import VirtualClock

    from hashtag2action.collect.credentials import Credentials
    from hashtag2action.collect.harvest import harvest
    from hashtag2action.collect.research_api import ResearchApi
    from hashtag2action.collect.settings import HarvestSettings

    clock = VirtualClock(tmp_path / "clock", 1.7672e9)
    tags = [f"tag{number}" for number in range(6)]
    with FakePlatform(clock, tags, 300, START, END, ALL_FAULTS, seed=3, quota=(20, 100_000)) as fake:
        api = ResearchApi(Credentials(KEY, SECRET), clock, fake.url)
        settings = HarvestSettings(per_hashtag=250, start=START, end=END, requests_per_day=20)
        summary = harvest(
            Ledger(open_catalog(tmp_path / "work")), api, dict.fromkeys(tags, 250), settings, clock, wait=True
        )
        assert summary.complete == 6
        assert summary.found >= 1500
        found = {row.hashtag: row.found for row in Ledger(open_catalog(tmp_path / "work")).progress()}
        assert sum(found.values()) == summary.found
        assert len(fake.by_day) >= 2
