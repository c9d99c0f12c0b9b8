"""Tables of what is known about posts before, and beside, their files: metadata, searches, quotas, downloads, tombstones.

They live in the same database as `catalog.schema`; `catalog.ledger` reads and writes them.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hashtag2action.catalog.schema import Base


class SearchState(str, enum.Enum):
    """How far a search of one hashtag in one window of dates has come."""

    OPEN = "open"
    DONE = "done"  # the platform says that there is no more
    SPLIT = "split"  # the platform fails on the whole window; two halves took its place
    FAILED = "failed"  # the platform fails on a single day: its posts cannot be had


class DownloadState(str, enum.Enum):
    """What became of a file that was asked for."""

    DONE = "done"
    RETRY = "retry"  # failed in a way that may pass: the next run tries again
    REFUSED = "refused"  # will not change: forbidden address, no video, too large, gone


class Post(Base):
    """One video as its platform (or a manifest) describes it, with or without a file."""

    __tablename__ = "posts"
    __table_args__ = (UniqueConstraint("platform", "platform_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    platform: Mapped[str] = mapped_column(String(32))
    platform_id: Mapped[str] = mapped_column(String(128))  # text, since 64-bit numbers do not survive as floats
    username: Mapped[str | None] = mapped_column(String(256), index=True)
    caption: Mapped[str | None] = mapped_column(Text)
    region: Mapped[str | None] = mapped_column(String(16))
    language: Mapped[str | None] = mapped_column(String(16))
    create_time: Mapped[int | None] = mapped_column(BigInteger, index=True)  # seconds since 1970, UTC
    view_count: Mapped[int | None] = mapped_column(BigInteger)
    duration_s: Mapped[float | None]
    url: Mapped[str | None] = mapped_column(String(4096))
    licence: Mapped[str | None] = mapped_column(String(256))
    origin: Mapped[str | None] = mapped_column(String(256))
    raw: Mapped[dict[str, Any] | None]  # everything that the platform said, fields unknown here included
    seen_at: Mapped[float]  # seconds since 1970, UTC
    checked_at: Mapped[float] = mapped_column(index=True)  # when the platform last said that it is there
    vanished_at: Mapped[float | None]
    video_id: Mapped[int | None] = mapped_column(ForeignKey("videos.id"), index=True)


class PostHashtag(Base):
    """A hashtag of a post; `found` where it was returned by a search for this hashtag."""

    __tablename__ = "post_hashtags"

    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id"), primary_key=True)
    hashtag: Mapped[str] = mapped_column(String(256), primary_key=True, index=True)
    found: Mapped[bool] = mapped_column(default=False)


class Harvest(Base):
    """One hashtag on one platform: how many posts are wanted and found, and which dates are left to search."""

    __tablename__ = "harvests"
    __table_args__ = (UniqueConstraint("platform", "hashtag"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    platform: Mapped[str] = mapped_column(String(32))
    hashtag: Mapped[str] = mapped_column(String(256))
    wanted: Mapped[int]
    found: Mapped[int] = mapped_column(default=0)
    requests: Mapped[int] = mapped_column(default=0)
    oldest: Mapped[str] = mapped_column(String(8))  # YYYYMMDD: no window begins before
    next_end: Mapped[str] = mapped_column(String(8))  # the end of the next window; windows go back in time
    complete: Mapped[bool] = mapped_column(default=False)  # as many as wanted, or nothing left to search


class Search(Base):
    """A search of one hashtag in one window of dates, and the place it has reached."""

    __tablename__ = "searches"
    __table_args__ = (UniqueConstraint("harvest_id", "start_date", "end_date"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    harvest_id: Mapped[int] = mapped_column(ForeignKey("harvests.id"), index=True)
    start_date: Mapped[str] = mapped_column(String(8))
    end_date: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(8), default=SearchState.OPEN.value, index=True)
    cursor: Mapped[int] = mapped_column(BigInteger, default=0)
    search_id: Mapped[str | None] = mapped_column(String(64))
    restarts: Mapped[int] = mapped_column(default=0)  # how often it had to begin again at cursor 0
    ready_at: Mapped[float] = mapped_column(default=0.0)  # not to be asked before
    used_at: Mapped[float] = mapped_column(default=0.0)
    faults: Mapped[int] = mapped_column(default=0)  # in a row
    fault: Mapped[str | None] = mapped_column(String(32))

    @property
    def days(self) -> int:
        """How many days lie between its two dates, 0 to 30."""
        start, end = (datetime.strptime(text, "%Y%m%d") for text in (self.start_date, self.end_date))
        return (end - start).days


class Page(Base):
    """One stored answer; the key makes storing, and so asking, the same page twice impossible."""

    __tablename__ = "pages"
    __table_args__ = (UniqueConstraint("search_id", "restart", "cursor"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    search_id: Mapped[int] = mapped_column(ForeignKey("searches.id"))
    restart: Mapped[int]
    cursor: Mapped[int] = mapped_column(BigInteger)
    received: Mapped[int]
    new: Mapped[int]  # posts that this hashtag did not have yet
    malformed: Mapped[int]  # entries without a usable id
    stored_at: Mapped[float]


class Quota(Base):
    """What one day (UTC) has used of a platform's daily allowance."""

    __tablename__ = "quotas"

    platform: Mapped[str] = mapped_column(String(32), primary_key=True)
    day: Mapped[str] = mapped_column(String(8), primary_key=True)
    requests: Mapped[int] = mapped_column(default=0)
    records: Mapped[int] = mapped_column(default=0)  # those of requests under way are counted at their maximum
    spent: Mapped[bool] = mapped_column(default=False)  # the platform itself said that nothing is left today


class Download(Base):
    """A file to fetch, and how that went."""

    __tablename__ = "downloads"

    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id"), primary_key=True)
    state: Mapped[str] = mapped_column(String(8), index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    path: Mapped[str | None] = mapped_column(String(1024))  # relative to the workspace
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))


class DownloadFailure(Base):
    """One failed attempt at a download."""

    __tablename__ = "download_failures"

    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id"), index=True)
    at: Mapped[float]
    reason: Mapped[str] = mapped_column(String(32), index=True)
    detail: Mapped[str] = mapped_column(String(512))


class Tombstone(Base):
    """That something was forgotten, as a keyed hash: enough never to take it in again, not enough to name it."""

    __tablename__ = "tombstones"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))  # post, user or file
    at: Mapped[float]


Index("ix_posts_due", Post.platform, Post.vanished_at, Post.checked_at)
