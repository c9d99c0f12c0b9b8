from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fake_platform import KEY, SECRET, FakePlatform
from virtual_clock import VirtualClock

from hashtag2action.catalog.harvest import Post
from hashtag2action.catalog.posts import add_posts
from hashtag2action.catalog.store import Catalog
from hashtag2action.catalog.tombstones import Pseudonyms
from hashtag2action.collect import research_api
from hashtag2action.collect.credentials import Credentials, load_credentials
from hashtag2action.collect.query import Condition, Field, Operation, Query, VideoRequest, with_hashtag, with_ids
from hashtag2action.collect.research_api import ApiFault, Fault, ResearchApi, to_post
from hashtag2action.collect.text import clean_id, clean_raw, clean_tag, clean_text
from hashtag2action.errors import UserError

REQUEST = VideoRequest(with_hashtag("dance"), date(2023, 12, 1), date(2023, 12, 31))
RECORDED = Path(__file__).parent / "recorded" / "videos_page.json"


@contextmanager
def answering(status: int, body: bytes) -> Any:
    """A platform that gives a token and then always the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            token = self.path.startswith("/v2/oauth")
            self.send_response(200 if token else status)
            self.end_headers()
            self.wfile.write(b'{"access_token":"clt.1","expires_in":7200}' if token else body)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def ask(status: int, body: bytes, tmp_path: Path) -> Any:
    with answering(status, body) as url:
        return ResearchApi(Credentials(KEY, SECRET), VirtualClock(tmp_path / "clock", 1.7e9), url, timeout_s=5).videos(
            REQUEST
        )


def test_a_recorded_answer_is_read_whole(tmp_path: Path) -> None:
    answer = ask(200, RECORDED.read_bytes(), tmp_path)
    first, second = answer.posts
    assert (answer.received, answer.cursor, answer.has_more, answer.search_id) == (2, 100, True, "7201388525814961198")
    assert (first.platform_id, first.view_count) == ("7316681498072616234", 9007199254740993)
    assert first.hashtags == ("dance", "waltz", "fyp")
    assert (first.username, first.region, first.duration_s, first.create_time) == ("some.dancer", "US", 14, 1703541600)
    assert first.url == "https://www.tiktok.com/@_/video/7316681498072616234"
    assert first.raw == json.loads(RECORDED.read_text())["data"]["videos"][0]
    assert (second.username, second.view_count, second.hashtags) == ("müller_1", None, ())


def test_ids_and_unknown_fields_survive_the_catalog(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "work")
    answer = ask(200, RECORDED.read_bytes(), tmp_path)
    with catalog.session() as session:
        add_posts(session, Pseudonyms(catalog.workspace), "tiktok", answer.posts, 1.0)
    with catalog.session() as session:
        post = session.scalars(sa.select(Post).order_by(Post.id)).first()
        assert post is not None and post.raw is not None
        assert post.platform_id == "7316681498072616234"
        assert post.raw["music_id"] == 7002634556977908485
        assert post.raw["a_field_of_next_year"] == {"nested": [1, {"deep": "value"}]}
        assert post.view_count == 2**53 + 1


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (429, {"error": {"code": "rate_limit_exceeded", "message": "x"}}, Fault.RATE),
        (401, {"error": {"code": "access_token_invalid", "message": "x"}}, Fault.TOKEN),
        (401, {"error": {"code": "scope_not_authorized", "message": "x"}}, Fault.REFUSED),
        (400, {"error": {"code": "invalid_params", "message": "Search Id 71 is invalid or expired"}}, Fault.SEARCH_ID),
        (400, {"error": {"code": "invalid_params", "message": "Invalid count or cursor"}}, Fault.CURSOR),
        (400, {"error": {"code": "invalid_params", "message": "Invalid date"}}, Fault.REFUSED),
        (500, {"error": {"code": "internal_error", "message": "x"}}, Fault.SERVER),
        (504, {"error": {"code": "timeout", "message": "x"}}, Fault.SERVER),
        (200, {"error": {"code": "internal_error", "message": "x"}, "data": {}}, Fault.SERVER),
        (200, {"error": {"code": "ok"}, "data": {}}, Fault.BROKEN),
        (200, {"error": {"code": "ok"}, "data": {"videos": None}}, Fault.BROKEN),
        (200, [], Fault.BROKEN),
        (502, "<html>", Fault.SERVER),
        (200, "<html>", Fault.BROKEN),
        (200, "[" * 200_000, Fault.BROKEN),
        (200, '{"data":{"videos":[' + "9" * 5000 + "]}}", Fault.BROKEN),
    ],
)
def test_what_the_platform_says_is_told_apart(tmp_path: Path, status: int, body: Any, fault: Fault) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(ApiFault) as caught:
        ask(status, content.encode(), tmp_path)
    assert caught.value.fault is fault


def test_an_answer_that_never_ends_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(research_api, "MAX_ANSWER_BYTES", 1 << 20)
    with pytest.raises(ApiFault, match="does not end"):
        ask(200, b" " * (3 << 20), tmp_path)


@pytest.mark.parametrize("manner", ["headers", "body", "token", "silent", "endless headers"])
def test_a_platform_that_drips_is_cut_off_in_time(tmp_path: Path, manner: str) -> None:
    """A byte now and then keeps a read timeout from ever ending; the whole exchange has a limit."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def drip(self, beginning: bytes, bytes_each: bytes = b"x", pause_s: float = 0.1) -> None:
            self.wfile.write(beginning)
            for _ in range(80):
                self.wfile.write(bytes_each)
                self.wfile.flush()
                time.sleep(pause_s)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.close_connection = True
            try:
                if self.path.startswith("/v2/oauth") and manner != "token":
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(b'{"access_token":"clt.1","expires_in":7200}')
                elif manner == "body":
                    self.drip(b"HTTP/1.1 200 OK\r\n\r\n")
                elif manner == "endless headers":
                    self.drip(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 10_000 + b"\r\n", 0.001)
                elif manner == "silent":
                    time.sleep(8)
                else:
                    self.drip(b"HTTP/1.1 200 OK\r\nX-Long: ")
            except OSError:
                pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    clock, url = VirtualClock(tmp_path / "clock", 1.7e9), f"http://127.0.0.1:{server.server_address[1]}"
    api = ResearchApi(Credentials(KEY, SECRET), clock, url, timeout_s=1.0, answer_s=0.5)
    for _ in range(2):  # and the next request has a connection again
        started = time.monotonic()
        with pytest.raises(ApiFault) as caught:
            api.videos(REQUEST)
        assert caught.value.fault is Fault.BROKEN
        assert time.monotonic() - started < (12 if manner == "token" else 4)
    server.shutdown()
    server.server_close()


