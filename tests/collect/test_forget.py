from __future__ import annotations

import csv
import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fake_platform import FIRST_ID, KEY, SECRET, FakePlatform
from virtual_clock import VirtualClock

from hashtag2action.catalog.harvest import Post, Tombstone
from hashtag2action.catalog.ledger import Ledger
from hashtag2action.catalog.schema import Clip, Decision, Reason, Video
from hashtag2action.catalog.snapshot import freeze, read_snapshot
from hashtag2action.catalog.store import Catalog, Entry
from hashtag2action.collect.compliance import is_ready, refresh, valid_ids
from hashtag2action.collect.credentials import Credentials
from hashtag2action.collect.export import export_posts
from hashtag2action.collect.forget import forget_user, forget_vanished, forget_video
from hashtag2action.collect.harvest import harvest
from hashtag2action.collect.manifest import read_manifest
from hashtag2action.collect.research_api import ApiFault, ResearchApi
from hashtag2action.collect.settings import HarvestSettings
from hashtag2action.collect.sources import add_manifest
from hashtag2action.errors import UserError

LINES = [
    {"file": "one.mp4", "id": "id-number-one", "hashtags": "yoga", "username": "hidden.person", "title": "my name is Ada", "licence": "CC0", "origin": "own"},
    {"file": "two.mp4", "id": "id-number-two", "hashtags": ["yoga", "#Pose"], "username": "hidden.person", "licence": "CC0", "origin": "own"},
    {"file": "three.mp4", "id": "id-number-three", "username": "another.person", "licence": "CC BY", "origin": "own", "extra": {"kept": 2**60}},
]  # fmt: skip


@pytest.fixture
def collected(tmp_path: Path, shared_videos: Path) -> Catalog:
    """A workspace with three videos of two users, clips, features, a snapshot, two runs and a report."""
    work = tmp_path / "work"
    videos = sorted((shared_videos / "yoga").rglob("*.mp4"))[:3]
    for line, video in zip(LINES, videos, strict=True):
        (work / "videos").mkdir(parents=True, exist_ok=True)
        shutil.copy(video, work / "videos" / str(line["file"]))
    manifest = work / "videos" / "list.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    catalog = Catalog(work)
    add_manifest(catalog, manifest)
    for number, video in enumerate(catalog.videos()):
        name = f"clips/{video.sha256[:24]}.mp4"  # type: ignore[index]
        (work / "clips").mkdir(exist_ok=True)
        shutil.copy(video.path, work / name)
        clip = {"path": name, "start_s": 0.0, "end_s": 4.0, "scene_s": 4.0, "frames": 100, "fps": 25.0, "width": 256, "height": 256, "size_bytes": 1, "sha256": f"{number:064}"}  # fmt: skip
        catalog.set_decision(video.id, Decision.ACCEPTED, Reason.PERSON, clips=[clip])
    clips = [clip.path for clip in catalog.clips()]
    for run, seen in (("pretrain-00000001", clips), ("finetune-00000002", clips[1:])):
        (work / "runs" / run / "reconstructions").mkdir(parents=True)
        (work / "runs" / run / "settings.json").write_text(json.dumps({"clips": [str(work / path) for path in seen]}))
    for clip in clips:
        stem = Path(clip).stem
        (work / "runs" / "pretrain-00000001" / "reconstructions" / f"{stem}.png").write_bytes(b"picture")
        (work / "features").mkdir(exist_ok=True)
        (work / "features" / f"{stem}.npy").write_bytes(b"features")
    frozen = freeze(catalog, "first")
    (work / "runs" / "evaluate-00000003").mkdir()
    (work / "runs" / "evaluate-00000003" / "settings.json").write_text(json.dumps({"snapshot": frozen.digest}))
    (work / "lists").mkdir()
    (work / "lists" / "clips.jsonl").write_text("".join(json.dumps({"clip": path}) + "\n" for path in clips))
    (work / "report").mkdir()
    (work / "report" / "index.html").write_text(f"<p>{clips[0]}</p>")
    return catalog


