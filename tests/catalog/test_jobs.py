"""The plan of a study: who may take which job, and what stays done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hashtag2action.catalog import jobs
from hashtag2action.catalog.jobs import Cell, Job
from hashtag2action.catalog.store import Catalog


def nobody(_owner: str) -> bool:
    return False


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """Two runs; their first conditions share one pre-training, the last has none."""
    opened = Catalog(tmp_path)
    planned = [Job(f"p{run}", "pretrain", {"run": run}) for run in range(2)]
    planned += [Job(f"f{arm}{run}", "finetune", {}, f"p{run}") for run in range(2) for arm in "ab"]
    planned += [Job(f"s{run}", "finetune", {}) for run in range(2)]
    cells = [Cell(arm, 9, run, f"f{arm}{run}") for run in range(2) for arm in "ab"]
    jobs.plan(opened, "study", "size", {}, planned, [*cells, *(Cell("none", 0, run, f"s{run}") for run in range(2))])
    return opened


def claim(catalog: Catalog, owner: str = "me", now: float = 100.0) -> Job | None:
    return jobs.claim(catalog, "study", owner, 10.0, now, nobody)


def do_all(catalog: Catalog, owner: str = "me") -> list[str]:
    done = []
    while (job := claim(catalog, owner)) is not None:
        jobs.finish(catalog, job.key, {"top1": 1}, {}, 100.0)
        done.append(job.key)
    return done


def test_jobs_come_in_the_order_of_the_plan_and_shared_ones_once(catalog: Catalog) -> None:
    assert do_all(catalog) == ["p0", "fa0", "fb0", "p1", "fa1", "fb1", "s0", "s1"]
    assert jobs.progress(catalog, "study") == jobs.Progress(0, 0, 8, 0)


def test_a_job_waits_for_what_it_needs(catalog: Catalog) -> None:
    taken = [claim(catalog) for _ in range(5)]
    assert [job.key if job else None for job in taken] == ["p0", "p1", "s0", "s1", None]
    jobs.finish(catalog, "p1", {}, {}, 100.0)
    following = claim(catalog)
    assert following is not None and (following.key, following.needs) == ("fa1", "p1")


def test_a_lease_keeps_others_off_until_it_runs_out(catalog: Catalog) -> None:
    first = claim(catalog, "a", now=100)
    assert first is not None
    jobs.renew(catalog, first.key, "a", until=130)
    assert first.key not in {job.key for _ in range(8) if (job := claim(catalog, "b", now=129))}
    late = claim(catalog, "c", now=131)
    assert late == first


def test_a_dead_owner_gives_way_at_once(catalog: Catalog) -> None:
    first = claim(catalog, "host/1/2.0")
    again = jobs.claim(catalog, "study", "b", 10.0, 100.0, lambda owner: owner == "host/1/2.0")
    assert again == first


def test_only_one_of_many_gets_a_job(catalog: Catalog) -> None:
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: do_all(Catalog(catalog.workspace), f"w{number}"), range(8)))
    keys = [key for some in done for key in some]
    assert len(keys) == len(set(keys))
    rest = do_all(catalog)
    assert sorted(keys + rest) == ["fa0", "fa1", "fb0", "fb1", "p0", "p1", "s0", "s1"]


def test_the_first_result_stands(catalog: Catalog) -> None:
    jobs.finish(catalog, "p0", {"loss": 1}, {}, 100.0)
    jobs.finish(catalog, "p0", {"loss": 2}, {}, 200.0)
    jobs.fail(catalog, "p0", "too late")
    jobs.renew(catalog, "p0", "someone", 300.0)
    assert jobs.result_of(catalog, "p0") == {"loss": 1}
    assert jobs.progress(catalog, "study").done == 1


def test_a_failure_takes_its_followers_along_and_is_tried_again(catalog: Catalog) -> None:
    jobs.fail(catalog, "p0", "no clips")
    assert jobs.progress(catalog, "study").reasons == {
        "p0": "no clips", "fa0": "needs p0, which failed", "fb0": "needs p0, which failed",
    }  # fmt: skip
    assert do_all(catalog) == ["p1", "fa1", "fb1", "s0", "s1"]
    jobs.plan(catalog, "study", "size", {}, [Job("p0", "pretrain", {}), Job("fa0", "finetune", {}, "p0")], [Cell("a", 9, 0, "fa0")])  # fmt: skip
    assert do_all(catalog) == ["p0", "fa0"]


def test_another_study_shares_what_is_done(catalog: Catalog) -> None:
    do_all(catalog)
    more = [Job("p0", "pretrain", {}), Job("new", "finetune", {}, "p0")]
    jobs.plan(catalog, "other", "compare", {}, more, [Cell("c", 9, 0, "new")])
    job = jobs.claim(catalog, "other", "me", 10.0, 100.0, nobody)
    assert job is not None and job.key == "new"
    jobs.finish(catalog, "new", {"top1": 0.5}, {"hours": 1}, 100.0)
    (cell,) = jobs.cells(catalog, "other")
    assert cell.result == {"top1": 0.5} and cell.pretrained == {"top1": 1}
    assert sorted(jobs.studies(catalog)) == ["other", "study"]


def test_given_back_only_by_its_owner(catalog: Catalog) -> None:
    job = claim(catalog, "a")
    assert job is not None
    jobs.give_back(catalog, job.key, "b")
    assert claim(catalog, "c") != job
    jobs.give_back(catalog, job.key, "a")
    assert claim(catalog, "c") == job
