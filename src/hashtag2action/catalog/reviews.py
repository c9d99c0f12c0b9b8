"""What people decided about videos: who, when, why. Keyed by content, so that it outranks and outlives the engine's word.

Every verdict stays on record; the last one on a content counts. `verdicts` gives them to curation, whatever its settings.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column, selectinload

from hashtag2action.catalog.schema import Base, Clip, Decision, Reason, Video
from hashtag2action.catalog.store import BATCH, Catalog
from hashtag2action.errors import UserError

BY_CHARACTERS = 128
WHY_CHARACTERS = 1000


class ReviewRow(Base):
    """One verdict."""

    __tablename__ = "reviews"

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)  # of the video
    decision: Mapped[str] = mapped_column(String(16))
    reviewer: Mapped[str] = mapped_column(String(BY_CHARACTERS))
    why: Mapped[str] = mapped_column(Text)
    at: Mapped[float]  # seconds since 1970, UTC


@dataclass(frozen=True)
class Review:
    """A verdict on a video's content: `Decision.ACCEPTED` or `Decision.REJECTED`."""

    sha256: str
    decision: Decision
    by: str
    why: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class Applied:
    """What came of verdicts, in videos."""

    accepted: int
    rejected: int
    waiting: int  # accepted, but without a clip yet: the next `h2a curate` cuts it
    unknown: int  # the catalog has no video of this content (yet); the verdict is kept for when it comes


def verdicts(catalog: Catalog) -> dict[str, Review]:
    """Return the last verdict on each content that has one, by the video's SHA-256."""
    last = sa.select(sa.func.max(ReviewRow.id)).group_by(ReviewRow.sha256)
    with catalog.session() as session:
        return {row.sha256: _review(row) for row in session.scalars(sa.select(ReviewRow).where(ReviewRow.id.in_(last)))}


def record(catalog: Catalog, reviews: Sequence[Review]) -> Applied:
    """Store verdicts and let them take effect at once, all or none; of several on one content the last counts.

    Accepting makes the clip a member of the data set. A video without one (it was dropped before it was cut) goes back to
    curation, which has to cut it. Rejecting takes the clip out, and leaves the file in case somebody thinks again.
    """
    now = time.time()
    last = list({review.sha256: review for review in reviews}.values())
    counts: Counter[str] = Counter()
    with catalog.session() as session:
        rows = [
            {
                "sha256": review.sha256,
                "decision": review.decision.value,
                "reviewer": _text(review.by, BY_CHARACTERS),
                "why": _text(review.why, WHY_CHARACTERS),
                "at": review.at or now,
            }
            for review in reviews
        ]
        if rows:
            session.execute(sa.insert(ReviewRow), rows)
        for start in range(0, len(last), BATCH):
            counts += _apply(session, {review.sha256: review for review in last[start : start + BATCH]})
    return Applied(counts["accepted"], counts["rejected"], counts["waiting"], counts["unknown"])


def queue(catalog: Catalog, *decisions: Decision, limit: int | None = None) -> list[Video]:
    """Return the videos that wait for a reviewer (or have one of `decisions`), with clips and hashtags, by content."""
    wanted = [decision.value for decision in decisions or (Decision.REVIEW,)]
    query = (
        sa.select(Video).where(Video.decision.in_(wanted), Video.sha256.is_not(None)).order_by(Video.sha256, Video.path)
    )
    with catalog.session() as session:
        return list(session.scalars(query.options(selectinload(Video.clips)).limit(limit)))


def find_content(catalog: Catalog, targets: Iterable[str]) -> list[str]:
    """Return the SHA-256 of the video that each target names: six or more digits of it, a clip's path or the video's.

    Raises `UserError` where a target names none, or several contents.
    """
    found = []
    with catalog.session() as session:
        for target in targets:
            is_it = sa.or_(Video.path == target, Clip.path == target)
            if 6 <= len(target) <= 64 and set(target) <= set("0123456789abcdef"):
                is_it = sa.or_(is_it, Video.sha256.startswith(target))
            query = (
                sa.select(Video.sha256)
                .outerjoin(Clip, Clip.video_id == Video.id)
                .where(is_it, Video.sha256.is_not(None))
            )
            contents = sorted({str(sha256) for sha256 in session.scalars(query)})
            if len(contents) != 1:
                what = "names several videos; give more digits" if contents else "the catalog has no such video"
                raise UserError(f"{target[:200]}: {what}; `h2a review list` shows them")
            found += contents
    return found


def forget_reviews(session: Session, hashes: Sequence[str]) -> None:
    """Remove every verdict on these contents."""
    for start in range(0, len(hashes), BATCH):
        session.execute(sa.delete(ReviewRow).where(ReviewRow.sha256.in_(hashes[start : start + BATCH])))


def _apply(session: Session, reviews: dict[str, Review]) -> Counter[str]:
    """Change the decisions of the videos of these contents; return how many came to what."""
    other = aliased(Video)
    copy = sa.exists().where(other.id == Video.duplicate_of, other.sha256 == Video.sha256)  # the original counts
    has_clip = sa.exists().where(Clip.video_id == Video.id)
    query = sa.select(Video.id, Video.sha256, has_clip).where(Video.sha256.in_(reviews), ~copy)
    rows = session.execute(query).all()
    outcome: dict[str, list[int]] = {"accepted": [], "rejected": [], "waiting": []}
    for video, sha256, cut in rows:
        decision = reviews[sha256 or ""].decision
        outcome["waiting" if decision is Decision.ACCEPTED and not cut else decision.value].append(video)
    for name, videos in outcome.items():
        change = sa.update(Video).where(Video.id.in_(videos))
        if name == "waiting":
            session.execute(change.values(settings_digest=None))
        else:
            session.execute(change.values(decision=name, reason=Reason.REVIEWER.value))
    unknown = len(reviews.keys() - {sha256 for _, sha256, _ in rows})
    return Counter({name: len(videos) for name, videos in outcome.items()} | {"unknown": unknown})


def _review(row: ReviewRow) -> Review:
    return Review(row.sha256, Decision(row.decision), row.reviewer, row.why, row.at)


def _text(text: str, limit: int) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:limit]
