"""A clock in a file, shared by the fake platform and the processes that harvest from it: waiting takes no time."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path


class VirtualClock:
    def __init__(self, path: Path, start: float | None = None) -> None:
        if start is not None:
            path.write_bytes(struct.pack("d", start))
        self._file = path.open("r+b")
        self._shared = mmap.mmap(self._file.fileno(), 8)

    def now(self) -> float:
        return struct.unpack("d", self._shared[:8])[0]

    def sleep(self, seconds: float) -> None:
        self._shared[:8] = struct.pack("d", self.now() + max(0.0, seconds))
