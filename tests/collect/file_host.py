"""A file server on loopback that behaves badly in every way that the tests of downloads name."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

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


@contextmanager
def serve(address: str, port: int = 0) -> Iterator[Any]:
    """Serve at an address of this machine; yields the handler, which counts what it is asked."""
    handler = type("Fresh", (Host,), {"asked": Counter(), "ranges": [], "most": 0, "running": 0})
    server = ThreadingHTTPServer((address, port), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handler.port = server.server_address[1]  # type: ignore[attr-defined]
    handler.url = f"http://{address}:{handler.port}"  # type: ignore[attr-defined]
    yield handler
    server.shutdown()
    server.server_close()


@pytest.fixture
def host() -> Iterator[Any]:
    with serve("127.0.0.1") as handler:
        yield handler


@pytest.fixture
def public(host: Any) -> Iterator[Any]:
    """A second server, at 127.0.0.2 and with the same port."""
    with serve("127.0.0.2", host.port) as handler:
        yield handler
