from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from file_host import FAST, FILE, PATIENT

from hashtag2action.catalog.downloads import failure_counts, to_download
from hashtag2action.catalog.harvest import Download
from hashtag2action.catalog.posts import NewPost, add_posts, ids_of
from hashtag2action.catalog.store import Catalog
from hashtag2action.catalog.tombstones import Pseudonyms, bury
from hashtag2action.collect.download import download
from hashtag2action.collect.fetch import Fetched, Problem, fetch, video_suffix
from hashtag2action.collect.settings import DownloadSettings


def get(host: Any, path: str, target: Path, **changes: Any) -> Fetched:
    settings = DownloadSettings(**(FAST | {"allow_private": True} | changes))
    return fetch(host.url + path, target / "file", settings)


def test_a_file_arrives_whole(host: Any, tmp_path: Path) -> None:
    done = get(host, "/video/1", tmp_path)
    assert done.path == tmp_path / "file.mp4"
    assert done.path.read_bytes() == FILE
    assert [path.name for path in tmp_path.iterdir()] == ["file.mp4"]


def test_a_broken_download_goes_on_where_it_stopped(host: Any, tmp_path: Path) -> None:
    done = get(host, "/breaks", tmp_path)
    assert done.path is not None and done.path.read_bytes() == FILE
    assert host.ranges == ["", f"bytes={len(FILE) // 2}-"]
    assert [failure.problem for failure in done.failures] == [Problem.CONNECTION]


def test_a_later_run_goes_on_too(host: Any, tmp_path: Path) -> None:
    assert get(host, "/breaks", tmp_path, attempts=1).path is None
    assert get(host, "/breaks", tmp_path, attempts=1).path is not None
    assert host.ranges[1].startswith("bytes=")


def test_a_file_that_changed_meanwhile_is_not_mixed(host: Any, tmp_path: Path) -> None:
    done = get(host, "/changes", tmp_path)
    assert done.path is not None and done.path.read_bytes() == FILE[:40_000]


@pytest.mark.parametrize(
    ("path", "problem", "attempts"),
    [
        ("/endless", Problem.TOO_LARGE, 1),
        ("/large", Problem.TOO_LARGE, 1),
        ("/drips", Problem.SLOW, 2),
        ("/headers_drip", Problem.SLOW, 2),
        ("/silent", Problem.SLOW, 2),
        ("/page", Problem.NOT_VIDEO, 1),
        ("/gone", Problem.GONE, 1),
        ("/private", Problem.REFUSED, 1),
        ("/broken", Problem.SERVER, 2),
        ("/round/1", Problem.REDIRECTS, 1),
        ("/tofile", Problem.FORBIDDEN, 1),
    ],
)
def test_hostile_servers_are_contained(host: Any, tmp_path: Path, path: str, problem: Problem, attempts: int) -> None:
    started = time.monotonic()
    done = get(host, path, tmp_path, attempts=2)
    assert done.path is None
    assert {failure.problem for failure in done.failures} == {problem}
    assert len(done.failures) == attempts
    assert time.monotonic() - started < 30
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 1_000_000


def test_a_server_that_recovers_is_asked_again(host: Any, tmp_path: Path) -> None:
    done = get(host, "/recovers", tmp_path)
    assert done.path is not None
    assert [failure.problem for failure in done.failures] == [Problem.SERVER] * 2


def catalog_with(tmp_path: Path, urls: dict[str, str]) -> Catalog:
    catalog = Catalog(tmp_path / "work")
    with catalog.session() as session:
        posts = [NewPost(name, ("tag",), "someone", url=url) for name, url in urls.items()]
        add_posts(session, Pseudonyms(catalog.workspace), "manifest", posts, 1.0)
    return catalog


def test_failures_are_a_ledger_and_only_what_may_pass_is_tried_again(host: Any, tmp_path: Path) -> None:
    paths = ("video/1", "video/2", "gone", "broken", "page")
    catalog = catalog_with(tmp_path, {f"../../{name}": f"{host.url}/{name}" for name in paths})
    settings = DownloadSettings(**(PATIENT | {"attempts": 2}))
    summary = download(catalog, to_download(catalog), settings)
    assert (summary.wanted, summary.fetched, summary.refused, summary.to_retry) == (5, 2, 2, 1)
    assert failure_counts(catalog) == {"server_error": 2, "gone": 1, "not_video": 1}
    assert [item.url for item in to_download(catalog)] == [f"{host.url}/broken"]
    with catalog.session() as session:
        rows = list(session.scalars(sa.select(Download)))
        assert sum(row.attempts for row in rows) == 6
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(tmp_path / "work")]
    assert outside == []
    for path in (row.path for row in rows if row.path):
        assert (tmp_path / "work" / path).resolve().is_relative_to(tmp_path / "work" / "videos")


def test_no_host_is_asked_for_more_than_its_share(host: Any, tmp_path: Path) -> None:
    catalog = catalog_with(tmp_path, {str(number): f"{host.url}/video/{number}" for number in range(20)})
    settings = DownloadSettings(**(PATIENT | {"per_host": 2, "workers": 8}))
    assert download(catalog, to_download(catalog), settings).fetched == 20
    assert host.most <= 2
    assert max(host.asked.values()) == 1


def test_a_forgotten_file_does_not_come_back_under_another_id(host: Any, tmp_path: Path) -> None:
    catalog = catalog_with(tmp_path, {"1": f"{host.url}/video/1"})
    pseudonyms = Pseudonyms(catalog.workspace)
    digest = get(host, "/video/1", tmp_path / "elsewhere").sha256
    with catalog.session() as session:
        bury(session, pseudonyms, "file", [digest], 1.0)
        bury(session, pseudonyms, "post", ["manifest:2"], 1.0)
        assert add_posts(session, pseudonyms, "manifest", [NewPost("2")], 2.0) == ([], 0)
        assert ids_of(session, "manifest", ["2"]) == {}
    summary = download(catalog, to_download(catalog), DownloadSettings(**PATIENT))
    assert (summary.fetched, summary.refused) == (0, 1)
    assert not list((catalog.workspace / "videos").rglob("*.mp4"))


@pytest.mark.parametrize(("head", "suffix"), [(b"\x00\x00\x00\x18ftypmp42", ".mp4"), (b"\x00\x00\x00\x14ftypqt  ", ".mov"), (b"\x1a\x45\xdf\xa3" + b"\0" * 20 + b"webm", ".webm"), (b"RIFF....AVI LIST", ".avi"), (b"RIFF....WAVEfmt ", None), (b"<html><body>...", None), (b"MZ" + b"\0" * 20, None), (b"#!/bin/sh\nrm -rf", None)])  # fmt: skip
def test_what_a_file_is_shows_in_its_first_bytes(head: bytes, suffix: str | None) -> None:
    assert video_suffix(head) == suffix
