"""Two thousand damaged and contrived files: each ends with a reason, and none reaches out of itself."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hostile import contrived, examine, mutated, remuxed

from hashtag2action.curate.settings import CurateSettings
from hashtag2action.engine import make_engine

WHOLE = bool(os.environ.get("H2A_SLOW"))
FILES = 2000 if WHOLE else 120
MEMORY_MB = 1500
IN_ACCESS, IN_OPEN, IN_NONBLOCK = 0x1, 0x20, 0o4000


class Watch:
    """Sees every opening and reading of one file, by whatever process, and every connection to a port of loopback."""

    def __init__(self, file: Path) -> None:
        self.file = file
        libc = ctypes.CDLL(None, use_errno=True)
        self._queue = libc.inotify_init1(IN_NONBLOCK)
        assert self._queue >= 0 and libc.inotify_add_watch(self._queue, os.fsencode(file), IN_OPEN | IN_ACCESS) >= 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]

    def touched(self) -> int:
        """Return how often the file was opened or read since the last call."""
        try:
            return len(os.read(self._queue, 1 << 16)) // struct.calcsize("iIII")
        except BlockingIOError:
            return 0

    def connected(self) -> bool:
        """Whether anybody has knocked since the last call."""
        try:
            self._listener.accept()[0].close()
            return True
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._queue)
        self._listener.close()


@pytest.fixture
def watch(shared_videos: Path, tmp_path: Path) -> Iterator[Watch]:
    if sys.platform != "linux":
        pytest.skip("watching a file needs Linux")
    canary = tmp_path / "elsewhere" / "canary.mp4"
    canary.parent.mkdir()
    canary.write_bytes(_smallest(shared_videos).read_bytes())
    watch = Watch(canary)
    yield watch
    watch.close()


def _smallest(shared_videos: Path) -> Path:
    return min((shared_videos / "signs").glob("*.mp4"), key=lambda path: path.stat().st_size)


@pytest.mark.timeout(3600)
def test_every_file_ends_with_a_reason(
    watch: Watch, shared_videos: Path, demo_settings: CurateSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # where the workers find `examine`
    settings = demo_settings.model_copy(update={"min_clip_s": 0.5, "detector_size_px": 160, "preset": "ultrafast"})
    folder, sound = tmp_path / "files", tmp_path / "sound"
    folder.mkdir()
    sound.mkdir()
    original = _smallest(shared_videos)
    strange = list(contrived(original, folder, watch.file, watch.port))
    files = strange if WHOLE else strange[::3] + strange[-27:]
    files = list(dict.fromkeys(files))
    files += mutated(remuxed(original, sound), folder, FILES - len(files))
    assert len(files) == FILES
    assert watch.touched() == 0 and not watch.connected()

    start = time.monotonic()
    reasons: dict[Path, str] = {}
    peak_mb, slowest_s, last = 0, 0.0, start
    engine = make_engine("local", 1, timeout_s=60, memory_mb=MEMORY_MB)
    for outcome in engine.map(partial(examine, settings=settings), files):
        reasons[outcome.item] = (
            outcome.failure.value if outcome.failure else outcome.result[0] if outcome.result else ""
        )
        peak_mb = max(peak_mb, outcome.result[2] if outcome.result else 0)
        slowest_s, last = max(slowest_s, time.monotonic() - last), time.monotonic()
    counts = Counter(reasons.values())
    print(
        f"{len(reasons)} files in {last - start:.0f} s, slowest {slowest_s:.1f} s, worker {peak_mb} MB: {dict(counts)}"
    )

    assert len(reasons) == FILES and all(reasons.values())
    faults = {
        path.name: reason for path, reason in reasons.items() if reason in ("crashed", "timeout", "out_of_memory")
    }
    assert not faults
    assert peak_mb <= MEMORY_MB
    for path in strange:
        if path in reasons and path.name.startswith(("list", "reference", "script")):
            assert reasons[path] == "unreadable", path.name
    assert not watch.connected()
    assert watch.touched() == 0

    watch.file.read_bytes()  # and the watch would have seen it
    socket.create_connection(("127.0.0.1", watch.port)).close()
    assert watch.touched() > 0 and watch.connected()
