"""A thin client of the TikTok Research API: one call sends one request and returns its page or says what was wrong.

Patience (when to ask again, what to ask next) is the harvest's; counting requests too. Only fetching a token is
repeated here, since tokens are free.
"""

from __future__ import annotations

import enum
import ipaddress
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import tenacity

from hashtag2action.catalog.ledger import Answer
from hashtag2action.catalog.posts import NewPost
from hashtag2action.collect.clock import Clock
from hashtag2action.collect.credentials import Credentials
from hashtag2action.collect.deadline import end_after
from hashtag2action.collect.query import FIELDS, VideoRequest
from hashtag2action.collect.text import clean_count, clean_id, clean_raw, clean_tag, clean_text
from hashtag2action.errors import UserError

API_URL = "https://open.tiktokapis.com"
VIDEO_URL = "https://www.tiktok.com/@_/video/{id}"
MAX_ANSWER_BYTES = 128 << 20
ANSWER_S = 120.0  # for a whole answer, however slowly it drips
TOKEN_MARGIN_S = 300.0


class Fault(str, enum.Enum):
    """What can be wrong with an answer, as far as it matters for what to do next."""

    RATE = "rate_limit"  # too many a minute, or the day's quota
    SEARCH_ID = "search_id"  # not yet valid, or no longer
    CURSOR = "cursor"
    SERVER = "server_error"
    TOKEN = "token"
    REFUSED = "refused"  # the platform will say the same again
    BROKEN = "broken_answer"  # cut short, not JSON, too large, too slow
    UNREACHABLE = "unreachable"  # never arrived there


