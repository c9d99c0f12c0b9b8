"""What one database server takes and another refuses: odd names, long texts, large numbers, and order."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from backends import OpenCatalog, new_schema
from test_store import CLIP, add

from hashtag2action.catalog.harvest import Post
from hashtag2action.catalog.ledger import Answer, Ledger
from hashtag2action.catalog.posts import NewPost, add_posts, co_occurring, daily_views, tag_counts
from hashtag2action.catalog.schema import Base, Decision, Reason, Video
from hashtag2action.catalog.snapshot import freeze, read_snapshot
from hashtag2action.catalog.statistics import describe, examples
from hashtag2action.catalog.store import Catalog, Entry
from hashtag2action.catalog.tombstones import Pseudonyms
from hashtag2action.collect.forget import forget_user, forget_video

LARGE = 2**63 - 1


def test_file_names_of_any_bytes_come_back(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    catalog = open_catalog(tmp_path)
    names = [
        b"caf\xe9.mp4",
        b"\xff\xfe.mp4",
        "跳舞 🕺.mp4".encode(),
        b"a//x41.mp4".replace(b"//", b"__"),
        b"new\nline.mp4",
        b"%e9.mp4",
    ]
    paths = [Path("/videos") / os.fsdecode(name) for name in names]
    assert catalog.register(Entry(path, ("dance",)) for path in paths) == len(paths)
    assert catalog.register(Entry(path, ("dance",)) for path in paths) == 0
    assert {Path(video.path) for video in catalog.videos()} == set(paths)
    with catalog.session() as session:
        assert session.scalar(sa.select(Video.path).where(Video.path == str(paths[0]))) == str(paths[0])
    for number, video in enumerate(catalog.videos()):
        clip = CLIP | {"path": f"clips/{number}.mp4"}
        catalog.set_decision(
            video.id, Decision.ACCEPTED, Reason.PERSON, clips=[clip], facts={"sha256": f"{number:064x}"}
        )
    frozen = freeze(catalog, "odd")
    assert read_snapshot(tmp_path, "odd") == frozen
    catalog.digest()


def test_many_may_open_a_new_catalog_at_once(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    Base.metadata.drop_all(open_catalog(tmp_path)._engine)
    together = threading.Barrier(8)

    def open_one(number: int) -> int:
        together.wait()
        return open_catalog(tmp_path).register([Entry(Path(f"/v/{number}.mp4"), ("dance",))])

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(open_one, range(8))) == 8


def test_texts_are_cut_and_cleaned_not_refused(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    catalog = open_catalog(tmp_path)
    long = "x" * 5000
    entry = Entry(
        Path("/v/a.mp4"),
        ("t" * 300, "nul\x00tag", "dance"),
        label=f"l\x00{long}",
        group=long,
        title=f"\x00\udcff{long}",
    )
    assert (catalog.register([entry]), catalog.register([entry])) == (1, 0)
    (video,) = catalog.videos()
    assert (len(video.title), len(video.label or ""), len(video.group or "")) == (1024, 256, 256)
    assert {len(tag.hashtag) for tag in video.hashtags} == {256, 6, 5}
    report = {"text": "a\x00b\udcff", "quality": {"score": 0.5}, "list": ["\x00", {"\x00": 1}], "number": float("nan")}
    catalog.set_decision(video.id, Decision.ACCEPTED, Reason.PERSON, detail="a\x00b\udcff", clips=[CLIP], report=report)
    (video,) = catalog.videos()
    assert "\x00" not in str(video.detail)
    assert freeze(catalog, "one").clips[0].quality == 0.5


def test_large_numbers_survive(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    catalog = open_catalog(tmp_path)
    with catalog.session() as session:
        add_posts(session, Pseudonyms(tmp_path), "tiktok", [NewPost(str(LARGE), ("a", "b"), view_count=LARGE, create_time=86_400, raw={"id": LARGE})], 1.0, "a")  # fmt: skip
        (post,) = session.scalars(sa.select(Post))
        assert (post.platform_id, post.view_count, post.raw) == (str(LARGE), LARGE, {"id": LARGE})
    assert daily_views(catalog, "a") == [(1, LARGE)]
    assert tag_counts(catalog) == {"a": 1, "b": 1}
    assert co_occurring(catalog, ["a"]) == {"a": {"a": 1, "b": 1}}
    add(catalog, "big", size_bytes=LARGE, modified_ns=LARGE)
    (video,) = catalog.videos()
    assert (video.size_bytes, video.modified_ns) == (LARGE, LARGE)
    assert describe(catalog).videos == 1


def test_one_order_everywhere(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    names = ["b", "A", "a", "_", "B", "ä", "-", "Z"]
    here, there = open_catalog(tmp_path / "1"), Catalog(tmp_path / "2")
    for catalog in (here, there):
        for name in names:
            video = add(catalog, name, sha256=f"{ord(name):064x}")
            catalog.set_decision(video, Decision.ACCEPTED, Reason.PERSON, clips=[CLIP | {"path": f"clips/{name}.mp4"}])
    assert [video.path for video in here.videos()] == sorted(video.path for video in there.videos())
    assert [clip.path for clip in here.clips()] == [clip.path for clip in there.clips()]
    assert here.digest() == there.digest()
    assert [v.title for v in examples(here, Decision.ACCEPTED, 5)] == [
        v.title for v in examples(there, Decision.ACCEPTED, 5)
    ]


def test_forgetting_on_any_server(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    catalog = open_catalog(tmp_path)
    video = add(catalog, "a", sha256="a" * 64)
    catalog.set_decision(video, Decision.ACCEPTED, Reason.PERSON, clips=[CLIP])
    other = add(catalog, "b", sha256="b" * 64)
    catalog.set_decision(other, Decision.REJECTED, Reason.DUPLICATE, duplicate_of=video)
    with catalog.session() as session:
        posts = [NewPost("1", ("a",), username="one"), NewPost("2", ("a",), username="two")]
        add_posts(session, Pseudonyms(tmp_path), "tiktok", posts, 1.0, "a")
        session.execute(sa.update(Post).where(Post.platform_id == "1").values(video_id=video))
    gone = forget_video(catalog, "a" * 64, 2.0)
    assert (gone.posts, gone.videos, gone.clips, gone.again) == (1, 1, 1, 1)
    assert forget_user(catalog, "two", 3.0).posts == 1
    assert [video.title for video in catalog.videos()] == ["b"]


def test_a_ledger_counts_alike(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    from datetime import date

    ledger = Ledger(open_catalog(tmp_path))
    ledger.want({"dance": 3, "yoga": 2}, date(2025, 1, 1), date(2025, 1, 31))
    search = ledger.next_search(None, 2, 30)
    assert search is not None
    tag = ledger.hashtag_of(search)
    assert ledger.reserve(search, "20250201", 100, (1000, 100_000))
    posts = [NewPost(str(LARGE - number), (tag,), raw={"id": LARGE - number}) for number in range(3)]
    answer = Answer(posts, received=4, cursor=100, has_more=False, search_id="x")
    assert ledger.store(search, answer, reserved=100, day="20250201", now=5.0, ready_at=6.0) == 3
    assert ledger.used("20250201") == (1, 4)
    progress = {row.hashtag: row for row in ledger.progress()}
    assert (progress[tag].found, progress[tag].complete, progress[tag].requests) == (3, True, 1)


@pytest.mark.parametrize("rows", [1, 1201])
def test_registering_at_the_same_time_is_no_fault(tmp_path: Path, open_catalog: OpenCatalog, rows: int) -> None:
    from concurrent.futures import ThreadPoolExecutor

    entries = [Entry(Path(f"/v/{number}.mp4"), ("a", "b")) for number in range(rows)]
    catalogs = [open_catalog(tmp_path) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda catalog: catalog.register(entries), catalogs))
    assert len(catalogs[0].videos()) == rows
    assert {len(video.hashtags) for video in catalogs[0].videos()} == {2}


def test_a_look_up_is_planned_for_the_table_as_it_is(tmp_path: Path, postgresql: str) -> None:
    """psycopg would prepare it after five times, and PostgreSQL keep the plan made while there were few rows."""
    catalog = Catalog(tmp_path, new_schema(postgresql))
    for number in range(12):
        catalog.register([Entry(Path(f"/videos/{number}.mp4"), ("dance",))])
    with catalog.session() as session:
        assert session.scalar(sa.text("SELECT count(*) FROM pg_prepared_statements")) == 0
    catalog.close()
