"""Workers: processes that take the jobs of a study one after the other until none is left.

Start as many as there are machines or devices, by `--workers`, on Ray, or as a job array of `h2a study work`; they need
the workspace's folder at the same path and one catalog. Any of them may be killed at any time.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from hashtag2action.catalog import jobs
from hashtag2action.catalog.jobs import Job, Progress
from hashtag2action.catalog.store import Catalog
from hashtag2action.console import err
from hashtag2action.engine import Engine
from hashtag2action.errors import UserError
from hashtag2action.study.jobs import do_job, job_folder

POLL_S = 2.0  # how often a worker with nothing to do looks again
BEATS = 4  # renewals within a lease
TIMEOUT_S = 90 * 86_400.0  # of a worker on an engine: a study may take months
MEMORY_MB = 1 << 20  # no bound worth the name: training takes what it takes


@dataclass(frozen=True)
class Crew:
    """What every worker of a study is told."""

    workspace: Path
    catalog: str | None
    study: str
    lease_s: float = 120.0
    poll_s: float = POLL_S
    max_jobs: int | None = None


def work(crew: Crew, engine: Engine | None = None) -> Progress:
    """Do the jobs of a study until all are done or have failed; with an engine, in as many processes as it has workers."""
    if engine is None:
        do_jobs(0, crew)
    else:
        for outcome in engine.map(partial(do_jobs, crew=crew), range(max(1, engine.workers))):
            if outcome.failure is not None:
                err.print(f"a worker was lost ({outcome.failure.value}); the others go on with its job")
    catalog = Catalog(crew.workspace, crew.catalog)
    try:
        return jobs.progress(catalog, crew.study)
    finally:
        catalog.close()


def do_jobs(number: int, crew: Crew) -> int:
    """Be one worker: return how many jobs it did. Waits while others are at work on jobs that its own need."""
    catalog = Catalog(crew.workspace, crew.catalog)
    owner, done = f"{_me()}/{number}", 0
    try:
        while crew.max_jobs is None or done < crew.max_jobs:
            job = jobs.claim(catalog, crew.study, owner, crew.lease_s, time.time(), _dead)
            if job is not None:
                done += _take(catalog, crew, job, owner)
                continue
            left = jobs.progress(catalog, crew.study)
            if not left.waiting and not left.running:
                break
            time.sleep(crew.poll_s)
    finally:
        catalog.close()
    return done


def _take(catalog: Catalog, crew: Crew, job: Job, owner: str) -> bool:
    """Do a claimed job and record what became of it; False where another process is still at it."""
    folder = job_folder(crew.workspace, job.stage, job.key)
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{folder}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        jobs.give_back(catalog, job.key, owner)
        time.sleep(crew.poll_s)
        return False
    left = jobs.progress(catalog, crew.study)
    err.print(f"study {crew.study}: {job.stage} {job.key}, {left.done} of {left.total} jobs done")
    with lock:
        try:
            with _heartbeat(catalog, job.key, owner, crew.lease_s):
                result, cost = do_job(crew.workspace, job)
        except UserError as error:
            jobs.fail(catalog, job.key, str(error))
            err.print(f"study {crew.study}: {job.stage} {job.key} failed: {error}")
        except BaseException:
            jobs.give_back(catalog, job.key, owner)
            raise
        else:
            jobs.finish(catalog, job.key, result, {**cost, "worker": owner}, time.time())
    return True


@contextmanager
def _heartbeat(catalog: Catalog, key: str, owner: str, lease_s: float) -> Iterator[None]:
    """Renew a lease, in a thread, until the block ends."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(lease_s / BEATS):
            jobs.renew(catalog, key, owner, time.time() + lease_s)

    thread = threading.Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _me() -> str:
    import psutil

    return f"{socket.gethostname()}/{os.getpid()}/{psutil.Process().create_time():.2f}"


def _dead(owner: str) -> bool:
    """Tell whether an owner is a process of this machine that is no more; of other machines only the lease tells."""
    import psutil

    host, _, rest = owner.partition("/")
    if host != socket.gethostname():
        return False
    pid, began = rest.split("/")[:2]
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" != began
    except psutil.Error:
        return True
