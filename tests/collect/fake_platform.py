"""A platform on loopback that speaks the Research API's documented protocol and has its known faults, by seed.

`least_requests` says how many requests the best client needs, from the seed alone, whatever the real one asked.
"""

from __future__ import annotations

import bisect
import functools
import json
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY, SECRET = "fake-key-4711", "fake-secret-0815"
FIRST_ID = 7_000_000_000_000_000_000  # beyond 2^53: a client that reads numbers as floats loses them
DAY_S = 86_400


@dataclass
class Faults:
    """How likely each fault is, for a page that is asked for the first time."""

    server_error: float = 0.0
    lost_answer: float = 0.0
    cut_answer: float = 0.0
    too_many: float = 0.0
    missing_cursor: float = 0.0
    short_page: float = 0.0
    hidden_video: float = 0.0
    nul_bytes: float = 0.0
    settle_s: tuple[float, float] = (0.0, 0.0)  # a new search id is rejected for so long
    search_id_lives_s: float = 1e9
    short_life: float = 0.0  # share of search ids that live for half a minute to five minutes
    cursor_needs_search_id: float = 0.0  # share of hashtags; of the others a search goes on without its id
    fails_before: date | None = None  # windows of more than 15 days that begin before it return 500, always
    failing_day: float = 0.0  # share of hashtags with a day that makes every window with it return 500, always
    end_inclusive: float = 0.0  # share of hashtags whose windows have their last day in


ALL_FAULTS = Faults(
    server_error=0.02, lost_answer=0.003, cut_answer=0.003, too_many=0.002, missing_cursor=0.03, short_page=0.15,
    hidden_video=0.02, nul_bytes=0.02, settle_s=(5.0, 25.0), search_id_lives_s=7200.0, short_life=0.05,
    cursor_needs_search_id=0.1, fails_before=date(2025, 10, 2), failing_day=0.01, end_inclusive=0.5,
)  # fmt: skip


