from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from file_host import FAST, FILE

from hashtag2action.collect.fetch import Problem
from hashtag2action.collect.platforms import platform_of, require_permission
from hashtag2action.collect.settings import DownloadSettings
from hashtag2action.collect.ytdlp import fetch_page
from hashtag2action.errors import UserError


@pytest.mark.parametrize(("url", "name"), [("https://www.tiktok.com/@_/video/1", "TikTok"), ("https://vm.TikTok.com/x", "TikTok"), ("https://youtu.be/x", "YouTube"), ("https://nottiktok.com/x", None), ("https://example.org/tiktok.com", None), ("http://[", None)])  # fmt: skip
def test_platforms_that_allow_no_download(url: str, name: str | None) -> None:
    assert platform_of(url) == name
    if name:
        with pytest.raises(UserError, match="--i-have-permission"):
            require_permission([url], have_permission=False)
    require_permission([url], have_permission=True)


def test_ytdlp_fetches_a_page_and_records_its_failures(host: Any, tmp_path: Path) -> None:
    pytest.importorskip("yt_dlp")
    settings = DownloadSettings(**(FAST | {"attempts": 2, "file_timeout_s": 60.0}))
    assert fetch_page(f"{host.url}/video/1.mp4", tmp_path / "file", settings).failures[0].problem is Problem.FORBIDDEN
    allowed = settings.model_copy(update={"allow_private": True})
    done = fetch_page(f"{host.url}/video/1.mp4", tmp_path / "file", allowed)
    assert done.path is not None and done.path.read_bytes() == FILE
    failed = fetch_page(f"{host.url}/gone", tmp_path / "other", allowed, sleep=lambda seconds: None)
    assert [failure.problem for failure in failed.failures] == [Problem.EXTRACTOR] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["file.mp4"]


@pytest.mark.parametrize(
    ("path", "problem", "time_s"), [("/endless.mp4", Problem.EXTRACTOR, 60.0), ("/headers_drip.mp4", Problem.SLOW, 5.0)]
)
def test_ytdlp_is_bounded(host: Any, tmp_path: Path, path: str, problem: Problem, time_s: float) -> None:
    pytest.importorskip("yt_dlp")
    limits = FAST | {"attempts": 1, "file_timeout_s": time_s, "allow_private": True}
    started = time.monotonic()
    done = fetch_page(host.url + path, tmp_path / "file", DownloadSettings(**limits))
    assert [failure.problem for failure in done.failures] == [problem]
    assert time.monotonic() - started < time_s + 10
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}/video/1')", "no public address"),
        ("import socket; socket.create_connection(('localhost', {port}))", "no public address"),
        ("import socket; socket.socket().connect(('localhost', {port}))", "no public address"),
        ("import socket; socket.socket(socket.AF_INET6).connect(('::ffff:127.0.0.1', {port}))", "no public address"),
        ("import socket; socket.socket(socket.AF_UNIX).connect('/run/some.sock')", "no public address"),
        ("import subprocess; subprocess.run(['true'])", "not allowed here"),
        ("import os; os.system('true')", "not allowed here"),
        ("open('{outside}', 'w')", "not in the folder"),
        ("import curl_cffi", "without being checked"),
    ],
)
def test_what_runs_beside_ytdlp_is_confined(host: Any, tmp_path: Path, code: str, says: str) -> None:
    """The guard of yt-dlp's process, against what an extractor might do there."""
    (tmp_path / "folder").mkdir()
    filled = code.format(port=host.url.rsplit(":", 1)[1], outside=tmp_path / "outside")
    program = (
        "from pathlib import Path; from hashtag2action.collect.ytdlp_process import _guard; "
        f"_guard(Path({str(tmp_path / 'folder')!r}), allow_private=False); {filled}"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert says in done.stderr.splitlines()[-1]
    assert not host.asked
    assert not (tmp_path / "outside").exists()
