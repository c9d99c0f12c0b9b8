"""What each hashtag gave: of the videos seen, how many were kept, and why the others were not."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hashtag2action.catalog.harvest import Harvest, Post, PostHashtag
from hashtag2action.catalog.schema import Decision, Reason, Video, VideoHashtag
from hashtag2action.catalog.store import Catalog
from hashtag2action.files import atomic_write

_NOT_POOR = (
    Reason.PERSON,
    Reason.FEW_PERSON_FRAMES,
    Reason.DUPLICATE,
    Reason.REVIEWER,
    Reason.FORGOTTEN,
    Reason.MISSING,
)


@dataclass(frozen=True)
class TagYield:
    """What the videos of one hashtag have given so far; the signals for spending the next requests."""

    hashtag: str
    requests: int  # spent on it
    seen: int  # posts found by searching for it; for a hashtag that was never searched for, its registered videos
    decided: int  # of their videos, those that curation has decided
    kept: int  # accepted
    people: int  # accepted since enough frames show a person
    review: int
    duplicates: int
    poor: int  # unreadable, too short, still, too large, filtered out
    complete: bool  # nothing is left to ask for
    searched: bool = True
    quality: float | None = None  # mean score (0 to 1) of the kept ones that have one

    @property
    def kept_share(self) -> float:
        """Clips for each decided video, 0 to 1."""
        return self.kept / self.decided if self.decided else 0.0


def tag_yields(catalog: Catalog, *, searched: bool = False) -> list[TagYield]:
    """Return what every hashtag has given so far, by name; with `searched` only those that a harvest asked for."""
    asked = (
        sa.select(
            Harvest.hashtag,
            Harvest.requests,
            sa.func.count(PostHashtag.post_id).label("seen"),
            Harvest.complete,
            *_outcomes(),
        )
        .outerjoin(PostHashtag, (PostHashtag.hashtag == Harvest.hashtag) & PostHashtag.found)
        .outerjoin(Post, Post.id == PostHashtag.post_id)
        .outerjoin(Video, Video.id == Post.video_id)
        .group_by(Harvest.id)
    )
    registered = (
        sa.select(VideoHashtag.hashtag, sa.func.count().label("seen"), *_outcomes())
        .join(Video, Video.id == VideoHashtag.video_id)
        .where(VideoHashtag.hashtag.not_in(sa.select(Harvest.hashtag)))
        .group_by(VideoHashtag.hashtag)
    )
    with catalog.session() as session:
        rows = [TagYield(**row._mapping) for row in session.execute(asked)]
        if not searched:
            rows += [
                TagYield(**row._mapping, requests=0, complete=True, searched=False)
                for row in session.execute(registered)
            ]
    return sorted(rows, key=lambda row: row.hashtag)


def write_yields(path: Path, rows: Iterable[TagYield]) -> None:
    """Write yields as CSV."""
    text = io.StringIO()
    names = [field.name for field in fields(TagYield)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, "kept_share"])
    for row in rows:
        writer.writerow(
            [*("" if (value := getattr(row, name)) is None else value for name in names), round(row.kept_share, 4)]
        )
    atomic_write(path, text.getvalue())


def _outcomes() -> list[sa.ColumnElement[Any]]:
    """Return the counts `decided` to `poor` of the videos of a group, and the mean quality of the kept ones."""
    rejected, kept = Video.decision == Decision.REJECTED.value, Video.decision == Decision.ACCEPTED.value
    review = Video.decision == Decision.REVIEW.value
    conditions = {
        "decided": rejected | kept | review,
        "kept": kept,
        "people": kept & (Video.reason == Reason.PERSON.value),
        "review": review,
        "duplicates": rejected & (Video.duplicate_of.is_not(None) | (Video.reason == Reason.DUPLICATE.value)),
        "poor": rejected & Video.duplicate_of.is_(None) & Video.reason.not_in([reason.value for reason in _NOT_POOR]),
    }
    counts = [
        sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0).label(name)
        for name, condition in conditions.items()
    ]
    quality = Video.report["quality"]["score"].as_float()
    return [*counts, sa.func.avg(sa.case((kept, quality))).label("quality")]
