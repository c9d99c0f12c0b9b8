"""Entering files in the catalog: what they are called, what is said of them, and what a first look finds in them."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hashtag2action.catalog.schema import Decision, Reason, Video
from hashtag2action.catalog.store import Catalog, Entry
from hashtag2action.catalog.tombstones import KEY_FILE, Pseudonyms, forgotten
from hashtag2action.console import track
from hashtag2action.engine import Engine
from hashtag2action.files import sha256_of
from hashtag2action.media.container import MediaError
from hashtag2action.media.probe import probe_video


@dataclass(frozen=True)
class RegisterSummary:
    """How many videos were named, how many of them the catalog did not know, and how many were looked into."""

    videos: int
    new: int
    probed: int


@dataclass(frozen=True)
class Inspection:
    """The catalog's columns about a file, and what is wrong with it, if anything."""

    facts: dict[str, Any]
    error: MediaError | None


def register(catalog: Catalog, entries: Iterable[Entry], engine: Engine) -> RegisterSummary:
    """Enter videos with their content hash and probe results; a known file that has not changed is not read again.

    A file that is no readable video is recorded as rejected, with the reason.
    """
    named = {str(entry.path): entry for entry in entries}
    new = catalog.register(named.values())
    unread = {Path(video.path): video.id for video in catalog.videos() if video.path in named and _changed(video)}
    for outcome in track(engine.map(inspect_file, unread), len(unread), "probe"):
        video, found = unread[outcome.item], outcome.result
        if found is not None and _is_forgotten(catalog, found.facts.get("sha256")):
            catalog.set_decision(video, Decision.REJECTED, Reason.FORGOTTEN, facts=_UNKNOWN)
        elif found is None:
            assert outcome.failure is not None
            catalog.set_decision(video, Decision.REJECTED, Reason(outcome.failure.value), facts=_UNKNOWN)
        elif found.error is None:
            catalog.set_decision(video, Decision.PENDING, None, facts=_UNKNOWN | found.facts)
        else:
            reason = Reason(found.error.kind)
            catalog.set_decision(
                video, Decision.REJECTED, reason, detail=found.error.detail, facts=_UNKNOWN | found.facts
            )
    return RegisterSummary(len(named), new, len(unread))


def inspect_file(path: Path) -> Inspection:
    """Return the size, the content hash and the probe results of a file."""
    facts: dict[str, Any] = {}
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):  # reading a pipe would wait for ever
            return Inspection({}, MediaError("unreadable", "not a file"))
        facts = {"size_bytes": state.st_size, "modified_ns": state.st_mtime_ns}
        facts["sha256"] = sha256_of(path)
        return Inspection(facts | asdict(probe_video(path)), None)
    except MediaError as error:
        return Inspection(facts, error)
    except FileNotFoundError:
        return Inspection(facts, MediaError("missing", "the file is gone"))
    except OSError as error:
        return Inspection(facts, MediaError("unreadable", error.strerror or str(error)))


def _is_forgotten(catalog: Catalog, sha256: str | None) -> bool:
    if sha256 is None or not (catalog.workspace / KEY_FILE).is_file():
        return False
    with catalog.session() as session:
        return bool(forgotten(session, [Pseudonyms(catalog.workspace).digest("file", sha256)]))


_PROBED = ("container", "codec", "width", "height", "fps", "frames", "duration_s", "rotation", "has_audio")
_UNKNOWN: dict[str, Any] = dict.fromkeys(("sha256", "size_bytes", "modified_ns", *_PROBED))


def _changed(video: Video) -> bool:
    try:
        state = Path(video.path).stat()
    except OSError:
        return True
    return (video.size_bytes, video.modified_ns) != (state.st_size, state.st_mtime_ns)
