"""Snapshots: the same content has the same digest, nothing changes them but the right to be forgotten."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa
from backends import OpenCatalog
from test_statistics import filled

from hashtag2action.catalog.harvest import Post
from hashtag2action.catalog.posts import NewPost, add_posts
from hashtag2action.catalog.schema import Video
from hashtag2action.catalog.snapshot import (
    Only,
    Snapshot,
    digest_of,
    freeze,
    read_snapshot,
    save,
    snapshot_names,
    subset,
)
from hashtag2action.catalog.snapshot_changes import diff, facts_changed, forget_in_snapshots
from hashtag2action.catalog.store import Catalog
from hashtag2action.catalog.tombstones import Pseudonyms, bury
from hashtag2action.errors import UserError

SECOND = {"platform_id": str(2**62 + 1), "view_count": 2**60, "licence": "CC0", "language": "ja", "region": "JP"}


def with_posts(catalog: Catalog, vanished: bool = False) -> list[str]:
    """Give the first two accepted videos posts, ids and views beyond 2^53; return their content hashes."""
    clips = catalog.clips()[:2]
    posts = [NewPost("1", view_count=5, licence="CC BY", origin="own", create_time=86_400), NewPost(**SECOND)]
    with catalog.session() as session:
        add_posts(session, Pseudonyms(catalog.workspace), "tiktok", posts, 1.0)
        for name, clip in zip(("1", SECOND["platform_id"]), clips, strict=True):
            gone = {"vanished_at": 2.0} if vanished and name == "1" else {}
            session.execute(sa.update(Post).where(Post.platform_id == name).values(video_id=clip.video_id, **gone))
        quality = {"quality": {"score": 0.75}}
        session.execute(sa.update(Video).where(Video.id == clips[0].video_id).values(report=quality))
    return [str(clip.video.sha256) for clip in clips]


def test_a_snapshot_holds_what_the_catalog_knows(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    catalog = filled(open_catalog(tmp_path), seed=3, videos=120)
    one, two = with_posts(catalog)
    frozen = freeze(catalog, "first", {"min_clip_s": 3.5})
    assert [clip.path for clip in frozen.clips] == sorted(clip.path for clip in catalog.clips())
    by_video = {clip.video_sha256: clip for clip in frozen.clips}
    for clip in catalog.clips():
        row = by_video[str(clip.video.sha256)]
        assert (row.title, row.sha256, row.scene_s) == (clip.video.title, clip.sha256, clip.scene_s)
        assert row.hashtags == tuple(tag.hashtag for tag in clip.video.hashtags)
        assert row.duration_s == pytest.approx(clip.end_s - clip.start_s, abs=1e-6)
    first, second = by_video[one], by_video[two]
    assert (first.views, first.licence, first.source, first.quality) == (5, "CC BY", "own", 0.75)
    assert (second.views, second.licence, second.language, second.region) == (2**60, "CC0", "ja", "JP")
    assert second.source == "tiktok"
    card = json.loads((frozen.folder / "card.json").read_text())
    assert card == frozen.card
    assert card["licences"] == {"unknown": len(frozen.clips) - 2, "CC BY": 1, "CC0": 1}
    assert (card["posted"], card["settings"]) == (["1970-01-02", "1970-01-02"], {"min_clip_s": 3.5})
    assert card["clips"] == len(frozen.clips) == sum(1 for _ in catalog.clips())
    assert read_snapshot(tmp_path, "first") == frozen
    assert snapshot_names(tmp_path) == ["first"]


def test_equal_content_has_an_equal_digest_on_any_server(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    here = filled(open_catalog(tmp_path / "1"), seed=4, videos=50)
    there = filled(Catalog(tmp_path / "2"), seed=4, videos=50)
    with_posts(here), with_posts(there)
    one, two = freeze(here, "a"), freeze(there, "b")
    assert one.digest == two.digest
    assert not diff(one, two).changed
    changed = [replace(one.clips[0], views=6), *one.clips[1:]]
    assert digest_of(changed) != one.digest
    assert digest_of(reversed(one.clips)) == one.digest


def test_nothing_is_overwritten_or_half_there(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    catalog = open_catalog(tmp_path)
    with pytest.raises(UserError, match="no clip to freeze"):
        freeze(catalog, "empty")
    assert list((tmp_path / "snapshots").glob("*")) == [] if (tmp_path / "snapshots").exists() else True
    filled(catalog, seed=1, videos=30)
    frozen = freeze(catalog, "one")
    with pytest.raises(UserError, match="choose another name"):
        freeze(catalog, "one")
    assert all(path.stat().st_mode & 0o222 == 0 for path in frozen.folder.iterdir())
    for name in ("../out", "", ".hidden", "a/b", "x" * 65, "a\x00b"):
        with pytest.raises(UserError, match="no name for a snapshot"):
            freeze(catalog, name)
    with pytest.raises(UserError, match="no such snapshot"):
        read_snapshot(tmp_path, "two")


def test_damage_and_alteration_are_found(tmp_path: Path) -> None:
    frozen = freeze(filled(Catalog(tmp_path), seed=1, videos=30), "one")
    card, table = frozen.folder / "card.json", frozen.folder / "clips.parquet"
    good = table.read_bytes()
    table.chmod(0o644)
    for content in (b"", good[: len(good) // 2], good[:200] + b"\x00" * 50 + good[250:]):
        table.write_bytes(content)
        with pytest.raises(UserError, match="freeze again"):
            read_snapshot(tmp_path, "one")
    table.write_bytes(good)
    card.chmod(0o644)
    for text in ("{}", "[]", "not JSON", '{"digest": "0"}'):
        card.write_text(text)
        with pytest.raises(UserError, match="freeze again"):
            read_snapshot(tmp_path, "one")


@pytest.mark.parametrize("path", ["/etc/passwd", "clips/../../secret.mp4"])
def test_paths_out_of_the_workspace_are_refused(tmp_path: Path, path: str) -> None:
    frozen = freeze(filled(Catalog(tmp_path), seed=1, videos=30), "one")
    save(tmp_path, "evil", [replace(frozen.clips[0], path=path)], {})
    with pytest.raises(UserError, match="outside the workspace"):
        read_snapshot(tmp_path, "evil")


def scored(tmp_path: Path) -> Snapshot:
    frozen = freeze(filled(Catalog(tmp_path), seed=2, videos=400), "all")
    quality = [None if n % 5 == 0 else (n * 37 % 100) / 100 for n in range(len(frozen.clips))]
    clips = [
        replace(clip, sha256=f"{n:064x}", quality=score)
        for n, (clip, score) in enumerate(zip(frozen.clips, quality, strict=True))
    ]
    return replace(frozen, clips=tuple(clips))


@pytest.mark.parametrize("way", [{}, {"per_hashtag": True}, {"top_quality": True}])
def test_subsets_of_one_seed_lie_within_each_other(tmp_path: Path, way: dict[str, bool]) -> None:
    whole = scored(tmp_path)
    sizes = (1, 10, 33, 70, len(whole.clips))
    chosen = [subset(whole, size, 5, **way) for size in sizes]
    assert [len(set(part)) for part in chosen] == list(sizes)
    assert all(set(small) < set(large) for small, large in pairwise(chosen))
    assert set(subset(whole, 33, 6, **way)) != set(chosen[2]) or way == {"top_quality": True}
    shuffled = replace(whole, clips=tuple(reversed(whole.clips)))
    assert subset(shuffled, 33, 5, **way) == chosen[2]


def test_ways_of_choosing(tmp_path: Path) -> None:
    whole = scored(tmp_path)
    best = subset(whole, 20, 0, top_quality=True)
    rest = [clip.quality or 0.0 for clip in whole.clips if clip not in best]
    assert min(clip.quality or 0.0 for clip in best) >= max(rest)
    tags = {tag for clip in whole.clips for tag in clip.hashtags}
    even = subset(whole, 2 * len(tags), 0, per_hashtag=True)
    assert {tag for clip in even for tag in clip.hashtags} == tags
    for size in (0, len(whole.clips) + 1):
        with pytest.raises(UserError, match="ask for 1 to"):
            subset(whole, size, 0)
    with pytest.raises(UserError, match="not both"):
        subset(whole, 5, 0, per_hashtag=True, top_quality=True)


def test_differences_are_named_by_hashtag(tmp_path: Path) -> None:
    old = freeze(filled(Catalog(tmp_path), seed=2, videos=60), "old")
    gone, changed, *rest = old.clips
    new = save(
        tmp_path, "new", [replace(changed, views=9, licence="CC0"), *rest, replace(gone, path="clips/new.mp4")], {}
    )
    found = diff(old, new)
    assert ([clip.path for clip in found.added], found.removed) == (["clips/new.mp4"], (gone,))
    assert [facts_changed(*pair) for pair in found.changed] == [["views", "licence"]]
    assert found.unchanged == len(rest)
    for tag in gone.hashtags:
        assert found.by_hashtag()[tag][:2] == (1, 1)
    assert diff(old, old).by_hashtag() == {}


def test_filters_are_on_the_card(tmp_path: Path, open_catalog: OpenCatalog) -> None:
    catalog = filled(open_catalog(tmp_path), seed=3, videos=120)
    one, two = with_posts(catalog)
    every = freeze(catalog, "every")
    tagged = freeze(catalog, "tagged", only=Only(hashtags=("yoga", "dance")))
    assert {clip.path for clip in tagged.clips} == {c.path for c in every.clips if {"yoga", "dance"} & set(c.hashtags)}
    assert tagged.card["filters"] == {"hashtags": ["yoga", "dance"]}
    assert tagged.card["left_out"]["filtered"] == len(every.clips) - len(tagged.clips)
    assert [clip.video_sha256 for clip in freeze(catalog, "free", only=Only(licences=("CC0",))).clips] == [two]
    assert [clip.video_sha256 for clip in freeze(catalog, "good", only=Only(min_quality=0.7)).clips] == [one]
    assert [clip.video_sha256 for clip in freeze(catalog, "jp", only=Only(("yoga", *[t for c in every.clips for t in c.hashtags]) , (), ("ja",), ("JP",))).clips] in ([two], [])  # fmt: skip


def test_what_vanished_or_was_forgotten_is_not_frozen_and_leaves_older_snapshots(
    tmp_path: Path, open_catalog: OpenCatalog
) -> None:
    catalog = filled(open_catalog(tmp_path), seed=3, videos=120)
    before = freeze(catalog, "before")
    one, two = with_posts(catalog, vanished=True)
    with catalog.session() as session:
        bury(session, Pseudonyms(tmp_path), "file", [two], 3.0)
    after = freeze(catalog, "after")
    assert {clip.video_sha256 for clip in before.clips} - {clip.video_sha256 for clip in after.clips} == {one, two}
    assert (after.card["left_out"]["vanished"], after.card["left_out"]["forgotten"]) == (1, 1)
    assert forget_in_snapshots(catalog) == {"before": 1}
    left = read_snapshot(tmp_path, "before")
    assert two not in {clip.video_sha256 for clip in left.clips}
    assert [(row["clips"], row["digest_before"]) for row in left.card["forgotten"]] == [(1, before.digest)]
    assert left.card["clips"] == len(left.clips) == len(before.clips) - 1
    assert two.encode() not in (left.folder / "clips.parquet").read_bytes()
    assert forget_in_snapshots(catalog) == {}
