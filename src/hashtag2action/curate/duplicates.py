"""Videos with the same content: one of each group is kept."""

from __future__ import annotations

from collections.abc import Iterable

from hashtag2action.catalog.schema import Decision, Reason, Video


def find_duplicates(videos: Iterable[Video]) -> dict[int, int]:
    """Return, for each readable video whose bytes are those of another one, the row that is kept instead of it.

    Kept is the one kept before, else the first by path.
    """
    groups: dict[str, list[Video]] = {}
    for video in videos:
        if video.sha256 and video.codec:
            groups.setdefault(video.sha256, []).append(video)
    found: dict[int, int] = {}
    for group in groups.values():
        kept = min(group, key=lambda video: (not _was_kept(video), video.path))
        found |= {video.id: kept.id for video in group if video is not kept}
    return found


def _was_kept(video: Video) -> bool:
    return video.decision != Decision.PENDING.value and video.reason != Reason.DUPLICATE.value
