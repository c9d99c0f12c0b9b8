"""Fetching one file over HTTP(S): checked addresses, bounded size and time, only video, resumed where it stopped."""

from __future__ import annotations

import enum
import hashlib
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import tenacity

from hashtag2action.collect.addresses import ForbiddenAddress, Network, PinnedTransport, check_url
from hashtag2action.collect.deadline import end_after
from hashtag2action.collect.settings import DownloadSettings
from hashtag2action.files import atomic_write


class Problem(str, enum.Enum):
    """Why a file was not fetched."""

    FORBIDDEN = "forbidden_address"
    GONE = "gone"  # 404, 410
    REFUSED = "refused"  # 401, 403 and the like
    TOO_LARGE = "too_large"
    NOT_VIDEO = "not_video"
    REDIRECTS = "too_many_redirects"
    SERVER = "server_error"  # 5xx, 429
    CONNECTION = "connection"  # not reached, broken off, cut short
    SLOW = "too_slow"
    EXTRACTOR = "extractor"  # yt-dlp found no file

    @property
    def may_pass(self) -> bool:
        """Whether trying again can help."""
        return self in (Problem.SERVER, Problem.CONNECTION, Problem.SLOW, Problem.EXTRACTOR)


@dataclass(frozen=True)
class Failure:
    """One attempt that failed."""

    at: float
    problem: Problem
    detail: str


@dataclass(frozen=True)
class Fetched:
    """The outcome for one file: where it is, or why it is not; every failed attempt is listed."""

    path: Path | None
    size_bytes: int = 0
    sha256: str = ""
    failures: tuple[Failure, ...] = ()

    @property
    def attempts(self) -> int:
        """How often it was tried."""
        return len(self.failures) + (self.path is not None)


class FetchError(Exception):
    """An attempt that failed."""

    def __init__(self, problem: Problem, detail: str, wait_s: float = 0.0) -> None:
        super().__init__(detail)
        self.problem, self.detail, self.wait_s = problem, detail[:500], wait_s


def make_client(settings: DownloadSettings, network: Network | None = None) -> httpx.Client:
    """Return a client that reaches public addresses alone, unless the settings (or `network`) say otherwise."""
    return httpx.Client(
        transport=PinnedTransport(network or Network(settings.allow_private)),
        timeout=settings.read_timeout_s,
        follow_redirects=True,
        max_redirects=settings.max_redirects,
        trust_env=False,
        headers={"User-Agent": "hashtag2action", "Accept-Encoding": "identity"},
    )


def fetch(
    url: str, target: Path, settings: DownloadSettings, *, network: Network | None = None,
    sleep: Callable[[float], None] = time.sleep, now: Callable[[], float] = time.time,
) -> Fetched:  # fmt: skip
    """Fetch a URL to `target` plus a suffix for what it holds; it tries again with growing waits, and never raises for data.

    What has arrived stays beside `target` as `.part` and is gone on with, now or in a later run.
    """
    failures: list[Failure] = []

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait_s if isinstance(error, FetchError) else 0.0
        pause = settings.retry_s * 2 ** (state.attempt_number - 1) * (0.5 + random.random() / 2)
        return min(settings.max_retry_s, max(asked, pause))

    def once() -> tuple[Path, int, str]:
        try:
            return _attempt(url, target, settings, network)
        except FetchError as error:
            failures.append(Failure(now(), error.problem, error.detail))
            raise

    patience = tenacity.Retrying(
        sleep=sleep, stop=tenacity.stop_after_attempt(settings.attempts), wait=wait, reraise=True,
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, FetchError) and error.problem.may_pass),
    )  # fmt: skip
    try:
        path, size, digest = patience(once)
    except FetchError:
        return Fetched(None, failures=tuple(failures))
    return Fetched(path, size, digest, tuple(failures))


def video_suffix(head: bytes) -> str | None:
    """Return the file suffix for a video that begins with these bytes (at least 12), None for anything else."""
    if head[4:8] == b"ftyp":
        return ".mov" if head[8:12] == b"qt  " else ".mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return ".webm" if b"webm" in head[:64] else ".mkv"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return ".avi"
    for magic, suffix in (
        (b"FLV", ".flv"),
        (b"OggS", ".ogv"),
        (b"\x00\x00\x01\xba", ".mpg"),
        (b"\x00\x00\x01\xb3", ".mpg"),
        (b"\x30\x26\xb2\x75", ".wmv"),
    ):
        if head.startswith(magic):
            return suffix
    if head[:1] == b"\x47" and head[188:189] in (b"\x47", b""):
        return ".ts"
    return ".mov" if head[4:8] in (b"moov", b"mdat", b"wide", b"free") else None


