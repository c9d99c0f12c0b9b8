"""Fetching from video pages with yt-dlp, an optional extra. Pages change, so failures are expected and recorded."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from hashtag2action.collect.addresses import ForbiddenAddress, Network
from hashtag2action.collect.fetch import Failure, Fetched, FetchError, Problem, video_suffix
from hashtag2action.collect.settings import DownloadSettings
from hashtag2action.collect.ytdlp_process import Job
from hashtag2action.errors import UserError
from hashtag2action.files import sha256_of

KEPT = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "SSL_CERT_FILE", "SSL_CERT_DIR", "VIRTUAL_ENV", "PYTHONPATH")


def require_ytdlp() -> None:
    """Raise `UserError` where yt-dlp is not installed."""
    if importlib.util.find_spec("yt_dlp") is None:
        raise UserError("--ytdlp: yt-dlp is not installed; pip install 'hashtag2action[ytdlp]'")


def fetch_page(
    url: str, target: Path, settings: DownloadSettings, *,
    sleep: Callable[[float], None] = time.sleep, now: Callable[[], float] = time.time,
) -> Fetched:  # fmt: skip
    """Fetch the video of a page to `target` plus a suffix, in a process with limits. It never raises for data.

    The page's address is checked here, all others that yt-dlp connects to in its process.
    """
    failures: list[Failure] = []
    for attempt in range(settings.attempts):
        if attempt:
            sleep(min(settings.max_retry_s, settings.retry_s * 2 ** (attempt - 1)))
        try:
            whole = _attempt(url, target, settings)
            return Fetched(whole, whole.stat().st_size, sha256_of(whole), tuple(failures))
        except FetchError as error:
            failures.append(Failure(now(), error.problem, error.detail))
            if not error.problem.may_pass:
                break
    return Fetched(None, failures=tuple(failures))


def _attempt(url: str, target: Path, settings: DownloadSettings) -> Path:
    try:
        Network(settings.allow_private).addresses(url)
    except ForbiddenAddress as error:
        raise FetchError(Problem.FORBIDDEN, str(error)) from error
    except OSError as error:
        raise FetchError(Problem.CONNECTION, "the host has no address") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".ytdlp-") as name:
        folder = Path(name).resolve()
        job = Job(
            url,
            str(folder),
            settings.max_bytes,
            settings.file_timeout_s,
            settings.read_timeout_s,
            settings.allow_private,
        )
        _run(job, settings.file_timeout_s)
        files = [path for path in folder.iterdir() if path.name.startswith("video.") and path.suffix != ".part"]
        if len(files) != 1:
            raise FetchError(Problem.EXTRACTOR, "no file, or one that is too large")
        with files[0].open("rb") as file:
            suffix = video_suffix(file.read(256))
        if suffix is None:
            raise FetchError(Problem.NOT_VIDEO, "the file is no video")
        whole = target.with_name(target.name + suffix)
        shutil.move(files[0], whole)
    return whole


def _run(job: Job, timeout_s: float) -> None:
    """Run yt-dlp to its end or for `timeout_s`, without proxies, plugins and the user's own configuration."""
    settled = {name: os.environ[name] for name in KEPT if name in os.environ}
    settled |= {"HOME": job.folder, "TMPDIR": job.folder, "YTDLP_NO_PLUGINS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "hashtag2action.collect.ytdlp_process", json.dumps(asdict(job))]
    log = Path(job.folder) / "log"
    try:
        with log.open("wb") as errors:
            done = subprocess.run(
                command,
                env=settled,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                timeout=timeout_s,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise FetchError(Problem.SLOW, f"not whole in {timeout_s:.0f} s") from error
    if done.returncode:
        lines = log.read_bytes()[-4096:].decode("utf-8", "replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        raise FetchError(Problem.EXTRACTOR, said[-1] if said else f"yt-dlp ended with {done.returncode}")