def everything(catalog: Catalog) -> bytes:
    catalog.close()
    return b"".join(
        path.read_bytes()
        for path in sorted(catalog.workspace.rglob("*"))
        if path.is_file() and "runs" not in path.parts
    )


def clip_of(catalog: Catalog, name: str) -> str:
    return next(Path(clip.path).stem for clip in catalog.clips() if Path(clip.video.path).name == name)


def test_a_video_goes_from_everywhere(collected: Catalog) -> None:
    stem, kept = clip_of(collected, "one.mp4"), clip_of(collected, "two.mp4")
    lists_it = {
        f"runs/{run}"
        for run in ("pretrain-00000001", "finetune-00000002")
        if stem in (collected.workspace / "runs" / run / "settings.json").read_text()
    }
    reported = stem in (collected.workspace / "report" / "index.html").read_text()
    lists_it.add("runs/evaluate-00000003")  # by the digest of a snapshot alone
    gone = forget_video(collected, "id-number-one", 1.0)
    assert (gone.posts, gone.videos, gone.clips, gone.outside) == (1, 1, 1, ())
    assert set(gone.seen_by) == lists_it
    assert all(number == 1 for number in gone.seen_by.values())
    assert {Path(name).name for name in gone.files} == {"one.mp4", f"{stem}.npy", f"{stem}.png", f"{stem}.mp4"} | (
        {"index.html"} if reported else set()
    )
    assert not [path for path in collected.workspace.rglob("*") if stem in path.name or path.name == "one.mp4"]
    assert [path for path in collected.workspace.rglob("*") if kept in path.name]
    content = everything(collected)
    for secret in (b"id-number-one", b"my name is Ada", stem.encode()):
        assert secret not in content
    assert gone.snapshots == {"first": 1}
    snapshot = read_snapshot(collected.workspace, "first")
    assert len(snapshot.clips) == 2
    assert not [clip for clip in snapshot.clips if stem in clip.path or clip.title == "my name is Ada"]
    assert b"id-number-two" in content


def test_a_user_goes_with_all_posts_and_does_not_come_back(collected: Catalog) -> None:
    manifest = collected.workspace / "videos" / "list.jsonl"
    copy = collected.workspace.parent / "list.jsonl"
    shutil.copy(manifest, copy)
    gone = forget_user(collected, "hidden.person", 1.0)
    assert (gone.posts, gone.videos, gone.clips) == (2, 2, 2)
    content = everything(collected)
    assert b"hidden.person" not in content and b"another.person" in content
    assert add_manifest(collected, copy)["posts"] == 1
    assert b"hidden.person" not in everything(collected)
    with collected.session() as session:
        assert {row.kind for row in session.scalars(sa.select(Tombstone))} == {"user", "post", "file"}
        assert all(len(row.digest) == 64 for row in session.scalars(sa.select(Tombstone)))


def test_later_snapshots_leave_out_what_was_forgotten(collected: Catalog) -> None:
    """The same file, entered and curated anew from elsewhere, is in no snapshot that is frozen afterwards."""
    one = next(video for video in collected.videos() if Path(video.path).name == "one.mp4")
    stem, copy = clip_of(collected, "one.mp4"), collected.workspace.parent / "again.mp4"
    shutil.copy(one.path, copy)
    clip = {column: getattr(one.clips[0], column) for column in ("start_s", "end_s", "scene_s", "frames", "fps", "width", "height", "size_bytes", "sha256")}  # fmt: skip
    forget_video(collected, str(one.sha256), 1.0)
    collected.register([Entry(copy, ("yoga",))])
    again = next(video for video in collected.videos() if video.path == str(copy))
    facts = {"sha256": one.sha256, "codec": "h264"}
    collected.set_decision(
        again.id, Decision.ACCEPTED, Reason.PERSON, clips=[clip | {"path": f"clips/{stem}.mp4"}], facts=facts
    )
    later = freeze(collected, "later")
    assert len(later.clips) == 2
    assert stem not in {Path(clip.path).stem for clip in later.clips}


