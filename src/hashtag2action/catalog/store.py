"""Reading and writing the catalog: the only module that opens a database session."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hashtag2action.catalog.schema import Base, Clip, Decision, Reason, Run, Video, VideoHashtag
from hashtag2action.errors import UserError

BATCH = 500  # rows a statement names at most, under SQLite's limit on bound values


@dataclass(frozen=True)
class Entry:
    """A video to register: where it is, what it is called, and what is said of it."""

    path: Path
    hashtags: tuple[str, ...] = ()
    label: str | None = None
    group: str | None = None
    title: str = ""


class Catalog:
    """The record of every video, clip and run of a workspace.

    `url` is any SQLAlchemy URL; without one it is `catalog.db` in the workspace. Rows come back detached, with their
    hashtags and clips loaded.
    """

    def __init__(self, workspace: Path, url: str | None = None) -> None:
        """Open the catalog, creating workspace and tables as needed; `UserError` where that cannot be done."""
        self.workspace = workspace.resolve()
        try:
            self.workspace.mkdir(parents=True, exist_ok=True)
            self._engine = sa.create_engine(url or f"sqlite:///{self.workspace / 'catalog.db'}")
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _tune_sqlite)
            Base.metadata.create_all(self._engine)
        except OSError as error:
            raise UserError(
                f"{workspace}: cannot be used as a workspace ({error.strerror}); choose a folder you may write to"
            ) from error
        except sa.exc.SQLAlchemyError as error:
            cause = str(getattr(error, "orig", error)).splitlines()[0]
            raise UserError(
                f"{url or self.workspace / 'catalog.db'}: cannot be opened as a catalog ({cause}); mend or remove it"
            ) from error

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Yield a session whose changes are committed together at the end, or not at all if the block raises."""
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            yield session

    # Videos

    def register(self, entries: Iterable[Entry]) -> int:
        """Add the videos not yet known, refresh hashtags and labels of the others; return how many were new."""
        wanted = {str(entry.path): entry for entry in entries}
        new = 0
        paths = list(wanted)
        for start in range(0, len(paths), BATCH):
            batch = paths[start : start + BATCH]
            with self.session() as session:
                known = {video.path: video for video in session.scalars(sa.select(Video).where(Video.path.in_(batch)))}
                for path in batch:
                    entry, video = wanted[path], known.get(path)
                    if video is None:
                        video = Video(path=path, decision=Decision.PENDING.value)
                        session.add(video)
                        new += 1
                    video.title = entry.title or entry.path.stem
                    video.label, video.group = entry.label, entry.group
                    if [row.hashtag for row in video.hashtags] != sorted(set(entry.hashtags)):
                        kept = {row.hashtag: row for row in video.hashtags}
                        video.hashtags = [
                            kept.get(tag) or VideoHashtag(hashtag=tag) for tag in sorted(set(entry.hashtags))
                        ]
        return new

    def videos(self, *decisions: Decision) -> list[Video]:
        """Return the videos with one of `decisions` (all without any), by path."""
        query = sa.select(Video).order_by(Video.path)
        if decisions:
            query = query.where(Video.decision.in_([decision.value for decision in decisions]))
        with self.session() as session:
            return list(session.scalars(query))

    def to_curate(self, settings_digest: str) -> list[Video]:
        """Return the readable videos that curation with these settings has not decided, by path."""
        query = sa.select(Video).order_by(Video.path).where(Video.codec.is_not(None))
        with self.session() as session:
            return [video for video in session.scalars(query) if video.settings_digest != settings_digest]

    def set_decision(
        self,
        video_id: int,
        decision: Decision,
        reason: Reason | None,
        *,
        detail: str | None = None,
        duplicate_of: int | None = None,
        settings_digest: str | None = None,
        report: dict[str, Any] | None = None,
        clips: Sequence[Mapping[str, Any]] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Store a decision with its evidence in one transaction; the video's earlier clip rows give way to `clips`.

        `clips` holds the columns of `Clip`; `facts` columns of `Video` that the probe fills.
        """
        with self.session() as session:
            session.execute(sa.delete(Clip).where(Clip.video_id == video_id))
            session.execute(
                sa.update(Video)
                .where(Video.id == video_id)
                .values(
                    decision=decision.value,
                    reason=reason.value if reason else None,
                    detail=detail,
                    duplicate_of=duplicate_of,
                    settings_digest=settings_digest,
                    report=report,
                    **(facts or {}),
                )
            )
            if clips:
                session.execute(sa.insert(Clip), [{"video_id": video_id, **clip} for clip in clips])

    def clips(self, *decisions: Decision) -> list[Clip]:
        """Return the clips of accepted videos (or of those with `decisions`), by path, each with its video."""
        wanted = [decision.value for decision in decisions or (Decision.ACCEPTED,)]
        query = sa.select(Clip).join(Video).where(Video.decision.in_(wanted)).order_by(Clip.path)
        with self.session() as session:
            return list(session.scalars(query).unique())

    # Runs

    def run(self, stage: str, key: str) -> Run | None:
        """Return the finished run of a stage with this key, if there is one."""
        with self.session() as session:
            return session.scalar(sa.select(Run).where(Run.stage == stage, Run.key == key))

    def latest_run(self, stage: str) -> Run | None:
        """Return the run of a stage that was recorded last."""
        with self.session() as session:
            return session.scalar(sa.select(Run).where(Run.stage == stage).order_by(Run.id.desc()).limit(1))

    def record_run(self, stage: str, key: str, folder: str, summary: dict[str, Any]) -> None:
        """Store a finished run as its stage's latest, in place of an earlier one with the same key."""
        with self.session() as session:
            session.execute(sa.delete(Run).where(Run.stage == stage, Run.key == key))
            session.flush()
            session.add(Run(stage=stage, key=key, folder=folder, summary=summary))

    # The whole

    def content(self) -> dict[str, Any]:
        """Return all that was decided as plain values in a fixed order, free of row numbers and times."""
        videos = self.videos()
        path_of = {video.id: video.path for video in videos}
        return {
            "videos": [
                {
                    **{
                        c.name: getattr(v, c.name)
                        for c in Video.__table__.columns
                        if c.name not in ("id", "duplicate_of")
                    },
                    "duplicate_of": path_of.get(v.duplicate_of) if v.duplicate_of else None,
                    "hashtags": [row.hashtag for row in v.hashtags],
                    "clips": [
                        {
                            c.name: getattr(clip, c.name)
                            for c in Clip.__table__.columns
                            if c.name not in ("id", "video_id")
                        }
                        for clip in v.clips
                    ],
                }
                for v in videos
            ]
        }

    def digest(self) -> str:
        """Return a SHA-256 over `content()`: equal catalogs have equal digests."""
        return hashlib.sha256(json.dumps(self.content(), sort_keys=True, default=str).encode()).hexdigest()


def _tune_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
