"""What the catalog holds, counted and sampled by the database: 340,000 videos take a second or two, and little memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from hashtag2action.catalog.schema import Clip, Decision, Reason, Video, VideoHashtag
from hashtag2action.catalog.store import BATCH, Catalog

# Lower edge in seconds of each bin of scene lengths before the cap (paper, section 4; the first is for lowered minima).
DURATION_BINS = (("under 3.5 s", 0.0), ("3.5-5 s", 3.5), ("5-10 s", 5.0), ("10+ s", 10.0))
# Lower edge of each range of clips per hashtag (paper, Figure 2; the first is for collections smaller than its own).
COUNT_RANGES = (("under 200", 0), ("200-400", 200), ("400-600", 400), ("600-800", 600), ("800+", 800))


@dataclass(frozen=True)
class HashtagCount:
    """Videos of one hashtag; a video with several hashtags counts under each."""

    hashtag: str
    registered: int
    kept: int
    review: int


@dataclass(frozen=True)
class Statistics:
    """Counts of a catalog; `dataclasses.asdict` makes it JSON."""

    videos: int
    accepted: int
    review: int
    rejected: int
    pending: int
    rejects: dict[str, int]  # by `Reason`, most frequent first
    hashtags: tuple[HashtagCount, ...]  # most clips first
    clips: int  # of accepted videos, as are the figures below
    durations: dict[str, int]  # by length of the scene before the cap, in the order of DURATION_BINS
    clip_s: float
    clip_bytes: int
    source_s: float  # length of all readable videos, whatever became of them
    reviewed: int = 0  # decided by a person

    @property
    def hours(self) -> float:
        """Length of all clips in hours."""
        return self.clip_s / 3600

    def count_ranges(self) -> dict[str, int]:
        """Return how many hashtags have a number of clips in each of COUNT_RANGES."""
        counts = dict.fromkeys((name for name, _ in COUNT_RANGES), 0)
        for hashtag in self.hashtags:
            counts[[name for name, edge in COUNT_RANGES if hashtag.kept >= edge][-1]] += 1
        return counts


def describe(catalog: Catalog) -> Statistics:
    """Count everything in the catalog, with one statement for each table."""
    with catalog.session() as session:
        decisions: dict[str, int] = {}
        rejects: dict[str, int] = {}
        reviewed = 0
        for decision, reason, count in session.execute(
            sa.select(Video.decision, Video.reason, sa.func.count()).group_by(Video.decision, Video.reason)
        ):
            decisions[decision] = decisions.get(decision, 0) + count
            reviewed += count if reason == Reason.REVIEWER.value else 0
            if decision == Decision.REJECTED.value:
                rejects[reason or "unknown"] = count
        source_s = session.scalar(sa.select(sa.func.sum(Video.duration_s)))
        kept = sa.select(Clip.scene_s, Clip.start_s, Clip.end_s, Clip.size_bytes).join(Video)
        clips = kept.where(Video.decision == Decision.ACCEPTED.value).subquery()
        bins = [_between(clips.c.scene_s, index) for index in range(len(DURATION_BINS))]
        number, seconds, size, *durations = session.execute(
            sa.select(
                sa.func.count(), sa.func.sum(clips.c.end_s - clips.c.start_s), sa.func.sum(clips.c.size_bytes), *bins
            )
        ).one()
        hashtags = [HashtagCount(row[0], row[1], row[2], row[3]) for row in session.execute(_per_hashtag())]
    return Statistics(
        videos=sum(decisions.values()),
        accepted=decisions.get(Decision.ACCEPTED.value, 0),
        review=decisions.get(Decision.REVIEW.value, 0),
        rejected=decisions.get(Decision.REJECTED.value, 0),
        pending=decisions.get(Decision.PENDING.value, 0),
        rejects=dict(sorted(rejects.items(), key=lambda item: (-item[1], item[0]))),
        hashtags=tuple(sorted(hashtags, key=lambda row: (-row.kept, -row.registered, row.hashtag))),
        clips=number,
        durations={name: int(count or 0) for (name, _), count in zip(DURATION_BINS, durations, strict=True)},
        clip_s=float(seconds or 0),
        clip_bytes=int(size or 0),
        source_s=float(source_s or 0),
        reviewed=reviewed,
    )


def examples(catalog: Catalog, decision: Decision, limit: int) -> list[Video]:
    """Return at most `limit` videos with this decision, always the same ones, spread over hashtags (rejects: reasons).

    Within a hashtag (or reason) the order is that of content hashes, so the choice follows neither path nor date.
    """
    group = sa.func.coalesce(Video.reason, "")
    if decision is not Decision.REJECTED:
        first = sa.select(sa.func.min(VideoHashtag.hashtag)).where(VideoHashtag.video_id == Video.id)
        group = sa.func.coalesce(first.correlate(Video).scalar_subquery(), "")
    ranked = (
        sa.select(
            Video.id,
            group.label("of"),
            sa.func.row_number().over(partition_by=group, order_by=(Video.sha256, Video.path)).label("rank"),
        )
        .where(Video.decision == decision.value)
        .subquery()
    )
    query = (
        sa.select(Video)
        .join(ranked, ranked.c.id == Video.id)
        .order_by(ranked.c.rank, Video.sha256, Video.path)
        .limit(limit)
    )
    with catalog.session() as session:
        return list(session.scalars(query))


def titles(catalog: Catalog, clips: Sequence[str]) -> dict[str, str]:
    """Return the titles of the videos that `clips` (paths relative to the workspace) were cut from, by clip."""
    found: dict[str, str] = {}
    with catalog.session() as session:
        for start in range(0, len(clips), BATCH):
            query = sa.select(Clip.path, Video.title).join(Video).where(Clip.path.in_(clips[start : start + BATCH]))
            found.update((path, title) for path, title in session.execute(query))
    return found


def paths(catalog: Catalog, videos: Sequence[int]) -> dict[int, str]:
    """Return the paths of the videos with these row numbers."""
    found: dict[int, str] = {}
    with catalog.session() as session:
        for start in range(0, len(videos), BATCH):
            query = sa.select(Video.id, Video.path).where(Video.id.in_(videos[start : start + BATCH]))
            found.update((number, path) for number, path in session.execute(query))
    return found


def _between(column: sa.ColumnElement[float], index: int) -> sa.ColumnElement[int]:
    inside = column >= DURATION_BINS[index][1]
    if index + 1 < len(DURATION_BINS):
        inside = inside & (column < DURATION_BINS[index + 1][1])
    return sa.func.sum(sa.case((inside, 1), else_=0))


def _per_hashtag() -> Any:
    def with_decision(decision: Decision) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((Video.decision == decision.value, 1), else_=0))

    return (
        sa.select(
            VideoHashtag.hashtag, sa.func.count(), with_decision(Decision.ACCEPTED), with_decision(Decision.REVIEW)
        )
        .join(Video, Video.id == VideoHashtag.video_id)
        .group_by(VideoHashtag.hashtag)
    )