def test_duplicates_of_a_forgotten_video_are_curated_again(collected: Catalog) -> None:
    one, three = (next(v for v in collected.videos() if Path(v.path).name == name) for name in ("one.mp4", "three.mp4"))
    collected.set_decision(three.id, Decision.REJECTED, Reason.DUPLICATE, duplicate_of=one.id)
    assert forget_video(collected, str(one.sha256), 1.0).again == 1
    with collected.session() as session:
        assert session.get_one(Video, three.id).decision == Decision.PENDING.value
        assert session.scalar(sa.select(sa.func.count()).select_from(Clip)) == 1


def test_a_file_outside_the_workspace_is_left_to_its_owner(tmp_path: Path, shared_videos: Path) -> None:
    own = tmp_path / "own.mp4"
    shutil.copy(sorted((shared_videos / "yoga").rglob("*.mp4"))[0], own)
    (tmp_path / "list.csv").write_text("file,licence,origin,hashtags\nown.mp4,CC0,own,yoga\n")
    catalog = Catalog(tmp_path / "work")
    add_manifest(catalog, tmp_path / "list.csv")
    gone = forget_video(catalog, str(own), 1.0)
    assert gone.outside == (str(own),)
    assert own.exists()
    assert catalog.videos() == []


def test_what_is_not_there_is_said(collected: Catalog) -> None:
    with pytest.raises(UserError, match="no such video"):
        forget_video(collected, "nothing", 1.0)
    assert forget_user(collected, "nobody", 1.0).posts == 0
    assert forget_vanished(collected, 1.0).posts == 0


def test_refresh_after_15_days_finds_what_vanished(tmp_path: Path) -> None:
    clock = VirtualClock(tmp_path / "clock", 1.7672e9)
    with FakePlatform(clock, ["one", "two"], 120, date(2025, 11, 1), date(2025, 12, 31)) as fake:
        ledger = Ledger(Catalog(tmp_path / "work"))
        api = ResearchApi(Credentials(KEY, SECRET), clock, fake.url)
        settings = HarvestSettings(per_hashtag=100, start=fake.start, end=fake.end)
        harvest(ledger, api, {"one": 100, "two": 100}, settings, clock)
        fake.vanished = {fake.id_of("one", place) for place in (1, 5, 9)}
        assert refresh(ledger, api, clock).due == 0
        clock.sleep(15.1 * 86_400)
        done = refresh(ledger, api, clock)
        assert (done.checked, done.vanished, done.stopped) == (done.due, 3, None)
        assert done.due > 190
        assert refresh(ledger, api, clock).due == 0
        assert forget_vanished(ledger.catalog, clock.now()).posts == 3
        again = harvest(ledger, api, {"one": 120, "two": 120}, settings, clock)
        assert again.complete == 2
        with ledger.catalog.session() as session:
            ids = set(session.scalars(sa.select(Post.platform_id)))
        assert not ids & {str(number) for number in fake.vanished}


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        ({"task_status": "Completed"}, True), ({"task_status": "Processing"}, False), ({"status": "processing"}, False),
        ({"status": "COMPLETED", "more": 1}, True),
    ],
)  # fmt: skip
def test_words_for_a_tasks_progress(answer: dict[str, Any], ready: bool) -> None:
    assert is_ready(answer) is ready


def test_a_failed_task_is_a_fault() -> None:
    with pytest.raises(ApiFault):
        is_ready({"task_status": "Failed"})


IDS = [str(FIRST_ID), str(FIRST_ID + 1), str(FIRST_ID + 2)]


@pytest.mark.parametrize(
    "file",
    [
        "{}\n{}\n", "{}\r\n{}\r\n\r\n", "\ufeff{}\n{}", "{},{}", "{}; {}", "video_id\n{}\n{}\n", "[{}, {}]", '["{}","{}"]', "{} {} {}",
    ],
)  # fmt: skip
def test_forms_of_a_list_of_valid_ids(file: str) -> None:
    assert valid_ids(file.format(IDS[0], IDS[2], IDS[0]).encode(), IDS) == {IDS[0], IDS[2]}


