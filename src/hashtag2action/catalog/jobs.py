"""The plan of a study as rows: independent jobs that any number of processes take, do and give back.

A job is named by what decides its result, so studies (and conditions of one study) that need the same pre-training share
it. Whoever takes a job holds a lease on it and renews it while at work; the lease of a dead worker runs out, and the
next one goes on from the job's last checkpoint. The clocks of the machines have to agree to within the lease.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Float, String, Text
from sqlalchemy.orm import Mapped, aliased, mapped_column

from hashtag2action.catalog.schema import Base
from hashtag2action.catalog.store import BATCH, Catalog


class JobState(str, enum.Enum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # with a reason; starting its study again tries again


class StudyJob(Base):
    """One pre-training, or one fine-tuning with its evaluation."""

    __tablename__ = "study_jobs"

    key: Mapped[str] = mapped_column(String(16), primary_key=True)
    stage: Mapped[str] = mapped_column(String(16))
    spec: Mapped[dict[str, Any]]
    needs: Mapped[str | None] = mapped_column(String(16))  # the job that has to be done before
    state: Mapped[str] = mapped_column(String(8), default=JobState.WAITING.value, index=True)
    owner: Mapped[str | None] = mapped_column(String(256))
    lease_until: Mapped[float | None] = mapped_column(Float)  # seconds since 1970
    takes: Mapped[int] = mapped_column(default=0)  # how often a worker began or went on with it
    finished_at: Mapped[float | None] = mapped_column(Float)
    detail: Mapped[str | None] = mapped_column(Text)  # why it failed
    result: Mapped[dict[str, Any] | None]
    cost: Mapped[dict[str, Any] | None]


class Study(Base):
    """A study by name, with the settings of its latest plan."""

    __tablename__ = "studies"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    settings: Mapped[dict[str, Any]]


class StudyCell(Base):
    """One point of a study: the job whose result stands for a condition, a size and a run."""

    __tablename__ = "study_cells"

    study: Mapped[str] = mapped_column(String(64), primary_key=True)
    condition: Mapped[str] = mapped_column(String(128), primary_key=True)
    size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    run: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    place: Mapped[int]
    job: Mapped[str] = mapped_column(String(16), index=True)


@dataclass(frozen=True)
class Job:
    """A job to plan or to do."""

    key: str
    stage: str
    spec: dict[str, Any]
    needs: str | None = None


@dataclass(frozen=True)
class Cell:
    """A point of a study; `size` is the number of pre-training clips, 0 for none. Filled in as its jobs are done."""

    condition: str
    size: int
    run: int
    job: str
    result: dict[str, Any] | None = None
    pretrained: dict[str, Any] | None = None
    """Result of the pre-training that it goes back to."""
    costs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of its job and of all that this needed, by key."""


@dataclass(frozen=True)
class Progress:
    """How many of a study's jobs are in each state, and why some failed (reason by key)."""

    waiting: int
    running: int
    done: int
    failed: int
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Number of jobs."""
        return self.waiting + self.running + self.done + self.failed


def plan(
    catalog: Catalog, name: str, kind: str, settings: dict[str, Any], jobs: Iterable[Job], cells: Sequence[Cell]
) -> None:
    """Enter a study: its cells take the place of an earlier plan's, jobs that are known keep what they have come to.

    Jobs that failed wait to be tried again. Two processes may plan the same study at the same time.
    """
    wanted = {job.key: job for job in jobs}
    for job in wanted.values():
        _add(catalog, StudyJob(key=job.key, stage=job.stage, spec=job.spec, needs=job.needs, takes=0))
    rows = [
        {"study": name, "place": place, "condition": c.condition, "size": c.size, "run": c.run, "job": c.job}
        for place, c in enumerate(cells)
    ]
    _add(catalog, Study(name=name, kind=kind, settings=settings))
    with catalog.session() as session:
        retry = sa.update(StudyJob).where(StudyJob.state == JobState.FAILED.value)
        for start in range(0, len(wanted), BATCH):
            keys = list(wanted)[start : start + BATCH]
            session.execute(retry.where(StudyJob.key.in_(keys)).values(state=JobState.WAITING.value, detail=None))
        session.execute(sa.update(Study).where(Study.name == name).values(kind=kind, settings=settings))
        session.execute(sa.delete(StudyCell).where(StudyCell.study == name))
        session.execute(sa.insert(StudyCell), rows)


def claim(
    catalog: Catalog, study: str, owner: str, lease_s: float, now: float, dead: Callable[[str], bool]
) -> Job | None:
    """Take the first job of a study that can be done now, or return None.

    That is one whose needs are done and which nobody holds: never taken, given back, its lease run out, or its owner
    known to be dead by `dead(owner)`.
    """
    for job in _ready(catalog, study, now, dead):
        free = StudyJob.owner.is_(None) if job.owner is None else StudyJob.owner == job.owner
        take = (
            sa.update(StudyJob)
            .where(StudyJob.key == job.key, StudyJob.state == job.state, free, StudyJob.takes == job.takes)
            .values(state=JobState.RUNNING.value, owner=owner, lease_until=now + lease_s, takes=job.takes + 1)
        )
        with catalog.session() as session:
            if session.execute(take).rowcount == 1:  # type: ignore[attr-defined]
                return Job(job.key, job.stage, job.spec, job.needs)
    return None


def renew(catalog: Catalog, key: str, owner: str, until: float) -> None:
    """Hold on to a job that is being done; a claim that another worker made in the meantime gives way."""
    _change(catalog, key, owner=owner, lease_until=until, state=JobState.RUNNING.value)


def finish(catalog: Catalog, key: str, result: dict[str, Any], cost: dict[str, Any], now: float) -> None:
    """Record what a job came to; the first result stands."""
    done = JobState.DONE.value
    _change(catalog, key, state=done, result=result, cost=cost, lease_until=None, finished_at=now, detail=None)


def fail(catalog: Catalog, key: str, detail: str) -> None:
    """Record that a job cannot be done as things are, and with it those that need it."""
    _change(catalog, key, state=JobState.FAILED.value, owner=None, lease_until=None, detail=detail)
    with catalog.session() as session:
        waiting = sa.select(StudyJob.key).where(StudyJob.needs == key, StudyJob.state == JobState.WAITING.value)
        followers = list(session.scalars(waiting))
    for follower in followers:
        fail(catalog, follower, f"needs {key}, which failed")


def give_back(catalog: Catalog, key: str, owner: str) -> None:
    """Let go of a job that is not done, unless another worker holds it by now."""
    with catalog.session() as session:
        held = sa.update(StudyJob).where(StudyJob.key == key, StudyJob.owner == owner)
        held = held.where(StudyJob.state == JobState.RUNNING.value)
        session.execute(held.values(state=JobState.WAITING.value, owner=None, lease_until=None))


def progress(catalog: Catalog, study: str) -> Progress:
    """Count a study's jobs by state."""
    with catalog.session() as session:
        query = sa.select(StudyJob.key, StudyJob.state, StudyJob.detail).where(StudyJob.key.in_(_keys(study)))
        rows = session.execute(query).all()
    count = {state: sum(row.state == state.value for row in rows) for state in JobState}
    reasons = {row.key: row.detail or "" for row in rows if row.state == JobState.FAILED.value}
    return Progress(
        count[JobState.WAITING], count[JobState.RUNNING], count[JobState.DONE], count[JobState.FAILED], reasons
    )