def test_captions_of_ten_megabytes_are_cut(tmp_path: Path) -> None:
    videos = [
        {"id": 2**62 + n, "video_description": "\u202e" + "é" * 10_000_000, "junk": ["y" * 99_999]} for n in range(2)
    ]
    answer = ask(
        200, json.dumps({"data": {"videos": videos, "has_more": False}, "error": {"code": "ok"}}).encode(), tmp_path
    )
    assert [post.platform_id for post in answer.posts] == [str(2**62), str(2**62 + 1)]
    assert all(post.caption is not None and len(post.caption) == 4096 for post in answer.posts)
    assert all(len(json.dumps(post.raw)) < 140_000 for post in answer.posts)


def test_nobody_there_is_not_a_request(tmp_path: Path) -> None:
    api = ResearchApi(
        Credentials(KEY, SECRET), VirtualClock(tmp_path / "clock", 1.7e9), "http://127.0.0.1:9", timeout_s=1
    )
    with pytest.raises(ApiFault) as caught:
        api.videos(REQUEST)
    assert caught.value.fault is Fault.UNREACHABLE


def test_hostile_posts_are_contained() -> None:
    post = to_post(
        {
            "id": 7316681498072616234, "video_description": "a" * 10_000_000, "hashtag_names": ["../../etc", "\u202egnp", 5, None, "x" * 10_000, "#a b"],
            "username": "../\x00\u202eroot\ud800", "view_count": 10**40, "create_time": -5, "region_code": {"a": 1}, "video_duration": "ten",
            "deep": json.loads("[" * 50 + "]" * 50), "many": list(range(10**5)), "lone": "\ud800", "nul": "a\x00b",
        }
    )  # fmt: skip
    assert post is not None and post.caption is not None and post.username is not None
    assert len(post.caption) == 4096
    assert post.hashtags == ("etc", "gnp", "x" * 128, "ab")
    assert post.username == "../root?"
    assert (post.view_count, post.create_time, post.region, post.duration_s) == (None, None, None, None)
    kept = json.dumps(post.raw)
    assert len(kept) < 60_000
    kept.encode("utf-8")
    assert post.raw["lone"] == "?" and post.raw["nul"] == "ab"


@pytest.mark.parametrize("video", [None, 5, "x", [], {}, {"id": None}, {"id": 7.3e18}, {"id": True}, {"id": 0}, {"id": -1}, {"id": 2**63}, {"id": "../1"}, {"id": "٧٣١"}])  # fmt: skip
def test_entries_without_a_usable_id_are_left_out(video: object) -> None:
    assert to_post(video) is None


