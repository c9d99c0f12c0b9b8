"""Studies done by real processes: shared, killed, gone on with, and never done twice."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from small_study import OVERRIDES, write_lists

from hashtag2action.catalog import jobs
from hashtag2action.catalog.jobs import JobState, StudyJob
from hashtag2action.catalog.store import Catalog
from hashtag2action.engine import make_engine
from hashtag2action.settings import load
from hashtag2action.study.compare import compare_results
from hashtag2action.study.data_size import size_results
from hashtag2action.study.plan import plan_compare, plan_size
from hashtag2action.study.settings import StudySettings
from hashtag2action.study.work import Crew, do_jobs, work


@pytest.fixture
def catalog(small_clips: list[Path], tmp_path: Path) -> Iterator[Catalog]:
    """A planned study: random weights, 2 and 4 clips, two runs each, which is ten jobs."""
    opened = Catalog(tmp_path / "workspace")
    plan(opened, small_clips)
    yield opened
    opened.close()


def plan(catalog: Catalog, clips: list[Path]) -> None:
    settings = load(StudySettings, "study", None, {"sizes": (2, 4), "runs": 2}, OVERRIDES)
    labelled = write_lists(clips, catalog.workspace)
    plan_size(catalog, "small", settings, str(labelled), source=f"files:{clips[0].parent}")


def crew(catalog: Catalog) -> Crew:
    return Crew(catalog.workspace, None, "small", lease_s=60, poll_s=0.1)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that a test has begun, none of which outlives it."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def worker(catalog: Catalog, started: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hashtag2action", "study", "work", "small", "--workspace", str(catalog.workspace)]
    started.append(subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}))
    return started[-1]


def rows(catalog: Catalog) -> dict[str, StudyJob]:
    with catalog.session() as session:
        return {job.key: job for job in session.scalars(sa.select(StudyJob))}


def running(catalog: Catalog, process: subprocess.Popen[bytes]) -> list[StudyJob]:
    held = f"/{process.pid}/"
    return [job for job in rows(catalog).values() if job.state == JobState.RUNNING.value and held in (job.owner or "")]


def wait_until(condition: object, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@pytest.mark.timeout(900)
def test_two_processes_share_and_a_killed_one_is_replaced(
    catalog: Catalog, small_clips: list[Path], started: list[subprocess.Popen[bytes]]
) -> None:
    first = worker(catalog, started)
    wait_until(lambda: jobs.progress(catalog, "small").done >= 2 and running(catalog, first))
    first.send_signal(signal.SIGKILL)
    first.wait()
    killed = {key for key, job in rows(catalog).items() if job.state == JobState.RUNNING.value}
    before = {
        key: (job.takes, job.finished_at) for key, job in rows(catalog).items() if job.state == JobState.DONE.value
    }
    assert len(killed) <= 1 and len(before) >= 2

    pair = [worker(catalog, started), worker(catalog, started)]
    assert [process.wait() for process in pair] == [0, 0]
    after = rows(catalog)
    assert {job.state for job in after.values()} == {JobState.DONE.value} and len(after) == 10
    assert {key: (after[key].takes, after[key].finished_at) for key in before} == before
    assert {key: job.takes for key, job in after.items()} == {key: 1 + (key in killed) for key in after}

    stamp = {path: path.stat().st_mtime_ns for path in (catalog.workspace / "runs").rglob("summary.json")}
    plan(catalog, small_clips)
    assert do_jobs(0, crew(catalog)) == 0
    assert {path: path.stat().st_mtime_ns for path in stamp} == stamp


def test_a_study_ends_in_a_figure_and_a_table_that_agree(catalog: Catalog) -> None:
    done = work(crew(catalog), make_engine("local", 2, timeout_s=600, memory_mb=1 << 20))
    assert (done.done, done.total) == (10, 10)
    results = size_results(catalog, "small")
    folder = catalog.workspace / "report" / "studies"
    assert {path.name for path in folder.iterdir()} == {
        "small.svg",
        "small.png",
        "small.csv",
        "small-runs.csv",
        "small.json",
    }
    runs = list(csv.DictReader((folder / "small-runs.csv").open()))
    assert [(row["size"], row["run"]) for row in runs] == [("0", "0"), ("2", "0"), ("4", "0"), ("0", "1"), ("2", "1"), ("4", "1")]  # fmt: skip
    for row in csv.DictReader((folder / "small.csv").open()):
        values = [float(run["top1"]) for run in runs if run["size"] == row["size"]]
        assert float(row["top1"]) == pytest.approx(sum(values) / 2, abs=1e-5)
        assert results["sizes"][row["size"]]["runs"] == 2
    four = next(row for row in runs if row["size"] == "4")
    assert int(four["pretrain_steps"]) == 6 and int(four["clips_seen"]) == 6 * 2 + 4 * 2
    assert float(four["pflop"]) > 0 and float(four["kwh"]) > 0


def test_arms_that_are_alike_share_their_pretraining(catalog: Catalog, small_clips: list[Path]) -> None:
    arms = [{"name": "A", "source": f"files:{small_clips[0].parent}"}, {"name": "none", "source": "nothing"}]
    settings = load(StudySettings, "study", None, {"sizes": (4,), "runs": 2, "conditions": arms}, OVERRIDES)
    plan_compare(catalog, "other", settings, str(catalog.workspace / "labelled.csv"))
    assert len(rows(catalog)) == 10  # what both studies need is one job
    do_jobs(0, Crew(catalog.workspace, None, "other", poll_s=0.1))
    found = compare_results(catalog, "other")
    (difference,) = found["differences"].values()
    assert (difference["a"], difference["b"], difference["runs"]) == ("A", "none", 2)
    low, high = difference["interval"]
    assert low <= difference["difference"] <= high and difference["smallest_p"] == 0.5


def test_a_failed_job_says_why_and_the_others_are_done(catalog: Catalog, small_clips: list[Path]) -> None:
    for path in (catalog.workspace / "snapshots").glob("*/clips.parquet"):
        path.unlink()
    left = work(crew(catalog))
    assert (left.done, left.failed) == (2, 8)  # random weights need no clips
    assert any("damaged" in reason for reason in left.reasons.values())


@pytest.mark.skipif(not os.environ.get("H2A_SLOW"), reason="some minutes; H2A_SLOW=1 runs it")
@pytest.mark.timeout(3600)
def test_kills_at_any_moment(catalog: Catalog, started: list[subprocess.Popen[bytes]]) -> None:
    rng, kills = random.Random(0), 0
    while jobs.progress(catalog, "small").done < 10:
        process = worker(catalog, started)
        try:
            process.wait(timeout=rng.uniform(3, 9))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
        done = {key: job.finished_at for key, job in rows(catalog).items() if job.state == JobState.DONE.value}
        assert all(rows(catalog)[key].finished_at == at for key, at in done.items())
    assert kills > 3
    assert size_results(catalog, "small")["runs_done"] == 6
