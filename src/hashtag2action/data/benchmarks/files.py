"""Finding a data set's files below a folder, whatever sub-folders and suffixes they were given."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".3gp", ".ogv")
)
PICTURES = frozenset((".jpg", ".jpeg", ".png"))


class FileIndex:
    """Videos below a folder, and folders of pictures that stand for one, found by name without the suffix."""

    def __init__(self, root: Path, loose: bool = False) -> None:
        """`loose` also finds a file by the letters and digits of its name, where only one has them."""
        self.root = root
        self._exact: dict[str, list[Path]] = defaultdict(list)
        self._plain: dict[str, list[Path]] = defaultdict(list)
        for path in walk_videos(root):
            self._exact[_stem(path.name)].append(path)
            if loose:
                self._plain[_letters(_stem(path.name))].append(path)

    def find(self, names: Iterable[str]) -> Path | None:
        """Return the file that goes by the first of `names` that there is; of several, the one in the folders named."""
        for name in names:
            stem = _stem(PurePosixPath(name).name)
            if found := self._exact.get(stem) or self._plain.get(_letters(stem)):
                return max(found, key=lambda path: _common_end(path, name)) if len(found) > 1 else found[0]
        return None


def walk_videos(root: Path) -> Iterable[Path]:
    """Yield every video file below `root`, and every folder that holds numbered pictures, in order of name.

    Links are followed, each folder once; names that begin with a dot are passed over.
    """
    seen: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(root, followlinks=True):
        about = Path(parent).stat()
        if (about.st_dev, about.st_ino) in seen:
            folders.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = sorted(name for name in files if not name.startswith("."))
        suffixes = [os.path.splitext(name)[1].lower() for name in names]  # noqa: PTH122 - a million names
        yield from (Path(parent, name) for name, suffix in zip(names, suffixes, strict=True) if suffix in SUFFIXES)
        if any(suffix in PICTURES for suffix in suffixes) and Path(parent) != root:
            yield Path(parent)


def _stem(name: str) -> str:
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a million names
    return stem if suffix.lower() in SUFFIXES else name


def _letters(stem: str) -> str:
    return re.sub(r"[^0-9a-z]+", "", stem.lower())


def _common_end(path: Path, name: str) -> int:
    """How many folders, from the file upwards, are the same in `path` and `name`."""
    here, wanted = path.parts[:-1][::-1], PurePosixPath(name).parts[:-1][::-1]
    return next((i for i, pair in enumerate(zip(here, wanted, strict=False)) if pair[0] != pair[1]), len(wanted))