def cells(catalog: Catalog, study: str) -> list[Cell]:
    """Return the points of a study in the order of its plan, with the results that are there."""
    with catalog.session() as session:
        known = {job.key: job for job in session.scalars(sa.select(StudyJob).where(StudyJob.key.in_(_keys(study))))}
        rows = session.scalars(sa.select(StudyCell).where(StudyCell.study == study).order_by(StudyCell.place))
        return [_cell(row, known) for row in rows]


def studies(catalog: Catalog) -> dict[str, Study]:
    """Return the studies that were planned, by name."""
    with catalog.session() as session:
        return {study.name: study for study in session.scalars(sa.select(Study).order_by(Study.name))}


def result_of(catalog: Catalog, key: str) -> dict[str, Any]:
    """Return the result of a job that is done."""
    with catalog.session() as session:
        job = session.get_one(StudyJob, key)
        return dict(job.result or {})


def _ready(catalog: Catalog, study: str, now: float, dead: Callable[[str], bool]) -> list[StudyJob]:
    """Return the jobs that can be taken, in the order of the plan, each pre-training right before its first use."""
    before = aliased(StudyJob)
    chain = _chain(study)
    first = sa.select(chain.c.key, sa.func.min(chain.c.place).label("place")).group_by(chain.c.key).subquery()
    query = (
        sa.select(StudyJob)
        .join(first, first.c.key == StudyJob.key)
        .outerjoin(before, before.key == StudyJob.needs)
        .where(StudyJob.state.in_([JobState.WAITING.value, JobState.RUNNING.value]))
        .where(sa.or_(StudyJob.needs.is_(None), before.state == JobState.DONE.value))
        .order_by(first.c.place, StudyJob.key)
    )
    with catalog.session() as session:
        jobs = list(session.scalars(query))
    return [
        job
        for job in jobs
        if job.state == JobState.WAITING.value or (job.lease_until or 0) < now or dead(job.owner or "")
    ]


def _keys(study: str) -> Any:
    return sa.select(_chain(study).c.key)


def _chain(study: str) -> Any:
    """Return keys of a study's jobs and of all that these need, each with the places of the cells it is for."""
    mine = sa.select(StudyCell.job.label("key"), StudyCell.place).where(StudyCell.study == study)
    chain = mine.cte("chain", recursive=True)
    needs = sa.select(StudyJob.needs, chain.c.place).where(StudyJob.key == chain.c.key, StudyJob.needs.is_not(None))
    return chain.union(needs)


def _cell(row: StudyCell, known: dict[str, StudyJob]) -> Cell:
    costs: dict[str, dict[str, Any]] = {}
    job, pretrained = known.get(row.job), None
    result = job.result if job else None
    while job is not None:
        costs |= {job.key: job.cost} if job.cost else {}
        pretrained = job.result if job.stage == "pretrain" else None
        job = known.get(job.needs or "")
    return Cell(row.condition, row.size, row.run, row.job, result, pretrained, costs)


def _change(catalog: Catalog, key: str, **values: Any) -> None:
    """Change a job, unless it is done."""
    with catalog.session() as session:
        open_job = sa.update(StudyJob).where(StudyJob.key == key, StudyJob.state != JobState.DONE.value)
        session.execute(open_job.values(**values))


def _add(catalog: Catalog, row: Base) -> None:
    """Enter a row, unless one with its key is there."""
    try:
        with catalog.session() as session:
            if session.get(type(row), sa.inspect(row).mapper.primary_key_from_instance(row)) is None:
                session.add(row)
    except sa.exc.IntegrityError:
        pass  # another process was faster with the same row
