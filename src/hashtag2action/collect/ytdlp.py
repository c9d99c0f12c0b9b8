"""Fetching from video pages with yt-dlp, an optional extra. Pages change, so failures are expected and recorded."""

from __future__ import annotations

import hashlib
import importlib
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hashtag2action.collect.addresses import ForbiddenAddress, check_url, is_public, resolve
from hashtag2action.collect.fetch import Failure, Fetched, Problem, video_suffix
from hashtag2action.collect.settings import DownloadSettings
from hashtag2action.errors import UserError


def require_ytdlp() -> None:
    """Raise `UserError` where yt-dlp is not installed."""
    try:
        importlib.import_module("yt_dlp")
    except ImportError as error:
        raise UserError("--ytdlp: yt-dlp is not installed; pip install 'hashtag2action[ytdlp]'") from error


def fetch_page(
    url: str, target: Path, settings: DownloadSettings, *,
    sleep: Callable[[float], None] = time.sleep, now: Callable[[], float] = time.time,
) -> Fetched:  # fmt: skip
    """Fetch the video of a page to `target` plus a suffix. It never raises for data.

    The page's own address is checked; the addresses that the page leads yt-dlp to are not.
    """
    failures: list[Failure] = []
    for attempt in range(settings.attempts):
        if attempt:
            sleep(min(settings.max_retry_s, settings.retry_s * 2 ** (attempt - 1)))
        try:
            return _attempt(url, target, settings, failures)
        except ForbiddenAddress as error:
            failures.append(Failure(now(), Problem.FORBIDDEN, str(error)[:500]))
            break
        except OSError as error:
            failures.append(Failure(now(), Problem.CONNECTION, str(error)[:500]))
        except ValueError as error:
            failures.append(Failure(now(), Problem.EXTRACTOR, str(error)[:500]))
    return Fetched(None, failures=tuple(failures))


def _attempt(url: str, target: Path, settings: DownloadSettings, failures: list[Failure]) -> Fetched:
    yt_dlp = importlib.import_module("yt_dlp")
    host = check_url(url)
    try:
        addresses = resolve(host, 443)
    except socket.gaierror as error:
        raise OSError(f"{host}: no address") from error
    if not settings.allow_private and (private := [address for address in addresses if not is_public(address)]):
        raise ForbiddenAddress(f"{host} is {private[0]}, no public address")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".ytdlp-") as folder:
        options: dict[str, Any] = {
            "outtmpl": str(Path(folder) / "video.%(ext)s"),
            "format": "best[ext=mp4]/best",
            "noplaylist": True,
            "max_filesize": settings.max_bytes,
            "socket_timeout": settings.read_timeout_s,
            "quiet": True,
            "no_warnings": True,
            "noprogress": True,
            "cachedir": False,
            "retries": 0,
        }
        try:
            with yt_dlp.YoutubeDL(options) as downloader:
                downloader.extract_info(url, download=True)
        except yt_dlp.utils.YoutubeDLError as error:
            raise ValueError(" ".join(str(error).split())) from error
        files = [path for path in Path(folder).iterdir() if path.suffix not in (".part", ".ytdl")]
        if len(files) != 1:
            raise ValueError("no file, or one that is too large")
        content = files[0]
        with content.open("rb") as file:
            suffix = video_suffix(file.read(256))
        if suffix is None:
            raise ValueError("the file is no video")
        whole = target.with_name(target.name + suffix)
        shutil.move(content, whole)
    digest = hashlib.sha256(whole.read_bytes()).hexdigest()
    return Fetched(whole, whole.stat().st_size, digest, tuple(failures))