@pytest.mark.parametrize(("value", "number"), [(2**53 + 1, "9007199254740993"), ("7316681498072616234", "7316681498072616234"), (2**63 - 1, "9223372036854775807"), (1.0, None)])  # fmt: skip
def test_ids_keep_every_digit(value: object, number: str | None) -> None:
    assert clean_id(value) == number


def test_texts_are_bounded_and_printable() -> None:
    assert clean_text("a\u202eb\x00c\u2066d\n") == "abcd"
    assert clean_text("e\u0301" * 3) == "é" * 3
    assert clean_text("مرحبا") == "مرحبا"
    assert clean_tag("#Ünï_Code!") == "ünï_code"
    assert clean_tag("///") is None
    assert clean_raw({"n": float("nan"), "i": 10**40}) == {"n": None, "i": 10**40}


@pytest.mark.parametrize(
    "build",
    [
        lambda: Condition(Field.HASHTAG_NAME, Operation.EQ, ()),
        lambda: Condition(Field.HASHTAG_NAME, Operation.EQ, ("",)),
        lambda: Condition(Field.HASHTAG_NAME, Operation.EQ, ("a", "b")),
        lambda: Condition(Field.USERNAME, Operation.GT, ("a",)),
        lambda: Condition(Field.VIDEO_LENGTH, Operation.EQ, ("TINY",)),
        lambda: Query(),
        lambda: VideoRequest(with_hashtag("a"), date(2023, 1, 1), date(2023, 2, 1)),
        lambda: VideoRequest(with_hashtag("a"), date(2023, 1, 2), date(2023, 1, 1)),
        lambda: VideoRequest(with_hashtag("a"), date(2023, 1, 1), date(2023, 1, 2), max_count=101),
    ],
)
def test_what_the_platform_would_refuse_cannot_be_built(build: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        build()


def test_requests_are_written_as_documented() -> None:
    request = VideoRequest(
        with_hashtag("dance", ("US", "DE")), date(2023, 12, 1), date(2023, 12, 31), cursor=200, search_id="7"
    )
    assert request.to_json() == {
        "query": {
            "and": [
                {"operation": "EQ", "field_name": "hashtag_name", "field_values": ["dance"]},
                {"operation": "IN", "field_name": "region_code", "field_values": ["US", "DE"]},
            ]
        },
        "start_date": "20231201", "end_date": "20231231", "max_count": 100, "cursor": 200, "search_id": "7",
    }  # fmt: skip
    assert with_ids(("1", "2")).to_json() == {
        "and": [{"operation": "IN", "field_name": "video_id", "field_values": ["1", "2"]}]
    }


def test_tokens_are_renewed_before_they_end(tmp_path: Path) -> None:
    clock = VirtualClock(tmp_path / "clock", 1.7e9)
    with FakePlatform(clock, ["dance"], 10, date(2023, 11, 1), date(2023, 12, 1)) as fake:
        api = ResearchApi(Credentials(KEY, SECRET), clock, fake.url)
        for hours in (0, 1, 2, 5):
            clock.sleep(hours * 3600)
            api.connect()
            api.videos(VideoRequest(with_hashtag("dance"), date(2023, 11, 1), date(2023, 12, 1)))
        assert len(fake.tokens) == 3


def test_wrong_secrets_are_one_line_without_the_secret(tmp_path: Path) -> None:
    clock = VirtualClock(tmp_path / "clock", 1.7e9)
    with FakePlatform(clock, ["dance"], 10, date(2023, 11, 1), date(2023, 12, 1)) as fake:
        with pytest.raises(UserError, match="invalid_client") as caught:
            ResearchApi(Credentials(KEY, "wrong-secret"), clock, fake.url).connect()
        assert "wrong-secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://open.tiktokapis.com", "ftp://127.0.0.1", "http://127.0.0.1.example.org"])
def test_secrets_go_over_https_alone(tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError, match="https://"):
        ResearchApi(Credentials(KEY, SECRET), VirtualClock(tmp_path / "clock", 1.7e9), url)


def test_secrets_come_from_a_private_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"# my client\nTIKTOK_CLIENT_KEY={KEY}\nTIKTOK_CLIENT_SECRET='{SECRET}'\n")
    file.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        load_credentials(file)
    file.chmod(0o600)
    assert load_credentials(file).client_secret == SECRET
    assert load_credentials(None, {"TIKTOK_CLIENT_KEY": KEY, "TIKTOK_CLIENT_SECRET": SECRET}).client_key == KEY
    with pytest.raises(UserError, match="TIKTOK_CLIENT_SECRET is not set"):
        load_credentials(None, {"TIKTOK_CLIENT_KEY": KEY})
    with pytest.raises(UserError, match="cannot be read"):
        load_credentials(tmp_path / "none")
