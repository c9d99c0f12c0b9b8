"""What videos look like: the fingerprints of the catalog's videos, and of held-out files that are none of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from hashtag2action.catalog.harvest import Post
from hashtag2action.catalog.schema import Base, Decision, Reason, Video
from hashtag2action.catalog.store import BATCH, Catalog

LOOK_BYTES = 16  # of a fingerprint's beginning, by which it is searched


class VideoFingerprint(Base):
    """The fingerprint of a video's content; it goes when the video's row does."""

    __tablename__ = "fingerprints"

    video_id: Mapped[int] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))  # of the content that was fingerprinted
    method: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary)


class HeldOutFile(Base):
    """A file that videos must not look like, as it was when it was last read; `data` is None where it cannot be."""

    __tablename__ = "held_out_files"

    path: Mapped[str] = mapped_column(String(4096), primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    modified_ns: Mapped[int] = mapped_column(BigInteger)
    method: Mapped[int]
    readable: Mapped[bool]
    data: Mapped[bytes | None] = mapped_column(LargeBinary)


@dataclass(frozen=True, slots=True)
class Standing:
    """A video that is kept, or would be if it were not for one that looks alike."""

    id: int
    path: str
    views: int  # of its posts, at most; -1 where none is known
    size_bytes: int
    decision: str
    reason: str | None
    duplicate_of: int | None
    look: bytes  # the first 16 bytes of its fingerprint

    @property
    def rank(self) -> tuple[bool, int, int, str]:
        """Order in which videos are kept, first ones first: a reviewer's word, most views, most bytes, path."""
        return (self.reason != Reason.REVIEWER.value, -self.views, -self.size_bytes, self.path)


def store_fingerprint(catalog: Catalog, video_id: int, sha256: str, method: int, data: bytes | None) -> None:
    """Store a video's fingerprint in place of an earlier one; None, of a plain video, is not stored."""
    with catalog.session() as session:
        session.execute(sa.delete(VideoFingerprint).where(VideoFingerprint.video_id == video_id))
        if data is not None:
            row = {"video_id": video_id, "sha256": sha256, "method": method, "data": data}
            session.execute(sa.insert(VideoFingerprint), [row])


def standing(catalog: Catalog, method: int, settings_digest: str) -> list[Standing]:
    """Return the fingerprinted videos that these settings keep, or set aside for looking alike, in order of rank."""
    views = sa.select(sa.func.max(Post.view_count)).where(Post.video_id == Video.id).scalar_subquery()
    kept = Video.decision.in_([Decision.ACCEPTED.value, Decision.REVIEW.value])
    columns = (Video.id, Video.path, sa.func.coalesce(views, -1), Video.size_bytes, Video.decision)
    query = (
        sa.select(*columns, Video.reason, Video.duplicate_of, sa.func.substr(VideoFingerprint.data, 1, LOOK_BYTES))
        .join(VideoFingerprint, (VideoFingerprint.video_id == Video.id) & (VideoFingerprint.sha256 == Video.sha256))
        .where(VideoFingerprint.method == method, Video.settings_digest == settings_digest)
        .where(kept | Video.reason.in_([Reason.NEAR_DUPLICATE.value, Reason.HELD_OUT.value]))
        .execution_options(yield_per=BATCH)
    )
    with catalog.session() as session:
        return sorted((Standing(*row) for row in session.execute(query)), key=lambda video: video.rank)


def fingerprints_of(catalog: Catalog, videos: Iterable[int]) -> dict[int, bytes]:
    """Return the fingerprints of videos, by row."""
    wanted, found = sorted(videos), {}
    with catalog.session() as session:
        for start in range(0, len(wanted), BATCH):
            some = VideoFingerprint.video_id.in_(wanted[start : start + BATCH])
            query = sa.select(VideoFingerprint.video_id, VideoFingerprint.data).where(some)
            found.update({video_id: data for video_id, data in session.execute(query)})
    return found


def known_files(catalog: Catalog, method: int, files: Iterable[str]) -> Iterator[HeldOutFile]:
    """Yield what is known of held-out files."""
    wanted = list(files)
    with catalog.session() as session:
        for start in range(0, len(wanted), BATCH):
            some = HeldOutFile.path.in_(wanted[start : start + BATCH])
            yield from session.scalars(sa.select(HeldOutFile).where(some, HeldOutFile.method == method))


def store_file(catalog: Catalog, row: Mapping[str, Any]) -> None:
    """Store what was found in a held-out file, in place of what was known; `row` has its columns."""
    with catalog.session() as session:
        session.execute(sa.delete(HeldOutFile).where(HeldOutFile.path == row["path"]))
        session.execute(sa.insert(HeldOutFile), [dict(row)])
