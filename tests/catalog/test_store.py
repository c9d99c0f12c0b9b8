from __future__ import annotations

from pathlib import Path

import pytest
from backends import OpenCatalog

from hashtag2action.catalog.schema import Decision, Reason
from hashtag2action.catalog.store import Catalog, Entry
from hashtag2action.catalog.worklist import batches, undecided
from hashtag2action.errors import UserError

CLIP = {
    "path": "clips/a.mp4", "start_s": 0.0, "end_s": 4.0, "scene_s": 4.0, "frames": 120, "fps": 30.0,
    "width": 320, "height": 320, "size_bytes": 10, "sha256": "c" * 64,
}  # fmt: skip


def add(catalog: Catalog, name: str, **facts: object) -> int:
    catalog.register([Entry(Path(f"/videos/{name}.mp4"), ("dance",))])
    video = next(video for video in catalog.videos() if video.title == name)
    catalog.set_decision(video.id, Decision.PENDING, None, facts={"codec": "h264", "sha256": name, **facts})
    return video.id


def pending(catalog: Catalog, settings_digest: str) -> list[str]:
    return [video.title for batch in batches(catalog, undecided(settings_digest)) for video in batch]


def test_registering_again_adds_nothing_and_takes_over_what_changed(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    catalog = open_catalog(tmp_path)
    entry = Entry(Path("/videos/a.mp4"), ("dance", "salsa"), label="salsa")
    assert catalog.register([entry, entry]) == 1
    assert catalog.register([Entry(entry.path, ("salsa", "tango"), label=None, group="g")]) == 0
    (video,) = catalog.videos()
    assert [row.hashtag for row in video.hashtags] == ["salsa", "tango"]
    assert (video.label, video.group, video.title) == (None, "g", "a")


def test_more_videos_than_a_statement_can_name(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    catalog = open_catalog(tmp_path)
    entries = [Entry(Path(f"/v/{n}.mp4"), (f"tag{n % 7}",)) for n in range(1703)]
    assert catalog.register(entries) == 1703
    assert catalog.register(entries) == 0
    assert len(catalog.videos()) == 1703


def test_a_decision_replaces_the_one_before_and_its_clips(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    catalog = open_catalog(tmp_path)
    video = add(catalog, "a")
    catalog.set_decision(
        video, Decision.ACCEPTED, Reason.PERSON, clips=[CLIP], settings_digest="s1", report={"cuts": []}
    )
    assert [clip.path for clip in catalog.clips()] == ["clips/a.mp4"]
    assert catalog.clips()[0].video.title == "a"
    assert pending(catalog, "s1") == []
    assert pending(catalog, "s2") == ["a"]
    catalog.set_decision(video, Decision.REVIEW, Reason.FEW_PERSON_FRAMES, clips=[CLIP], settings_digest="s2")
    assert catalog.clips() == []
    assert len(catalog.clips(Decision.REVIEW)) == 1


def test_unreadable_videos_are_not_curated(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    catalog = open_catalog(tmp_path)
    video = add(catalog, "a")
    catalog.set_decision(video, Decision.REJECTED, Reason.UNREADABLE, facts={"codec": None})
    assert pending(catalog, "s") == []


def test_equal_decisions_give_equal_digests_whatever_the_order(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    one, two = open_catalog(tmp_path / "1"), open_catalog(tmp_path / "2")
    for catalog, names in ((one, "abc"), (two, "cab")):
        for name in names:
            add(catalog, name)
        ids = {video.title: video.id for video in catalog.videos()}
        catalog.set_decision(ids["b"], Decision.REJECTED, Reason.DUPLICATE, duplicate_of=ids["a"])
    assert one.digest() == two.digest()
    one.set_decision(one.videos()[2].id, Decision.REVIEW, None)
    assert one.digest() != two.digest()


def test_runs_are_found_by_key_and_by_time(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    catalog = open_catalog(tmp_path)
    assert catalog.latest_run("pretrain") is None
    catalog.record_run("pretrain", "k1", "runs/1", {"loss": 1.0})
    catalog.record_run("pretrain", "k2", "runs/2", {"loss": 0.5})
    catalog.record_run("pretrain", "k1", "runs/1", {"loss": 0.7})
    latest, second = catalog.latest_run("pretrain"), catalog.run("pretrain", "k2")
    assert latest is not None and second is not None
    assert latest.summary == {"loss": 0.7}
    assert second.folder == "runs/2"


@pytest.mark.parametrize("place", ["file/workspace", "file"])
def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match="cannot be used as a workspace"):
        Catalog(tmp_path / place)


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_text("not a database, but long enough to look at" * 50)
    with pytest.raises(UserError, match="cannot be opened as a catalog"):
        Catalog(tmp_path)