@dataclass
class FakePlatform:
    clock: Any
    hashtags: list[str]
    videos_each: int
    start: date
    end: date
    faults: Faults = field(default_factory=Faults)
    seed: int = 0
    quota: tuple[int, int] = (1000, 100_000)
    latency_s: float = 0.5  # of the clock, a request
    files: list[Path] = field(default_factory=list)  # served as the videos, in turn
    vanished: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.served: Counter[tuple[str, str, str, int]] = Counter()  # pages delivered
        self.asked: Counter[tuple[str, str, str, int]] = Counter()
        self.injected: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.by_day: Counter[str] = Counter()
        self.records_by_day: Counter[str] = Counter()
        self.requests = 0
        self.bodies: list[bytes] = []
        self.tokens: dict[str, float] = {}
        self.searches: dict[str, tuple[float, float]] = {}  # id -> (valid from, valid to)
        self.tasks: dict[int, list[str]] = {}
        self.polls: Counter[int] = Counter()
        self.down_until = 0.0
        self.damage = ""  # of the file that a validation task gives: html, empty, cut, error or "not there"
        self.number = {tag: index for index, tag in enumerate(self.hashtags)}
        self._lock = threading.Lock()

    def __enter__(self) -> FakePlatform:
        handler = type("Handler", (_Handler,), {"platform": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    # What there is

    @functools.cached_property
    def _times(self) -> list[list[int]]:
        """Creation times of each layout's videos, newest first: all in a month, over three, or with an empty month between."""
        last = int(datetime(self.end.year, self.end.month, self.end.day, tzinfo=timezone.utc).timestamp()) - 3600
        layouts = []
        for months in ((0,), (0, 1, 2), (1, 3)):
            share = -(-self.videos_each // len(months))
            starts = [last - month * 30 * DAY_S for month in months for _ in range(share)]
            places = [place for _ in months for place in range(share)]
            times = [top - place * 28 * DAY_S // share for top, place in zip(starts, places, strict=True)]
            layouts.append(times[: self.videos_each])
        return layouts

    def time_of(self, tag: str, place: int) -> int:
        return self._times[self.number[tag] // 2 % 3][place]

    def id_of(self, tag: str, place: int) -> int:
        """Every 40th video belongs to two hashtags."""
        owner = self.number[tag] // 2 * 2 if place % 40 == 0 else self.number[tag]
        return FIRST_ID + owner * 10_000_019 + place * 1013

    def hidden(self, tag: str, place: int) -> bool:
        return self._chance("hidden", self.id_of(tag, place)) < self.faults.hidden_video

    def inclusive(self, tag: str) -> bool:
        return self._chance("inclusive", tag) < self.faults.end_inclusive

    @functools.cached_property
    def _failing_days(self) -> dict[str, date]:
        failing = [tag for tag in self.hashtags if self._chance("failing", tag) < self.faults.failing_day]
        places = {tag: int(self._chance("failing place", tag) * self.videos_each * 0.7) for tag in failing}
        return {tag: datetime.fromtimestamp(self.time_of(tag, n), timezone.utc).date() for tag, n in places.items()}

    def failing_day(self, tag: str) -> date | None:
        return self._failing_days.get(tag)

    def reachable(self, tag: str, place: int) -> bool:
        day = datetime.fromtimestamp(self.time_of(tag, place), timezone.utc).date()
        return not self.hidden(tag, place) and day != self.failing_day(tag)

    def fails(self, tag: str, start: date, end: date) -> bool:
        """Whether the platform fails on this window, however often it is asked."""
        old, day = self.faults.fails_before, self.failing_day(tag)
        if old is not None and start < old and (end - start).days > 15:
            return True
        return day is not None and start <= day < end + timedelta(days=self.inclusive(tag))

    def places(self, tag: str, start: date, end: date) -> range:
        """The places (newest first) of a hashtag's videos in a window."""
        last = end + timedelta(days=self.inclusive(tag))
        times = [-value for value in self._times[self.number[tag] // 2 % 3]]
        top, low = (-int(datetime(d.year, d.month, d.day, tzinfo=timezone.utc).timestamp()) for d in (last, start))
        return range(bisect.bisect_right(times, top), bisect.bisect_right(times, low))

    def page(self, tag: str, start: date, end: date, cursor: int, count: int) -> tuple[list[int], int, bool]:
        """The places on a page, the cursor after it, and whether there is more: always the same for the same request."""
        places = self.places(tag, start, end)
        taken = places[cursor : cursor + count]
        following = cursor + count
        if len(taken) == count and self._chance("short", tag, start, cursor) < self.faults.short_page:
            keep = count - 1 - int(self._chance("how short", tag, start, cursor) * count * 0.4)
            taken, following = taken[:keep], cursor + keep
        return [place for place in taken if not self.hidden(tag, place)], following, following < len(places)

    def least_requests(self, wanted: int) -> int:
        """The requests of a client that knows beforehand which windows always fail and when search ids end.

        It asks each page once, from the newest back, in the longest windows that work; these share a day, since no
        client can know whether the last one counts. It is spared nothing that comes by chance: a page whose answer is
        an error, lost or cut is asked for once more.
        """
        return sum(self._least(tag, wanted) for tag in self.hashtags)

    def _least(self, tag: str, wanted: int) -> int:
        total, found, end = 0, set[int](), self.end
        while len(found) < wanted and end > self.start:
            begin = max(self.start, end - timedelta(days=30))
            while begin < end and self.fails(tag, begin, end):
                begin += timedelta(days=1)
            if begin == end:
                end -= timedelta(days=1)
                continue
            cursor, more = 0, True
            while more and len(found) < wanted:
                total += 1 + (self._injected(_key(tag, begin, end, cursor)) is not None)
                videos, cursor, more = self.page(tag, begin, end, cursor, 100)
                found.update(videos)
            end = begin
        return total

    def _injected(self, key: tuple[str, str, str, int]) -> str | None:
        """The fault by chance that a page has when it is first asked for."""
        names = ("server_error", "too_many", "lost_answer", "cut_answer")
        return next((name for name in names if self._chance(name, *key) < getattr(self.faults, name)), None)

    # Answers

    def query(self, body: dict[str, Any]) -> tuple[int, bytes, str]:
        """Status, body, and what to do with the connection: "", "lose" or "cut"."""
        now, day = self.clock.now(), self.today()
        conditions = {c["field_name"]: c["field_values"] for c in body["query"]["and"]}
        tag = conditions["hashtag_name"][0]
        start, end = (date(int(t[:4]), int(t[4:6]), int(t[6:])) for t in (body["start_date"], body["end_date"]))
        cursor, count = body["cursor"], body["max_count"]
        assert 0 <= (end - start).days <= 30
        assert 1 <= count <= 100
        key = _key(tag, start, end, cursor)
        if self.by_day[day] + 1 > self.quota[0] or self.records_by_day[day] >= self.quota[1]:
            self.rejected["quota"] += 1
            return _error(429, "rate_limit_exceeded", "The API rate limit was exceeded.")
        self.by_day[day] += 1
        if now < self.down_until:
            self.rejected["down"] += 1
            return _error(503, "internal_error", "Something is wrong. Please try again later.")
        if self.fails(tag, start, end):
            self.rejected["failing window"] += 1
            return _error(500, "internal_error", "Something is wrong. Please try again later.")
        search_id = body.get("search_id")
        if search_id is None and cursor and self._chance("needs id", tag) < self.faults.cursor_needs_search_id:
            self.rejected["cursor"] += 1
            return _error(400, "invalid_params", "Invalid count or cursor")
        if search_id is not None:
            valid = self.searches.get(search_id, (1e99, 0.0))
            if not valid[0] <= now <= valid[1]:
                self.rejected["search id"] += 1
                return _error(400, "invalid_params", f"Search Id {search_id} is invalid or expired")
        self.asked[key] += 1
        fault = self._injected(key) if self.asked[key] == 1 else None
        if fault is not None:
            self.injected[fault] += 1
        if fault == "server_error":
            return _error(500, "internal_error", "Something is wrong. Please try again later.")
        if fault == "too_many":
            return _error(429, "rate_limit_exceeded", "The API rate limit was exceeded.")
        if fault is not None:
            answer = self.answer(tag, start, end, cursor, count, search_id, key)
            return 200, answer, "lose" if fault == "lost_answer" else "cut"
        self.served[key] += 1
        return 200, self.answer(tag, start, end, cursor, count, search_id, key), ""

    def answer(
        self, tag: str, start: date, end: date, cursor: int, count: int, search_id: str | None, key: tuple[Any, ...]
    ) -> bytes:
        places, following, more = self.page(tag, start, end, cursor, count)
        self.records_by_day[self.today()] += len(places)
        if search_id is None:
            search_id = str(FIRST_ID + len(self.searches))
            low, high = self.faults.settle_s
            valid = self.clock.now() + low + (high - low) * self._chance("settle", search_id)
            lives = self.faults.search_id_lives_s
            if self._chance("short life", search_id) < self.faults.short_life:
                lives = 30.0 + 270.0 * self._chance("how short a life", search_id)
            self.searches[search_id] = (valid, self.clock.now() + lives)
        nul = self._chance("nul", *key) < self.faults.nul_bytes
        videos = ",".join(self.video(tag, place, nul) for place in places)
        shown = (
            "" if more and self._chance("no cursor", *key) < self.faults.missing_cursor else f'"cursor":{following},'
        )
        text = (
            f'{{"data":{{"videos":[{videos}],{shown}"has_more":{json.dumps(more)},"search_id":"{search_id}"}},'
            '"error":{"code":"ok","message":"","log_id":"20260101000000ABCDEF"}}'
        )
        return text.encode()

    def video(self, tag: str, place: int, nul: bool) -> str:
        number = self.id_of(tag, place)
        pair = self.number[tag] // 2 * 2
        tags = self.hashtags[pair : pair + 2] if place % 40 == 0 else [tag]
        names = ",".join(f'"{name}"' for name in [*tags, "fyp"])
        caption = f"#{tag} no. {place}" + (" a\\u0000b\x00c" if nul else " é😀")
        return (
            f'{{"id":{number},"video_description":"{caption}","create_time":{self.time_of(tag, place)},"region_code":"US",'
            f'"share_count":{place % 7},"view_count":{place * 91},"like_count":{place % 101},"comment_count":{place % 13},'
            f'"music_id":{number + 1},"hashtag_names":[{names}],"username":"user_{number % 5003}","effect_ids":[],'
            f'"video_duration":{5 + place % 50},"hashtag_info_list":[{{"hashtag_id":{number + 2},"hashtag_name":"{tag}"}}],'
            f'"a_field_of_next_year":{{"kept":[1,2]}}}}'
        )

    def valid_ids(self, task: int) -> tuple[int, bytes]:
        """The file of a validation task: the ids that are still there, one a line."""
        if self.damage == "error":
            return _error(200, "internal_error", "Something is wrong. Please try again later.")[:2]
        lines = [name for name in self.tasks[task] if int(name) not in self.vanished]
        if self.damage == "cut" and task % 2 == 0:
            del lines[: len(lines) // 2]
        text = {"html": "<!doctype html><p>log in", "empty": ""}.get(self.damage, "\n".join(lines) + "\n")
        return 404 if self.damage == "not there" else 200, text.encode()

    def today(self) -> str:
        return f"{datetime.fromtimestamp(self.clock.now(), timezone.utc):%Y%m%d}"

    def _chance(self, *what: Any) -> float:
        return random.Random(f"{self.seed} {what}").random()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no error."""


class _Handler(BaseHTTPRequestHandler):
    platform: FakePlatform
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        number = int(Path(urlsplit(self.path).path).stem or 0)
        if not self.platform.files or number in self.platform.vanished:
            self._reply(404, b"gone", kind="text/plain")
            return
        self._reply(200, self.platform.files[number % len(self.platform.files)].read_bytes(), kind="video/mp4")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        platform = self.platform
        with platform._lock:
            platform.clock.sleep(platform.latency_s)
            platform.bodies = [*platform.bodies[-50:], body]
            path = urlsplit(self.path).path
            if path == "/v2/oauth/token/":
                self._token(parse_qs(body.decode()))
            elif (
                platform.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "), 0)
                < platform.clock.now()
            ):
                self._reply(
                    *_error(401, "access_token_invalid", "The access token is invalid or not found in the request.")[:2]
                )
            elif path == "/v2/research/video/query/":
                platform.requests += 1
                self._page(body)
            elif path == "/v2/research/validation_task/create/":
                number = 12345678910987654321 + len(platform.tasks)  # the documentation's example, beyond 64 bits
                platform.tasks[number] = _uploaded(self.headers["Content-Type"], body).split()
                self._reply(200, json.dumps({"data": {"task_id": number}, "error": {"code": "ok"}}).encode())
            elif path == "/v2/research/validation_task_status/get/":
                task = json.loads(body)["task_id"]
                platform.polls[task] += 1
                status = "Completed" if platform.polls[task] > 1 else "Processing"
                self._reply(200, json.dumps({"data": {"task_status": status}, "error": {"code": "ok"}}).encode())
            elif path == "/v2/research/validation_task/download/":
                self._reply(*platform.valid_ids(json.loads(body)["task_id"]), kind="text/plain")
            else:
                self._reply(*_error(404, "not_found", "")[:2])

    def _page(self, body: bytes) -> None:
        status, answer, manner = self.platform.query(json.loads(body))
        if manner == "lose":
            self.close_connection = True
        elif manner == "cut":
            self._reply(status, answer[: len(answer) // 2])
        else:
            self._reply(status, answer)

    def _token(self, form: dict[str, list[str]]) -> None:
        if form.get("client_key") != [KEY] or form.get("client_secret") != [SECRET]:
            answer = {
                "error": "invalid_client",
                "error_description": "Client key or secret is incorrect.",
                "log_id": "1",
            }
            self._reply(401, json.dumps(answer).encode())
            return
        token = f"clt.{len(self.platform.tokens)}"
        self.platform.tokens[token] = self.platform.clock.now() + 7200
        self._reply(200, json.dumps({"access_token": token, "expires_in": 7200, "token_type": "Bearer"}).encode())

    def _reply(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _key(tag: str, start: date, end: date, cursor: int) -> tuple[str, str, str, int]:
    return tag, f"{start:%Y%m%d}", f"{end:%Y%m%d}", cursor


def _error(status: int, code: str, message: str) -> tuple[int, bytes, str]:
    return status, json.dumps({"data": {}, "error": {"code": code, "message": message, "log_id": "2"}}).encode(), ""


def _uploaded(content_type: str, body: bytes) -> str:
    form = message_from_bytes(f"Content-Type: {content_type}\n\n".encode() + body)
    parts = {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
        for part in form.get_payload()
    }
    assert parts["category"] == b"video"
    return parts["file_data"].decode()
