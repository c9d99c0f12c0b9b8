"""yt-dlp in a process of its own, which connects to public addresses alone, starts no program and writes to one folder.

Python tells an audit hook of every connection, program and file before it is opened, whichever part of yt-dlp asks; a
hook cannot be taken out again. So redirects, addresses found in a page and names that change theirs are checked too.
Code that is not Python's is not seen by it: curl_cffi, which brings its own network, is therefore not loaded.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashtag2action.collect.addresses import is_public

FORBIDDEN = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork", "os.forkpty", "os.spawn", "pty.spawn",
             "socket.sendto", "socket.sendmsg", "socket.bind", "ctypes.dlopen")  # fmt: skip


@dataclass(frozen=True)
class Job:
    """What to fetch, where to, and within which limits."""

    url: str
    folder: str  # the one that may be written to
    max_bytes: int
    time_s: float  # of the processor
    read_timeout_s: float
    allow_private: bool


def run(job: Job) -> None:
    """Fetch the video of a page as `video.EXTENSION` in the folder. Raises `yt_dlp.utils.YoutubeDLError`, `OSError`."""
    _limit(job)
    _guard(Path(job.folder).resolve(), allow_private=job.allow_private)
    import yt_dlp

    options: dict[str, Any] = {
        "outtmpl": str(Path(job.folder) / "video.%(ext)s"),
        "allowed_extractors": ["default"] if job.allow_private else ["default", "-generic"],
        "format": "best[ext=mp4]/best",
        "external_downloader": {"default": "native"},
        "enable_file_urls": False,
        "fixup": "never",
        "js_runtimes": {},
        "remote_components": [],
        "noplaylist": True,
        "playlist_items": "1",
        "max_filesize": job.max_bytes,
        "socket_timeout": job.read_timeout_s,
        "retries": 0,
        "fragment_retries": 0,
        "extractor_retries": 0,
        "proxy": "",
        "cachedir": False,
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
    }
    with yt_dlp.YoutubeDL(options) as downloader:
        downloader.extract_info(job.url, download=True)


def _limit(job: Job) -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (job.max_bytes, job.max_bytes))
        seconds = max(1, round(job.time_s))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _guard(folder: Path, *, allow_private: bool) -> None:
    writing = os.O_WRONLY | os.O_RDWR

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and not allow_private and not _may_connect(arguments[1]):
            raise PermissionError(f"{arguments[1]} is no public address")
        if event == "import" and not allow_private and arguments[0].partition(".")[0] == "curl_cffi":
            raise ImportError("curl_cffi connects without being checked")
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & writing:
            path = arguments[0]
            if not isinstance(path, int) and not Path(os.fsdecode(path)).resolve().is_relative_to(folder):
                raise PermissionError(f"{os.fsdecode(path)} is not in the folder of the download")
        if event in FORBIDDEN:
            raise PermissionError(f"{event} is not allowed here")

    sys.addaudithook(hook)


def _may_connect(address: Any) -> bool:
    try:
        return is_public(str(address[0]))
    except (ValueError, TypeError, IndexError):  # a name, or a socket of the file system
        return False


if __name__ == "__main__":
    try:
        run(Job(**json.loads(sys.argv[1])))
    except Exception as error:  # noqa: BLE001 - whatever an extractor raises, the parent records its last line
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())[:400]}")
