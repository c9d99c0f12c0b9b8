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
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from hashtag2action.catalog.schema import Base, Clip, Decision, Reason, Run, Video, VideoHashtag
from hashtag2action.catalog.text import storable, storable_json
from hashtag2action.errors import UserError

TABLES_LOCK = 0x683261  # any number, the same for all
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
            elif self._engine.dialect.driver == "psycopg":
                sa.event.listen(self._engine, "connect", _tune_psycopg)
            _create_tables(self._engine)
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
        paths, new = list(wanted), 0
        for start in range(0, len(paths), BATCH):
            with self.session() as session:
                new += _register(session, {path: wanted[path] for path in paths[start : start + BATCH]})
        return new

    def videos(self, *decisions: Decision) -> list[Video]:
        """Return the videos with one of `decisions` (all without any), by path."""
        query = sa.select(Video)
        if decisions:
            query = query.where(Video.decision.in_([decision.value for decision in decisions]))
        with self.session() as session:
            return sorted(session.scalars(query), key=lambda video: video.path)  # servers differ in how they sort

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
                    detail=detail and storable(detail),
                    duplicate_of=duplicate_of,
                    settings_digest=settings_digest,
                    report=storable_json(report),
                    **(facts or {}),
                )
            )
            if clips:
                session.execute(sa.insert(Clip), [{"video_id": video_id, **clip} for clip in clips])

    def clips(self, *decisions: Decision) -> list[Clip]:
        """Return the clips of accepted videos (or of those with `decisions`), by path, each with its video."""
        wanted = [decision.value for decision in decisions or (Decision.ACCEPTED,)]
        query = sa.select(Clip).join(Video).where(Video.decision.in_(wanted))
        with self.session() as session:
            return sorted(session.scalars(query).unique(), key=lambda clip: clip.path)

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


def _register(session: Session, entries: Mapping[str, Entry]) -> int:
    """Enter one batch of videos by path and bring hashtags and labels up to date; return how many were new."""
    found = sa.select(Video.id, Video.path, Video.title, Video.label, Video.group).where(Video.path.in_(entries))
    known = {row.path: row for row in session.execute(found)}
    facts = {path: _facts(entry) for path, entry in entries.items()}
    if fresh := [{"path": path, **facts[path]} for path in entries if path not in known]:
        rows = [row | {"decision": Decision.PENDING.value} for row in fresh]
        session.execute(_insert_missing(session, Video), rows)
        known = {row.path: row for row in session.execute(found)}
    stale = [{"id": row.id, **facts[path]} for path, row in known.items() if row[2:] != tuple(facts[path].values())]
    if stale:
        session.execute(sa.update(Video), stale)
    tags = {(known[path].id, storable(tag, 256)) for path, entry in entries.items() for tag in entry.hashtags}
    ids = [row.id for row in known.values()]
    mine = sa.select(VideoHashtag.video_id, VideoHashtag.hashtag).where(VideoHashtag.video_id.in_(ids))
    there = {(video, tag) for video, tag in session.execute(mine)}
    for video, tag in there - tags:
        session.execute(sa.delete(VideoHashtag).where(VideoHashtag.video_id == video, VideoHashtag.hashtag == tag))
    if missing := [{"video_id": video, "hashtag": tag} for video, tag in sorted(tags - there)]:
        session.execute(_insert_missing(session, VideoHashtag), missing)
    return len(fresh)


def _facts(entry: Entry) -> dict[str, str | None]:
    title, label, group = entry.title or entry.path.stem, entry.label, entry.group
    return {
        "title": storable(title, 1024),
        "label": label and storable(label, 256),
        "group": group and storable(group, 256),
    }


def _insert_missing(session: Session, table: type[Base]) -> Any:
    """Return an insert that passes over rows that another process entered in the meantime."""
    if session.get_bind().dialect.name != "postgresql":
        return sqlite.insert(table).on_conflict_do_nothing()
    insert = postgresql.insert(table).on_conflict_do_nothing()
    return insert.returning(*sa.inspect(table).primary_key)  # makes one statement of many rows


def _tune_psycopg(connection: Any, _record: Any) -> None:
    connection.prepare_threshold = None  # a statement prepared while a table was small would scan the whole for ever


def _create_tables(engine: sa.Engine) -> None:
    """Create the tables that are not there yet, one process at a time: others may be opening the same catalog."""
    if set(Base.metadata.tables) <= set(sa.inspect(engine).get_table_names()):
        return
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({TABLES_LOCK})")
        Base.metadata.create_all(connection)


def _tune_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
