"""Videos with the same content, or that look alike: one of each group is kept, and none that looks like a held-out one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from hashtag2action.catalog.fingerprints import Standing
from hashtag2action.catalog.schema import Decision, Reason
from hashtag2action.catalog.worklist import Copy
from hashtag2action.curate.similar import candidates, looks_of, similarity
from hashtag2action.settings import Settings

PAIRS = 2000  # compared at a time, so that few fingerprints are in memory


class DuplicateSettings(Settings):
    """What counts as the same video."""

    near: bool = True  # videos that look alike, too, and not only those of the same bytes
    similarity: float = Field(default=0.7, gt=0, le=1)  # from which on; docs/duplicates.md tells what it finds
    exclude_like: tuple[Path, ...] = ()  # folders of held-out videos, such as a test set's


@dataclass(frozen=True)
class Alike:
    """Why a video is set aside: it looks like a kept or a held-out one."""

    reason: Reason
    detail: str
    duplicate_of: int | None


def find_duplicates(copies: Iterable[Copy]) -> dict[int, int]:
    """Return, for each video whose bytes are those of another one, the row that is kept instead of it.

    Kept is the most viewed; of several the one kept before, else the first by path.
    """
    groups: dict[str, list[Copy]] = {}
    for video in copies:
        groups.setdefault(video.sha256, []).append(video)
    found: dict[int, int] = {}
    for group in groups.values():
        kept = min(group, key=lambda video: (-video.views, not _was_kept(video), video.path))
        found |= {video.id: kept.id for video in group if video is not kept}
    return found


def find_alike(
    videos: Sequence[Standing],
    held_out: Sequence[tuple[str, bytes]],
    settings: DuplicateSettings,
    fingerprints: Callable[[Iterable[int]], dict[int, bytes]],
) -> dict[int, Alike]:
    """Return, by row, which of `videos` are set aside; `held_out` are names and fingerprints of other files.

    `videos` come in the order in which they are to be kept. One is set aside where it looks like one that is kept, not
    where it looks like one that is set aside itself, and never against a reviewer's word.
    """
    looks = looks_of([video.look for video in videos])
    others = looks_of([data for _, data in held_out])
    found: dict[int, Alike] = {}
    for row, other, score in _scored(candidates(looks, others) if len(others) else [], videos, held_out, fingerprints):
        if score >= settings.similarity and not _reviewed(videos[row]) and videos[row].id not in found:
            detail = f"looks like {held_out[other - len(videos)][0]} (similarity {score:.2f})"
            found[videos[row].id] = Alike(Reason.HELD_OUT, detail, None)
    for first, second, score in _scored(candidates(looks) if settings.near else [], videos, (), fingerprints):
        kept, video = videos[first], videos[second]  # in the order of `second`, so all before it is settled
        if score >= settings.similarity and not {kept.id, video.id} & found.keys() and not _reviewed(video):
            detail = f"looks like {kept.path} (similarity {score:.2f})"
            found[video.id] = Alike(Reason.NEAR_DUPLICATE, detail, kept.id)
    return found


def _scored(
    pairs: Iterable[Sequence[int]],
    videos: Sequence[Standing],
    held_out: Sequence[tuple[str, bytes]],
    fingerprints: Callable[[Iterable[int]], dict[int, bytes]],
) -> Iterable[tuple[int, int, float]]:
    """Yield `(first, second, similarity)` for pairs of rows, by the second and then the first."""
    ordered = sorted(((int(first), int(second)) for first, second in pairs), key=lambda pair: (pair[1], pair[0]))
    for start in range(0, len(ordered), PAIRS):
        some = ordered[start : start + PAIRS]
        data = fingerprints({videos[row].id for pair in some for row in pair if row < len(videos)})
        for first, second in some:
            is_video = second < len(videos)
            other = data[videos[second].id] if is_video else held_out[second - len(videos)][1]
            yield first, second, similarity(data[videos[first].id], other)


def _reviewed(video: Standing) -> bool:
    return video.reason == Reason.REVIEWER.value


def _was_kept(video: Copy) -> bool:
    return video.decision != Decision.PENDING.value and video.reason != Reason.DUPLICATE.value
