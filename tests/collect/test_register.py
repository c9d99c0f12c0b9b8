from __future__ import annotations

import os
from pathlib import Path

from hashtag2action.catalog.store import Catalog
from hashtag2action.collect.folder import find_videos
from hashtag2action.collect.register import register
from hashtag2action.engine import make_engine
from hashtag2action.files import sha256_of


def test_every_sample_is_recorded_with_what_it_is(sample_videos: Path, tmp_path: Path) -> None:
    catalog, engine, entries = Catalog(tmp_path), make_engine(workers=2), find_videos(sample_videos)
    summary = register(catalog, entries, engine)
    assert (summary.videos, summary.new, summary.probed) == (len(entries), len(entries), len(entries))
    videos = {video.title: video for video in catalog.videos()}
    street = videos["street"]
    assert (street.codec, street.width, street.height, street.frames) == ("h264", 640, 360, 1799)
    assert street.sha256 == sha256_of(Path(street.path))
    assert street.duration_s is not None and abs(street.duration_s - 60.03) < 0.05
    assert [row.hashtag for row in street.hashtags] == ["walking"]
    broken = {title: video.reason for title, video in videos.items() if video.decision == "rejected"}
    assert set(broken) == {"broken-off", "only-text"}
    assert broken["only-text"] == "unreadable"
    again = register(catalog, entries, engine)
    assert (again.new, again.probed) == (0, 0)


def test_a_changed_or_missing_file_is_looked_at_again(sample_videos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    source = sample_videos.parent / "talking" / "carphone.mp4"
    (folder / "a.mp4").write_bytes(source.read_bytes())
    catalog, engine = Catalog(tmp_path / "w"), make_engine(workers=1)
    register(catalog, find_videos(folder), engine)
    first = catalog.videos()[0].sha256
    (folder / "a.mp4").write_bytes((sample_videos.parent / "cycling" / "bikes.mp4").read_bytes())
    os.utime(folder / "a.mp4", (1, 1))
    assert register(catalog, find_videos(folder), engine).probed == 1
    assert catalog.videos()[0].sha256 != first
    entries = find_videos(folder)
    (folder / "a.mp4").unlink()
    register(catalog, entries, engine)
    assert (catalog.videos()[0].decision, catalog.videos()[0].reason) == ("rejected", "missing")