NOT_UNDERSTOOD = [
    b"", b"\n\n", b"video_id\n", b"<!doctype html><title>log in</title>", b"PK\x03\x04\x14\x00\x08\x00", b"{\"data\":{}}", b"7316681498072616",
    f"{IDS[0]}\n{IDS[1][:7]}".encode(), f"{IDS[0]}\tvalid\n{IDS[1]}\tinvalid\n".encode(), f"{int(IDS[0]) + 99}\n".encode(), b"\xff\xfe\x00",
]  # fmt: skip


@pytest.mark.parametrize("file", NOT_UNDERSTOOD)
def test_a_file_of_another_form_is_not_guessed_at(file: bytes) -> None:
    with pytest.raises(UserError, match="unknown form"):
        valid_ids(file, IDS)
    with pytest.raises(UserError, match="unknown form"):
        is_ready({"state": "fine"})


@pytest.mark.parametrize("damage", ["html", "empty", "cut", "error", "not there"])
def test_a_damaged_answer_marks_nothing(tmp_path: Path, damage: str) -> None:
    clock = VirtualClock(tmp_path / "clock", 1.7672e9)
    with FakePlatform(clock, ["one"], 300, date(2025, 11, 1), date(2025, 12, 31)) as fake:
        ledger = Ledger(Catalog(tmp_path / "work"))
        api = ResearchApi(Credentials(KEY, SECRET), clock, fake.url)
        harvest(ledger, api, {"one": 300}, HarvestSettings(per_hashtag=300, start=fake.start, end=fake.end), clock)
        fake.vanished = {fake.id_of("one", 7)}
        fake.damage = damage
        clock.sleep(16 * 86_400)
        if damage in ("error", "not there"):
            assert refresh(ledger, api, clock).stopped is not None
        else:
            with pytest.raises(UserError, match="unknown form"):
                refresh(ledger, api, clock)
        with ledger.catalog.session() as session:
            assert list(session.scalars(sa.select(Post.id).where(Post.vanished_at.is_not(None)))) == []
        fake.damage = ""
        assert refresh(ledger, api, clock).vanished == 1


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("m.csv", "file,licence\na.mp4,CC0\n", "line 2: no origin"),
        ("m.csv", "file,url,licence,origin\na.mp4,http://x/,CC0,own\n", "either a file or a url"),
        ("m.csv", "file,licence,origin,colour\n", "unknown column `colour`"),
        ("m.csv", "file,licence,origin\n", "no video in it"),
        ("m.jsonl", "{}\n", "line 1: needs either"),
        ("m.jsonl", "[1]\n", "line 1: expected an object"),
        ("m.jsonl", "{\n", "line 1: not JSON"),
        ("m.jsonl", "[" * 100_000 + "\n", "line 1: not JSON"),
    ],
)  # fmt: skip
def test_faults_of_a_manifest_are_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=says):
        read_manifest(tmp_path / name)


def test_exports_have_pseudonyms_and_no_formulas(tmp_path: Path) -> None:
    (tmp_path / "list.jsonl").write_text(
        json.dumps({"url": "https://example.org/1.mp4", "id": "1", "username": "real.name", "title": "=cmd() with @real.name", "licence": "CC0", "origin": "own"}) + "\n"
        + json.dumps({"url": "https://example.org/2.mp4", "id": "2", "username": "real.name", "licence": "CC0", "origin": "own"}) + "\n"
    )  # fmt: skip
    catalog = Catalog(tmp_path / "work")
    add_manifest(catalog, tmp_path / "list.jsonl")
    assert export_posts(catalog, tmp_path / "posts.csv") == 2
    rows = list(csv.DictReader((tmp_path / "posts.csv").open()))
    assert rows[0]["user"] == rows[1]["user"] and rows[0]["user"].startswith("user-")
    assert "real.name" not in (tmp_path / "posts.csv").read_text()
    assert rows[0]["caption"] == "'=cmd() with @someone"
    assert (rows[0]["licence"], rows[0]["origin"]) == ("CC0", "own")
    export_posts(catalog, tmp_path / "named.csv", usernames=True)
    assert "real.name" in (tmp_path / "named.csv").read_text()
