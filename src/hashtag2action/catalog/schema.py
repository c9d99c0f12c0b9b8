"""The tables, and the words that their columns may hold."""

from __future__ import annotations

import enum
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from hashtag2action.catalog.text import PathText


class Decision(str, enum.Enum):
    """What became of a video."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REVIEW = "review"
    REJECTED = "rejected"


class Reason(str, enum.Enum):
    """Why: one word for each way a video can end."""

    PERSON = "person"  # enough frames show a person: accepted
    FEW_PERSON_FRAMES = "few_person_frames"  # to be seen by a reviewer
    UNREADABLE = "unreadable"  # not a video, or damaged before its first frame
    TRUNCATED = "truncated"  # starts as a video, but much of what its header promises is missing
    EMPTY = "empty"  # no bytes, or no video frames
    STILL_IMAGE = "still_image"  # a single frame
    TOO_LARGE = "too_large"  # more pixels, bytes or hours than the settings allow
    LOW_QUALITY = "low_quality"  # breaks a limit that the settings put on quality
    SCENE_TOO_SHORT = "scene_too_short"  # the longest scene is under the minimum
    DUPLICATE = "duplicate"  # the same content as a video that is kept
    NEAR_DUPLICATE = "near_duplicate"  # looks like a video that is kept
    HELD_OUT = "held_out"  # looks like a video that is held out, such as one of a test set
    LANGUAGE = "language"  # this and the next six: its post says what the metadata filter turns down
    REGION = "region"
    LICENCE = "licence"
    DURATION = "duration"
    VIEWS = "views"
    BLOCKED_WORD = "blocked_word"
    BLOCKED_USER = "blocked_user"
    FORGOTTEN = "forgotten"  # removed on request, and not to come back
    REVIEWER = "reviewer"  # a person looked and decided, whatever the engine said
    MISSING = "missing"  # registered, but the file is gone
    TIMEOUT = "timeout"  # took longer than one file may
    CRASHED = "crashed"  # took its worker process down
    OUT_OF_MEMORY = "out_of_memory"  # needed more memory than one file may


class Base(DeclarativeBase):
    """Declarative base of all tables."""

    type_annotation_map = {dict[str, Any]: JSON}  # noqa: RUF012


class Video(Base):
    """One registered file, what the probe found in it, and what curation decided."""

    __tablename__ = "videos"

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(PathText(4096), unique=True)
    title: Mapped[str] = mapped_column(String(1024))
    label: Mapped[str | None] = mapped_column(String(256))
    group: Mapped[str | None] = mapped_column(String(256))  # videos of one group are never split between train and test
    sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    modified_ns: Mapped[int | None] = mapped_column(BigInteger)
    container: Mapped[str | None] = mapped_column(String(64))
    codec: Mapped[str | None] = mapped_column(String(64))
    width: Mapped[int | None]
    height: Mapped[int | None]
    fps: Mapped[float | None]
    frames: Mapped[int | None]
    duration_s: Mapped[float | None]
    rotation: Mapped[int | None]
    has_audio: Mapped[bool | None]
    decision: Mapped[str] = mapped_column(String(16), default=Decision.PENDING.value, index=True)
    reason: Mapped[str | None] = mapped_column(String(32), index=True)
    detail: Mapped[str | None]
    duplicate_of: Mapped[int | None] = mapped_column(ForeignKey("videos.id"))
    settings_digest: Mapped[str | None] = mapped_column(String(16))
    report: Mapped[dict[str, Any] | None]

    hashtags: Mapped[list[VideoHashtag]] = relationship(
        back_populates="video", cascade="all, delete-orphan", lazy="selectin", order_by="VideoHashtag.hashtag"
    )
    clips: Mapped[list[Clip]] = relationship(
        back_populates="video", cascade="all, delete-orphan", lazy="selectin", order_by="Clip.start_s"
    )


class VideoHashtag(Base):
    """A hashtag under which a video was found."""

    __tablename__ = "video_hashtags"

    video_id: Mapped[int] = mapped_column(ForeignKey("videos.id"), primary_key=True)
    hashtag: Mapped[str] = mapped_column(String(256), primary_key=True, index=True)
    video: Mapped[Video] = relationship(back_populates="hashtags")


class Clip(Base):
    """The part of a video that is kept, as a file of the workspace."""

    __tablename__ = "clips"

    id: Mapped[int] = mapped_column(primary_key=True)
    video_id: Mapped[int] = mapped_column(ForeignKey("videos.id"), index=True)
    path: Mapped[str] = mapped_column(String(1024), unique=True)  # relative to the workspace
    start_s: Mapped[float]  # of the source video
    end_s: Mapped[float]
    scene_s: Mapped[float]  # length of the scene before the cap
    frames: Mapped[int]
    fps: Mapped[float]
    width: Mapped[int]
    height: Mapped[int]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    video: Mapped[Video] = relationship(back_populates="clips", lazy="joined")


class Run(Base):
    """One finished pre-training, fine-tuning or evaluation, and where its folder is."""

    __tablename__ = "runs"
    __table_args__ = (UniqueConstraint("stage", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    stage: Mapped[str] = mapped_column(String(32))
    key: Mapped[str] = mapped_column(String(16))
    folder: Mapped[str] = mapped_column(String(1024))  # relative to the workspace
    summary: Mapped[dict[str, Any]]
