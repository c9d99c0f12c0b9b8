from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hashtag2action.catalog.downloads import failure_counts, to_download
from hashtag2action.catalog.harvest import Download
from hashtag2action.catalog.posts import NewPost, add_posts, ids_of
from hashtag2action.catalog.store import Catalog
from hashtag2action.catalog.tombstones import Pseudonyms, bury
from hashtag2action.collect.addresses import ForbiddenAddress, Network, check_url, is_public, resolve
from hashtag2action.collect.download import download
from hashtag2action.collect.fetch import Fetched, Problem, fetch, video_suffix
from hashtag2action.collect.platforms import platform_of, require_permission
from hashtag2action.collect.settings import DownloadSettings
from hashtag2action.collect.ytdlp import fetch_page
from hashtag2action.errors import UserError

FILE = b"\x00\x00\x00\x20ftypisom" + bytes(range(256)) * 800
FAST = {"retry_s": 0.01, "read_timeout_s": 2.0, "file_timeout_s": 5.0, "max_bytes": 1_000_000, "attempts": 3}
PATIENT = FAST | {"read_timeout_s": 30.0, "file_timeout_s": 60.0, "allow_private": True}  # where no server is slow


class Host(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: Counter[str]
    ranges: list[str]
    most: int
    running: int
    lock = threading.Lock()

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        kind = type(self)
        with kind.lock:
            kind.asked[self.path] += 1
            kind.running += 1
            kind.most = max(kind.most, kind.running)
        try:
            getattr(self, "_" + self.path.strip("/").split("/")[0].removesuffix(".mp4"))()
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with kind.lock:
                kind.running -= 1

    def _reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _video(self) -> None:
        time.sleep(0.05)
        self._reply(200, FILE, ETag='"1"')

    def _breaks(self) -> None:
        """Half of the file, then the rest to whoever asks for it."""
        asked = self.headers.get("Range", "")
        type(self).ranges.append(asked)
        if asked:
            begin = int(asked[6:-1])
            self._reply(206, FILE[begin:], ETag='"1"', Content_Range=f"bytes {begin}-{len(FILE) - 1}/{len(FILE)}")
            return
        self._reply(200, FILE[: len(FILE) // 2], Content_Length=str(len(FILE)), ETag='"1"')
        self.close_connection = True

    def _changes(self) -> None:
        """Half of one file, then another whole one."""
        if self.headers.get("Range"):
            self._reply(200, FILE[:40_000], ETag='"2"')
            return
        self._reply(200, FILE[: len(FILE) // 2], Content_Length=str(len(FILE)), ETag='"1"')
        self.close_connection = True

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        self.wfile.write(FILE[:1000])
        while True:
            self.wfile.write(b"x" * 65536)

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.end_headers()

    def _drips(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "500000")
        self.end_headers()
        self.wfile.write(FILE[:1000])
        for _ in range(100):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.2)

    def _headers_drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in range(100):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.2)

    def _silent(self) -> None:
        time.sleep(4)
        self.close_connection = True

    def _page(self) -> None:
        self._reply(200, b"<!doctype html><title>log in</title>" + b" " * 300, Content_Type="video/mp4")

    def _large(self) -> None:
        self._reply(200, b"", Content_Length="5000000000")

    def _gone(self) -> None:
        self._reply(404)

    def _private(self) -> None:
        self._reply(403)

    def _recovers(self) -> None:
        self._reply(503, Retry_After="0") if type(self).asked[self.path] < 3 else self._reply(200, FILE)

    def _broken(self) -> None:
        self._reply(500)

    def _moved(self) -> None:
        self._reply(302, Location="/video/1")

    def _round(self) -> None:
        self._reply(302, Location="/round/1")

    def _tofile(self) -> None:
        self._reply(302, Location="file:///etc/passwd")

    def _hops(self) -> None:
        """So many redirects to other names of this server, then one to `name`."""
        left, name = int(self.path.split("/")[2]), self.path.split("/")[3]
        port = self.server.server_address[1]
        there = f"b{left - 1}.public:{port}/hops/{left - 1}/{name}" if left else f"{name}:{port}/video/1"
        self._reply(302, Location=f"http://{there}")


@pytest.fixture
def host() -> Any:
    handler = type("Fresh", (Host,), {"asked": Counter(), "ranges": [], "most": 0, "running": 0})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handler.url = f"http://127.0.0.1:{server.server_address[1]}"  # type: ignore[attr-defined]
    yield handler
    server.shutdown()
    server.server_close()


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


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://example.org/a.mp4", "data:video/mp4;base64,AAAA", "//example.org/a", "javascript:alert(1)",
        "http://", "http://user:secret@example.org/a.mp4", "http://exa mple.org/a", "http://example.org:99999/", "http://[::1/", "",
    ],
)  # fmt: skip
def test_only_plain_http_urls_are_asked(url: str, tmp_path: Path) -> None:
    with pytest.raises(ForbiddenAddress):
        check_url(url)
    done = fetch(url, tmp_path / "file", DownloadSettings(**FAST))
    assert [failure.problem for failure in done.failures] == [Problem.FORBIDDEN]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1::1", True), ("127.0.0.1", False), ("127.8.8.8", False), ("10.1.2.3", False),
        ("192.168.0.1", False), ("172.20.0.1", False), ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False),
        ("224.0.0.1", False), ("255.255.255.255", False), ("::1", False), ("::", False), ("fe80::1%eth0", False), ("fc00::1", False),
        ("::ffff:127.0.0.1", False), ("::ffff:8.8.8.8", True), ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False), ("ff02::1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


LOOPBACKS = [
    "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001", "0.0.0.0",
    "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "127.0.0.1.", "LOCALHOST", "①②⑦.⓪.⓪.①",
]  # fmt: skip


@pytest.mark.parametrize("name", LOOPBACKS)
def test_loopback_in_every_spelling_is_refused(host: Any, tmp_path: Path, name: str) -> None:
    done = fetch(host.url.replace("127.0.0.1", name) + "/video/1", tmp_path / "file", DownloadSettings(**FAST))
    assert done.path is None
    assert done.failures[-1].problem in (Problem.FORBIDDEN, Problem.CONNECTION)
    assert not host.asked


class Names:
    """A name server for tests: names ending in .public are at 127.0.0.2, which counts as public here; all else is real."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), list[str]()

    def __call__(self, name: str, port: int) -> list[str]:
        self.asked.append(name)
        if name.endswith(".public"):
            return [self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]]
        return resolve(name, port)


def seen_as_public(address: str) -> bool:
    return address == "127.0.0.2" or is_public(address)


@pytest.fixture
def public(host: Any) -> Any:
    """A second server, at 127.0.0.2 and with the same port."""
    handler = type("Public", (Host,), {"asked": Counter(), "ranges": [], "most": 0, "running": 0})
    server = ThreadingHTTPServer(("127.0.0.2", int(host.url.rsplit(":", 1)[1])), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handler.port = server.server_address[1]  # type: ignore[attr-defined]
    yield handler
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("hops", range(4))
@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "2130706433", "0177.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
def test_a_redirect_to_a_private_address_is_refused_at_every_hop(
    host: Any, public: Any, tmp_path: Path, name: str, hops: int
) -> None:
    names = Names("127.0.0.2")
    network = Network(resolve=names, is_public=seen_as_public)
    where = f"http://a.public:{public.port}/hops/{hops}/{name}"
    done = fetch(where, tmp_path / "file", DownloadSettings(**FAST), network=network)
    refused = Problem.CONNECTION if name.startswith("0177") else Problem.FORBIDDEN  # httpx takes no octal numbers
    assert {failure.problem for failure in done.failures} == {refused}
    assert sum(public.asked.values()) == (hops + 1) * len(done.failures)
    assert not host.asked
    assert {"a.public", *(f"b{n}.public" for n in range(hops))} == {asked for asked in names.asked if "public" in asked}


def test_redirects_among_public_addresses_are_followed(host: Any, public: Any, tmp_path: Path) -> None:
    network = Network(resolve=Names("127.0.0.2"), is_public=seen_as_public)
    done = fetch(
        f"http://a.public:{public.port}/hops/3/c.public", tmp_path / "f", DownloadSettings(**FAST), network=network
    )
    assert done.path is not None and done.path.read_bytes() == FILE
    assert not host.asked


def test_a_name_that_changes_its_address_is_pinned(host: Any, public: Any, tmp_path: Path) -> None:
    """A name that is public when it is checked and private ever after: the connection goes where the check was."""
    names = Names("127.0.0.2", "127.0.0.1")
    network = Network(resolve=names, is_public=seen_as_public)
    settings = DownloadSettings(**FAST)
    where = f"http://rebinding.public:{public.port}"
    assert fetch(f"{where}/video/1", tmp_path / "one", settings, network=network).path is not None
    assert names.asked == ["rebinding.public"]
    assert public.asked["/video/1"] == 1
    again = fetch(f"{where}/video/1", tmp_path / "two", settings, network=network)
    assert [failure.problem for failure in again.failures] == [Problem.FORBIDDEN]
    assert not host.asked


def test_a_name_with_one_private_address_among_others_is_refused() -> None:
    mixed = Network(resolve=lambda name, port: ["93.184.216.34", "127.0.0.1"])
    with pytest.raises(ForbiddenAddress, match=r"127\.0\.0\.1, no public address"):
        mixed.addresses("http://mixed.example/")


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