def _attempt(url: str, target: Path, settings: DownloadSettings, network: Network | None) -> tuple[Path, int, str]:
    part, tag = target.with_name(target.name + ".part"), target.with_name(target.name + ".part.tag")
    target.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.is_file() else 0
    known = tag.read_text() if have and tag.is_file() else ""
    headers = {"Range": f"bytes={have}-", "If-Range": known} if known else {}
    deadline = time.monotonic() + settings.file_timeout_s
    client = make_client(settings, network)
    try:
        check_url(url)
        with (
            end_after(client, settings.file_timeout_s + 1.0),
            client.stream("GET", url, headers=headers) as response,
        ):
            resumed = response.status_code == 206 and bool(known) and _begins_at(response) == have
            _check_status(response, resumed=resumed)
            if not resumed:
                have = 0
            expected = _length(response, have)
            if expected is not None and expected > settings.max_bytes:
                raise FetchError(Problem.TOO_LARGE, f"{expected} bytes, at most {settings.max_bytes} are taken")
            mark = response.headers.get("ETag", "")
            atomic_write(tag, mark if not mark.startswith("W/") else "")
            size = _write(response, part, have, deadline, settings.max_bytes)
    except ForbiddenAddress as error:
        raise FetchError(Problem.FORBIDDEN, str(error)) from error
    except httpx.TooManyRedirects as error:
        raise FetchError(Problem.REDIRECTS, f"more than {settings.max_redirects}") from error
    except httpx.TimeoutException as error:
        raise FetchError(Problem.SLOW, f"{settings.read_timeout_s:.0f} s without a byte") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:
        late = time.monotonic() > deadline
        raise FetchError(Problem.SLOW if late else Problem.CONNECTION, f"{type(error).__name__}: {error}") from error
    finally:
        client.close()
    if expected is not None and size != expected:
        raise FetchError(Problem.CONNECTION, f"{size} of {expected} bytes arrived")
    return _finish(part, tag, target, size)


def _check_status(response: httpx.Response, *, resumed: bool) -> None:
    status = response.status_code
    if status == 200 or resumed:
        return
    detail = f"HTTP {status}"
    if status in (404, 410):
        raise FetchError(Problem.GONE, detail)
    if status in (429, 408) or status >= 500:
        after = response.headers.get("Retry-After", "")
        raise FetchError(Problem.SERVER, detail, float(after) if after.isdigit() and len(after) < 6 else 0.0)
    if status in (206, 416):  # of a file that changed: begin again
        raise FetchError(Problem.CONNECTION, f"{detail}: cannot go on from where it stopped")
    raise FetchError(Problem.REFUSED, detail)


def _write(response: httpx.Response, part: Path, have: int, deadline: float, max_bytes: int) -> int:
    size = have
    with part.open("r+b" if have else "wb") as file:
        file.seek(have)
        head = b"" if not have else part.read_bytes()[:256] if have < 256 else None
        for block in response.iter_raw():
            size += len(block)
            if size > max_bytes:
                raise _dropped(part, Problem.TOO_LARGE, f"more than {max_bytes} bytes")
            if time.monotonic() > deadline:
                raise FetchError(Problem.SLOW, f"not whole in time; {size} bytes are kept")
            if head is not None:
                head += block[:256]
                if len(head) >= 189:
                    if video_suffix(head) is None:
                        raise _dropped(part, Problem.NOT_VIDEO, f"begins with {head[:12]!r}")
                    head = None
            file.write(block)
            file.flush()
        os.fsync(file.fileno())
    return size


def _dropped(part: Path, problem: Problem, detail: str) -> FetchError:
    part.unlink(missing_ok=True)
    return FetchError(problem, detail)


def _finish(part: Path, tag: Path, target: Path, size: int) -> tuple[Path, int, str]:
    digest = hashlib.sha256()
    with part.open("rb") as file:
        head = file.read(256)
        digest.update(head)
        while block := file.read(1 << 20):
            digest.update(block)
    suffix = video_suffix(head)
    if suffix is None:
        raise _dropped(part, Problem.NOT_VIDEO, f"begins with {head[:12]!r}")
    whole = target.with_name(target.name + suffix)
    part.replace(whole)
    tag.unlink(missing_ok=True)
    return whole, size, digest.hexdigest()


def _begins_at(response: httpx.Response) -> int | None:
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    start = rest.partition("-")[0]
    return int(start) if unit == "bytes" and start.isdigit() else None


def _length(response: httpx.Response, have: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return have + int(length) if length.isdigit() and len(length) < 19 else None