class ApiFault(Exception):
    """A request that brought no page."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(f"{fault.value}: {message}")
        self.fault, self.message = fault, message


class ResearchApi:
    """A connection to the platform, with the token that it lends for two hours."""

    def __init__(
        self,
        credentials: Credentials,
        clock: Clock,
        base_url: str = API_URL,
        timeout_s: float = 60.0,
        answer_s: float = ANSWER_S,
    ) -> None:
        """Prepare the connection; nothing is sent. `base_url` must be HTTPS unless it is this machine's own address.

        An answer may pause for `timeout_s` and take `answer_s` in all.
        """
        parts = urlsplit(base_url)
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
            raise UserError(f"{base_url}: the client secret is sent there, so it must begin with https://")
        self._credentials, self._clock = credentials, clock
        self._base_url, self._timeout_s, self._answer_s = base_url, timeout_s, answer_s
        self._http = self._new_client()
        self._token, self._token_ends = "", 0.0

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _new_client(self) -> httpx.Client:
        return httpx.Client(base_url=self._base_url, timeout=self._timeout_s, follow_redirects=False)

    def connect(self) -> None:
        """Fetch a token if there is none that will last. Raises `UserError` where the platform refuses the credentials."""
        if not self._token or self._clock.now() > self._token_ends - TOKEN_MARGIN_S:
            patience = tenacity.Retrying(
                sleep=self._clock.sleep, stop=tenacity.stop_after_attempt(6), wait=tenacity.wait_exponential(2, max=60),
                retry=tenacity.retry_if_exception_type(ApiFault), reraise=True,
            )  # fmt: skip
            patience(self._fetch_token)

    def videos(self, request: VideoRequest) -> Answer:
        """Return one page of videos. Raises `ApiFault`."""
        path = f"/v2/research/video/query/?fields={','.join(FIELDS)}"
        data = self._call(path, json=request.to_json())
        videos = data.get("videos")
        if not isinstance(videos, list):
            raise ApiFault(Fault.BROKEN, "no list of videos")
        posts = [post for video in videos if (post := to_post(video)) is not None]
        cursor = clean_count(data.get("cursor"))
        if cursor is None or cursor <= request.cursor:
            cursor = request.cursor + (
                len(videos) or request.max_count
            )  # never beyond what was delivered: nothing is lost
        search_id = data.get("search_id")
        return Answer(
            posts,
            received=len(videos),
            cursor=cursor,
            has_more=bool(data.get("has_more", videos)),
            search_id=str(search_id)[:64] if search_id else request.search_id,
        )

    def create_validation(self, video_ids: Sequence[str]) -> str:
        """Ask the platform to check at most 10,000 ids and return the task's id. Raises `ApiFault`."""
        file = {"file_data": ("ids.txt", "\n".join(video_ids).encode(), "text/plain")}
        data = self._call("/v2/research/validation_task/create/", data={"category": "video"}, files=file)
        task = clean_id(data.get("task_id")) or clean_text(str(data.get("task_id") or ""), 64)
        if not task:
            raise ApiFault(Fault.BROKEN, "no task_id")
        return task

    def validation_status(self, task_id: str) -> dict[str, Any]:
        """Return what the platform says of a validation task's progress. Raises `ApiFault`."""
        return self._call("/v2/research/validation_task_status/get/", json=_task(task_id))

    def validation_file(self, task_id: str) -> bytes:
        """Return the file that a completed validation task has made. Raises `ApiFault`."""
        self.connect()
        status, body = self._send("/v2/research/validation_task/download/", {"json": _task(task_id)}, self._bearer())
        answer = _parse(body)
        if status != 200 or (answer is not None and "error" in answer):
            raise self._refusal(status, answer or {})
        return body

    def _fetch_token(self) -> None:
        secrets = {"client_key": self._credentials.client_key, "client_secret": self._credentials.client_secret}
        status, body = self._send("/v2/oauth/token/", {"data": {**secrets, "grant_type": "client_credentials"}})
        answer = _read(status, body)
        token = answer.get("access_token")
        if isinstance(token, str) and token:
            self._token = token
            self._token_ends = self._clock.now() + float(clean_count(answer.get("expires_in")) or 7200)
            return
        code = clean_text(answer.get("error"), 64) or f"HTTP {status}"
        if status < 500 and status != 429 and isinstance(answer.get("error"), str):
            raise UserError(
                f"{self._http.base_url}: the platform refuses the credentials ({code}); check client key and secret"
            )
        raise ApiFault(Fault.SERVER, f"no token: {code}")

    def _call(self, path: str, **content: Any) -> dict[str, Any]:
        self.connect()
        status, body = self._send(path, content, self._bearer())
        answer = _read(status, body)
        error = answer.get("error")
        code = str(error.get("code", "")) if isinstance(error, dict) else ""
        data = answer.get("data")
        if status == 200 and code in ("ok", "") and isinstance(data, dict):
            return data
        raise self._refusal(status, answer)

    def _refusal(self, status: int, answer: Mapping[str, Any]) -> ApiFault:
        error = answer.get("error")
        code = str(error.get("code", "")) if isinstance(error, dict) else ""
        message = clean_text(error.get("message"), 200) if isinstance(error, dict) else None
        fault = _fault(status, code, message or "")
        if fault is Fault.TOKEN:
            self._token = ""
        return ApiFault(fault, f"HTTP {status} {clean_text(code, 64)}: {message or 'no message'}")

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def _send(
        self, path: str, content: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return status and body of a POST, the whole of which takes at most `answer_s`, headers and all."""
        body = bytearray()
        try:
            with (
                end_after(self._http, self._answer_s),
                self._http.stream("POST", path, headers=dict(headers or {}), **content) as response,
            ):
                for block in response.iter_bytes():
                    body += block
                    if len(body) > MAX_ANSWER_BYTES:
                        raise ApiFault(Fault.BROKEN, "the answer does not end")
                status = response.status_code
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ApiFault(Fault.UNREACHABLE, type(error).__name__) from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise ApiFault(Fault.BROKEN, type(error).__name__) from error
        finally:
            if self._http.is_closed:
                self._http = self._new_client()
        return status, bytes(body)


def to_post(video: object) -> NewPost | None:
    """Return the post that an entry of an answer describes, or None without a usable id."""
    if not isinstance(video, dict) or (video_id := clean_id(video.get("id"))) is None:
        return None
    names = video.get("hashtag_names")
    tags = [tag for name in (names if isinstance(names, list) else [])[:100] if (tag := clean_tag(name))]
    return NewPost(
        platform_id=video_id,
        hashtags=tuple(dict.fromkeys(tags)),
        username=clean_text(video.get("username"), 256),
        caption=clean_text(video.get("video_description")),
        region=clean_text(video.get("region_code"), 16),
        create_time=clean_count(video.get("create_time")),
        view_count=clean_count(video.get("view_count")),
        duration_s=clean_count(video.get("video_duration")),
        url=VIDEO_URL.format(id=video_id),
        origin="TikTok Research API",
        raw=clean_raw(video),
    )


def _task(task_id: str) -> dict[str, int | str]:
    return {"task_id": int(task_id) if task_id.isdigit() else task_id}


def _read(status: int, body: bytes) -> dict[str, Any]:
    """Return the JSON object in an answer, an empty one where there is none and the status says why."""
    answer = _parse(body)
    if answer is None and status == 200:
        raise ApiFault(Fault.BROKEN, "the answer is not JSON")
    return answer or {}


def _parse(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in `body`, raw NUL bytes in texts allowed; None where there is none."""
    try:
        answer = json.loads(body.decode("utf-8", "replace"), strict=False, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _fault(status: int, code: str, message: str) -> Fault:
    text = message.lower()
    if status == 429 or code == "rate_limit_exceeded":
        return Fault.RATE
    if code == "access_token_invalid":
        return Fault.TOKEN
    if "search id" in text or "search_id" in text:
        return Fault.SEARCH_ID
    if "cursor" in text:
        return Fault.CURSOR
    if status >= 500 or code in ("internal_error", "timeout"):
        return Fault.SERVER
    return Fault.REFUSED if status >= 400 else Fault.BROKEN


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
